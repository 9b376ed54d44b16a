"""One step of training: from a batch to the update of all groups."""

import collections
import contextlib
from typing import (Callable, ContextManager, Dict, List, NamedTuple, Optional,
                    Sequence, Tuple)

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph import task_graph
from mtl_graph.data import batches
from mtl_graph.data import features as features_lib
from mtl_graph.model import accumulation
from mtl_graph.model import averages
from mtl_graph.model import balancing
from mtl_graph.model import gate_use
from mtl_graph.model import gradients as gradients_lib
from mtl_graph.model import graphs
from mtl_graph.model import losses
from mtl_graph.model import objectives
from mtl_graph.model import optimizers
from mtl_graph.model import partitions
from mtl_graph.model import replicas
from mtl_graph.model import variable_groups
from mtl_graph.model import weighting
from mtl_graph.model.sharing import column_penalties
from mtl_graph.ops import task_losses as task_losses_ops
from mtl_graph.protos import experiment_pb2

# What steps measured, each of shape [..., T], [..., G] or, of measures, one
# number per name in `Step.measures`; `total` of [...].
Report = collections.namedtuple(
    "Report", ["task_losses", "label_weights", "task_weights", "gradient_norms",
               "learning_rates", "total", "measures"], defaults=[0])

# Rows from which on a gradient of few of them is cheaper than one of all.
_LARGE_TABLE = 5000

# The rows of a batch by its number, counted over the steps of an objective.
BatchOf = Callable[[tf.Tensor], batches.Batch]


class Step(NamedTuple):
  """One step of training.

  Attributes:
    train_op: The op that runs it.
    report: What it measured, float32 `[R]`; `unpack_report` takes it apart.
    sizes: A `Report` of how many numbers of the report each field takes.
    tasks_of_group: Names of the tasks whose losses reach each group; the groups
      are those that are trained, in the report's order.
    tasks: Names of the tasks that it trains, in the report's order.
    measures: Names of what else is measured, of gates and of the weights of
      gradients, in the report's order.
    rows: How many rows it sees.
  """
  train_op: tf.Operation
  report: tf.Tensor
  sizes: Report
  tasks_of_group: Dict[str, List[str]]
  tasks: Sequence[str] = ()
  measures: Sequence[str] = ()
  rows: int = 0


def build(experiment: experiment_pb2.Experiment, model: graphs.Graph,
          objective: objectives.Objective, batch_of: BatchOf, step: tf.Tensor,
          may_lack_labels: Sequence[bool],
          replica: replicas.Replica = replicas.ALONE,
          number: Optional[tf.Tensor] = None) -> Step:
  """Adds one step of training to the current graph.

  Features to logits to task losses to one loss; one backward pass over the
  concatenated variables of all groups; an optimizer per group, applied once all
  gradients are there; the step counted once all groups are updated.

  Args:
    experiment: The experiment, valid.
    model: What `graphs.build` returned.
    objective: What the step minimizes.
    batch_of: Gives the rows of a batch.
    step: The objective's counter as this step finds it, int64 scalar.
    may_lack_labels: Whether each task of the model may be without labels in a
      step. A group whose every task is without is left as it is.
    replica: How workers make one step of their batches.
    number: Number of this worker's batch, or batches, of the step; None: that
      of the step.

  Returns:
    A `Step`.

  Raises:
    ConfigErrors: If no task's loss reaches a group that is trained.
  """
  training = experiment.training
  trained = {g.name: g for g in objective.groups}
  count, updates, names = training.accumulate_batches, [], []

  devices = list(training.execution.device) or [None]

  def run(number):
    places = [_Place(device, number * len(devices) + i) if device else
              _Place(None, number) for i, device in enumerate(devices)]
    with replica.reading(step):
      return _run_batch(experiment, model, objective, batch_of, places, step,
                        replica, updates, names)

  number = step if number is None else number
  start = number if count == 1 else number * count
  first = run(start)
  _check_reached(model.groups, training.group, first.gradients)
  done = first if count == 1 else accumulation.accumulate(
      first, run, start, count, updates)
  tasks_of_group = _tasks_of_groups(model, objective)

  def report_of(norms, rates):
    with tf.name_scope("report"):
      return Report(done.task_losses, done.label_weights, done.task_weights,
                    norms, rates, tf.reshape(done.total, [1]), done.measures)

  def step_of(train_op, fields):
    # One tensor, hence one fetch per step.
    return Step(train_op, tf.concat(fields, 0, name="report/all"),
                Report(*[f.shape.as_list()[0] for f in fields]), tasks_of_group,
                objective.tasks, names,
                objective.batch_size * count * len(devices) * replica.workers)

  if not replica.applies:
    nothing = tf.zeros([len(trained)])
    return step_of(replica.hand_in(done.gradients, objective.variables, step),
                   report_of(nothing, nothing))
  done = done._replace(gradients=replica.average(
      done.gradients, objective.variables, step))
  norms = {name: gradients_lib.norm(done.gradients[name],
                                    f"gradient_norm/{name}")
           for name in trained}
  clipped = {name: gradients_lib.clip(group.clipping, done.gradients[name],
                                      norms[name], objective.variables[name])
             for name, group in trained.items()}
  if replica.is_remote:
    # All rows of a table would be a long way; those of the batch went instead.
    clipped = gradients_lib.densify(
        clipped, _least_rows(training, objective.groups), objective.variables,
        again=True)
  conditions = _conditions(objective, tasks_of_group, done.label_weights, {
      task.name for task, may in zip(experiment.model.task, may_lack_labels)
      if may}, step)
  rates, applied = {}, []
  # No group may read what another has already updated.
  barrier = [g for some in clipped.values() for g in some if g is not None]
  barrier += updates
  fresh = None
  if replica is not replicas.ALONE:
    barrier = [tf.group(*barrier)]  # One wait, not one per pair of ops.
    with tf.control_dependencies(barrier):
      fresh = replica.is_fresh(step)
  with tf.control_dependencies(barrier):
    for name, group in trained.items():
      message = _optimizer_of(training, group)
      scope = f"optimizer/{name}"
      rates[name] = optimizers.learning_rate(message, step)
      optimizer = optimizers.build(message, rates[name], step)
      optimizers.go_on(optimizer, scope, model.optimizers)
      applied.append(optimizers.apply(
          optimizer, scope, clipped[name], objective.variables[name],
          _both(conditions.get(name), fresh), optimizers.weight_decay(
              message, rates[name], group.weight_decay)))
  if done.after is not None:
    with tf.control_dependencies(applied):
      applied += done.after()
  if model.averaged:
    updated = {v.ref() for some in objective.variables.values() for v in some}
    with tf.control_dependencies(applied):
      applied += averages.update(
          [(a, v) for a, v in model.averaged
           if v.ref() in updated or objective.counter is model.global_step],
          training.moving_average.decay, step, fresh)
  train_op = _count(applied + updates, objective, model, fresh)
  with tf.control_dependencies([train_op]):
    train_op = replica.publish(step) or train_op
  return step_of(train_op, report_of(tf.stack(list(norms.values())),
                                     tf.stack(list(rates.values()))))


def _both(*conditions: Optional[tf.Tensor]) -> Optional[tf.Tensor]:
  """Returns whether all conditions hold that there are; None: there are none.
  """
  there = [c for c in conditions if c is not None]
  return tf.reduce_all(tf.stack(there)) if len(there) > 1 else (
      there[0] if there else None)


def _count(applied, objective, model, fresh=None) -> tf.Operation:
  """Groups updates, and counts the step once they are done."""
  if objective.counter is model.global_step:
    return optimizers.group(applied, model.global_step, fresh)
  with tf.control_dependencies(applied):
    counted = objective.counter.assign_add(1, read_value=False)
  return optimizers.group([*applied, counted], model.global_step)


class _Place(NamedTuple):
  """Where a batch of a step is gone over, and its number."""
  device: Optional[str]
  number: tf.Tensor

  def scope(self) -> ContextManager:
    """Returns the scope of the ops of the batch."""
    return tf.device(self.device) if self.device else contextlib.nullcontext()


def _run_batch(experiment, model, objective, batch_of, places, step, replica,
               updates, names) -> accumulation.Pass:
  """Goes forward over a batch, or one on each device, and backward."""
  tasks = [t for t in experiment.model.task if t.name in objective.tasks]

  def forward(moving):
    networks, found = [], []
    for place in places:
      with place.scope():
        batch = batch_of(place.number)
        networks.append(graphs.forward(
            experiment, features_lib.Transformed(batch.numbers, batch.ids),
            place.number, [] if networks else moving, wanted=objective.tasks,
            partitioner=model.partitioner))
        found.append(losses.build(experiment.model.task, networks[-1].logits,
                                  batch.labels, batch.weights))
    return networks, replica.share(task_losses_ops.together(found), step)

  networks, task_losses = forward(updates)
  combined = weighting.build(
      objective.loss, tasks, task_losses, step, experiment.seed,
      model.remembered, model.trainable.get(
          outline.kernel_of(objective.loss.grad_norm, model.trainable)))
  updates += combined.updates
  penalties = _penalties(experiment, model, objective, networks)
  total = (tf.add_n([combined.loss, *penalties]) if penalties
           else combined.loss)
  measured, values = gate_use.measure([network.gates for network in networks])
  least_rows = _least_rows(experiment.training, objective.groups,
                           replica.is_remote)
  if objective.balancing is None:
    gradients = gradients_lib.build(total, objective.variables,
                                    where_ops_are=len(places) > 1)
  else:
    balanced = _balance(
        experiment, model, objective, combined,
        [task_losses[task.name] for task in tasks], penalties,
        step, places[0].number, least_rows, len(places) > 1)
    gradients = gradients_lib.slice_by_group(balanced.gradients,
                                             objective.variables)
    updates += balanced.updates
    measured += balanced.measured
    values += balanced.weights
  names[:] = measured

  def after():
    found = forward([])[1]
    return combined.after(tf.stack([task_losses_ops.mean(found[task.name])
                                    for task in tasks]))
  return accumulation.Pass(
      gradients_lib.densify(gradients, least_rows, objective.variables),
      combined.task_losses,
      tf.stack([task_losses[task.name].weight for task in tasks]),
      combined.task_weights, total,
      tf.concat(values, 0) if values else tf.zeros([0]),
      after if combined.after else None)


def _balance(experiment, model, objective, combined, task_losses, penalties,
             step, number, least_rows, where_ops_are) -> balancing.Balanced:
  """Returns the gradients of a batch, those of shared variables balanced."""
  losses = balancing.Losses(
      # Not out of a vector of all losses, behind which all tasks lie.
      objective.tasks, [weight * task_losses_ops.mean(loss) for weight, loss in
                        zip(tf.unstack(tf.stop_gradient(combined.task_weights)),
                            task_losses)],
      tf.stack([tf.cast(loss.weight > 0, tf.float32) for loss in task_losses]),
      combined.loss, penalties)
  sparse = {v.op.name for group, least in least_rows.items()
            for v in objective.variables[group]
            if v.shape.rank and partitions.shape_of(v)[0] >= least}
  return balancing.build(
      objective.balancing, losses, model.reached,
      [v for some in objective.variables.values() for v in some],
      model.balancing, step, number, experiment.seed, sparse, where_ops_are)


def _least_rows(training, groups, on_the_way=False) -> Dict[str, int]:
  """Returns for which groups gradients of tables stay sparse, from which size.

  For lazy Adam always, whose rows outside the batch are to stay; for optimizers
  that leave those rows alone anyway where that is the cheaper way; and for all,
  from that size, on the way to variables that another process has.
  """
  found = {}
  for group in groups:
    kind = _optimizer_of(training, group).WhichOneof("kind")
    if kind == "lazy_adam":
      found[group.name] = 0
    elif training.accumulate_batches == 1 and (on_the_way or (
        kind in optimizers.LEAVE_OTHER_ROWS and not group.weight_decay)):
      found[group.name] = _LARGE_TABLE
  return found


def _penalties(experiment, model, objective, networks) -> List[tf.Tensor]:
  """Returns what is added to the loss, scalars."""
  message = experiment.model
  # Those of a task that is merely read are for its own steps.
  others = [task.name for task in message.task
            if not task.no_loss and task.name not in objective.tasks]
  terms = weighting.penalties(model.outline.penalties, objective.variables)
  found = [[p.value for p in network.penalties if not any(
      p.owner == task or variable_groups.own_scopes(task, [p.owner])
      for task in others)] for network in networks]
  terms += (found[0] if len(networks) == 1 else
            [tf.add_n(each) / len(networks) for each in zip(*found)])
  if message.HasField("soft_sharing"):
    terms += column_penalties.build(
        message.soft_sharing, task_graph.with_layers(message.task),
        model.trainable)
  return terms


def _optimizer_of(training, group):
  return (group.optimizer if group.HasField("optimizer")
          else training.default_optimizer)


def unpack_report(report: np.ndarray, sizes: Report) -> Report:
  """Takes the report of one or more steps apart.

  Args:
    report: What a `Step` reported, shape `[..., R]`.
    sizes: The `sizes` of that step.

  Returns:
    A `Report`; its groups are those that are trained, in order.
  """
  parts = Report(*np.split(report, np.cumsum(sizes)[:-1], axis=-1))
  return parts._replace(total=parts.total[..., 0])


def _check_reached(groups, stated, gradients):
  errors = [
      config.ConfigError(
          f"training.group[{i}]" if stated else "training.group",
          f"no task's loss reaches group '{group.name}'; allowed: groups that "
          "get a gradient, or frozen: true")
      for i, group in enumerate(groups)
      if group.name in gradients
      and all(g is None for g in gradients[group.name])]
  if errors:
    raise config.ConfigErrors(errors)


def _tasks_of_groups(model, objective) -> Dict[str, List[str]]:
  """Returns the names of the tasks whose losses reach each group."""
  return {group: [task for task in objective.tasks
                  if model.reached[task] & {v.op.name for v in members}]
          for group, members in objective.variables.items()}


def _conditions(objective, tasks_of_group, label_weights, lacking, step):
  """Returns whether each group is to be updated, where that can be in doubt."""
  places = {task: t for t, task in enumerate(objective.tasks)}
  conditions = {}
  for group, users in tasks_of_group.items():
    if users and lacking.issuperset(users):
      with tf.name_scope(f"has_labels/{group}"):
        conditions[group] = tf.reduce_any(tf.stack(
            [label_weights[places[task]] for task in users]) > 0)
  for group in objective.groups:
    if group.start_step:
      with tf.name_scope(f"has_started/{group.name}"):
        started = step >= group.start_step
        conditions[group.name] = (
            tf.logical_and(started, conditions[group.name])
            if group.name in conditions else started)
  return conditions

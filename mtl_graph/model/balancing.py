"""Makes one direction of the tasks' gradients of what they share."""

import collections
import functools
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Set

import tensorflow.compat.v1 as tf

from mtl_graph import balancing_checks
from mtl_graph import config
from mtl_graph.model import balancing_methods
from mtl_graph.model import partitions
from mtl_graph.model import reach
from mtl_graph.model import task_gradients
from mtl_graph.ops import gradient_products
from mtl_graph.ops import gradient_surgery
from mtl_graph.ops import random_bits
from mtl_graph.protos import balancing_pb2

_PATH = "training.joint.gradient_balancing"
# Of the weights that the steps in between use again.
_LAST = "last_weights"


class Shared(NamedTuple):
  """Variables that the losses of two tasks or more reach.

  Attributes:
    sets: Those whose gradients are balanced, by the name of the set; within a
      set, they share weights.
    summed: Those whose gradients add up.
  """
  sets: Dict[str, List[tf.Variable]]
  summed: List[tf.Variable]


class Balanced(NamedTuple):
  """Gradients.

  Attributes:
    gradients: A gradient of each variable, None where there is none.
    updates: Ops that remember what the next step is to know; they depend on all
      that reads what they assign.
    measured: Names of the tasks' weights, `gradient_weight/<set>/<task>`; none
      where elements are weighed one by one.
    weights: These weights, vectors in the same order.
  """
  gradients: List[Optional[gradient_products.Gradient]]
  updates: List[tf.Operation]
  measured: List[str]
  weights: List[tf.Tensor]


class Losses(NamedTuple):
  """What is to be balanced.

  Attributes:
    tasks: Names of the tasks.
    weighted: Each task's mean loss times its weight, scalars.
    present: 1 for tasks with a label in the batch, 0 for others, shape `[T]`.
    total: The loss that they make, whose own variables learn by it, shape `[]`.
    penalties: What is added to it, scalars.
  """
  tasks: Sequence[str]
  weighted: Sequence[tf.Tensor]
  present: tf.Tensor
  total: tf.Tensor
  penalties: Sequence[tf.Tensor]


def shared(message: balancing_pb2.GradientBalancing,
           reached: Mapping[str, Set[str]], variables: Sequence[tf.Variable]
           ) -> Shared:
  """Finds the variables whose gradients are balanced.

  Args:
    message: The `GradientBalancing` message.
    reached: Names of the variables that each task's loss reaches.
    variables: The variables that are trained.

  Returns:
    A `Shared`. By layer, a set is named as the scope of its variables, else "".

  Raises:
    ConfigError: If there is none to balance.
  """
  sets: Dict[str, List[tf.Variable]] = collections.OrderedDict()
  summed = []
  by_layer = message.granularity == message.LAYER
  for variable in variables:
    name = variable.op.name
    if sum(name in names for names in reached.values()) < 2:
      continue
    if message.exclude_embeddings and name.startswith("embedding/"):
      summed.append(variable)
    else:
      scope = (partitions.name_of(variable).rpartition("/")[0] if by_layer
               else "")
      sets.setdefault(scope, []).append(variable)
  if not sets:
    raise config.ConfigError(
        _PATH, "found no trained variable that two tasks' losses reach; "
        "allowed: with something shared")
  return Shared(sets, summed)


def memory(message: balancing_pb2.GradientBalancing, parts: Shared,
           num_tasks: int) -> Dict[str, tf.Variable]:
  """Makes the variables of what a method remembers from step to step.

  Args:
    message: The `GradientBalancing` message.
    parts: What `shared` returned.
    num_tasks: How many tasks, T.

  Returns:
    Variables by name, not trainable: `gradient_balancing/<set>/<what>`, and of
    a method that keeps a number per task and element
    `gradient_balancing/tracked/<variable>` of shape `[T, ...]`.
  """
  kind, made = message.WhichOneof("kind"), {}
  starts = {name: tf.constant(value) for name, value in
            balancing_methods.starts(kind, num_tasks).items()}
  if message.every_steps > 1:
    starts[_LAST] = tf.ones([num_tasks])

  def make(name, value):
    made[name] = tf.get_variable(name, initializer=value, trainable=False)
    return made[name]

  with tf.variable_scope("gradient_balancing"):
    for scope, variables in parts.sets.items():
      for what, value in starts.items():
        make(_joined(scope, what), value)
      if kind in balancing_checks.TRACKING:
        for variable in variables:
          state = make(f"tracked/{variable.op.name}",
                       tf.zeros([num_tasks, *variable.shape.as_list()]))
          partitions.follow(state, variable, state.op.name.replace(
              variable.op.name, partitions.name_of(variable)))
  return made


def build(message: balancing_pb2.GradientBalancing, losses: Losses,
          reached: Mapping[str, Set[str]], variables: Sequence[tf.Variable],
          remembered: Mapping[str, tf.Variable], step: tf.Tensor,
          number: tf.Tensor, seed: int, sparse: Set[str],
          where_ops_are: bool = False) -> Balanced:
  """Computes the gradients of a batch, those of shared variables balanced.

  Args:
    message: The `GradientBalancing` message.
    losses: What is to be balanced.
    reached: Names of the variables that each task's loss reaches.
    variables: The variables that are trained.
    remembered: What `memory` returned.
    step: Number of the step, int64 scalar.
    number: Number of the batch, of which draws are made, int64 scalar.
    seed: Seed of the experiment.
    sparse: Names of the variables whose gradients may stay sparse.
    where_ops_are: Whether each op's gradient is computed on its device.

  Returns:
    A `Balanced`, a gradient per variable in order.

  Raises:
    ConfigError: If there is nothing to balance, or no representation.
  """
  parts = shared(message, reached, variables)
  with tf.name_scope("balancing"):
    gradients = functools.partial(tf.gradients,
                                  colocate_gradients_with_ops=where_ops_are)
    work = _Work(message, losses, reached, variables, parts, remembered, step,
                 number, seed, sparse, gradients)
    if message.at == message.REPRESENTATION or message.every_steps > 1:
      work.by_border()
    else:
      work.by_parameters()
    # What no task's loss reaches as it is weighted: learned weights.
    others = [v for v in variables if work.gradients.get(v.op.name) is None]
    work.gradients.update(zip([v.op.name for v in others],
                              gradients(losses.total, others)))
    found = [work.gradients[v.op.name] for v in variables]
    if losses.penalties:
      found = [task_gradients.add(pair) for pair in zip(
          found, gradients(list(losses.penalties), variables))]
    return Balanced(found, work.updates, work.measured, work.weights)


class _Work:
  """Gradients in the making.

  Attributes:
    gradients: Gradients by name of the variable.
    updates: As of a `Balanced`.
    measured: As of a `Balanced`.
    weights: As of a `Balanced`.
  """

  def __init__(self, message, losses, reached, variables, parts, remembered,
               step, number, seed, sparse, gradients_of):
    self.gradients: Dict[str, gradient_products.Gradient] = {}
    self.updates: List[tf.Operation] = []
    self.measured: List[str] = []
    self.weights: List[tf.Tensor] = []
    self._message = message
    self._losses = losses
    self._parts = parts
    self._remembered = remembered
    self._step = step
    self._number = number
    self._seed = seed
    self._sparse = sparse
    self._gradients_of = gradients_of
    users = {v.op.name: [t for t in losses.tasks if v.op.name in reached[t]]
             for v in variables}
    self._own = {task: [v for v in variables if users[v.op.name] == [task]]
                 for task in losses.tasks}
    self._shared = [v for some in parts.sets.values() for v in some]
    self._of_task = {
        task: [v for v in self._shared + parts.summed
               if task in users[v.op.name]] for task in losses.tasks}

  def by_parameters(self):
    """Compares the gradients of the shared variables."""
    found = []
    for task, loss in zip(self._losses.tasks, self._losses.weighted):
      wanted = self._own[task] + self._of_task[task]
      gradients = dict(zip([v.op.name for v in wanted],
                           self._gradients_of(loss, wanted)))
      self._take_own(task, gradients)
      found.append(gradients)
    for variable in self._parts.summed:
      self.gradients[variable.op.name] = task_gradients.add(
          [each.get(variable.op.name) for each in found])
    for scope, members in self._parts.sets.items():
      columns = [task_gradients.Column(
          v, [each.get(v.op.name) for each in found],
          v.op.name in self._sparse) for v in members]
      columns = [c for c in columns if not c.empty]
      if self._message.WhichOneof("kind") == "graddrop":
        for column in columns:
          self._put(column, self._drop(column.jacobian(), column.name))
        continue
      output = self._find(scope, columns)
      self._remember(scope, output.memory)
      for column, value in zip(columns, output.tracked):
        self.updates.append(self._remembered[f"tracked/{column.name}"].assign(
            value, read_value=False))
      self._measure(scope, output.weights)
      for column, direction in zip(columns, gradient_products.combine(
          output.weights, output.gradients)):
        self._put(column, direction)

  def by_border(self):
    """Goes through the shared variables once, or once more to compare."""
    message, losses = self._message, self._losses
    compared = reach.border(losses.weighted, self._shared)
    # What adds up may also be reached by ways that do not meet the compared.
    border = compared + [
        t for t in (reach.border(losses.weighted, self._parts.summed)
                    if self._parts.summed else [])
        if all(t is not other for other in compared)]
    loose = [t for t in border if t.dtype == tf.resource]
    if loose:
      raise config.ConfigError(
          _PATH, "found a shared variable that each task reads by itself, "
          f"'{loose[0].op.name}', and so no shared representation; allowed: "
          "at: PARAMETERS, every_steps: 1")
    found = []
    for task, loss in zip(losses.tasks, losses.weighted):
      own = self._own[task]
      gradients = self._gradients_of(loss, border + own,
                                     stop_gradients=border)
      self._take_own(task, dict(zip([v.op.name for v in own],
                                    gradients[len(border):])))
      found.append([None if g is None else tf.convert_to_tensor(g)
                    for g in gradients[:len(border)]])
    of_compared = [row[:len(compared)] for row in found]
    if message.WhichOneof("kind") == "graddrop":
      direction = [
          self._drop(task_gradients.stacked(column), f"border/{i}", tensor)
          for i, (tensor, column) in enumerate(zip(compared, zip(*of_compared)))]
    else:
      weights = self._weights_of(compared, of_compared)
      self._measure("", weights)
      direction = gradient_products.combine(weights, of_compared)
    self._through(compared, direction, self._shared)
    self._through(border, [task_gradients.add(column) for column in zip(*found)],
                  self._parts.summed)

  def _weights_of(self, border, found):
    """Returns weights by the gradients of the border or of what is behind."""
    message, losses = self._message, self._losses
    if message.at == message.REPRESENTATION:
      columns = [task_gradients.Column(tensor, list(column), False)
                 for tensor, column in zip(border, zip(*found))]
    else:
      columns = None

    def compare():
      output = self._find("", columns or self._behind(border, found))
      # Who has no label now may have some in the steps to come.
      weights = tf.where(losses.present > 0, output.weights, kept[0])
      return [weights, *output.memory.values()]

    if message.every_steps <= 1:
      output = self._find("", columns)
      self._remember("", output.memory)
      return output.weights
    names = list(balancing_methods.starts(
        message.WhichOneof("kind"), len(found)))
    kept = [self._remembered[name].read_value() for name in [_LAST, *names]]
    values = tf.cond(tf.equal(self._step % message.every_steps, 0), compare,
                     lambda: [tf.identity(value) for value in kept])
    self._remember("", dict(zip([_LAST, *names], values)))
    return values[0]

  def _behind(self, border, found):
    """Returns the columns of the shared variables, a pass through them each."""
    rows = []
    for gradients in found:
      there = [(t, g) for t, g in zip(border, gradients) if g is not None]
      rows.append(self._gradients_of([t for t, _ in there], self._shared,
                                     grad_ys=[g for _, g in there]))
    columns = [task_gradients.Column(v, list(column), v.op.name in self._sparse)
               for v, column in zip(self._shared, zip(*rows))]
    return [c for c in columns if not c.empty]

  def _through(self, border, direction, variables):
    """Goes backward from the border to variables."""
    there = [(t, d) for t, d in zip(border, direction) if d is not None]
    if variables:
      self.gradients.update(zip(
          [v.op.name for v in variables],
          self._gradients_of([t for t, _ in there], variables,
                             grad_ys=[d for _, d in there])))

  def _find(self, scope, columns) -> balancing_methods.Found:
    """Asks the method for the weights of some columns."""
    num_tasks = len(self._losses.tasks)
    names = balancing_methods.starts(self._message.WhichOneof("kind"),
                                     num_tasks)
    tracked, present = [], self._losses.present
    reaching = [any(c.gradients[t] is not None for c in columns)
                for t in range(num_tasks)]
    if not all(reaching):
      # Its gradient is no gradient of zero, which would stop some methods.
      present *= tf.constant(reaching, present.dtype)
    if self._message.WhichOneof("kind") in balancing_checks.TRACKING:
      tracked = [self._remembered[f"tracked/{c.name}"].read_value()
                 for c in columns]
    return balancing_methods.find(self._message, balancing_methods.Seen(
        [[c.gradients[t] for c in columns] for t in range(num_tasks)],
        tf.stack(self._losses.weighted), present, self._step, self._number,
        random_bits.key_of(self._seed, f"balancing/{scope}"),
        {name: self._remembered[_joined(scope, name)].read_value()
         for name in names}, tracked))

  def _drop(self, jacobian, name, activations=None):
    return gradient_surgery.graddrop_direction(
        jacobian, random_bits.key_of(self._seed, f"balancing/{name}"),
        self._number, self._message.graddrop.leak, activations)

  def _take_own(self, task, gradients):
    for variable in self._own[task]:
      self.gradients[variable.op.name] = gradients[variable.op.name]

  def _put(self, column, direction):
    self.gradients[column.name] = column.whole(direction)

  def _remember(self, scope, values):
    for name, value in values.items():
      self.updates.append(self._remembered[_joined(scope, name)].assign(
          value, read_value=False))

  def _measure(self, scope, weights):
    self.measured += [f"gradient_weight/{_joined(scope, task)}"
                      for task in self._losses.tasks]
    self.weights.append(weights)


def _joined(scope: str, name: str) -> str:
  return f"{scope}/{name}" if scope else name

"""How the workers of a cluster make one step of their batches."""

import collections
import contextlib
from typing import ContextManager, Dict, List, Mapping, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.model import step_results
from mtl_graph.model import step_sums
from mtl_graph.ops import task_losses as task_losses_ops

_Losses = Dict[str, task_losses_ops.TaskLoss]
_Gradients = Dict[str, List[Optional[tf.Tensor]]]
_Variables = Mapping[str, Sequence[tf.Variable]]

# How many batches there may be.
_LAST = 2 ** 62
# How collective ops tell one another apart.
_GROUP, _LOSSES, _GRADIENTS, _VALUES = 1, 1, 2, 3


class Replica:
  """One worker of several, or, as it stands, a process that trains alone.

  Attributes:
    workers: Batches that a step is made of.
    applies: Whether this worker updates variables.
    is_remote: Whether variables are with other processes.
  """

  workers = 1
  applies = True
  is_remote = False

  def number(self, step: tf.Tensor) -> tf.Tensor:
    """Returns the number of this worker's batch of a step, int64 scalar."""
    return step

  def share(self, losses: _Losses, step: tf.Tensor) -> _Losses:
    """Makes task losses of this worker's rows those of all workers' rows."""
    del step
    return losses

  def average(self, gradients: _Gradients, variables: _Variables,
              step: tf.Tensor) -> _Gradients:
    """Returns the mean of all workers' gradients, where this worker applies."""
    del variables, step
    return gradients

  def hand_in(self, gradients: _Gradients, variables: _Variables,
              step: tf.Tensor) -> tf.Operation:
    """Leaves gradients to the worker that applies, and waits for it."""
    raise NotImplementedError("this worker applies its gradients itself")

  def reading(self, step: tf.Tensor) -> ContextManager:
    """Returns the scope of what reads variables for a step."""
    del step
    return contextlib.nullcontext()

  def is_fresh(self, step: tf.Tensor) -> Optional[tf.Tensor]:
    """Returns whether gradients may still be applied; None: they may."""
    del step
    return None

  def publish(self, step: tf.Tensor) -> Optional[tf.Operation]:
    """Tells the others that a step is done; None: nobody waits for it."""
    del step
    return None


class Asynchronous(Replica):
  """A worker that updates variables of parameter servers as it goes.

  Batches are claimed from a counter that all share: each is some worker's, and
  no two workers', however fast they are.
  """

  is_remote = True

  def __init__(self, device: str, global_step: tf.Variable,
               max_staleness: Optional[int] = None):
    """Makes the counter in the current graph.

    Args:
      device: Device of the counter.
      global_step: Counts the updates of all.
      max_staleness: Updates of others that a gradient may have missed; None:
        any number.
    """
    self._global_step, self._most = global_step, max_staleness
    self.claimed = _shared("cluster/claimed", device)

  def number(self, step: tf.Tensor) -> tf.Tensor:
    """Claims a batch; see `Replica.number`."""
    with tf.colocate_with(self.claimed.handle):
      return tf.identity(tf.raw_ops.ResourceCountUpTo(
          resource=self.claimed.handle, limit=_LAST, T=tf.int64))

  def reading(self, step: tf.Tensor) -> ContextManager:
    """Has variables read behind `step`: else they may be older than it says."""
    return super().reading(step) if self._most is None else (
        tf.control_dependencies([step]))

  def is_fresh(self, step: tf.Tensor) -> Optional[tf.Tensor]:
    """Returns whether few enough updates were missed since `step` was read."""
    if self._most is None:
      return None
    return self._global_step.read_value() - step <= self._most


class _Shared(Replica):
  """A worker whose batch is a part of the step's.

  With N_t and D_t the sums over all workers of task t's weighted losses and of
  their weights, every worker computes the loss f(N_1 / D_1, ..., N_T / D_T), and
  the gradient of it that its own rows are the cause of, times the number of
  workers W:

  ```
    W sum_t  df/d(N_t / D_t)  grad n_t / D_t  +  grad of what is no task loss
  ```

  n_t being its own part of N_t. The mean of these over workers is the gradient
  of f, whatever f makes of the task losses and whatever rows have labels; of
  penalties and of log variances each worker has the whole gradient, and the mean
  is that as well. Where not all are waited for, W is the number of those whose
  sums are in N and D.
  """

  def __init__(self, workers: int, rank: int, counted: int):
    self.workers = workers
    self._rank, self._counted = rank, counted
    # Who is in the sums of a step, shape `[workers]`; None: all.
    self._there: Optional[tf.Tensor] = None

  def number(self, step: tf.Tensor) -> tf.Tensor:
    """Returns step W + rank: together the batches of a step follow each other.
    """
    return step * self.workers + self._rank

  def share(self, losses: _Losses, step: tf.Tensor) -> _Losses:
    """Makes task losses those of all rows; see `Replica.share`."""
    if not losses:
      return losses
    with tf.name_scope("share_losses"):
      mine = tf.stack([loss.sum for loss in losses.values()])
      parts = [mine, tf.stack([loss.weight for loss in losses.values()])]
      if self._counted < self.workers:
        parts.append(tf.one_hot(self._rank, self.workers))
      sums, weights, *there = tf.split(
          tf.stop_gradient(self._add_up(tf.concat(parts, 0), step)),
          [part.shape[0] for part in parts])
      count = float(self._counted)
      if there:
        self._there = there[0]
        count = tf.reduce_sum(self._there)
      mine *= count
      sums += mine - tf.stop_gradient(mine)
      return collections.OrderedDict(
          (task, task_losses_ops.TaskLoss(total, weight)) for task, total, weight
          in zip(losses, tf.unstack(sums, len(losses)),
                 tf.unstack(weights, len(losses))))

  def _add_up(self, values, step):
    raise NotImplementedError


class Ring(_Shared):
  """A worker that has all variables, and adds up with its neighbours."""

  def __init__(self, workers: int, rank: int):
    super().__init__(workers, rank, workers)

  def _add_up(self, values, step):
    return self._reduce(values, _LOSSES)

  def _reduce(self, tensor, instance):
    return tf.raw_ops.CollectiveReduce(
        input=tensor, group_size=self.workers, group_key=_GROUP,
        instance_key=instance, merge_op="Add", final_op="Id",
        subdiv_offsets=[0], communication_hint="ring")

  def average(self, gradients: _Gradients, variables: _Variables,
              step: tf.Tensor) -> _Gradients:
    """Returns the mean of all workers' gradients, dense."""
    with tf.name_scope("all_reduce"):
      flat = [tf.convert_to_tensor(g) for some in gradients.values()
              for g in some if g is not None]
      total = self._reduce(tf.concat([tf.reshape(g, [-1]) for g in flat], 0),
                           _GRADIENTS) / self.workers
      means = iter([tf.reshape(part, tf.shape(g)) for part, g in zip(
          tf.split(total, [g.shape.num_elements() for g in flat]), flat)])
      return collections.OrderedDict(
          (name, [None if g is None else next(means) for g in some])
          for name, some in gradients.items())

  def broadcast(self, variables: Sequence[tf.Variable]) -> tf.Operation:
    """Gives variables the values that the chief's have.

    Args:
      variables: Variables of numbers.

    Returns:
      The op, which all workers have to run.
    """
    ops, last = [], []
    for i, variable in enumerate(variables):
      with tf.control_dependencies(last):  # The same order everywhere.
        value = variable.read_value()
        value = self._reduce(tf.reshape(
            value if self._rank == 0 else tf.zeros_like(value), [-1]),
                             _VALUES + i)
      last = [value]
      ops.append(variable.assign(tf.reshape(value, variable.shape),
                                 read_value=False))
    return tf.group(*ops)


class Synchronous(_Shared):
  """A worker that hands its gradients to the chief, by way of the servers.

  What workers hand in is tagged with the step; what comes too late for its step
  is dropped. Who is late with its losses is out of the step, with its gradients
  as well: they would be of rows that the sums do not have. Results, tagged
  likewise, stay until there are later ones, and what a worker has handed in
  counts once: it may die at any moment and take its part again.
  """

  is_remote = True

  def __init__(self, workers: int, rank: int, device: str, worker: str,
               backup: int = 0):
    """Makes what is shared in the current graph.

    Args:
      workers: How many workers there are.
      rank: Which of them this is; 0 applies.
      device: Device of what is not of one variable.
      worker: Device of this worker.
      backup: Workers that are not waited for.
    """
    super().__init__(workers, rank, workers - backup)
    self.applies = rank == 0
    self._device = device
    # Number that makes tags of steps, and the first step it is for.
    self.base = _shared("cluster/base", worker)
    self.first = _shared("cluster/first", worker)
    self._sums: List[step_sums.StepSum] = []
    self._results: Dict[str, step_results.StepResult] = {}

  def _tag(self, step):
    return self.base.read_value() + step

  def _result(self, name, width):
    if name not in self._results:
      with tf.device(self._device):
        self._results[name] = step_results.StepResult(name, width, self.workers)
    return self._results[name]

  def _sum(self, name, shape, sparse=False):
    self._sums.append(step_sums.StepSum(name, shape, self._rank, self.workers,
                                        sparse))
    return self._sums[-1]

  def _add_up(self, values, step):
    with tf.device(self._device):
      shared = self._sum("losses", values.shape)
    tag = self._tag(step)
    with tf.control_dependencies([shared.add(values, tag)]):
      if not self.applies:
        total = self._result("losses", values.shape[0]).hear(tag, self._rank)
      else:
        total = shared.take(self._counted)
        told = self._result("losses", values.shape[0]).tell(tag, total)
        with tf.control_dependencies([told]):
          total = tf.identity(total)
    return total

  def _push(self, gradient, variable, tag):
    """Adds a gradient to those of others; returns their sum and the op."""
    if self._there is not None:  # Under an earlier tag it is dropped.
      tag -= 1 - tf.cast(self._there[self._rank], tf.int64)
    with tf.colocate_with(variable.handle):
      shared = self._sum(f"gradient/{variable.op.name}", variable.shape,
                         isinstance(gradient, tf.IndexedSlices))
      return shared, shared.add(gradient, tag)

  def average(self, gradients: _Gradients, variables: _Variables,
              step: tf.Tensor) -> _Gradients:
    """Returns the mean of the gradients of those that were in time."""
    tag, count = self._tag(step), self._counted
    if self._there is not None:
      count = tf.reduce_sum(self._there)

    def mean(gradient, variable):
      if gradient is None:
        return None
      shared, push = self._push(gradient, variable, tag)
      with tf.colocate_with(variable.handle), tf.control_dependencies([push]):
        taken = shared.take(tf.cast(count, tf.int32))
        if isinstance(gradient, tf.IndexedSlices):
          return tf.IndexedSlices(taken.values / count, taken.indices,
                                  gradient.dense_shape)
        return taken / count

    with tf.name_scope("average_gradients"):
      return collections.OrderedDict(
          (name, [mean(g, v) for g, v in zip(some, variables[name])])
          for name, some in gradients.items())

  def hand_in(self, gradients: _Gradients, variables: _Variables,
              step: tf.Tensor) -> tf.Operation:
    """Leaves gradients to the chief, and waits for it."""
    tag = self._tag(step)
    with tf.name_scope("hand_in"):
      pushes = [self._push(g, v, tag)[1] for name, some in gradients.items()
                for g, v in zip(some, variables[name]) if g is not None]
      with tf.control_dependencies(pushes):
        return self._result("done", 1).hear(tag + 1, self._rank).op

  def publish(self, step: tf.Tensor) -> Optional[tf.Operation]:
    """Tells the others that a step is done."""
    return self._result("done", 1).tell(self._tag(step) + 1, tf.zeros([1]))

  def start_over(self) -> tf.Operation:
    """Returns the op that drops what was handed in under earlier numbers.

    The chief runs it once `base` and `first` are set.
    """
    tag = self.base.read_value() + self.first.read_value()
    return tf.group(*[one.empty(tag) for one in self._sums],
                    *[one.empty() for one in self._results.values()])


def _shared(name: str, device: str) -> tf.Variable:
  """Makes an int64 scalar that no checkpoint holds."""
  with tf.device(device):
    return tf.get_variable(
        name, [], tf.int64, initializer=tf.zeros_initializer(), trainable=False,
        collections=["cluster"])


ALONE = Replica()

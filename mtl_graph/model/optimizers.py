"""One optimizer per group, and the op that runs them all."""

from typing import Dict, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import lazy_adam
from mtl_graph.model import partitions
from mtl_graph.model import schedules
from mtl_graph.protos import optimizers_pb2

# The last parts of the names of variables that weight decay is for.
_DECAYED = ("kernel", "embeddings", "weights")

# Kinds that do nothing to a row whose gradient is zero, so that a sparse update
# equals the dense one.
LEAVE_OTHER_ROWS = ("gradient_descent", "adagrad")


def learning_rate(optimizer: optimizers_pb2.Optimizer, step: tf.Tensor
                  ) -> tf.Tensor:
  """Computes the learning rate of an optimizer at a step.

  Args:
    optimizer: The `Optimizer` message.
    step: The global step, integer scalar.

  Returns:
    The rate, float32, shape `[]`.

  Raises:
    ConfigError: If the schedule is not built.
  """
  kind = optimizer.WhichOneof("kind")
  if kind is None:
    raise config.ConfigError("optimizer", "found 'None'; allowed: one that "
                             "this version builds")
  return schedules.learning_rate(getattr(optimizer, kind).learning_rate, step)


def build(optimizer: optimizers_pb2.Optimizer, rate: tf.Tensor, step: tf.Tensor
          ) -> tf.train.Optimizer:
  """Makes an optimizer.

  Args:
    optimizer: The `Optimizer` message.
    rate: Its learning rate, shape `[]`. Inside a loop of steps it must be made
      in the loop's body, else every step has the rate of the first.
    step: The global step as this step finds it, integer, shape `[]`; of the
      loop's body likewise.

  Returns:
    A `tf.train.Optimizer`. Of AdamW it is the Adam; `apply` does the decay.

  Raises:
    ConfigError: If the optimizer is not built.
  """
  kind = optimizer.WhichOneof("kind")
  if kind == "adam":
    adam = optimizer.adam
    return tf.train.AdamOptimizer(rate, adam.beta1, adam.beta2, adam.epsilon)
  if kind == "adamw":
    adam = optimizer.adamw
    return tf.train.AdamOptimizer(rate, adam.beta1, adam.beta2, adam.epsilon)
  if kind == "lazy_adam":
    adam = optimizer.lazy_adam
    return lazy_adam.LazyAdamOptimizer(rate, adam.beta1, adam.beta2,
                                       adam.epsilon)
  if kind == "gradient_descent":
    return tf.train.GradientDescentOptimizer(rate)
  if kind == "momentum":
    momentum = optimizer.momentum
    return tf.train.MomentumOptimizer(rate, momentum.momentum,
                                      use_nesterov=momentum.use_nesterov)
  if kind == "rmsprop":
    rmsprop = optimizer.rmsprop
    return tf.train.RMSPropOptimizer(
        rate, rmsprop.decay, rmsprop.momentum, rmsprop.epsilon,
        centered=rmsprop.centered)
  if kind == "adagrad":
    return tf.train.AdagradOptimizer(
        rate, optimizer.adagrad.initial_accumulator_value)
  if kind == "adadelta":
    adadelta = optimizer.adadelta
    return tf.train.AdadeltaOptimizer(rate, adadelta.rho, adadelta.epsilon)
  if kind == "adagrad_da":
    adagrad_da = optimizer.adagrad_da
    # Counts from 0, as a global step does; the optimizer adds 1 by itself.
    return tf.train.AdagradDAOptimizer(
        rate, tf.cast(step, tf.int64),
        adagrad_da.initial_gradient_squared_accumulator_value, adagrad_da.l1,
        adagrad_da.l2)
  if kind == "ftrl":
    ftrl = optimizer.ftrl
    return tf.train.FtrlOptimizer(
        rate, ftrl.learning_rate_power, ftrl.initial_accumulator_value, ftrl.l1,
        ftrl.l2, l2_shrinkage_regularization_strength=ftrl.l2_shrinkage,
        beta=ftrl.beta)
  if kind == "proximal_gradient_descent":
    proximal = optimizer.proximal_gradient_descent
    return tf.train.ProximalGradientDescentOptimizer(rate, proximal.l1,
                                                     proximal.l2)
  if kind == "proximal_adagrad":
    proximal = optimizer.proximal_adagrad
    return tf.train.ProximalAdagradOptimizer(
        rate, proximal.initial_accumulator_value, proximal.l1, proximal.l2)
  raise config.ConfigError("optimizer", f"found '{kind}'; allowed: one that "
                           "this version builds")


def go_on(optimizer: tf.train.Optimizer, scope: str,
          started: Dict[str, tf.train.Optimizer]) -> None:
  """Has an optimizer use the slots of the first one under its scope.

  A step that is traced a second time, for another execution, has optimizers of
  its own, whose rates and counters are tensors of that trace. They update the
  same variables, and must find the same state.

  Args:
    optimizer: The optimizer, not applied yet.
    scope: Variable scope of its slots.
    started: The first optimizer by scope; takes this one if there is none.
  """
  first = started.setdefault(scope, optimizer)
  # Where `tf.train.Optimizer` keeps them; it has no public way to hand them on.
  # pylint: disable=protected-access
  optimizer._slots = first._slots
  optimizer._non_slot_dict = first._non_slot_dict


def weight_decay(optimizer: optimizers_pb2.Optimizer, rate: tf.Tensor,
                 of_group: float) -> Optional[tf.Tensor]:
  """Computes the share of its weights that a group loses in a step.

  ```
    rate * (weight_decay of the group + weight_decay of AdamW)
  ```

  Args:
    optimizer: The `Optimizer` message.
    rate: Its learning rate, shape `[]`.
    of_group: The `weight_decay` of the group.

  Returns:
    The share, shape `[]`, as `apply` takes it; None where nothing decays.
  """
  share = of_group
  if optimizer.WhichOneof("kind") == "adamw":
    share += optimizer.adamw.weight_decay
  return rate * share if share else None


def apply(optimizer: tf.train.Optimizer, scope: str,
          gradients: Sequence[Optional[tf.Tensor]],
          variables: Sequence[tf.Variable],
          condition: Optional[tf.Tensor] = None,
          decay: Optional[tf.Tensor] = None) -> tf.Operation:
  """Applies an optimizer to the variables of one group.

  With `decay`, each kernel, table of embeddings or wide weight of the group
  first loses that share of itself, and the optimizer moves what is left:

  ```
    w <- w - decay w
  ```

  See "Decoupled Weight Decay Regularization" by Loshchilov and Hutter,
  Algorithm 2 (https://arxiv.org/abs/1711.05101). Where a gradient is sparse,
  which beside a decay it is for a lazy optimizer only, the decay is lazy too:
  it departs from the paper in that rows outside the batch keep their values.

  Args:
    optimizer: The optimizer.
    scope: Variable scope of its slots, such as "optimizer/shared".
    gradients: A gradient per variable, None where there is none: that variable
      stays as it is.
    variables: The variables.
    condition: If given, a boolean scalar; where it is false, variables and
      slots stay as they are to the bit.
    decay: If given, the share of the weights to take off, shape `[]`.

  Returns:
    The op that updates the group.
  """
  pairs = [(g, v) for g, v in zip(gradients, variables) if g is not None]

  def update_all():
    decays = [] if decay is None else _decays(pairs, decay)
    with tf.control_dependencies(decays):
      applied = optimizer.apply_gradients(pairs)
    for _, variable in pairs:
      for slot in optimizer.get_slot_names() if partitions.is_part(
          variable) else ():
        state = optimizer.get_slot(variable, slot)
        partitions.follow(state, variable, state.op.name.replace(
            variable.op.name, partitions.name_of(variable)))
    return applied

  # Absolute, wherever the caller stands: names in checkpoints depend on it.
  absolute = tf.VariableScope(reuse=False, name=scope)
  # A gradient may read weights that the decay is about to change.
  barrier = [] if decay is None else [g for g, _ in pairs]
  with tf.variable_scope(absolute, auxiliary_name_scope=False), tf.name_scope(
      scope + "/"), tf.control_dependencies(barrier):
    if condition is None:
      return update_all()

    def update():
      # Slots are lifted out of the branch, but named by its name scope.
      with tf.name_scope(scope + "/"):
        with tf.control_dependencies([update_all()]):
          return tf.constant(True)
    return tf.cond(condition, update, lambda: tf.constant(False)).op


def _decays(pairs, decay):
  """Returns the ops that take a share of themselves off the weights."""
  ops = []
  for gradient, variable in pairs:
    # The log variance of a task may have any name, but it is a scalar.
    if (partitions.name_of(variable).rsplit("/", 1)[-1] not in _DECAYED
        or variable.shape.rank == 0):
      continue
    with tf.name_scope("decay"), tf.get_default_graph().colocate_with(
        variable.handle):
      if isinstance(gradient, tf.IndexedSlices):
        rows = tf.gather(variable, gradient.indices)
        # Set, not subtracted: an index may be there twice.
        ops.append(tf.scatter_update(variable, gradient.indices,
                                     rows - decay * rows).op)
      else:
        ops.append(variable.assign_sub(decay * variable, read_value=False))
  return ops


def group(updates: Sequence[tf.Operation],
          global_step: Optional[tf.Variable] = None,
          counts: Optional[tf.Tensor] = None) -> tf.Operation:
  """Groups the updates of one step, and counts the step after all of them.

  Args:
    updates: The update op of each group.
    global_step: The variable that counts steps, or None.
    counts: Whether the step counts, boolean scalar; None: it does.

  Returns:
    The train_op.
  """
  updates = list(updates)
  if global_step is not None:
    with tf.control_dependencies(updates):
      updates.append(global_step.assign_add(
          1 if counts is None else tf.cast(counts, tf.int64),
          read_value=False))
  return tf.group(*updates, name="train_op")

"""A layer that makes its variables as tf.layers.Layer of TensorFlow 1.15 did.

Its scope is opened when it is first called, or when it is made, for the
functions of tf.layers that were given a name; from then on it is the same.
"""

import copy
import inspect
import re
from typing import Any, List, Optional
import weakref

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.compat import named_choices

# How many layers of each kind a graph has, for their `name`.
_COUNTS = weakref.WeakKeyDictionary()


def snake_case(name: str) -> str:
  """Returns the name of a class as its default scope: GRUCell, gru_cell."""
  name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
  return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def add_to_collection(name: str, elements: List[Any]) -> None:
  """Adds to a collection what it does not hold."""
  collection = tf.get_collection_ref(name)
  known = {id(element) for element in collection}
  collection.extend(e for e in elements if id(e) not in known)


class Layer:
  """A layer: subclasses make variables in `build` and compute in `call`.

  Attributes:
    name: Name of the layer; not that of its scope, which may have a number.
    trainable: Whether its variables are, those made from now on.
    built: Whether its variables are made.
    input_spec: An `input_spec.InputSpec`, or None.
    activity_regularizer: Function from outputs to a penalty, which counts per
      row of the batch; or None.
    updates: Ops that must run with each step; they are in UPDATE_OPS too.
    losses: Penalties; they are in REGULARIZATION_LOSSES too.
  """

  def __init__(self, trainable=True, name=None, dtype=None, *,
               activity_regularizer=None, _scope=None, _reuse=None):
    if tf.executing_eagerly():
      raise RuntimeError(
          f"{type(self).__name__}: TensorFlow executes eagerly; allowed: "
          "within a tf.Graph, or after tf.disable_eager_execution().")
    self.trainable = trainable
    self.built = False
    self.input_spec = None
    self.activity_regularizer = named_choices.regularizer(activity_regularizer)
    self._dtype = None if dtype is None else tf.as_dtype(dtype).name
    self._reuse = _reuse
    self._scope = None
    self._current_scope = None
    self._trainable_weights = []
    self._non_trainable_weights = []
    self._losses = []
    self._updates = []
    self._base_name = name.name if isinstance(name, tf.VariableScope) else name
    self.name = name if isinstance(name, str) and name else self._count()
    if _scope:
      with tf.variable_scope(_scope) as self._scope:
        pass

  def _count(self):
    """Returns the layer's name where it was given none: dense_1, dense_2."""
    kind = snake_case(type(self).__name__)
    counts = _COUNTS.setdefault(tf.get_default_graph(), {})
    counts[kind] = counts.get(kind, 0) + 1
    self._base_name = self._base_name or kind
    return f"{kind}_{counts[kind]}"

  @property
  def dtype(self) -> Optional[str]:
    """Name of the type of its variables; None before it is known."""
    return self._dtype

  @property
  def scope_name(self) -> str:
    """Name of its variable scope."""
    if self._scope is None:
      raise ValueError(f"{self.name}: has no scope before it is called.")
    return self._scope.name

  @property
  def trainable_weights(self) -> List[tf.Variable]:
    """The variables that training changes."""
    return list(self._trainable_weights) if self.trainable else []

  @property
  def non_trainable_weights(self) -> List[tf.Variable]:
    """The others."""
    kept = [] if self.trainable else self._trainable_weights
    return kept + self._non_trainable_weights

  @property
  def weights(self) -> List[tf.Variable]:
    """All variables, those that training changes first."""
    return self.trainable_weights + self.non_trainable_weights

  trainable_variables = property(lambda self: self.trainable_weights)
  non_trainable_variables = property(lambda self: self.non_trainable_weights)
  variables = property(lambda self: self.weights)

  @property
  def updates(self) -> List[tf.Operation]:
    """Ops that must run with each step; none of a layer that does not train."""
    return list(self._updates) if self.trainable else []

  @property
  def losses(self) -> List[tf.Tensor]:
    """Its penalties."""
    return list(self._losses)

  def count_params(self) -> int:
    """Returns how many numbers its variables hold."""
    if not self.built:
      raise ValueError(f"{self.name}: has no variables before it is built.")
    return sum(v.shape.num_elements() for v in self.weights)

  def compute_output_shape(self, input_shape):
    """Returns the shape of what a call would return; adds nothing to the graph.

    Args:
      input_shape: Shape of the inputs, the batch's included.

    Returns:
      A `tf.TensorShape`, or a structure of them.
    """
    twin = copy.deepcopy(self)
    twin.built, twin.activity_regularizer = False, None
    twin._scope = twin._reuse = None
    twin._trainable_weights, twin._non_trainable_weights = [], []
    twin._losses, twin._updates = [], []
    with tf.Graph().as_default():
      outputs = twin(tf.placeholder(self._dtype or tf.float32, input_shape))
      return tf.nest.map_structure(lambda output: output.shape, outputs)

  def build(self, input_shape) -> None:
    """Makes the variables; subclasses say which."""
    del input_shape

  def call(self, inputs, *args, **kwargs):
    """Computes the outputs; subclasses say how."""
    del args, kwargs
    return inputs

  def add_loss(self, losses, inputs=None) -> None:
    """Adds penalties: tensors, or functions that make one."""
    del inputs
    losses = [loss() if callable(loss) else loss
              for loss in (losses if isinstance(losses, (list, tuple))
                           else [losses])]
    losses = [loss for loss in losses if loss is not None]
    self._losses += losses
    add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, losses)

  def add_update(self, updates, inputs=None) -> None:
    """Adds ops that must run with each step."""
    del inputs
    self._updates += (updates if isinstance(updates, (list, tuple))
                      else [updates])

  def add_weight(self, name, shape, dtype=None, initializer=None,
                 regularizer=None, trainable=None, constraint=None,
                 use_resource=None,
                 synchronization=tf.VariableSynchronization.AUTO,
                 aggregation=tf.VariableAggregation.NONE, partitioner=None):
    """Makes or reuses a variable in the layer's scope.

    Args:
      name: Its name.
      shape: Its shape.
      dtype: Its type; None for the layer's.
      initializer: None for that of the scope, Glorot-uniform if it has none.
      regularizer: Its penalty, beside that of the scope; None for none.
      trainable: Whether it trains, if the layer does; None for True.
      constraint: Applied by optimizers after each step; None for none.
      use_resource: Whether it is a resource; None for what the scope says.
      synchronization: See `tf.get_variable`.
      aggregation: See `tf.get_variable`.
      partitioner: None for that of the scope.

    Returns:
      The variable.
    """
    if synchronization == tf.VariableSynchronization.ON_READ:
      if trainable:
        raise ValueError(f"{name}: `trainable` must not be True of a variable "
                         "whose synchronization is ON_READ.")
      trainable = False
    trainable = (trainable is None or trainable) and self.trainable
    known = {id(v) for v in tf.global_variables()}
    self._set_scope(None)
    with tf.variable_scope(self._scope, reuse=self.built or self._reuse,
                           auxiliary_name_scope=False) as scope:
      with tf.name_scope(scope.original_name_scope):
        variable = tf.get_variable(
            name, shape, tf.as_dtype(dtype or self.dtype or tf.float32),
            named_choices.initializer(initializer), trainable=trainable,
            constraint=constraint, partitioner=partitioner,
            use_resource=use_resource or scope.use_resource,
            synchronization=synchronization, aggregation=aggregation)
        stored = parts(variable)
        if regularizer is not None and not any(id(v) in known for v in stored):
          for part in stored:
            with tf.name_scope(f"{name}/Regularizer"):
              self.add_loss(regularizer(part))
    # A custom getter may have had another mind of what trains.
    training = {id(v) for v in tf.trainable_variables()} if trainable else ()
    for part in stored:
      (self._trainable_weights if id(part) in training
       else self._non_trainable_weights).append(part)
    return variable

  add_variable = add_weight

  def _set_scope(self, scope):
    """Opens the scope, if it is not open yet."""
    if self._scope is not None:
      return
    if self._reuse:
      opened = tf.variable_scope(self._base_name if scope is None else scope)
    else:
      opened = tf.variable_scope(scope, default_name=self._base_name)
    with opened as self._scope:
      pass

  def apply(self, *args, **kwargs):
    """Is what a call is."""
    return self(*args, **kwargs)

  def __call__(self, inputs, *args, **kwargs):
    """Makes the variables where this is the first call, and the outputs.

    Args:
      inputs: A tensor, or a structure of them.
      *args: Passed on to `call`.
      **kwargs: Passed on to `call`; but `scope`, which is the variable scope of
        the layer if it has none.

    Returns:
      What `call` returns.
    """
    self._set_scope(kwargs.pop("scope", None))
    with tf.variable_scope(self._scope,
                           reuse=True if self.built else self._reuse,
                           auxiliary_name_scope=False) as scope:
      self._current_scope = scope
      if "scope" in inspect.signature(self.call).parameters:
        kwargs["scope"] = scope
      with tf.name_scope(scope.original_name_scope):
        inputs = tf.nest.map_structure(_tensor, inputs)
        self._build_once(inputs)
        outputs = self.call(inputs, *args, **kwargs)
        self._penalize(outputs)
    add_to_collection(tf.GraphKeys.UPDATE_OPS, self.updates)
    return outputs

  def _build_once(self, inputs):
    flat = tf.nest.flatten(inputs)
    if self.input_spec is not None:
      self.input_spec.check(flat[0].shape, self.name)
    if self._dtype is None and flat:
      self._dtype = flat[0].dtype.base_dtype.name
    if not self.built:
      self.build(tf.nest.map_structure(lambda x: x.shape, inputs))
      self.built = True

  def _penalize(self, outputs):
    """Adds what the activity regularizer says, by row of the batch."""
    if self.activity_regularizer is None:
      return
    with tf.name_scope("ActivityRegularizer"):
      for output in tf.nest.flatten(outputs):
        loss = self.activity_regularizer(output)
        self.add_loss(loss / tf.cast(tf.shape(output)[0], loss.dtype))

  def __deepcopy__(self, memo):
    """Copies the layer; variables, tensors and scopes stay the same ones."""
    copied = type(self).__new__(type(self))
    memo[id(self)] = copied
    for key, value in self.__dict__.items():
      parts = value if isinstance(value, list) else [value]
      same = any(isinstance(part, (
          tf.Tensor, tf.Operation, tf.VariableScope, tf.variable_scope,
          tf.compat.v2.Variable))
                 for part in parts)
      setattr(copied, key, value if same else copy.deepcopy(value, memo))
    return copied


def _tensor(value):
  return tf.convert_to_tensor(value) if isinstance(
      value, (np.ndarray, np.generic, float, int)) else value


def parts(variable):
  """Returns what a variable is stored as: itself, or its partitions."""
  # A custom getter may return a tensor. TensorFlow 2's class is that of all.
  whole = isinstance(variable, (tf.compat.v2.Variable, tf.Tensor))
  return [variable] if whole else list(variable)

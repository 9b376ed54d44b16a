"""Variables of tf.contrib.framework and slim, and how to find them."""

import re
from typing import Any, Callable, Dict, List, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.compat import arg_scope
from mtl_graph.compat import layer


@arg_scope.add_arg_scope
def variable(name, shape=None, dtype=None, initializer=None, regularizer=None,
             trainable=True, collections=None, caching_device=None, device=None,
             partitioner=None, custom_getter=None, use_resource=None,
             synchronization=tf.VariableSynchronization.AUTO,
             aggregation=tf.VariableAggregation.NONE):
  """Makes or reuses a variable by `tf.get_variable`, on a device.

  Args:
    name: Its name within the scope.
    shape: Its shape.
    dtype: Its type.
    initializer: None for that of the scope.
    regularizer: None for that of the scope.
    trainable: Whether it trains.
    collections: Where it goes; None for the global variables.
    caching_device: See `tf.get_variable`.
    device: The device, or None.
    partitioner: None for that of the scope.
    custom_getter: Makes it in place of `tf.get_variable`.
    use_resource: See `tf.get_variable`.
    synchronization: See `tf.get_variable`.
    aggregation: See `tf.get_variable`.

  Returns:
    The variable.
  """
  collections = list(dict.fromkeys(
      [tf.GraphKeys.GLOBAL_VARIABLES] if collections is None else collections))
  getter, reuse = tf.get_variable, {}
  if custom_getter is not None:
    getter, reuse = custom_getter, {"reuse": tf.get_variable_scope().reuse}
  with tf.device(device or ""):
    return getter(
        name, shape=shape, dtype=dtype, initializer=initializer,
        regularizer=regularizer, trainable=trainable, collections=collections,
        caching_device=caching_device, partitioner=partitioner,
        use_resource=use_resource, synchronization=synchronization,
        aggregation=aggregation, **reuse)


@arg_scope.add_arg_scope
def model_variable(name, shape=None, dtype=tf.float32, initializer=None,
                   regularizer=None, trainable=True, collections=None,
                   caching_device=None, device=None, partitioner=None,
                   custom_getter=None, use_resource=None,
                   synchronization=tf.VariableSynchronization.AUTO,
                   aggregation=tf.VariableAggregation.NONE):
  """Makes or reuses a variable of the model: see `variable`.

  It is among MODEL_VARIABLES as well.
  """
  collections = [*(collections or []), tf.GraphKeys.GLOBAL_VARIABLES,
                 tf.GraphKeys.MODEL_VARIABLES]
  return variable(name, shape, dtype, initializer, regularizer, trainable,
                  collections, caching_device, device, partitioner,
                  custom_getter, use_resource, synchronization, aggregation)


def add_model_variable(var) -> None:
  """Puts a variable among the model's."""
  layer.add_to_collection(tf.GraphKeys.MODEL_VARIABLES, [var])


def renaming_getter(**names: str) -> Callable[..., Any]:
  """Returns a custom getter of model variables that renames some.

  Args:
    **names: The last part of a name, and what to call it instead.
  """
  def get(getter, name, **kwargs):
    head, slash, last = name.rpartition("/")
    taken = ("shape", "dtype", "initializer", "regularizer", "trainable",
             "collections", "caching_device", "partitioner", "use_resource",
             "synchronization", "aggregation")
    return model_variable(
        head + slash + names.get(last, last), custom_getter=getter,
        **{key: kwargs[key] for key in taken if key in kwargs})
  return get


def collections_of(collections: Any, name: str) -> List[str]:
  """Returns the collections of one variable of a layer.

  Args:
    collections: A list for all variables of the layer, or a dict by name.
    name: Name of the variable.
  """
  found = collections.get(name) if isinstance(collections, dict) else (
      collections)
  return [found] if isinstance(found, str) else list(found or [])


def collect(var, collections: Any, name: str) -> None:
  """Puts a variable of a layer, if it is there, into its collections."""
  if var is not None:
    for collection in collections_of(collections, name):
      layer.add_to_collection(collection, layer.parts(var))


def get_variables(scope=None, suffix=None,
                  collection=tf.GraphKeys.GLOBAL_VARIABLES) -> List[Any]:
  """Returns the variables of a scope, those that end in a suffix.

  Args:
    scope: Regular expression of what their names begin with, or a scope.
    suffix: Regular expression of what they end in; None for anything.
    collection: The collection that is searched.
  """
  scope = scope.name if isinstance(scope, tf.VariableScope) else scope
  if suffix is not None:
    end = suffix if ":" in suffix else suffix + ":"
    scope = f"{scope or ''}.*{end}"
  return tf.get_collection(collection, scope)


def get_model_variables(scope=None, suffix=None) -> List[Any]:
  """Returns the model's variables of a scope: see `get_variables`."""
  return get_variables(scope, suffix, tf.GraphKeys.MODEL_VARIABLES)


def get_local_variables(scope=None, suffix=None) -> List[Any]:
  """Returns the local variables of a scope: see `get_variables`."""
  return get_variables(scope, suffix, tf.GraphKeys.LOCAL_VARIABLES)


def get_trainable_variables(scope=None, suffix=None) -> List[Any]:
  """Returns the trainable variables of a scope: see `get_variables`."""
  return get_variables(scope, suffix, tf.GraphKeys.TRAINABLE_VARIABLES)


def get_variables_by_suffix(suffix, scope=None) -> List[Any]:
  """Returns the variables whose names end in a suffix."""
  return get_variables(scope, suffix)


def get_variables_by_name(given_name, scope=None) -> List[Any]:
  """Returns the variables whose last part of the name is the given one."""
  return get_variables(scope, f"/{given_name}:|^{given_name}:")


def get_unique_variable(var_op_name: str) -> Any:
  """Returns the variable of a name; raises ValueError if there is none."""
  found = get_variables(var_op_name)
  exact = [v for v in found if v.op.name == var_op_name]
  if len(exact) != 1:
    raise ValueError(f"there must be one variable '{var_op_name}', found "
                     f"{[v.op.name for v in found]}.")
  return exact[0]


def filter_variables(var_list: Sequence[Any],
                     include_patterns: Optional[Sequence[str]] = None,
                     exclude_patterns: Optional[Sequence[str]] = None,
                     reg_search: bool = True) -> List[Any]:
  """Returns the variables that patterns include and do not exclude."""
  find = re.search if reg_search else re.match
  return [v for v in var_list
          if (not include_patterns
              or any(find(p, v.op.name) for p in include_patterns))
          and not any(find(p, v.op.name) for p in exclude_patterns or [])]


def get_variables_to_restore(include: Optional[Sequence[str]] = None,
                             exclude: Optional[Sequence[str]] = None
                             ) -> List[Any]:
  """Returns the global variables of some scopes, but for those of others."""
  found = []
  for scope in [None] if include is None else include:
    found += [v for v in get_variables(scope) if all(v is not f for f in found)]
  left_out = {id(v) for scope in exclude or [] for v in get_variables(scope)}
  return [v for v in found if id(v) not in left_out]


def assign_from_checkpoint_fn(model_path: str, var_list: Any,
                              ignore_missing_vars: bool = False,
                              reshape_variables: bool = False
                              ) -> Optional[Callable[[Any], None]]:
  """Returns a function of a session that restores variables.

  Args:
    model_path: The checkpoint.
    var_list: Variables, or a dict from names in the checkpoint to them.
    ignore_missing_vars: Whether to leave out what the checkpoint has not.
    reshape_variables: Whether shapes may differ.

  Returns:
    The function; None if there is nothing to restore.

  Raises:
    ValueError: If there is nothing to restore and that is no wish.
  """
  by_name: Dict[str, Any] = dict(var_list) if isinstance(var_list, dict) else {
      v.op.name: v for v in var_list}
  if ignore_missing_vars:
    names = {name for name, _ in tf.train.list_variables(model_path)}
    by_name = {name: v for name, v in by_name.items() if name in names}
    if not by_name:
      return None
  if not by_name:
    raise ValueError("assign_from_checkpoint_fn: `var_list` has no variable.")
  saver = tf.train.Saver(by_name, reshape=reshape_variables)
  return lambda session: saver.restore(session, model_path)

"""slim's arg_scope: arguments that functions take from the scope they are in.

`with arg_scope([conv2d, fully_connected], padding="SAME"):` gives an argument
to every call of these functions within that does not give it itself. Functions
must be decorated with `add_arg_scope`, as those of `contrib_layers` are.
"""

import contextlib
import functools
import inspect
import threading
from typing import Any, Callable, Dict, Sequence, Union

_LOCAL = threading.local()
# The arguments a decorated function may be given, by its key.
_DECORATED = {}


def _scopes():
  if not hasattr(_LOCAL, "scopes"):
    _LOCAL.scopes = [{}]
  return _LOCAL.scopes


def arg_scope_func_key(op: Callable) -> str:
  """Returns by what a scope knows a function, decorated or not."""
  return getattr(op, "_key_op", str(op))


def current_arg_scope() -> Dict[str, Dict[str, Any]]:
  """Returns the scope that holds here: arguments by the functions' keys."""
  return _scopes()[-1]


def has_arg_scope(func: Callable) -> bool:
  """Returns whether a function is decorated."""
  return arg_scope_func_key(func) in _DECORATED


def arg_scoped_arguments(func: Callable) -> Sequence[str]:
  """Returns which arguments of a decorated function have a default."""
  if not has_arg_scope(func):
    raise ValueError(f"{func!r} is not decorated with add_arg_scope.")
  return _DECORATED[arg_scope_func_key(func)]


@contextlib.contextmanager
def arg_scope(list_ops_or_scope: Union[Sequence[Callable], Dict], **kwargs):
  """Gives arguments to the calls within.

  Args:
    list_ops_or_scope: Decorated functions, or a scope that was kept: what
      `with ... as scope` gave.
    **kwargs: The arguments; none for a kept scope.

  Yields:
    The scope, to be used again.

  Raises:
    TypeError: If it is neither.
    ValueError: If a function is not decorated, or a kept scope is changed.
  """
  if isinstance(list_ops_or_scope, dict):
    if kwargs:
      raise ValueError("arg_scope: a scope that was kept takes no arguments, "
                       f"found {', '.join(kwargs)}; allowed: an arg_scope "
                       "within it.")
    scope = list_ops_or_scope.copy()
  else:
    if not isinstance(list_ops_or_scope, (list, tuple)):
      raise TypeError("arg_scope: must be given a list of functions or a scope "
                      f"that was kept, found {list_ops_or_scope!r}.")
    scope = current_arg_scope().copy()
    for op in list_ops_or_scope:
      if not has_arg_scope(op):
        raise ValueError(f"arg_scope: {op!r} is not decorated with "
                         "add_arg_scope.")
      key = arg_scope_func_key(op)
      scope[key] = {**scope.get(key, {}), **kwargs}
  _scopes().append(scope)
  try:
    yield scope
  finally:
    _scopes().pop()


def add_arg_scope(func: Callable) -> Callable:
  """Decorates a function so that scopes can give it arguments."""
  key = arg_scope_func_key(func)

  @functools.wraps(func)
  def with_scope(*args, **kwargs):
    return func(*args, **{**current_arg_scope().get(key, {}), **kwargs})

  with_scope._key_op = key  # pylint: disable=protected-access
  _DECORATED[key] = tuple(
      p.name for p in inspect.signature(func).parameters.values()
      if p.default is not inspect.Parameter.empty)
  return with_scope

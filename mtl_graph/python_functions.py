"""Functions of the user's own code that an experiment names.

An experiment is data, and this is where it may call code: by the name of a
function, in modules that whoever starts the process has allowed. A name is
imported, never evaluated.
"""

import contextlib
import functools
import importlib
import inspect
import re
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Union

from mtl_graph import config
from mtl_graph.protos import layers_pb2

Message = Union[layers_pb2.PythonFunction, layers_pb2.PythonLayer]

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_FUNCTION = re.compile(rf"({_MODULE.pattern}):([A-Za-z_]\w*)", re.ASCII)

# What this process may import; a matter of the process, not of an experiment.
_allowed: List[str] = []


def allow(names: Sequence[str]) -> None:
  """Allows modules, and those within packages, in place of what was allowed.

  Args:
    names: Names of modules or packages; none: no function may be named.

  Raises:
    ValueError: If one is no name of a module.
  """
  for name in names:
    if not _MODULE.fullmatch(name):
      raise ValueError(f"found '{name}'; allowed: names of modules or packages,"
                       " as in my_project,my_models.trunks")
  _allowed[:] = names


@contextlib.contextmanager
def allowing(names: Sequence[str]) -> Iterator[None]:
  """Allows further modules within a `with`; see `allow`."""
  before = list(_allowed)
  allow([*before, *names])
  try:
    yield
  finally:
    _allowed[:] = before


def check(message: Message, path: str, report: Callable[[str, str], None],
          given: Sequence[str], offered: Sequence[str] = ()) -> None:
  """Reports what is wrong with a function, its import included.

  Args:
    message: The message that names it.
    path: Where that sits in the experiment.
    report: Takes a field's path and its problem.
    given: Names of what it is called with by position.
    offered: Names of what it is called with if it has such parameters.
  """
  sound = True
  for i, argument in enumerate(message.argument):
    where = f"{path}.argument[{i}]"
    if not argument.name.isidentifier():
      problem = f"found '{argument.name}'; allowed: the name of a parameter"
    elif argument.name in [a.name for a in message.argument[:i]]:
      problem = f"found '{argument.name}' a second time; allowed: each once"
    elif argument.name in offered:
      problem = (f"found '{argument.name}', which is handed over anyway; "
                 "allowed: other parameters")
    else:
      if argument.WhichOneof("value") is None:
        report(where, "found no value; allowed: one of number, integer, text, "
               "flag")
        sound = False
      continue
    report(f"{where}.name", problem)
    sound = False
  try:
    function = load(message, path)
  except config.ConfigError as error:
    report(error.field_path, error.problem)
    return
  if sound:
    _check_parameters(function, message, path, report, given, offered)


def load(message: Message, path: str) -> Callable[..., Any]:
  """Imports a function.

  Args:
    message: The message that names it.
    path: Where that sits in the experiment.

  Returns:
    The function.

  Raises:
    ConfigError: If it is not named as one, not allowed, cannot be imported, is
      not there, or nothing that can be called.
  """
  path, name = f"{path}.function", message.function
  match = _FUNCTION.fullmatch(name)
  if not match:
    raise config.ConfigError(
        path, f"found '{name}'; allowed: \"package.module:function\"")
  module, attribute = match.group(1), match.group(3)
  if not _is_allowed(module):
    raise config.ConfigError(path, f"found '{name}'; allowed: functions of "
                             + _described())
  try:
    found = importlib.import_module(module)
  except Exception as error:  # pylint: disable=broad-except
    raise config.ConfigError(
        path, f"'{module}' cannot be imported: {explain(error)}; allowed: a "
        "module that Python finds and can run") from error
  if not hasattr(found, attribute):
    names = [n for n, value in vars(found).items() if callable(value)
             and not n.startswith("_")]
    raise config.ConfigError(
        path, f"no '{attribute}' in '{module}'; allowed: the name of a function"
        + config.nearest(attribute, names))
  function = getattr(found, attribute)
  if not callable(function):
    raise config.ConfigError(path, f"'{name}' is of type "
                             f"{type(function).__name__}; allowed: a function")
  inner = function
  while isinstance(inner, functools.partial):
    inner = inner.func
  home = getattr(inner, "__module__", None) or module
  # Else an allowed module would lend what it has imported itself.
  if not _is_allowed(home):
    raise config.ConfigError(
        path, f"'{name}' is a function of '{home}'; allowed: functions of "
        + _described())
  return function


def keywords(function: Callable[..., Any], message: Message,
             offered: Mapping[str, Any]) -> Dict[str, Any]:
  """Returns what a function is called with by name.

  Args:
    function: The function.
    message: The message that names it, with its arguments.
    offered: What it gets if it has such parameters.

  Returns:
    Values by name.
  """
  found = {a.name: getattr(a, a.WhichOneof("value"))
           for a in message.argument}
  try:
    parameters = inspect.signature(function).parameters
  except (TypeError, ValueError):  # Of C, some tell nothing.
    parameters = {}
  found.update((name, value) for name, value in offered.items()
               if name in parameters)
  return found


def explain(error: Exception) -> str:
  """Returns an error's type and the first line of what it says."""
  lines = str(error).strip().splitlines()
  return type(error).__name__ + (f": {lines[0][:200]}" if lines else "")


def _is_allowed(module: str) -> bool:
  return any(module == name or module.startswith(f"{name}.")
             for name in _allowed)


def _described() -> str:
  return (", ".join(_allowed) + ", as --allow_python has it" if _allowed else
          "modules that --allow_python names; it names none")


def _check_parameters(function, message, path, report, given, offered) -> None:
  """Reports a function that cannot be called as it is going to be."""
  try:
    signature = inspect.signature(function)
  except (TypeError, ValueError):
    return
  values = keywords(function, message, dict.fromkeys(offered))
  try:
    signature.bind(*given, **values)
  except TypeError as error:
    report(f"{path}.function", f"'{message.function}' takes {signature}: "
           f"{error}; allowed: parameters that take "
           + ", ".join([*given, *(a.name for a in message.argument)]))

"""Looks names up in the TensorFlow that is installed, and what they take."""

import ast
import importlib
import inspect
import re
import types
from typing import Any, List, NamedTuple, Optional, Tuple

# Roots whose files are modules of their own, not part of the public names.
_FILES = ("python", "core", "tools", "examples", "compiler", "lite", "dtensor",
          "security", "include")
_DEPRECATED = re.compile(
    r"SOME ARGUMENTS ARE DEPRECATED: `\(([^)]*)\)`(.*?)\n\n", re.DOTALL)
# Where public names are that private files define.
_HEADS = ("", "train.", "nn.", "summary.", "losses.", "metrics.", "data.",
          "saved_model.", "random.", "math.", "image.", "sets.", "nest.")
# Arguments that ended up in **kwargs, where a signature cannot tell.
_REFUSED = {"keras.optimizers": ("lr", "decay")}
# Public names of functions that a private file calls otherwise.
_RENAMED = {"constant_value": "get_static_value"}
# What tf_slim 1.1 has and cannot do, as it takes something from where that is no
# more: with a replacement here, and without. Found by calling it.
SLIM_GONE = ("tf_slim.optimize_loss", "tf_slim.layers.optimize_loss")
SLIM_BROKEN = ("tf_slim.batch_norm", "tf_slim.layers.batch_norm",
               "tf_slim.layers.layers.batch_norm")
SLIM_WORKS = """add_arg_scope arg_scope avg_pool2d bias_add conv1d conv2d
    conv2d_transpose conv3d dropout flatten fully_connected l1_regularizer
    l2_regularizer layer_norm max_pool2d model_variable one_hot_encoding
    separable_conv2d spatial_softmax stack unit_norm xavier_initializer""".split()


class Name(NamedTuple):
  """A dotted name, taken apart.

  Attributes:
    space: "v1", "v2", "file" of TensorFlow's own, or "slim".
    parts: The rest of it; of a file and of slim, with the package.
  """
  space: str
  parts: Tuple[str, ...]

  @property
  def inner(self) -> str:
    """The name without `tf.`, or the whole name of a file."""
    return ".".join(self.parts)

  @property
  def shown(self) -> str:
    """The name as people write it."""
    if self.space in ("file", "slim"):
      return self.inner
    head = "tf" if self.space == "v1" else "tf.compat.v2"
    return ".".join((head,) + self.parts)


class Found(NamedTuple):
  """What is known of a name.

  Attributes:
    state: "there", "missing", or "unknown" where its package is not installed.
    name: The name up to its first part that is no module, or is missing.
    value: What it is; None if it is not there.
    is_module: Whether that is a module.
  """
  state: str
  name: Name
  value: Any
  is_module: bool


def split(name: str) -> Name:
  """Takes a whole name apart, as "tensorflow.compat.v1.nn.relu"."""
  parts = name.split(".")
  if parts[0] == "tf_slim":
    return Name("slim", tuple(parts))
  if parts[0] == "tensorflow_estimator":
    tail = parts[1:]
    if "estimator" in tail:
      tail = tail[len(tail) - tail[::-1].index("estimator"):]
    return Name("v1", tuple(["estimator"] + tail))
  parts[0] = "tensorflow"
  space, rest = "v1", parts[1:]
  while rest[:2] in (["compat", "v1"], ["compat", "v2"]):
    space, rest = rest[1], rest[2:]
  if rest[:3] == ["_api", "v1", "v1"]:
    rest = rest[3:]
  if rest and rest[0] in _FILES and (rest[0] != "lite"
                                     or rest[1:2] == ["python"]):
    return Name("file", tuple(["tensorflow"] + rest))
  return Name(space, tuple(rest))


class Installed:
  """The TensorFlow of this process."""

  def __init__(self):
    """Imports it."""
    import tensorflow  # Takes seconds: only when a name is looked up.
    import tensorflow.compat.v1 as v1
    self.version = tensorflow.__version__
    self._roots = {"v1": v1, "v2": tensorflow}
    self._found = {}
    self._signatures = {}

  def find(self, name: Name) -> Found:
    """Looks a name up.

    Args:
      name: The name.

    Returns:
      A `Found`.
    """
    if name not in self._found:
      self._found[name] = self._find(name)
    return self._found[name]

  def has(self, inner: str) -> bool:
    """Returns whether compat.v1 has a name, given without `tf.`."""
    return self.find(Name("v1", tuple(inner.split(".")))).state == "there"

  def _find(self, name):
    if name.space in self._roots:
      value, start = self._roots[name.space], 0
    else:
      try:
        value, start = importlib.import_module(name.parts[0]), 1
      except ImportError:
        return Found("unknown", name, None, False)
    for i in range(start, len(name.parts)):
      if not _is(value, types.ModuleType, type):
        return Found("there", name._replace(parts=name.parts[:i]), value, False)
      value = self._member(value, name, i)
      if value is _ABSENT:
        return Found("missing", name._replace(parts=name.parts[:i + 1]), None,
                     False)
    return Found("there", name, value, _is(value, types.ModuleType))

  def _member(self, value, name, i):
    try:
      return getattr(value, name.parts[i])
    except Exception:  # pylint: disable=broad-except
      pass  # A lazy module may raise anything; then it is not there.
    if name.space in self._roots or not _is(value, types.ModuleType):
      return _ABSENT
    try:
      return importlib.import_module(".".join(name.parts[:i + 1]))
    except Exception:  # pylint: disable=broad-except
      return _ABSENT

  def is_same(self, inner: str) -> bool:
    """Returns whether tensorflow and compat.v1 have the same under a name."""
    first, second = (self.find(Name(space, tuple(inner.split("."))))
                     for space in ("v1", "v2"))
    return first.state == second.state and (
        first.value is second.value
        or first.is_module and second.is_module)

  def public_name(self, name: Name, value: Any) -> str:
    """Returns the public name of a symbol, as "tf.nn.relu", or ""."""
    from tensorflow.python.util import tf_export
    last = name.parts[-1]
    try:
      exported = list(tf_export.get_v1_names(value))
    except (AttributeError, TypeError):  # No function and no class.
      exported = []
    for inner in [*exported, *(head + last for head in _HEADS),
                  _RENAMED.get(last, "")]:
      if inner and self.has(inner) and self.find(
          Name("v1", tuple(inner.split(".")))).value is value:
        return f"tf.{inner}"
    return ""

  def elsewhere(self, name: Name) -> str:
    """Returns a public name that ends as one that is missing, or ""."""
    return next((f"tf.{head}{name.parts[-1]}" for head in _HEADS
                 if self.has(head + name.parts[-1])), "")

  def _signature(self, value) -> Optional[inspect.Signature]:
    key = id(value)
    if key not in self._signatures:
      try:
        self._signatures[key] = inspect.signature(value)
      except Exception:  # pylint: disable=broad-except
        self._signatures[key] = None  # Objects may raise what they like.
    return self._signatures[key]

  def wrong_arguments(self, found: Found, call: ast.Call) -> List[str]:
    """Returns what a function does not take of what a call gives it.

    Args:
      found: The function or class.
      call: The call.

    Returns:
      One phrase per argument; empty if it fits or cannot be known.
    """
    signature = self._signature(found.value)
    if signature is None:
      return []
    parameters = list(signature.parameters.values())
    kinds = {p.kind for p in parameters}
    named = {p.name for p in parameters
             if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    given = [k.arg for k in call.keywords if k.arg]
    problems = []
    if inspect.Parameter.VAR_KEYWORD in kinds:
      for module, refused in _REFUSED.items():
        if found.name.inner.startswith(module + "."):
          problems += [f"does not take {k}" for k in given if k in refused]
      return problems
    problems += [f"does not take {k}" for k in given if k not in named]
    if (inspect.Parameter.VAR_POSITIONAL not in kinds
        and not any(isinstance(a, ast.Starred) for a in call.args)):
      most = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
                 for p in parameters)
      if len(call.args) > most:
        problems.append(f"takes {most} arguments by position, not "
                        f"{len(call.args)}")
    return problems + _wrong_order(found.name.inner, call)

  def deprecated_arguments(self, found: Found, call: ast.Call) -> List[str]:
    """Returns the arguments of a call that work but are marked to go."""
    signature = self._signature(found.value)
    match = signature and _DEPRECATED.search(
        (getattr(found.value, "__doc__", "") or "") + "\n\n")
    if not match:
      return []
    names = re.findall(r"\w+", match[1])
    return [k.arg for k in call.keywords if k.arg in names] + [
        p for p in list(signature.parameters)[:len(call.args)] if p in names]


def _wrong_order(inner, call):
  """Finds calls written before TensorFlow 1.0, which put the axis first."""
  first = call.args[0] if call.args else None
  number = isinstance(first, ast.Constant) and type(first.value) is int
  if inner == "concat" and number:
    return ["takes values first, then axis"]
  if inner == "split" and number and len(call.args) == 3:
    return ["takes value first, then num_or_size_splits, then axis"]
  if inner.startswith("nn.") and inner.endswith(
      "_cross_entropy_with_logits") and first is not None and (
          "label" not in ast.unparse(first)):
    return ["takes labels first, then logits; before 1.0 it was logits first"]
  return []


def _is(value, *kinds):
  """Returns whether something is of a kind, asking only its type.

  `tf.flags.FLAGS` parses the command line when it is asked for `__class__`.
  """
  return issubclass(type(value), kinds)


_ABSENT = object()

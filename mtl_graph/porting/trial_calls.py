"""Calls functions with made-up arguments, to see which fail of themselves.

A name that exists may still do nothing but raise: what stood behind it is gone.
Arguments are made up from the names of the parameters. A function that takes
one of the attempts works; one that raises what cannot be the arguments' fault
is broken; of the others nothing is known.
"""

import inspect
import itertools
import re
import types
from typing import Any, Dict, List, NamedTuple

# What an error says that no other argument would have avoided.
_OWN_FAULT = re.compile(
    r"Keras 3|no longer (?:supported|available)|has been removed|"
    r"is not available|No module named|cannot import name|"
    r"module '[\w.]+' has no attribute|not implemented|unsupported in|"
    r"deprecated and removed")
_MOST = 48  # Attempts per function.
# What is not to be called only to see: it ends, starts or waits for something,
# or ends the process where its arguments are odd.
UNCALLED = ("tf.app.run", "tf.test.", "tf.train.Server", "tf.train.Supervisor",
            "tf.train.start_queue_runners", "tf.train.import_meta_graph",
            "tf.train.batch", "tf.train.maybe_", "tf.train.shuffle_batch",
            "tf.gfile.", "tf.io.gfile.", "tf.compat.v2.io.gfile.",
            "tf.disable_", "tf.enable_", "tf.reset_default_graph",
            "tf.load_op_library", "tf.load_library", "tf.logging.",
            "tf.distribute.cluster_resolver.")


class Trial(NamedTuple):
  """What came of calling a function.

  Attributes:
    outcome: "works", "broken" or "unknown".
    message: The error; "" if it works.
  """
  outcome: str
  message: str


def is_callable(value: Any) -> bool:
  """Returns whether something is a function or class, asking its type alone."""
  return issubclass(type(value), (type, types.FunctionType,
                                  types.BuiltinFunctionType))


def _values(tf) -> Dict[str, List[Any]]:
  """Returns values by the name of the parameter that they suit."""
  matrix = tf.constant([[1.0, 2.0], [3.0, 4.0]])
  images = tf.ones([2, 8, 8, 3])
  numbers = tf.constant([0, 1], tf.int32)
  text = tf.constant(["a", "b"])
  pairs = tf.constant([[0, 1], [1, 0]], tf.int32)
  variable = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
  data = tf.data.Dataset.from_tensors([1.0])
  shapes = [[2, 2], [2], 2]
  return {
      "shape": shapes, "dims": shapes, "size": [[4, 4], 2, [2]],
      "axis": [0, 1], "dim": [0], "perm": [[1, 0]], "num": [2], "n": [2],
      "dtype": [tf.float32], "type": [tf.float32], "name": ["made_up"],
      "units": [3], "num_units": [3],
      "filter": [tf.ones([3, 3, 3, 3]), tf.ones([3, 3, 3])],
      "filters": [3, tf.ones([3, 3, 3, 3])],
      "kernel_size": [3], "pool_size": [2], "ksize": [[1, 2, 2, 1]],
      "strides": [1, [1, 1, 1, 1]], "stride": [1], "padding": ["SAME"],
      "images": [images], "image": [images[0], images],
      "labels": [matrix, numbers], "predictions": [matrix, numbers],
      "logits": [matrix], "targets": [matrix, numbers],
      "indices": [numbers, pairs], "ids": [numbers], "params": [variable],
      "segment_ids": [numbers], "depth": [3], "learning_rate": [0.1],
      "global_step": [tf.train.get_or_create_global_step()],
      "decay_steps": [10], "decay_rate": [0.5], "momentum": [0.9],
      "decay": [0.9], "keep_prob": [0.5], "rate": [0.5], "seed": [1],
      "fn": [lambda *x: x[0] if x else matrix], "cond": [lambda *x: False],
      "func": [lambda *x: x[0]], "body": [lambda *x: x[0]],
      "true_fn": [lambda: matrix], "false_fn": [lambda: matrix],
      "pred": [tf.constant(True)], "condition": [matrix > 1.0, True],
      "values": [[matrix, matrix], matrix], "inputs": [matrix, images],
      "tensors": [[matrix, matrix], matrix], "input": [matrix, images, text],
      "var_list": [[variable]], "ref": [variable], "variable": [variable],
      "key": ["a"], "keys": [text], "default_value": [0, "a"],
      "vocabulary_list": [["a", "b"]], "hash_bucket_size": [4],
      "dimension": [2], "num_buckets": [4], "boundaries": [[1.0, 2.0]],
      "categorical_column": [tf.feature_column.categorical_column_with_identity(
          "a", 3)], "source_column": [tf.feature_column.numeric_column("a")],
      "feature_columns": [[tf.feature_column.numeric_column("a")]],
      "features": [{"a": matrix}, matrix], "bytes": [text],
      "serialized": [text], "filename": ["made_up"], "path": ["made_up"],
      "filenames": [["made_up"], "made_up"], "sp_input": [
          tf.sparse_placeholder(tf.float32, [2, 2])],
      "dataset": [data], "cell": [None], "maxval": [3], "minval": [0],
      "x": [matrix, numbers, text, images], "y": [matrix, numbers],
      "a": [matrix], "b": [matrix], "scalar": [2.0], "op": [matrix.op],
      "graph": [tf.get_default_graph()], "": [
          matrix, numbers, 2, "a", images, [matrix, matrix], text, 0.5,
          tf.float32, lambda *x: x[0] if x else matrix],
  }


def _choices(parameter, values):
  name = parameter.name.lower()
  if name in values:
    return values[name]
  for known in sorted(values, key=len, reverse=True):
    if known and len(known) > 2 and known in name:
      return values[known]
  return values[""]


def _attempts(parameters, values):
  """Yields arguments by name and by position.

  First without those that may be left out, then with those that are None by
  default, which many functions of TensorFlow 1 want all the same.
  """
  required = [p for p in parameters if p.default is p.empty]
  wanted = [p for p in parameters if p.default is p.empty or (
      p.default is None and p.name.lower() in values)]
  for chosen in ([required] if wanted == required else [required, wanted]):
    choices = [_choices(p, values) for p in chosen]
    for row in itertools.islice(itertools.product(*choices), _MOST):
      pairs = list(zip(chosen, row))
      yield ({p.name: v for p, v in pairs
              if p.kind is not p.POSITIONAL_ONLY},
             [v for p, v in pairs if p.kind is p.POSITIONAL_ONLY])


def call(function) -> Trial:
  """Calls one function or class in a graph of its own.

  Args:
    function: The function.

  Returns:
    A `Trial`.
  """
  import tensorflow.compat.v1 as tf
  try:
    signature = inspect.signature(function)
  except (TypeError, ValueError) as error:
    return Trial("unknown", f"has no signature: {error}")
  parameters = [p for p in signature.parameters.values()
                if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
  last = ""
  with tf.Graph().as_default():
    values = _values(tf)
    for keywords, positional in _attempts(parameters, values):
      try:
        function(*positional, **keywords)
        return Trial("works", "")
      except Exception as error:  # pylint: disable=broad-except
        text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        if _OWN_FAULT.search(text) or isinstance(error, (ImportError,
                                                         NameError)):
          return Trial("broken", text)
        last = text
  return Trial("unknown", last)

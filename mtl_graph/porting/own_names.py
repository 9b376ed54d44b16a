"""What this project has of TensorFlow 1, argument for argument."""

import functools
import types
from typing import Callable, Dict, Optional

from mtl_graph.porting import replacements

# Homes whose functions go by arg_scope, theirs and nobody else's.
SCOPED = ("mtl_graph.compat.contrib_layers", "mtl_graph.compat.slim")
# It stands on a floor above and is named, not imported; a test looks.
_ESTIMATOR = "mtl_graph.estimator"
ESTIMATORS = """Estimator EstimatorSpec EvalSpec FinalExporter LatestExporter
    ModeKeys ModeKeys.EVAL ModeKeys.PREDICT ModeKeys.TRAIN RunConfig TrainSpec
    WarmStartSettings binary_classification_head export
    export.ClassificationOutput export.PredictOutput export.RegressionOutput
    export.ServingInputReceiver export.build_parsing_serving_input_receiver_fn
    export.build_raw_serving_input_receiver_fn inputs inputs.numpy_input_fn
    inputs.pandas_input_fn logistic_regression_head multi_class_head multi_head
    multi_label_head poisson_regression_head regression_head
    train_and_evaluate""".split()


@functools.lru_cache(None)
def _homes() -> Dict[str, types.ModuleType]:
  """Returns where the names of a module are, without the `tf.` before it."""
  # They import TensorFlow, which sources that do not use it need not.
  from mtl_graph.compat import contrib_layers
  from mtl_graph.compat import layers
  from mtl_graph.compat import rnn_cell
  from mtl_graph.compat import slim
  return {"layers": layers, "nn.rnn_cell": rnn_cell, "contrib.rnn": rnn_cell,
          "contrib.layers": contrib_layers, "contrib.slim": slim}


def find(name: str) -> Optional[str]:
  """Returns what a name is called here.

  Args:
    name: A name without its leading `tf.`.

  Returns:
    The dotted name, or None if it is not here.
  """
  for spelled in replacements.spellings(name):
    parts = spelled.removeprefix("contrib.estimator").split(".")
    if parts[0] in ("estimator", ""):
      # Also under the name of the file that it was written in.
      for start in (1, len(parts) - 1):
        if ".".join(parts[start:]) in ("", *ESTIMATORS):
          return ".".join([_ESTIMATOR, *parts[start:]])
    for length in range(len(parts), 0, -1):
      home = _homes().get(".".join(parts[:length]))
      if home is not None:
        if _has(home, parts[length:]):
          return ".".join([home.__name__, *parts[length:]])
        break
  return None


def is_installed(target: str, find: Callable[[str], bool]) -> bool:
  """Returns whether a target of the table can be taken.

  Args:
    target: The target.
    find: Tells of a name of TensorFlow, without `tf.`, whether it is there.
  """
  parts = target.split(".")
  if not all(part.isidentifier() for part in parts):
    return True  # Words.
  if parts[0] == "tf" and len(parts) > 1:
    return find(target[len("tf."):])
  if parts[0] == "mtl_graph":
    for length in range(len(parts), 0, -1):
      module = _modules().get(".".join(parts[:length]))
      if module is not None:
        return _has(module, parts[length:])
    return False
  return True


@functools.lru_cache(None)
def _modules() -> Dict[str, types.ModuleType]:
  """Returns the modules that a target of the table may be of, by name."""
  from mtl_graph.model import lazy_adam
  return {home.__name__: home for home in (*_homes().values(), lazy_adam)}


def note(target: str) -> str:
  """Returns what else to know of a name that `find` returned."""
  if target.startswith(_ESTIMATOR):
    return ("the same arguments and names, on one machine; no EstimatorV2, TPUs "
            "or ready-made estimators; see docs/recipes.md")
  if target.startswith(SCOPED):
    return ("the same arguments and variables, in arg_scope's of mtl_graph.compat"
            "; see docs/compat.md")
  return "the same arguments and variables, without Keras; see docs/compat.md"


def _has(home, parts) -> bool:
  value = home
  for part in parts:
    if part.startswith("_") or not hasattr(value, part):
      return False
    value = getattr(value, part)
  return True

"""Multi-task learning in TensorFlow 1 style on today's TensorFlow."""

import importlib

__version__ = "0.7.1"

# Where each public name lives. Loaded when asked for, so that a launcher can
# refuse a bad experiment without waiting for TensorFlow.
_HOMES = {
    "train": "mtl_graph.api",
    "cross_validate": "mtl_graph.cross_validation",
    "load": "mtl_graph.serving.predictor",
    "grouped_train_op": "mtl_graph.model.grouped_train_op",
    "VariableGroup": "mtl_graph.model.grouped_train_op",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str):
  if name in _HOMES:
    return getattr(importlib.import_module(_HOMES[name]), name)
  raise AttributeError(f"module 'mtl_graph' has no attribute '{name}'")


def __dir__():
  return sorted(__all__)

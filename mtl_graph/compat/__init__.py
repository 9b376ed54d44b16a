"""Stands in for what TensorFlow 1 built graphs with and today's has no more.

`from mtl_graph import compat`, then `compat.layers` for `tf.layers`: see
docs/compat.md.
"""

import importlib

# Loaded when asked for, so that naming one does not wait for TensorFlow.
_MODULES = ("contrib_layers", "layers", "rnn_cell", "slim")

__all__ = list(_MODULES)


def __getattr__(name: str):
  if name in _MODULES:
    return importlib.import_module(f"{__name__}.{name}")
  raise AttributeError(f"module 'mtl_graph.compat' has no attribute '{name}'; "
                       f"allowed: {', '.join(_MODULES)}")


def __dir__():
  return sorted(__all__)

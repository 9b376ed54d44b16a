"""Stands in for `tf.estimator` and the heads of `tf.contrib.estimator`.

Code of TensorFlow 1 keeps its `model_fn`, input functions and calls,
and changes what it imports: `from mtl_graph import estimator` for what was
`tf.estimator` and `tf.contrib.estimator`. Names of metrics, signatures,
variables, checkpoints and summaries are those of TensorFlow 1.15.
"""

import importlib

# Where each name lives; "" is a module itself. Loaded when asked for.
_HOMES = {
    "Estimator": "estimators",
    "EstimatorSpec": "specs",
    "EvalSpec": "training",
    "FinalExporter": "exporters",
    "LatestExporter": "exporters",
    "ModeKeys": "specs",
    "RunConfig": "run_config",
    "TrainSpec": "training",
    "WarmStartSettings": "run_config",
    "binary_classification_head": "heads",
    "export": "",
    "inputs": "",
    "logistic_regression_head": "heads",
    "multi_class_head": "heads",
    "multi_head": "multi_heads",
    "multi_label_head": "heads",
    "poisson_regression_head": "heads",
    "regression_head": "heads",
    "train_and_evaluate": "training",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
  if name not in _HOMES:
    raise AttributeError(f"module 'mtl_graph.estimator' has no attribute "
                         f"'{name}'; allowed: {', '.join(_HOMES)}")
  module = importlib.import_module(f"{__name__}.{_HOMES[name] or name}")
  return getattr(module, name) if _HOMES[name] else module


def __dir__():
  return sorted(__all__)

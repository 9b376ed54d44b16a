"""Stands in for `tf.estimator` and the heads of `tf.contrib.estimator`.

Code of TensorFlow 1 keeps its `model_fn`, input functions and calls,
and changes what it imports: `from mtl_graph import estimator` for what was
`tf.estimator` and `tf.contrib.estimator`. Names of metrics, signatures,
variables, checkpoints and summaries are those of TensorFlow 1.15.
"""

import importlib

# Where each name lives, `export` and `inputs` being modules. Loaded when asked
# for.
_HOMES = {
    "Estimator": "mtl_graph.estimator.estimators",
    "EstimatorSpec": "mtl_graph.estimator.specs",
    "EvalSpec": "mtl_graph.estimator.training",
    "FinalExporter": "mtl_graph.estimator.exporters",
    "LatestExporter": "mtl_graph.estimator.exporters",
    "ModeKeys": "mtl_graph.estimator.specs",
    "RunConfig": "mtl_graph.estimator.run_config",
    "TrainSpec": "mtl_graph.estimator.training",
    "WarmStartSettings": "mtl_graph.estimator.run_config",
    "binary_classification_head": "mtl_graph.estimator.heads",
    "export": "mtl_graph.estimator.export",
    "inputs": "mtl_graph.estimator.inputs",
    "logistic_regression_head": "mtl_graph.estimator.heads",
    "multi_class_head": "mtl_graph.estimator.heads",
    "multi_head": "mtl_graph.estimator.multi_heads",
    "multi_label_head": "mtl_graph.estimator.heads",
    "poisson_regression_head": "mtl_graph.estimator.heads",
    "regression_head": "mtl_graph.estimator.heads",
    "train_and_evaluate": "mtl_graph.estimator.training",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
  if name not in _HOMES:
    raise AttributeError(f"module 'mtl_graph.estimator' has no attribute "
                         f"'{name}'; allowed: {', '.join(_HOMES)}")
  module = importlib.import_module(_HOMES[name])
  return module if name in ("export", "inputs") else getattr(module, name)


def __dir__():
  return sorted(__all__)

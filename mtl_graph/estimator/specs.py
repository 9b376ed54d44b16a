"""What a `model_fn` is told, and what it returns."""

import collections
from typing import Any, Dict, Mapping, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.estimator import export as export_lib

_DEFAULT = tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY
_FIELDS = ("mode", "predictions", "loss", "train_op", "eval_metric_ops",
           "export_outputs", "training_chief_hooks", "training_hooks",
           "scaffold", "evaluation_hooks", "prediction_hooks")


class ModeKeys:
  """What a `model_fn` builds its graph for."""

  TRAIN = "train"
  EVAL = "eval"
  PREDICT = "infer"


class EstimatorSpec(collections.namedtuple("EstimatorSpec", _FIELDS)):
  """The ops that a `model_fn` has built."""

  def __new__(cls, mode: str, predictions: Any = None,
              loss: Optional[tf.Tensor] = None,
              train_op: Optional[tf.Operation] = None,
              eval_metric_ops: Optional[Mapping[str, Any]] = None,
              export_outputs: Optional[Mapping[str, Any]] = None,
              training_chief_hooks: Sequence[Any] = (),
              training_hooks: Sequence[Any] = (),
              scaffold: Optional[tf.train.Scaffold] = None,
              evaluation_hooks: Sequence[Any] = (),
              prediction_hooks: Sequence[Any] = ()):
    """Checks what a mode needs.

    Args:
      mode: One of `ModeKeys`.
      predictions: A tensor, or tensors by key. Required to predict.
      loss: The loss, of one number. Required to train and to evaluate.
      train_op: Runs a step. Required to train.
      eval_metric_ops: By name pairs of a metric's value and the op that updates
        it, as `tf.metrics` returns them.
      export_outputs: Outputs of `export` by the name of their signature; of
        several, one is called "serving_default".
      training_chief_hooks: Hooks around training steps.
      training_hooks: Further ones.
      scaffold: How variables and tables start and are saved.
      evaluation_hooks: Hooks around evaluation.
      prediction_hooks: Hooks around prediction.

    Returns:
      The spec.

    Raises:
      ValueError: If something that the mode needs is missing, or is not what it
        has to be.
    """
    allowed = (ModeKeys.TRAIN, ModeKeys.EVAL, ModeKeys.PREDICT)
    if mode not in allowed:
      raise ValueError(f"mode: found {mode!r}; allowed: {', '.join(allowed)}")
    needed = {ModeKeys.TRAIN: {"loss": loss, "train_op": train_op},
              ModeKeys.EVAL: {"loss": loss},
              ModeKeys.PREDICT: {"predictions": predictions}}[mode]
    for name, value in needed.items():
      if value is None:
        raise ValueError(f"{name}: found nothing; required in mode '{mode}'")
    return super().__new__(
        cls, mode, {} if predictions is None else predictions,
        None if loss is None else _one_number(loss), train_op,
        _metrics(eval_metric_ops or {}), _outputs(export_outputs),
        tuple(training_chief_hooks or ()), tuple(training_hooks or ()),
        scaffold or tf.train.Scaffold(), tuple(evaluation_hooks or ()),
        tuple(prediction_hooks or ()))


def _one_number(loss) -> tf.Tensor:
  loss = tf.convert_to_tensor(loss)
  if loss.shape.num_elements() not in (1, None):
    raise ValueError(f"loss: found shape {loss.shape}; allowed: one number")
  return loss if loss.shape.rank == 0 else tf.reshape(loss, [])


def _metrics(metrics) -> Dict[str, Any]:
  for name, metric in metrics.items():
    if not (isinstance(metric, tuple) and len(metric) == 2):
      raise ValueError(f"eval_metric_ops '{name}': found "
                       f"{type(metric).__name__}; allowed: a pair of a value "
                       "and an update, as tf.metrics returns it")
  return dict(metrics)


def _outputs(outputs) -> Optional[Dict[str, Any]]:
  """Returns outputs by name, the only one of which is the default as well."""
  if outputs is None:
    return None
  for name, output in outputs.items():
    if not isinstance(output, export_lib.OUTPUTS):
      raise ValueError(f"export_outputs '{name}': found "
                       f"{type(output).__name__}; allowed: " + ", ".join(
                           kind.__name__ for kind in export_lib.OUTPUTS))
  outputs = dict(outputs)
  if len(outputs) == 1:
    outputs.setdefault(_DEFAULT, next(iter(outputs.values())))
  elif outputs and _DEFAULT not in outputs:
    raise ValueError(f"export_outputs: found {', '.join(map(str, outputs))}; "
                     f"allowed: one of several called '{_DEFAULT}'")
  return outputs

"""What the heads of an Estimator have in common: a loss, metrics, a spec."""

import collections
import inspect
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.estimator import export
from mtl_graph.estimator import specs

DEFAULT = tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY
PREDICT = "predict"
CLASSIFICATION = "classification"
REGRESSION = "regression"

# The loss that is trained; the loss of each row, not weighted; weights of rows;
# and labels as the loss takes them.
LossSpec = collections.namedtuple("LossSpec", [
    "training_loss", "unreduced_loss", "weights", "processed_labels"])


class Head:
  """One head: what becomes of logits.

  A kind of head says how labels, losses, predictions, exports and metrics come
  about.
  """

  # Width of a row's loss, where it is not that of the logits.
  _loss_width: Optional[int] = 1
  # Whether weights may differ from number to number of a row.
  _weighs_numbers = False

  def __init__(self, name: Optional[str], logits_dimension: int,
               weight_column: Any, loss_reduction: str,
               loss_fn: Optional[Callable[..., tf.Tensor]]):
    """Takes what every head has.

    Args:
      name: Its name, which stands behind those of metrics and summaries.
      logits_dimension: How many logits a row has.
      weight_column: Name of the feature that weighs rows, or a numeric column.
      loss_reduction: One of `tf.losses.Reduction`, but for NONE.
      loss_fn: A loss in place of the head's own, of `labels` and `logits` and,
        if it has such a parameter, `features`.

    Raises:
      ValueError: If something is not what it has to be.
    """
    if loss_reduction not in tf.losses.Reduction.all() or (
        loss_reduction == tf.losses.Reduction.NONE):
      raise ValueError(f"loss_reduction: found {loss_reduction!r}; allowed: "
                       "what tf.losses.Reduction has, but for NONE")
    if loss_fn is not None:
      parameters = set(inspect.signature(loss_fn).parameters)
      if not {"labels", "logits"} <= parameters <= {"labels", "logits",
                                                    "features"}:
        raise ValueError("loss_fn: found parameters "
                         f"{', '.join(sorted(parameters))}; allowed: labels, "
                         "logits and, if it likes, features")
    self._name = name
    self._logits_dimension = logits_dimension
    self._weight_column = weight_column
    self._loss_reduction = loss_reduction
    self._loss_fn = loss_fn

  @property
  def name(self) -> Optional[str]:
    """The name."""
    return self._name

  @property
  def logits_dimension(self) -> int:
    """How many logits a row has."""
    return self._logits_dimension

  def create_loss(self, features: Any, mode: str, logits: tf.Tensor,
                  labels: Any) -> LossSpec:
    """Computes the loss.

    Args:
      features: Tensors by name.
      mode: One of `ModeKeys`.
      logits: Logits, shape `[B, C]`.
      labels: Labels.

    Returns:
      A `LossSpec`.
    """
    del mode
    logits = self._checked_logits(logits)
    labels = self._labels(labels, logits)
    if self._loss_fn is None:
      unreduced = self._loss(labels, logits)
    else:
      unreduced = self._stated_loss(labels, logits, features)
    weights = self._weights(features, logits)
    return LossSpec(tf.losses.compute_weighted_loss(
        unreduced, weights, reduction=self._loss_reduction), unreduced, weights,
                    labels)

  def create_estimator_spec(
      self, features: Any, mode: str, logits: tf.Tensor, labels: Any = None,
      optimizer: Optional[tf.train.Optimizer] = None,
      train_op_fn: Optional[Callable[[tf.Tensor], tf.Operation]] = None,
      regularization_losses: Optional[Sequence[tf.Tensor]] = None
      ) -> specs.EstimatorSpec:
    """Builds what an Estimator needs.

    Args:
      features: Tensors by name.
      mode: One of `ModeKeys`.
      logits: Logits, shape `[B, C]`.
      labels: Labels, unless the mode is to predict.
      optimizer: Minimizes the loss in training.
      train_op_fn: Makes the training op of the loss, in place of `optimizer`.
      regularization_losses: Further losses, scalars.

    Returns:
      An `EstimatorSpec`.

    Raises:
      ValueError: If logits, labels or weights do not fit, or there is not one
        of `optimizer` and `train_op_fn` in training.
    """
    keys = specs.ModeKeys
    with tf.name_scope(self._name or "head"):
      logits = self._checked_logits(logits)
      with tf.name_scope("predictions"):
        predictions = self._predictions(logits)
      if mode == keys.PREDICT:
        return specs.EstimatorSpec(
            mode, predictions,
            export_outputs={**self._outputs(predictions),
                            PREDICT: export.PredictOutput(predictions)})
      found = self.create_loss(features, mode, logits, labels)
      penalty = (tf.add_n(list(regularization_losses))
                 if regularization_losses else None)
      loss = found.training_loss
      if penalty is not None:
        loss = tf.add_n([loss, penalty])
      if mode == keys.EVAL:
        with tf.name_scope("metrics"):
          metrics = {"average_loss": tf.metrics.mean(found.unreduced_loss,
                                                     found.weights)}
          metrics.update(self._metrics(found, predictions))
          if penalty is not None:
            metrics["regularization_loss"] = tf.metrics.mean(penalty)
        return specs.EstimatorSpec(mode, predictions, loss, eval_metric_ops={
            self._called(name): metric for name, metric in metrics.items()})
      train_op = make_train_op(loss, optimizer, train_op_fn)
      updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
      if updates:
        train_op = tf.group(train_op, *updates)
      mean = None
      if self._loss_reduction == tf.losses.Reduction.SUM:
        mean = found.training_loss / tf.reduce_sum(
            found.weights * tf.ones_like(found.unreduced_loss))
    with tf.name_scope(None):
      for name, value in (("loss", loss), ("average_loss", mean),
                          ("regularization_loss", penalty)):
        if value is not None:
          tf.summary.scalar(self._called(name), value)
    return specs.EstimatorSpec(mode, predictions, loss, train_op)

  def _called(self, name: str) -> str:
    return f"{name}/{self._name}" if self._name else name

  def _checked_logits(self, logits) -> tf.Tensor:
    logits = tf.cast(tf.convert_to_tensor(logits), tf.float32)
    if logits.shape.rank is None or logits.shape.rank < 2 or (
        logits.shape[-1] not in (None, self._logits_dimension)):
      raise ValueError(f"logits of {self._described()}: found shape "
                       f"{logits.shape}; allowed: [B, "
                       f"{self._logits_dimension}]")
    return logits

  def _described(self) -> str:
    return f"head '{self._name}'" if self._name else "the head"

  def _dense_labels(self, labels, logits, width: int) -> tf.Tensor:
    """Returns labels of as many dimensions as logits, of a width."""
    if labels is None:
      raise ValueError(f"labels of {self._described()}: found none; required "
                       "to train and to evaluate")
    if isinstance(labels, tf.SparseTensor):
      raise ValueError(f"labels of {self._described()}: found a sparse tensor; "
                       f"allowed: a tensor of shape [B, {width}]")
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank == logits.shape.rank - 1:
      labels = tf.expand_dims(labels, -1)
    if labels.shape.rank not in (None, logits.shape.rank) or (
        labels.shape.rank and labels.shape[-1] not in (None, width)):
      raise ValueError(f"labels of {self._described()}: found shape "
                       f"{labels.shape}; allowed: [B, {width}]")
    expected = tf.concat([tf.shape(logits)[:-1], [width]], 0)
    with tf.control_dependencies([tf.assert_equal(
        tf.shape(labels), expected,
        message=f"labels of {self._described()} do not fit its logits")]):
      return tf.identity(labels)

  def _weights(self, features, logits):
    if self._weight_column is None:
      return 1.0
    key = getattr(self._weight_column, "key", self._weight_column)
    if not isinstance(features, Mapping) or key not in features:
      raise ValueError(f"weight_column of {self._described()}: no feature "
                       f"'{key}'; allowed: the name of a feature")
    weights = tf.convert_to_tensor(features[key])
    if getattr(self._weight_column, "normalizer_fn", None):
      weights = self._weight_column.normalizer_fn(weights)
    if not (weights.dtype.is_floating or weights.dtype.is_integer):
      raise ValueError(f"weight_column '{key}': found {weights.dtype.name}; "
                       "allowed: numbers")
    weights = tf.cast(weights, tf.float32)
    if weights.shape.rank == logits.shape.rank - 1:
      weights = tf.expand_dims(weights, -1)
    widths = (None, 1) + ((self._logits_dimension,) if self._weighs_numbers
                          else ())
    if weights.shape.rank and weights.shape[-1] not in widths:
      raise ValueError(f"weight_column '{key}': found shape {weights.shape}; "
                       "allowed: [B] or [B, 1]")
    return weights

  def _stated_loss(self, labels, logits, features) -> tf.Tensor:
    values = {"labels": labels, "logits": logits}
    if "features" in inspect.signature(self._loss_fn).parameters:
      values["features"] = features
    loss = self._loss_fn(**values)
    width = self._loss_width or self._logits_dimension
    expected = tf.concat([tf.shape(logits)[:-1], [width]], 0)
    with tf.control_dependencies([tf.assert_equal(
        tf.shape(loss), expected, message="loss_fn must return losses of shape "
        f"[B, {width}]")]):
      return tf.identity(loss)

  def _labels(self, labels: Any, logits: tf.Tensor) -> tf.Tensor:
    """Returns labels as the loss takes them."""
    raise NotImplementedError

  def _loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns the loss of each row, shape `[B, 1]`, or of each number."""
    raise NotImplementedError

  def _predictions(self, logits: tf.Tensor) -> Dict[str, tf.Tensor]:
    """Returns predictions by key."""
    raise NotImplementedError

  def _outputs(self, predictions: Mapping[str, tf.Tensor]) -> Dict[str, Any]:
    """Returns outputs by the name of their signature, but for "predict"."""
    raise NotImplementedError

  def _metrics(self, found: LossSpec, predictions: Mapping[str, tf.Tensor]
               ) -> Dict[str, Any]:
    """Returns metrics by name, but for those of losses."""
    raise NotImplementedError


def make_train_op(loss: tf.Tensor, optimizer: Optional[tf.train.Optimizer],
                  train_op_fn: Optional[Callable[[tf.Tensor], tf.Operation]]
                  ) -> tf.Operation:
  """Returns the op that trains, of exactly one of an optimizer and a function.
  """
  if (optimizer is None) == (train_op_fn is None):
    raise ValueError("optimizer and train_op_fn: found "
                     + ("none" if optimizer is None else "both")
                     + "; allowed: one of them")
  if optimizer is None:
    return train_op_fn(loss)
  return optimizer.minimize(loss, global_step=tf.train.get_global_step())

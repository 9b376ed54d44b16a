"""The heads of `tf.contrib.estimator`: classes, labels and numbers."""

from typing import Any, Callable, Dict, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.estimator import export
from mtl_graph.estimator import head as head_lib
from mtl_graph.estimator import head_metrics

_MEAN = tf.losses.Reduction.SUM_OVER_BATCH_SIZE
LossFn = Optional[Callable[..., tf.Tensor]]
Words = Optional[Sequence[str]]


def binary_classification_head(
    weight_column: Any = None, thresholds: Optional[Sequence[float]] = None,
    label_vocabulary: Words = None, loss_reduction: str = _MEAN,
    loss_fn: LossFn = None, name: Optional[str] = None) -> head_lib.Head:
  """Returns a head of two classes, one logit, the sigmoid cross entropy.

  Args:
    weight_column: Name of the feature that weighs rows, or a numeric column.
    thresholds: Probabilities from which on metrics take a row for positive,
      beside one half; above 0, below 1.
    label_vocabulary: The two labels, if they are strings; None: labels are
      numbers from 0 to 1.
    loss_reduction: How the losses of rows make one, but for NONE.
    loss_fn: A loss in place of the head's own, of shape `[B, 1]`.
    name: Name of the head.

  Returns:
    The head.
  """
  return _Binary(weight_column, thresholds, label_vocabulary, loss_reduction,
                 loss_fn, name)


def multi_class_head(n_classes: int, weight_column: Any = None,
                     label_vocabulary: Words = None,
                     loss_reduction: str = _MEAN, loss_fn: LossFn = None,
                     name: Optional[str] = None) -> head_lib.Head:
  """Returns a head of more than two classes, the softmax cross entropy.

  Args:
    n_classes: How many classes, and logits, above 2.
    weight_column: As of `binary_classification_head`.
    label_vocabulary: The classes, if labels are strings; None: labels are whole
      numbers below `n_classes`.
    loss_reduction: As of `binary_classification_head`.
    loss_fn: As of `binary_classification_head`.
    name: Name of the head.

  Returns:
    The head.
  """
  if n_classes < 3:
    raise ValueError(f"n_classes: found {n_classes}; allowed: above 2, else "
                     "binary_classification_head")
  return _MultiClass(n_classes, weight_column, label_vocabulary, loss_reduction,
                     loss_fn, name)


def multi_label_head(n_classes: int, weight_column: Any = None,
                     thresholds: Optional[Sequence[float]] = None,
                     label_vocabulary: Words = None,
                     loss_reduction: str = _MEAN, loss_fn: LossFn = None,
                     classes_for_class_based_metrics: Optional[
                         Sequence[Any]] = None,
                     name: Optional[str] = None) -> head_lib.Head:
  """Returns a head of any number of labels, each a sigmoid cross entropy.

  Args:
    n_classes: How many labels, and logits, at least 2.
    weight_column: As of `binary_classification_head`.
    thresholds: As of `binary_classification_head`; none: no such metrics.
    label_vocabulary: The labels, if those of rows are strings, sparse; None:
      they are zeros and ones `[B, n_classes]`, or numbers of labels, sparse.
    loss_reduction: As of `binary_classification_head`.
    loss_fn: As of `binary_classification_head`.
    classes_for_class_based_metrics: Numbers or names of labels that have
      metrics of their own.
    name: Name of the head.

  Returns:
    The head.
  """
  if n_classes < 2:
    raise ValueError(f"n_classes: found {n_classes}; allowed: at least 2")
  return _MultiLabel(n_classes, weight_column, thresholds, label_vocabulary,
                     loss_reduction, loss_fn, classes_for_class_based_metrics,
                     name)


def regression_head(weight_column: Any = None, label_dimension: int = 1,
                    loss_reduction: str = _MEAN, loss_fn: LossFn = None,
                    inverse_link_fn: Optional[Callable] = None,
                    name: Optional[str] = None) -> head_lib.Head:
  """Returns a head of numbers, the squared error.

  Args:
    weight_column: As of `binary_classification_head`; it may weigh each number
      of a row.
    label_dimension: How many numbers, and logits, at least 1.
    loss_reduction: As of `binary_classification_head`.
    loss_fn: A loss in place of the head's own, of shape
      `[B, label_dimension]`.
    inverse_link_fn: Makes predictions of logits; None: they are the logits.
    name: Name of the head.

  Returns:
    The head.
  """
  if label_dimension < 1:
    raise ValueError(f"label_dimension: found {label_dimension}; allowed: at "
                     "least 1")
  return _Regression(weight_column, label_dimension, loss_reduction, loss_fn,
                     inverse_link_fn, name)


def poisson_regression_head(weight_column: Any = None, label_dimension: int = 1,
                            loss_reduction: str = _MEAN,
                            compute_full_loss: bool = True,
                            name: Optional[str] = None) -> head_lib.Head:
  """Returns a head of counts, whose logits are logarithms of their means.

  Args:
    weight_column: As of `regression_head`.
    label_dimension: As of `regression_head`.
    loss_reduction: As of `binary_classification_head`.
    compute_full_loss: Whether the logarithm of the label's factorial, by
      Stirling's formula, is part of the loss.
    name: Name of the head.

  Returns:
    The head.
  """
  return regression_head(
      weight_column, label_dimension, loss_reduction,
      lambda labels, logits: tf.nn.log_poisson_loss(
          targets=labels, log_input=logits,
          compute_full_loss=compute_full_loss), tf.exp, name)


def logistic_regression_head(weight_column: Any = None,
                             loss_reduction: str = _MEAN,
                             name: Optional[str] = None) -> head_lib.Head:
  """Returns a head of a share from 0 to 1, the sigmoid cross entropy.

  Args:
    weight_column: As of `regression_head`.
    loss_reduction: As of `binary_classification_head`.
    name: Name of the head.

  Returns:
    The head.
  """
  def loss_fn(labels, logits):
    with tf.control_dependencies([tf.assert_non_negative(labels),
                                  tf.assert_less_equal(labels, 1.0)]):
      return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels,
                                                     logits=logits)
  return regression_head(weight_column, 1, loss_reduction, loss_fn, tf.sigmoid,
                         name)


class _Classifier(head_lib.Head):
  """What heads of classes have in common."""

  def __init__(self, count, dimension, weight_column, vocabulary,
               loss_reduction, loss_fn, name):
    super().__init__(name, dimension, weight_column, loss_reduction, loss_fn)
    if vocabulary is not None and not isinstance(vocabulary, (list, tuple)):
      raise ValueError(f"label_vocabulary: found {type(vocabulary).__name__}; "
                       "allowed: a list of strings")
    if vocabulary and len(vocabulary) != count:
      raise ValueError(f"label_vocabulary: found {len(vocabulary)}; allowed: "
                       f"{count}")
    self._count, self._vocabulary = count, vocabulary

  def _numbers(self, labels):
    """Returns numbers of classes, of labels that may be strings."""
    if not self._vocabulary:
      return labels
    if labels.dtype != tf.string:
      raise ValueError(f"labels of {self._described()}: found "
                       f"{labels.dtype.name}; allowed: string, as there is a "
                       "label_vocabulary")
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(
        list(self._vocabulary), list(range(self._count)), tf.string, tf.int64),
                                     -1).lookup(labels)

  def _names(self) -> tf.Tensor:
    return tf.constant(list(self._vocabulary or map(str, range(self._count))))

  def _tiled(self, row, like) -> tf.Tensor:
    return tf.tile(tf.expand_dims(row, 0), [tf.shape(like)[0], 1])

  def _of_classes(self, logits, numbers, probabilities
                  ) -> Dict[str, tf.Tensor]:
    """Returns the predictions of a head whose rows have one class."""
    return {"probabilities": probabilities, "class_ids": numbers,
            "classes": tf.gather(self._names(), numbers),
            "all_class_ids": self._tiled(tf.range(self._count), logits),
            "all_classes": self._tiled(self._names(), logits)}

  def _outputs(self, predictions):
    scores = predictions["probabilities"]
    output = export.ClassificationOutput(
        scores, self._tiled(self._names(), scores))
    return {head_lib.DEFAULT: output, head_lib.CLASSIFICATION: output}

  def _in_range(self, labels, most) -> tf.Tensor:
    with tf.control_dependencies([
        tf.assert_non_negative(
            labels, message=f"labels of {self._described()} must be at least 0,"
            " and in its label_vocabulary"),
        tf.assert_less_equal(
            labels, tf.constant(most, labels.dtype),
            message=f"labels of {self._described()} must be at most {most}")]):
      return tf.identity(labels)


class _Binary(_Classifier):
  """Two classes; see `binary_classification_head`."""

  def __init__(self, weight_column, thresholds, vocabulary, loss_reduction,
               loss_fn, name):
    super().__init__(2, 1, weight_column, vocabulary, loss_reduction, loss_fn,
                     name)
    self._thresholds = head_metrics.checked_thresholds(thresholds)

  def _labels(self, labels, logits):
    labels = self._numbers(self._dense_labels(labels, logits, 1))
    return self._in_range(tf.cast(labels, tf.float32), 1)

  def _loss(self, labels, logits):
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)

  def _predictions(self, logits):
    two = tf.concat([tf.zeros_like(logits), logits], -1)
    numbers = tf.expand_dims(tf.argmax(two, -1), -1)
    return {"logits": logits, "logistic": tf.sigmoid(logits),
            **self._of_classes(logits, numbers, tf.nn.softmax(two))}

  def _outputs(self, predictions):
    return {**super()._outputs(predictions), head_lib.REGRESSION:
            export.RegressionOutput(predictions["logistic"])}

  def _metrics(self, found, predictions):
    return head_metrics.binary(found, predictions, self._thresholds)


class _MultiClass(_Classifier):
  """Several classes; see `multi_class_head`."""

  def __init__(self, n_classes, weight_column, vocabulary, loss_reduction,
               loss_fn, name):
    super().__init__(n_classes, n_classes, weight_column, vocabulary,
                     loss_reduction, loss_fn, name)

  def _labels(self, labels, logits):
    labels = self._numbers(self._dense_labels(labels, logits, 1))
    if not labels.dtype.is_integer:
      raise ValueError(f"labels of {self._described()}: found "
                       f"{labels.dtype.name}; allowed: whole numbers, or "
                       "strings with a label_vocabulary")
    return self._in_range(labels, self._count - 1)

  def _loss(self, labels, logits):
    return tf.expand_dims(tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.squeeze(labels, -1), logits=logits), -1)

  def _predictions(self, logits):
    numbers = tf.expand_dims(tf.argmax(logits, -1), -1)
    return {"logits": logits, **self._of_classes(logits, numbers,
                                                 tf.nn.softmax(logits))}

  def _metrics(self, found, predictions):
    return {"accuracy": tf.metrics.accuracy(
        found.processed_labels, predictions["class_ids"], found.weights)}


class _MultiLabel(_Classifier):
  """Several labels; see `multi_label_head`."""

  def __init__(self, n_classes, weight_column, thresholds, vocabulary,
               loss_reduction, loss_fn, classes, name):
    super().__init__(n_classes, n_classes, weight_column, vocabulary,
                     loss_reduction, loss_fn, name)
    self._thresholds = head_metrics.checked_thresholds(thresholds)
    # What metrics call them: a number by itself says no more than "class".
    self._of_classes_alone = {}
    for which in classes or ():
      if isinstance(which, str):
        if which not in (vocabulary or ()):
          raise ValueError("classes_for_class_based_metrics: found "
                           f"'{which}'; allowed: an entry of label_vocabulary")
        self._of_classes_alone[which] = list(vocabulary).index(which)
      elif not 0 <= which < n_classes:
        raise ValueError("classes_for_class_based_metrics: found "
                         f"{which}; allowed: 0 to {n_classes - 1}")
      else:
        self._of_classes_alone[vocabulary[which] if vocabulary
                               else f"class{which}"] = which

  def _labels(self, labels, logits):
    if isinstance(labels, tf.SparseTensor):
      numbers = self._numbers(labels.values)
      if not numbers.dtype.is_integer:
        raise ValueError(f"labels of {self._described()}: found sparse "
                         f"{numbers.dtype.name}; allowed: whole numbers, or "
                         "strings with a label_vocabulary")
      numbers = self._in_range(numbers, self._count - 1)
      rows = labels.indices[:, 0]
      ones = tf.scatter_nd(
          tf.stack([rows, tf.cast(numbers, tf.int64)], 1),
          tf.ones_like(rows), tf.shape(logits, out_type=tf.int64))
      return tf.cast(ones > 0, tf.int64)
    labels = self._dense_labels(labels, logits, self._count)
    if not (labels.dtype.is_floating or labels.dtype.is_integer):
      raise ValueError(f"labels of {self._described()}: found "
                       f"{labels.dtype.name}; allowed: zeros and ones, or "
                       "sparse strings with a label_vocabulary")
    return self._in_range(labels, 1)

  def _loss(self, labels, logits):
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.cast(labels, tf.float32), logits=logits), -1, keepdims=True)

  def _predictions(self, logits):
    return {"logits": logits, "probabilities": tf.sigmoid(logits)}

  def _metrics(self, found, predictions):
    return head_metrics.multi_label(found, predictions, self._thresholds,
                                    self._of_classes_alone)


class _Regression(head_lib.Head):
  """Numbers; see `regression_head`."""

  _loss_width = None
  _weighs_numbers = True

  def __init__(self, weight_column, label_dimension, loss_reduction, loss_fn,
               inverse_link_fn, name):
    super().__init__(name, label_dimension, weight_column, loss_reduction,
                     loss_fn)
    self._inverse_link_fn = inverse_link_fn

  def _labels(self, labels, logits):
    return tf.cast(self._dense_labels(labels, logits, self._logits_dimension),
                   tf.float32)

  def _loss(self, labels, logits):
    return tf.math.squared_difference(logits, labels)

  def _predictions(self, logits):
    if self._inverse_link_fn is None:
      return {"predictions": logits}
    return {"predictions": self._inverse_link_fn(logits), "logits": logits}

  def _outputs(self, predictions):
    output = export.RegressionOutput(predictions["predictions"])
    return {head_lib.DEFAULT: output, head_lib.REGRESSION: output}

  def _metrics(self, found, predictions):
    return {
        "prediction/mean": head_metrics.mean(predictions["predictions"],
                                             found.weights),
        "label/mean": head_metrics.mean(found.processed_labels, found.weights)}

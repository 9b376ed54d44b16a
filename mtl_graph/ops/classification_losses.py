"""Losses per row of classes: of two, of several, and of those in order."""

from typing import Optional, Sequence, Union

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes

# Cumulative logits nearer to each other than this count as this far apart: the
# loss stays finite, and the square of its gradient in float32's range.
_MIN_GAP = 1e-12


def sigmoid_cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    pos_weights: Optional[Union[float, Sequence[float]]] = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    name: str = "sigmoid_cross_entropy") -> tf.Tensor:
  """Computes the cross entropy of a binary label per entry.

  With `p = sigmoid(logit)` and the target `t = label (1 - e) + e / 2`,

  ```
    - w t (1 - p)^g log(p) - (1 - t) p^g log(1 - p)
  ```

  where `w` is the entry's `pos_weights`, `e` is `label_smoothing` and `g` is
  `focal_gamma`. By default that is `-label log(p) - (1 - label) log(1 - p)`.

  See "Focal Loss for Dense Object Detection" by Lin et al., section 3
  (https://arxiv.org/abs/1708.02002). With a smoothed label, which the paper
  does not treat, each of the two terms keeps a modulating factor of its own.

  Args:
    labels: Labels, 0 or 1, shape `[B]` or `[B, C]`.
    logits: Logits, shape of the labels.
    pos_weights: Factor on the term of label 1, above 0: a number, or one per
      column, `[C]`. None is 1.
    label_smoothing: How far the target is from the label, at least 0, below 1.
    focal_gamma: Exponent of the modulating factor, at least 0.
    name: Name scope of the op.

  Returns:
    The losses, shape of the labels.

  Raises:
    ValueError: If the tensors are not vectors or matrices of one shape,
      `pos_weights` does not fit them, or a number is out of its range.
  """
  shapes.check_pair(labels, logits, "logits", name)
  factors = np.asarray(1.0 if pos_weights is None else pos_weights)
  if not np.all(factors > 0):
    raise ValueError(f"{name}: `pos_weights` must be above 0, found "
                     f"{pos_weights}.")
  _check_modifiers(label_smoothing, focal_gamma, name)
  with tf.name_scope(name):
    targets = labels
    if label_smoothing:
      targets = labels * (1 - label_smoothing) + 0.5 * label_smoothing
    weighted = factors.ndim > 0 or factors != 1
    if not weighted and not focal_gamma:
      return tf.nn.sigmoid_cross_entropy_with_logits(labels=targets,
                                                     logits=logits)
    # softplus(-z) is -log(p) and softplus(z) is -log(1 - p).
    surprise, opposite = tf.nn.softplus(-logits), tf.nn.softplus(logits)
    positive, negative = targets * surprise, (1 - targets) * opposite
    if focal_gamma:
      # As exponentials: powers have no slope at 0 for an exponent below 1.
      positive *= tf.exp(-focal_gamma * opposite)
      negative *= tf.exp(-focal_gamma * surprise)
    if weighted:
      factors = tf.constant(factors, logits.dtype)
      if factors.shape.rank:
        shape = labels.shape.merge_with(logits.shape)
        shapes.check(factors, [None] if shape.rank is None
                     else shape.as_list()[1:], "pos_weights", name)
      positive *= factors
    return positive + negative


def softmax_cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    class_weights: Optional[Sequence[float]] = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    name: str = "softmax_cross_entropy") -> tf.Tensor:
  """Computes the cross entropy of a class label per row.

  With `p = softmax(logits)` and the target `t_c = [c = label] (1 - e) + e / C`,

  ```
    - w_label sum_c t_c (1 - p_c)^g log(p_c)
  ```

  where `w` is `class_weights`, `e` is `label_smoothing` and `g` is
  `focal_gamma`. By default that is `-log(p_label)`.

  See "Focal Loss for Dense Object Detection" by Lin et al., section 3
  (https://arxiv.org/abs/1708.02002). With a smoothed label, which the paper
  does not treat, each class's term keeps a modulating factor of its own.

  Args:
    labels: Class indices, 0 to C - 1, int32, shape `[B]`.
    logits: Logits, shape `[B, C]`.
    class_weights: Factor on the loss of rows of each class, at least 0, `[C]`.
      None is 1 for all.
    label_smoothing: How far the target is from one-hot, at least 0, below 1.
    focal_gamma: Exponent of the modulating factor, at least 0.
    name: Name scope of the op.

  Returns:
    The losses, shape `[B]`.

  Raises:
    ValueError: If `labels` is not a vector, or `logits` not a matrix of as
      many rows, its number of columns is not known (and the loss smoothed or
      focal), `class_weights` does not fit it, or a number is out of its range.
  """
  rows = shapes.check(labels, [None], "labels", name)
  columns = shapes.check(logits, rows + [None], "logits", name)[1:]
  if class_weights is not None and not np.all(np.asarray(class_weights) >= 0):
    raise ValueError(f"{name}: `class_weights` must be at least 0, found "
                     f"{class_weights}.")
  _check_modifiers(label_smoothing, focal_gamma, name)
  with tf.name_scope(name):
    if label_smoothing or focal_gamma:
      losses = _modified_softmax(labels, logits, label_smoothing, focal_gamma,
                                 name)
    else:
      losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels,
                                                              logits=logits)
    if class_weights is not None:
      factors = tf.constant(np.asarray(class_weights), logits.dtype)
      shapes.check(factors, columns, "class_weights", name)
      losses *= tf.gather(factors, labels)
    return losses


def ordinal_cross_entropy(labels: tf.Tensor, cumulative_logits: tf.Tensor,
                          name: str = "ordinal_cross_entropy") -> tf.Tensor:
  """Computes the cross entropy of a label out of classes in order.

  With `c_k` the logit of being in one of the classes 0 to `k`,

  ```
    -log(sigmoid(c_label) - sigmoid(c_{label - 1}))
      = softplus(-c_label) + softplus(c_{label - 1})
        - log(1 - exp(c_{label - 1} - c_label))
  ```

  where `c_{-1}` is minus infinity and `c_{K - 1}` infinity, so that the first
  class has the first term alone and the last class the second.

  Where the two logits of a class are equal, or out of order, the loss is
  infinite. Here they then count as 1e-12 apart in the last term, which comes to
  27.6; that term has no gradient there, while the other two keep theirs, which
  is that of moving both logits together.

  See "Regression Models for Ordinal Data" by McCullagh, 1980, section 2.

  Args:
    labels: Class indices, 0 to K - 1, int32, shape `[B]`.
    cumulative_logits: Logits, not decreasing along a row, shape `[B, K - 1]`.
    name: Name scope of the op.

  Returns:
    The losses, shape `[B]`.

  Raises:
    ValueError: If `labels` is not a vector, or `cumulative_logits` not a
      matrix of as many rows and a known number of columns.
  """
  rows = shapes.check(labels, [None], "labels", name)
  shapes.check(cumulative_logits, rows + [None], "cumulative_logits", name)
  last_class = _columns(cumulative_logits, "cumulative_logits", name)
  with tf.name_scope(name):
    dtype = cumulative_logits.dtype
    # One-hot rows of zeros where there is no such logit. The two logits are
    # chosen before anything is computed, so that no other class's gap, however
    # narrow, can reach the gradient.
    upper = tf.reduce_sum(cumulative_logits * tf.one_hot(
        labels, last_class, dtype=dtype), 1)
    lower = tf.reduce_sum(cumulative_logits * tf.one_hot(
        labels - 1, last_class, dtype=dtype), 1)
    zeros = tf.zeros_like(upper)
    has_upper, has_lower = labels < last_class, labels > 0
    has_both = tf.logical_and(has_upper, has_lower)
    gap = tf.where(has_both, tf.maximum(upper - lower, _MIN_GAP),
                   tf.ones_like(upper))
    return (tf.where(has_upper, tf.nn.softplus(-upper), zeros)
            + tf.where(has_lower, tf.nn.softplus(lower), zeros)
            - tf.where(has_both, tf.log(-tf.math.expm1(-gap)), zeros))


def ordinal_probabilities(cumulative_logits: tf.Tensor,
                          name: str = "ordinal_probabilities") -> tf.Tensor:
  """Computes the probabilities of classes in order.

  With `c_k` the logit of being in one of the classes 0 to `k`,

  ```
    p_k = sigmoid(c_k) - sigmoid(c_{k - 1})
        = sigmoid(c_k) sigmoid(-c_{k - 1}) (1 - exp(c_{k - 1} - c_k))
  ```

  where `c_{-1}` is minus infinity and `c_{K - 1}` infinity. The product loses
  no digits where the difference would.

  Args:
    cumulative_logits: Logits, not decreasing along a row, shape `[B, K - 1]`.
    name: Name scope of the op.

  Returns:
    The probabilities, shape `[B, K]`.

  Raises:
    ValueError: If `cumulative_logits` is not a matrix.
  """
  shapes.check(cumulative_logits, [None, None], "cumulative_logits", name)
  with tf.name_scope(name):
    ones = tf.ones_like(cumulative_logits[:, :1])
    gaps = cumulative_logits[:, 1:] - cumulative_logits[:, :-1]
    return (tf.concat([tf.nn.sigmoid(cumulative_logits), ones], 1)
            * tf.concat([ones, tf.nn.sigmoid(-cumulative_logits)], 1)
            * tf.concat([ones, -tf.math.expm1(-gaps), ones], 1))


def _modified_softmax(labels, logits, label_smoothing, focal_gamma, op):
  """Computes the softmax cross entropy, smoothed or focal, before weights."""
  num_classes = _columns(logits, "logits", op)
  targets = tf.one_hot(labels, num_classes, dtype=logits.dtype,
                       on_value=1 - label_smoothing * (1 - 1 / num_classes),
                       off_value=label_smoothing / num_classes)
  if not focal_gamma:
    return tf.nn.softmax_cross_entropy_with_logits_v2(labels=targets,
                                                      logits=logits)
  # Where a class is all but certain, its p rounds to 1. So the most probable
  # class is set against the others together, as in a binary task; those have a
  # p of at most a half.
  top = tf.argmax(logits, 1)
  is_top = tf.one_hot(top, num_classes, dtype=logits.dtype)
  is_rest = 1 - is_top
  others = tf.where_v2(
      tf.one_hot(top, num_classes, on_value=True, off_value=False),
      logits.dtype.min, logits)
  margin = (tf.reduce_sum(is_top * logits, 1, keepdims=True)
            - tf.reduce_logsumexp(others, 1, keepdims=True))
  log_softmax = tf.nn.log_softmax(logits)
  log_p = is_rest * log_softmax - is_top * tf.nn.softplus(-margin)
  log_complement = (tf.log1p(-is_rest * tf.exp(log_softmax))
                    - is_top * tf.nn.softplus(margin))
  return -tf.reduce_sum(
      targets * tf.exp(focal_gamma * log_complement) * log_p, 1)


def _check_modifiers(label_smoothing, focal_gamma, op):
  if not 0 <= label_smoothing < 1:
    raise ValueError(f"{op}: `label_smoothing` must be at least 0 and below 1, "
                     f"found {label_smoothing}.")
  if not 0 <= focal_gamma < float("inf"):
    raise ValueError(f"{op}: `focal_gamma` must be at least 0, found "
                     f"{focal_gamma}.")


def _columns(matrix, argument, op):
  size = tf.TensorShape([None, None]).merge_with(matrix.shape)[1]
  if tf.dimension_value(size) is None:
    raise ValueError(f"{op}: `{argument}` must have a number of columns known "
                     f"at graph time, found {matrix.shape}.")
  return tf.dimension_value(size)

"""Tests of the losses per row of two classes and of several."""

import itertools

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.ops import classification_losses

_LABELS = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
_LOGITS = np.array([0.3, -2.0, 1.0, 4.0, 2.5, -0.7, 0.5, -3.1])
_MODIFIERS = tuple(
    {"label_smoothing": smoothing, "focal_gamma": gamma}
    for smoothing, gamma in itertools.product((0.0, 0.2), (0.0, 0.5, 2.0)))


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _binary(y, z, w=1.0, label_smoothing=0.0, focal_gamma=0.0):
  """The binary loss as its docstring has it."""
  p = _sigmoid(z)
  t = y * (1 - label_smoothing) + label_smoothing / 2
  return (-w * t * (1 - p) ** focal_gamma * np.log(p)
          - (1 - t) * p ** focal_gamma * np.log(1 - p))


def _multiclass(y, z, w=None, label_smoothing=0.0, focal_gamma=0.0):
  """The multiclass loss as its docstring has it."""
  classes = z.shape[1]
  p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
  t = np.eye(classes)[y] * (1 - label_smoothing) + label_smoothing / classes
  losses = -(t * (1 - p) ** focal_gamma * np.log(p)).sum(1)
  return losses if w is None else np.array(w)[y] * losses


def _run(op, labels, logits, dtype=tf.float32, label_dtype=None, **kwargs):
  """Returns the losses and the gradient of their sum by the logits."""
  with tf.Graph().as_default(), tf.Session() as session:
    logits = tf.constant(logits, dtype)
    losses = op(tf.constant(labels, label_dtype or dtype), logits, **kwargs)
    return session.run([losses, tf.gradients(losses, logits)[0]])


def _sigmoid_run(labels, logits, dtype=tf.float32, **kwargs):
  return _run(classification_losses.sigmoid_cross_entropy, labels, logits,
              dtype, **kwargs)


def _softmax_run(labels, logits, dtype=tf.float32, **kwargs):
  return _run(classification_losses.softmax_cross_entropy, labels, logits,
              dtype, tf.int32, **kwargs)


def _slopes(formula, logits, step=1e-6):
  """Returns the central differences of a loss summed over rows."""
  slopes = np.zeros(np.shape(logits))
  for index in np.ndindex(*np.shape(logits)):
    up, down = np.array(logits), np.array(logits)
    up[index] += step
    down[index] -= step
    slopes[index] = (np.sum(formula(up)) - np.sum(formula(down))) / (2 * step)
  return slopes


def _op_types(build):
  """Returns the types of the ops that a function adds to an empty graph."""
  with tf.Graph().as_default() as graph:
    arguments = (tf.placeholder(tf.float32, [2]), tf.placeholder(
        tf.int32, [2]), tf.placeholder(tf.float32, [2, 3]))
    before = len(graph.get_operations())
    build(*arguments)
    return [op.type for op in graph.get_operations()[before:]]


class SigmoidCrossEntropyTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(shape=([8], [4, 2], [8, 1]),
                         pos_weights=(None, 1.0, 3, 0.5),
                         modifiers=_MODIFIERS)
  def test_matches_formula(self, shape, pos_weights, modifiers):
    labels, logits = _LABELS.reshape(shape), _LOGITS.reshape(shape)
    losses, gradient = _sigmoid_run(labels, logits, pos_weights=pos_weights,
                                    **modifiers)
    formula = lambda z: _binary(labels, z, pos_weights or 1, **modifiers)
    self.assertAllClose(losses, formula(logits), rtol=1e-5)
    self.assertAllClose(gradient, _slopes(formula, logits), rtol=1e-4,
                        atol=1e-6)

  @parameterized.parameters(*_MODIFIERS)
  def test_a_weight_per_column(self, **modifiers):
    labels, logits = _LABELS.reshape([4, 2]), _LOGITS.reshape([4, 2])
    losses, gradient = _sigmoid_run(labels, logits, tf.float64,
                                    pos_weights=[0.25, 4.0], **modifiers)
    formula = lambda z: _binary(labels, z, np.array([0.25, 4.0]), **modifiers)
    self.assertAllClose(losses, formula(logits), rtol=1e-12)
    self.assertAllClose(gradient, _slopes(formula, logits), rtol=1e-6,
                        atol=1e-8)

  @parameterized.parameters(
      {}, {"pos_weights": None}, {"pos_weights": 1.0}, {"pos_weights": 1},
      {"label_smoothing": 0.0, "focal_gamma": 0.0})
  def test_by_default_tensorflows_op_alone(self, **options):
    found = _op_types(
        lambda x, *_: classification_losses.sigmoid_cross_entropy(x, x,
                                                                  **options))
    expected = _op_types(
        lambda x, *_: tf.nn.sigmoid_cross_entropy_with_logits(labels=x,
                                                              logits=x))
    self.assertNotEmpty(expected)
    self.assertEqual(found, expected)

  def test_one_weight_for_all_is_one_for_each(self):
    labels, logits = _LABELS.reshape([4, 2]), _LOGITS.reshape([4, 2])
    one, _ = _sigmoid_run(labels, logits, pos_weights=3.0)
    each, _ = _sigmoid_run(labels, logits, pos_weights=np.array([3.0, 3.0]))
    self.assertAllEqual(one, each)

  @parameterized.product(modifiers=_MODIFIERS, pos_weights=(None, 3.0),
                         logit=(50.0, 1e3, 1e30))
  def test_far_logits_stay_finite(self, modifiers, pos_weights, logit):
    labels = [0.0, 1.0, 0.0, 1.0]
    losses, gradient = _sigmoid_run(labels, [logit, logit, -logit, -logit],
                                    pos_weights=pos_weights, **modifiers)
    # Only the term of the improbable label is left, whole.
    weight = pos_weights or 1
    half = modifiers["label_smoothing"] / 2
    slopes = np.array([1 - half, half, -weight * half, -weight * (1 - half)])
    self.assertAllClose(losses / logit, np.abs(slopes), atol=1e-6)
    self.assertAllClose(gradient, slopes, atol=1e-6)

  @parameterized.parameters(10.0, 20.0)
  def test_focal_of_an_easy_row_keeps_its_digits(self, logit):
    # At 20, p rounds to 1 in float32.
    formula = lambda z: np.log1p(np.exp(-z)) / (1 + np.exp(z)) ** 2
    losses, gradient = _sigmoid_run([1.0, 0.0], [logit, -logit],
                                    focal_gamma=2.0)
    self.assertAllClose(losses / formula(logit), [1, 1], rtol=1e-5)
    slope = _slopes(formula, logit) / formula(logit)
    self.assertAllClose(gradient / formula(logit), [slope, -slope], rtol=1e-5)

  def test_missing_labels_cleaned_before_leave_the_rest_alone(self):
    with tf.Graph().as_default(), tf.Session() as session:
      found = tf.constant([[1.0, np.nan], [np.nan, 0.0]])
      logits = tf.constant([[0.5, 2.0], [1.0, -1.0]])
      present = tf.logical_not(tf.is_nan(found))
      labels = tf.where(present, found, tf.zeros_like(found))
      losses = classification_losses.sigmoid_cross_entropy(
          labels, logits, pos_weights=[2.0, 3.0], label_smoothing=0.1,
          focal_gamma=2.0)
      kept = tf.where(present, losses, tf.zeros_like(losses))
      kept, gradient = session.run([kept, tf.gradients(kept, logits)[0]])
    options = {"label_smoothing": 0.1, "focal_gamma": 2.0}
    expected = lambda z: np.array(
        [[_binary(1, z[0, 0], 2, **options), 0],
         [0, _binary(0, z[1, 1], 3, **options)]])
    z = np.array([[0.5, 2.0], [1.0, -1.0]])
    self.assertAllClose(kept, expected(z), rtol=1e-5)
    self.assertAllClose(gradient, _slopes(expected, z), rtol=1e-4)

  @parameterized.parameters({}, {"pos_weights": 2.0}, {"label_smoothing": 0.1},
                            {"focal_gamma": 2.0})
  def test_unknown_batch_size(self, **options):
    numbers = dict(options)
    weight = numbers.pop("pos_weights", 1)
    with tf.Graph().as_default(), tf.Session() as session:
      for shape in ([None], [None, 2], None):
        labels = tf.placeholder(tf.float32, shape)
        logits = tf.placeholder(tf.float32, shape)
        losses = classification_losses.sigmoid_cross_entropy(labels, logits,
                                                             **options)
        self.assertEqual(losses.shape.rank, shape and len(shape))
        for size in (0, 1, 4):
          columns = (shape or [None])[1:]
          y = _LABELS.reshape([-1] + columns)[:size]
          z = _LOGITS.reshape([-1] + columns)[:size]
          self.assertAllClose(session.run(losses, {labels: y, logits: z}),
                              _binary(y, z, weight, **numbers), rtol=1e-5)

  @parameterized.parameters(
      ([], [], "labels", r"\[any\] or \[any, any\], found \(\)"),
      ([2, 1, 1], [2], "labels",
       r"\[any\] or \[any, any\], found \(2, 1, 1\)"),
      (None, [], "logits", r"\[any\] or \[any, any\], found \(\)"),
      ([2], [3], "logits", r"\[2\], found \(3,\)"),
      ([2], [2, 1], "logits", r"\[2\], found \(2, 1\)"),
      ([2, 3], [2, 1], "logits", r"\[2, 3\], found \(2, 1\)"),
      ([None], [2, 1], "logits", r"\[any\], found \(2, 1\)"))
  def test_bad_shape_names_the_argument(self, labels, logits, argument,
                                        message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError,
        f"^sigmoid_cross_entropy: `{argument}` must have shape {message}"):
      classification_losses.sigmoid_cross_entropy(
          tf.placeholder(tf.float32, labels),
          tf.placeholder(tf.float32, logits))

  @parameterized.parameters(
      ([4], [2.0, 3.0], r"\[\], found \(2,\)"),
      ([4], [2.0], r"\[\], found \(1,\)"),
      ([None, 3], [2.0, 3.0], r"\[3\], found \(2,\)"),
      ([None, 3], [], r"\[3\], found \(0,\)"),
      (None, [[2.0]], r"\[any\], found \(1, 1\)"))
  def test_bad_shape_of_weights(self, shape, weights, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError,
        f"^sigmoid_cross_entropy: `pos_weights` must have shape {message}"):
      tensor = tf.placeholder(tf.float32, shape)
      classification_losses.sigmoid_cross_entropy(tensor, tensor,
                                                  pos_weights=weights)

  @parameterized.parameters(
      ({"pos_weights": 0.0}, "`pos_weights` must be above 0, found 0.0"),
      ({"pos_weights": [1, -1]}, r"`pos_weights` must be above 0, found \[1, "),
      ({"pos_weights": np.nan}, "`pos_weights` must be above 0, found nan"),
      ({"label_smoothing": 1.0},
       "`label_smoothing` must be at least 0 and below 1, found 1.0"),
      ({"label_smoothing": -0.1},
       "`label_smoothing` must be at least 0 and below 1, found -0.1"),
      ({"focal_gamma": -1.0}, "`focal_gamma` must be at least 0, found -1.0"),
      ({"focal_gamma": np.nan}, "`focal_gamma` must be at least 0, found nan"))
  def test_bad_option_is_refused(self, options, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^sigmoid_cross_entropy: {message}"):
      classification_losses.sigmoid_cross_entropy(
          tf.zeros([3, 2]), tf.zeros([3, 2]), **options)


class SoftmaxCrossEntropyTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.product(class_weights=(None, [0.5, 0.0, 3.0], (1, 1, 1)),
                         modifiers=_MODIFIERS)
  def test_matches_formula(self, class_weights, modifiers):
    logits = np.random.default_rng(0).normal(size=[5, 3]) * 3
    labels = np.array([0, 2, 1, 1, 0])
    losses, gradient = _softmax_run(labels, logits,
                                    class_weights=class_weights, **modifiers)
    formula = lambda z: _multiclass(labels, z, class_weights, **modifiers)
    self.assertAllClose(losses, formula(logits), rtol=1e-4)
    self.assertAllClose(gradient, _slopes(formula, logits), rtol=1e-4,
                        atol=1e-5)

  @parameterized.parameters(*_MODIFIERS)
  def test_matches_formula_in_float64(self, **modifiers):
    # Two rows have no single most probable class.
    logits = np.array([[1.0, 1.0, -2.0], [0.5, 0.5, 0.5], [9.0, -9.0, 0.0],
                       [-1.0, 3.0, 2.9]])
    for label in range(3):
      labels = np.full([4], label)
      losses, gradient = _softmax_run(labels, logits, tf.float64, **modifiers)
      formula = lambda z: _multiclass(labels, z, **modifiers)
      self.assertAllClose(losses, formula(logits), rtol=1e-11)
      self.assertAllClose(gradient, _slopes(formula, logits), rtol=1e-6,
                          atol=1e-8)

  @parameterized.parameters({}, {"class_weights": None},
                            {"label_smoothing": 0.0, "focal_gamma": 0.0})
  def test_by_default_tensorflows_op_alone(self, **options):
    found = _op_types(
        lambda _, y, x: classification_losses.softmax_cross_entropy(
            y, x, **options))
    expected = _op_types(
        lambda _, y, x: tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=y, logits=x))
    self.assertNotEmpty(expected)
    self.assertEqual(found, expected)

  @parameterized.product(
      modifiers=_MODIFIERS, pos_weight=(None, 4.0))
  def test_two_classes_are_the_sigmoid(self, modifiers, pos_weight):
    if pos_weight and modifiers["label_smoothing"]:
      # A class's weight goes on the row, a positive's on the term alone.
      pos_weight = None
    losses, _ = _softmax_run(
        _LABELS, np.stack([np.zeros(8), _LOGITS], 1),
        class_weights=pos_weight and [1.0, pos_weight], **modifiers)
    binary, _ = _sigmoid_run(_LABELS, _LOGITS, pos_weights=pos_weight,
                             **modifiers)
    self.assertAllClose(losses, binary, rtol=1e-5)

  @parameterized.parameters(*_MODIFIERS)
  def test_a_shift_of_the_logits_changes_nothing(self, **modifiers):
    logits = np.random.default_rng(3).normal(size=[5, 4])
    shifted = logits + np.arange(5)[:, None] * 1000
    for label in range(4):
      a = _softmax_run([label] * 5, logits, tf.float64, **modifiers)
      b = _softmax_run([label] * 5, shifted, tf.float64, **modifiers)
      self.assertAllClose(a[0], b[0], rtol=1e-9)
      self.assertAllClose(a[1], b[1], rtol=1e-9, atol=1e-10)

  @parameterized.product(modifiers=_MODIFIERS, logit=(50.0, 1e4, 1e30))
  def test_far_logits_stay_finite(self, modifiers, logit):
    losses, gradient = _softmax_run([0, 1], [[logit, -logit, 0.0]] * 2,
                                    **modifiers)
    # Of the improbable classes the whole terms are left, of the first nothing.
    third = modifiers["label_smoothing"] / 3
    hard = 1 - modifiers["label_smoothing"]
    targets = np.array([[hard + third, third, third],
                        [third, hard + third, third]])
    self.assertAllClose(losses / logit, targets @ [0, 2, 1], atol=1e-6)
    self.assertAllClose(gradient, np.stack(
        [targets[:, 1] + targets[:, 2], -targets[:, 1], -targets[:, 2]], 1),
                        atol=1e-6)

  @parameterized.parameters((10.0, 2.0), (20.0, 2.0), (20.0, 0.5))
  def test_focal_of_an_easy_row_keeps_its_digits(self, logit, gamma):
    # At 20, p rounds to 1 in float32.
    formula = lambda z: (np.log1p(2 * np.exp(-z))
                         * (2 / (2 + np.exp(z))) ** gamma)
    losses, gradient = _softmax_run([2], [[0.0, 0.0, logit]],
                                    focal_gamma=gamma)
    self.assertAllClose(losses / formula(logit), [1], rtol=1e-5)
    slope = _slopes(formula, logit) / formula(logit)
    self.assertAllClose(gradient / formula(logit),
                        [[-slope / 2, -slope / 2, slope]], rtol=1e-5)

  def test_a_class_of_weight_zero_counts_for_nothing(self):
    losses, gradient = _softmax_run([1, 0, 1], [[1.0, 2.0]] * 3,
                                    class_weights=[0.0, 2.0])
    self.assertEqual(losses[1], 0)
    self.assertAllEqual(gradient[1], [0, 0])
    self.assertEqual(losses[0], losses[2])

  @parameterized.parameters(
      {}, {"class_weights": [1.0, 1.0]}, {"label_smoothing": 0.1},
      {"focal_gamma": 2.0})
  def test_unknown_batch_size_and_label_without_gradient(self, **options):
    numbers = dict(options)
    weights = numbers.pop("class_weights", None)
    with tf.Graph().as_default(), tf.Session() as session:
      labels = tf.placeholder(tf.int32, [None])
      logits = tf.placeholder(tf.float32, [None, 2])
      losses = classification_losses.softmax_cross_entropy(labels, logits,
                                                           **options)
      self.assertEqual(losses.shape.as_list(), [None])
      self.assertEqual(tf.gradients(losses, [labels]), [None])
      z = np.stack([_LOGITS, -0.5 * _LOGITS], 1)
      for size in (0, 1, 8):
        y = _LABELS[:size].astype(int)
        self.assertAllClose(
            session.run(losses, {labels: y, logits: z[:size]}),
            _multiclass(y, z[:size], weights, **numbers), rtol=1e-4)

  def test_unknown_number_of_classes(self):
    with tf.Graph().as_default(), tf.Session() as session:
      labels = tf.placeholder(tf.int32, [None])
      logits = tf.placeholder(tf.float32, [None, None])
      losses = classification_losses.softmax_cross_entropy(
          labels, logits, class_weights=[2.0, 1.0])
      self.assertAllClose(
          session.run(losses, {labels: [1, 0], logits: np.zeros([2, 2])}),
          np.log(2) * np.array([1, 2]))
      for options in ({"label_smoothing": 0.1}, {"focal_gamma": 2.0}):
        with self.assertRaisesRegex(
            ValueError, "^softmax_cross_entropy: `logits` must have a number "
            r"of columns known at graph time, found \(None, None\)"):
          classification_losses.softmax_cross_entropy(labels, logits, **options)

  @parameterized.parameters(
      ([2, 1], [2, 3], None, "labels", r"\[any\], found \(2, 1\)"),
      ([2], [2], None, "logits", r"\[2, any\], found \(2,\)"),
      ([2], [3, 4], None, "logits", r"\[2, any\], found \(3, 4\)"),
      ([2], [2, 3], [1, 2], "class_weights", r"\[3\], found \(2,\)"),
      ([2], [2, 3], [], "class_weights", r"\[3\], found \(0,\)"),
      ([2], [2, 3], 2.0, "class_weights", r"\[3\], found \(\)"),
  )
  def test_bad_shape_names_the_argument(self, labels, logits, weights,
                                        argument, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError,
        f"^softmax_cross_entropy: `{argument}` must have shape {message}"):
      classification_losses.softmax_cross_entropy(
          tf.placeholder(tf.int32, labels), tf.placeholder(tf.float32, logits),
          class_weights=weights)

  @parameterized.parameters(
      ({"class_weights": [1, -1]},
       r"`class_weights` must be at least 0, found \[1, -1\]"),
      ({"class_weights": [1, np.nan]},
       r"`class_weights` must be at least 0, found \[1, nan\]"),
      ({"label_smoothing": 1.0},
       "`label_smoothing` must be at least 0 and below 1, found 1.0"),
      ({"focal_gamma": -1.0}, "`focal_gamma` must be at least 0, found -1.0"))
  def test_bad_option_is_refused(self, options, message):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, f"^softmax_cross_entropy: {message}"):
      classification_losses.softmax_cross_entropy(
          tf.zeros([3], tf.int32), tf.zeros([3, 2]), **options)


if __name__ == "__main__":
  absltest.main()

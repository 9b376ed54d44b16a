"""Tests of batch and layer normalization."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf
# TensorFlow 1's own, which its layers called; no longer public.
from tensorflow.python.training import moving_averages

from mtl_graph.layers import normalization
from tests import numeric_gradient

_RANDOM = np.random.default_rng(0)
_MATRIX = (3 * _RANDOM.normal(size=[6, 3]) + 2).astype(np.float32)
_IMAGES = (3 * _RANDOM.normal(size=[2, 4, 3, 2]) + 2).astype(np.float32)
_BOTH = (("matrix", _MATRIX), ("images", _IMAGES))
_VALUES = {"gamma": [0.5, -1.2, 2.0], "beta": [0.3, 0.0, -0.7],
           "moving_mean": [1.0, 2.5, 0.0], "moving_variance": [4.0, 0.5, 9.0]}


def _load(session, channels):
  """Sets all variables and returns their values, by the end of their names."""
  values = {}
  for variable in tf.global_variables():
    name = variable.op.name.rpartition("/")[2]
    values[name] = np.array(_VALUES[name][:channels])
    variable.load(values[name], session)
  return values


def _axes(x):
  return tuple(range(x.ndim - 1))


def _batch_formula(x, epsilon=1e-3, gamma=1.0, beta=0.0, mean=None,
                   variance=None):
  if mean is None:
    mean, variance = x.mean(_axes(x)), x.var(_axes(x))
  return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def _layer_formula(x, epsilon=1e-12, gamma=1.0, beta=0.0):
  axes = tuple(range(1, x.ndim))
  return gamma * (x - x.mean(axes, keepdims=True)) / np.sqrt(
      x.var(axes, keepdims=True) + epsilon) + beta


class BatchNormalizationTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(*_BOTH)
  def test_training_matches_formula_and_its_gradients(self, x):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(x)
      outputs = normalization.batch_normalization(inputs, True, epsilon=0.1,
                                                  updates=[])
      values = _load(session, x.shape[-1])
      upstream = _RANDOM.normal(size=x.shape)
      found, *gradients = session.run([outputs, *tf.gradients(
          outputs, [inputs] + tf.trainable_variables(),
          tf.constant(upstream, tf.float32))])
    parts = [x.astype(np.float64), values["gamma"], values["beta"]]
    def formula(x, gamma, beta):
      return _batch_formula(x, 0.1, gamma, beta)
    self.assertAllClose(found, formula(*parts), rtol=1e-5, atol=1e-5)
    self.assertLen(gradients, 3)
    for i, gradient in enumerate(gradients):
      self.assertAllClose(
          gradient, numeric_gradient.of(
              lambda p, i=i: np.sum(upstream * formula(
                  *parts[:i], p, *parts[i + 1:])), parts[i]),
          rtol=1e-4, atol=1e-4)

  @parameterized.named_parameters(*_BOTH)
  def test_elsewhere_matches_formula_and_its_gradients(self, x):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs, updates = tf.constant(x), []
      outputs = normalization.batch_normalization(inputs, False,
                                                  updates=updates)
      self.assertEmpty(updates)
      self.assertEmpty(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
      v = _load(session, x.shape[-1])
      upstream = _RANDOM.normal(size=x.shape)
      found, *gradients = session.run([outputs, *tf.gradients(
          outputs, [inputs] + tf.trainable_variables(),
          tf.constant(upstream, tf.float32))])
    factor = 1 / np.sqrt(v["moving_variance"] + 1e-3)
    self.assertAllClose(found, _batch_formula(
        x, 1e-3, v["gamma"], v["beta"], v["moving_mean"],
        v["moving_variance"]), rtol=1e-5, atol=1e-5)
    for gradient, expected in zip(gradients, (
        upstream * v["gamma"] * factor,
        (upstream * (x - v["moving_mean"]) * factor).sum(_axes(x)),
        upstream.sum(_axes(x)))):
      self.assertAllClose(gradient, expected, rtol=1e-4, atol=1e-5)

  @parameterized.product(training=(True, False), center=(True, False),
                         scale=(True, False))
  def test_variables_have_the_names_of_tf_layers(self, training, center, scale):
    with tf.Graph().as_default(), tf.Session() as session:
      with tf.variable_scope("outer"):
        outputs = normalization.batch_normalization(
            tf.constant(_MATRIX), training, center=center, scale=scale,
            name="trunk/batch_normalization")
      scope = "outer/trunk/batch_normalization/"
      trained = ["gamma"] * scale + ["beta"] * center
      self.assertEqual([v.op.name for v in tf.trainable_variables()],
                       [scope + name for name in trained])
      self.assertEqual(
          {v.op.name: v.shape.as_list() for v in tf.global_variables()},
          {scope + name: [3]
           for name in trained + ["moving_mean", "moving_variance"]})
      session.run(tf.global_variables_initializer())
      for variable in tf.global_variables():
        is_one = variable.op.name.endswith(("gamma", "variance"))
        self.assertAllEqual(session.run(variable), [float(is_one)] * 3)
      v = _load(session, 3)
      statistics = ({} if training else dict(
          mean=v["moving_mean"], variance=v["moving_variance"]))
      self.assertAllClose(
          session.run(outputs), _batch_formula(
              _MATRIX, 1e-3, v.get("gamma", 1), v.get("beta", 0), **statistics),
          rtol=1e-5, atol=1e-5)

  def test_moving_statistics_get_no_gradient_in_training(self):
    with tf.Graph().as_default():
      outputs = normalization.batch_normalization(tf.constant(_MATRIX), True,
                                                  updates=[])
      moving = [v for v in tf.global_variables() if not v.trainable]
      self.assertEqual(tf.gradients(outputs, moving), [None, None])

  @parameterized.product(momentum=(0.9, 0.99, 0.0), case=_BOTH)
  def test_moving_statistics_follow_over_several_steps(self, momentum, case):
    shape = [None, *case[1].shape[1:]]
    batches = [(k + 1) * case[1] - k for k in range(4)]
    with tf.Graph().as_default(), tf.Session() as session:
      inputs, updates = tf.placeholder(tf.float32, shape), []
      normalization.batch_normalization(inputs, True, momentum, updates=updates)
      moving = [v for v in tf.global_variables() if not v.trainable]
      # What tf.layers called, in variables of its own.
      theirs = [tf.get_variable(f"theirs/{i}", v.shape, initializer=start,
                                trainable=False)
                for i, (v, start) in enumerate(zip(moving, (
                    tf.zeros_initializer(), tf.ones_initializer())))]
      reference = [
          moving_averages.assign_moving_average(
              v, value, momentum, zero_debias=False)
          for v, value in zip(theirs, tf.nn.moments(
              inputs, list(range(case[1].ndim - 1))))]
      self.assertLen(updates, 2)
      session.run(tf.global_variables_initializer())
      mean, variance = np.zeros(case[1].shape[-1]), np.ones(case[1].shape[-1])
      for batch in batches:
        session.run([updates, reference], {inputs: batch})
        batch = batch.astype(np.float64)
        mean = momentum * mean + (1 - momentum) * batch.mean(_axes(batch))
        variance = (momentum * variance
                    + (1 - momentum) * batch.var(_axes(batch)))
        found, expected = session.run([moving, theirs])
        self.assertAllClose(found, [mean, variance], rtol=1e-5)
        self.assertAllEqual(found, expected)

  def test_updates_run_only_when_asked(self):
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = normalization.batch_normalization(tf.constant(_MATRIX), True)
      moving = [v for v in tf.global_variables() if not v.trainable]
      updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
      self.assertLen(updates, 2)
      session.run(tf.global_variables_initializer())
      session.run(outputs)
      self.assertAllEqual(session.run(moving), [np.zeros(3), np.ones(3)])
      session.run(updates)
      self.assertAllClose(session.run(moving[0]), 0.01 * _MATRIX.mean(0))

  def test_updates_go_into_the_list_or_the_collection(self):
    with tf.Graph().as_default():
      updates = []
      normalization.batch_normalization(tf.constant(_MATRIX), True, name="a",
                                        updates=updates)
      self.assertLen(updates, 2)
      self.assertEmpty(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
      normalization.batch_normalization(tf.constant(_MATRIX), True, name="b",
                                        updates=updates)
      self.assertEqual([op.inputs[0].op.name for op in updates],
                       ["a/moving_mean", "a/moving_variance",
                        "b/moving_mean", "b/moving_variance"])

  def test_moving_statistics_follow_inside_a_loop_of_the_caller(self):
    def body(step):
      updates = []
      with tf.variable_scope("", reuse=True):
        normalization.batch_normalization(
            _MATRIX * tf.cast(step + 1, tf.float32), True, 0.9, updates=updates)
      with tf.control_dependencies(updates):
        return step + 1
    with tf.Graph().as_default(), tf.Session() as session:
      normalization.batch_normalization(tf.constant(_MATRIX), False)
      loop = tf.while_loop(lambda step: step < 3, body, (tf.constant(0),),
                           parallel_iterations=1, maximum_iterations=3)
      session.run(tf.global_variables_initializer())
      session.run(loop)
      mean, variance = session.run(tf.global_variables()[2:])
    factors = [0.1 * 0.9 ** (2 - k) * (k + 1) for k in range(3)]
    self.assertAllClose(mean, np.sum(factors) * _MATRIX.mean(0), rtol=1e-5)
    factors = [f * (k + 1) for k, f in enumerate(factors)]
    self.assertAllClose(variance, 0.9 ** 3 + np.sum(factors) * _MATRIX.var(0),
                        rtol=1e-5)

  def test_images_equal_the_fused_kernel_but_for_its_unbiased_variance(self):
    with tf.Graph().as_default(), tf.Session() as session:
      updates = []
      outputs = normalization.batch_normalization(tf.constant(_IMAGES), True,
                                                  0.0, updates=updates)
      fused, mean, variance = tf.nn.fused_batch_norm(
          _IMAGES, tf.ones([2]), tf.zeros([2]), epsilon=1e-3)
      session.run(tf.global_variables_initializer())
      session.run(updates)
      moving = [v for v in tf.global_variables() if not v.trainable]
      found, theirs = session.run([[outputs, *moving], [fused, mean, variance]])
    n = _IMAGES.size / 2
    self.assertAllClose(found[0], theirs[0], rtol=1e-5, atol=1e-5)
    self.assertAllClose(found[1], theirs[1], rtol=1e-5)
    self.assertAllClose(found[2] * n / (n - 1), theirs[2], rtol=1e-5)

  def test_reuse_makes_nothing_new(self):
    with tf.Graph().as_default(), tf.Session() as session:
      updates = []
      with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        both = [normalization.batch_normalization(
            tf.constant(_MATRIX), True, updates=updates) for _ in range(2)]
        normalization.batch_normalization(tf.constant(_MATRIX), False)
      self.assertLen(tf.global_variables(), 4)
      self.assertLen(updates, 4)
      session.run(tf.global_variables_initializer())
      self.assertAllEqual(*session.run(both))

  @parameterized.named_parameters(*_BOTH)
  def test_unknown_batch_size(self, x):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.placeholder(tf.float32, [None, *x.shape[1:]])
      with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        outputs = [normalization.batch_normalization(inputs, training)
                   for training in (True, False)]
      session.run(tf.global_variables_initializer())
      for tensor, sizes in zip(outputs, ((1, 2), (0, 2))):
        self.assertEqual(tensor.shape.as_list(), [None, *x.shape[1:]])
        for size in sizes:
          found = session.run(tensor, {inputs: x[:size]})
          self.assertEqual(found.shape, (size, *x.shape[1:]))
          self.assertAllInSet(np.isfinite(found), [True])

  @parameterized.named_parameters(*_BOTH)
  def test_equal_under_xla(self, x):
    with tf.Graph().as_default(), tf.Session() as session:
      def layer():
        inputs, updates = tf.constant(x), []
        with tf.variable_scope("", reuse=tf.AUTO_REUSE):
          outputs = normalization.batch_normalization(inputs, True,
                                                      updates=updates)
        gradients = tf.gradients(outputs ** 3,
                                 [inputs] + tf.trainable_variables())
        with tf.control_dependencies(updates + [outputs] + gradients):
          moving = [v.read_value() for v in tf.global_variables()
                    if not v.trainable]
        return [outputs] + gradients + moving
      plain = layer()
      compiled = tf2.function(layer, jit_compile=True)()
      self.assertLen(tf.global_variables(), 4)
      results = []
      for tensors in (plain, compiled):
        _load(session, x.shape[-1])
        results.append(session.run(tensors))
      self.assertNotAllClose(results[0][-1], _VALUES["moving_variance"][
          :x.shape[-1]], rtol=1e-3)
      for a, b in zip(*results):
        self.assertAllClose(a, b, rtol=1e-4, atol=1e-4)


class LayerNormalizationTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(*_BOTH)
  def test_matches_formula_and_its_gradients(self, x):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(x)
      outputs = normalization.layer_normalization(inputs, 0.1)
      values = _load(session, x.shape[-1])
      upstream = _RANDOM.normal(size=x.shape)
      found, *gradients = session.run([outputs, *tf.gradients(
          outputs, [inputs] + tf.trainable_variables(),
          tf.constant(upstream, tf.float32))])
    parts = [x.astype(np.float64), values["gamma"], values["beta"]]
    def formula(x, gamma, beta):
      return _layer_formula(x, 0.1, gamma, beta)
    self.assertAllClose(found, formula(*parts), rtol=1e-5, atol=1e-5)
    self.assertLen(gradients, 3)
    for i, gradient in enumerate(gradients):
      self.assertAllClose(
          gradient, numeric_gradient.of(
              lambda p, i=i: np.sum(upstream * formula(
                  *parts[:i], p, *parts[i + 1:])), parts[i]),
          rtol=1e-4, atol=1e-4)

  def test_default_epsilon_is_that_of_the_schema(self):
    # Rows that vary so little that an epsilon of 1e-12 counts.
    x = np.float32([[-1e-6, 1e-6], [0, 4e-6]])
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = normalization.layer_normalization(tf.constant(x))
      session.run(tf.global_variables_initializer())
      self.assertAllClose(session.run(outputs),
                          _layer_formula(x.astype(np.float64)), rtol=1e-5)

  def test_row_without_variation_gives_beta_to_the_bit(self):
    x = np.float32([[5, 5, 5], [0, 0, 0], [1e4, 1e4, 1e4]])
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(x)
      outputs = normalization.layer_normalization(inputs)
      v = _load(session, 3)
      self.assertAllEqual(session.run(outputs),
                          [v["beta"].astype(np.float32)] * 3)
      gradient, = tf.gradients(outputs, inputs)
      self.assertAllInSet(np.isfinite(session.run(gradient)), [True])

  def test_one_column_gives_beta_and_gets_no_gradient(self):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(_MATRIX[:, :1])
      outputs = normalization.layer_normalization(inputs)
      v = _load(session, 1)
      found, gradient = session.run([outputs, tf.gradients(outputs, inputs)[0]])
    self.assertAllClose(found, [v["beta"]] * 6)
    self.assertAllEqual(gradient, np.zeros([6, 1]))

  def test_rows_know_nothing_of_each_other(self):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(_IMAGES)
      outputs = normalization.layer_normalization(inputs)
      _load(session, 2)
      gradient = session.run(tf.gradients(outputs[0] ** 2, inputs)[0])
    self.assertAllEqual(gradient[1], np.zeros([4, 3, 2]))
    self.assertGreater(np.abs(gradient[0]).max(), 0.1)

  def test_variables_are_reused(self):
    with tf.Graph().as_default(), tf.Session() as session:
      with tf.variable_scope("outer", reuse=tf.AUTO_REUSE):
        both = [normalization.layer_normalization(tf.constant(_IMAGES),
                                                  name="a/b") for _ in range(2)]
      self.assertEqual(
          [(v.op.name, v.shape.as_list()) for v in tf.trainable_variables()],
          [("outer/a/b/gamma", [2]), ("outer/a/b/beta", [2])])
      self.assertLen(tf.global_variables(), 2)
      session.run(tf.global_variables_initializer())
      self.assertAllEqual(session.run(tf.trainable_variables()),
                          [[1, 1], [0, 0]])
      self.assertAllEqual(*session.run(both))

  @parameterized.named_parameters(*_BOTH)
  def test_unknown_batch_size(self, x):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.placeholder(tf.float32, [None, *x.shape[1:]])
      outputs = normalization.layer_normalization(inputs)
      self.assertEqual(outputs.shape.as_list(), [None, *x.shape[1:]])
      session.run(tf.global_variables_initializer())
      for size in (0, 2):
        self.assertEqual(session.run(outputs, {inputs: x[:size]}).shape,
                         (size, *x.shape[1:]))

  @parameterized.named_parameters(*_BOTH)
  def test_equal_under_xla(self, x):
    with tf.Graph().as_default(), tf.Session() as session:
      def layer():
        inputs = tf.constant(x)
        with tf.variable_scope("", reuse=tf.AUTO_REUSE):
          outputs = normalization.layer_normalization(inputs)
        return [outputs] + tf.gradients(
            outputs ** 3, [inputs] + tf.trainable_variables())
      plain = layer()
      compiled = tf2.function(layer, jit_compile=True)()
      _load(session, x.shape[-1])
      for a, b in zip(*session.run([plain, compiled])):
        self.assertAllClose(a, b, rtol=1e-4, atol=1e-4)


class ShapesTest(parameterized.TestCase):

  @parameterized.parameters(
      ([3], r"\(3,\)"), ([5, 3, 1], r"\(5, 3, 1\)"),
      ([5, None], r"\(5, None\)"), ([5, 2, 2, None], r"\(5, 2, 2, None\)"),
      (None, "<unknown>"))
  def test_bad_shape_is_refused(self, shape, found):
    for build in (lambda x: normalization.layer_normalization(x, name="layer"),
                  lambda x: normalization.batch_normalization(x, True,
                                                              name="layer")):
      with tf.Graph().as_default(), self.assertRaisesRegex(
          ValueError, r"^layer: `inputs` must have shape \[any, D\] or \[any, "
          rf"any, any, D\] with D known, found {found}.$"):
        build(tf.placeholder(tf.float32, shape))


if __name__ == "__main__":
  absltest.main()

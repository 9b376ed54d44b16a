"""Tests of the fully connected layer."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.layers import dense
from mtl_graph.layers import initializers

_INPUTS = np.random.default_rng(0).normal(size=[5, 3]).astype(np.float32)


def _shapes():
  return {v.op.name: v.shape.as_list() for v in tf.trainable_variables()}


def _initial_values(build):
  """Returns every variable's initial value in a graph that `build` fills."""
  with tf.Graph().as_default(), tf.Session() as session:
    build()
    session.run(tf.global_variables_initializer())
    return {v.op.name: session.run(v) for v in tf.global_variables()}


class DenseTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("linear", None, True, lambda x: x),
      ("relu", tf.nn.relu, True, lambda x: np.maximum(x, 0)),
      ("tanh_without_bias", tf.nn.tanh, False, np.tanh))
  def test_matches_formula(self, activation, use_bias, formula):
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = dense.dense(tf.constant(_INPUTS), 4, activation, use_bias)
      session.run(tf.global_variables_initializer())
      values = {v.op.name: v for v in tf.trainable_variables()}
      bias = np.zeros(4)
      if use_bias:
        bias = np.arange(4.0)
        values["dense/bias"].load(bias, session)
      found, kernel = session.run([outputs, values["dense/kernel"]])
    self.assertAllClose(
        found, formula(_INPUTS.astype(np.float64) @ kernel + bias), rtol=1e-5)

  def test_gradient(self):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.constant(_INPUTS)
      outputs = dense.dense(inputs, 4)
      kernel, bias = tf.trainable_variables()
      session.run(tf.global_variables_initializer())
      value, *found = session.run(
          [kernel.read_value(), *tf.gradients(outputs, [inputs, kernel, bias])])
    ones = np.ones([5, 4])
    for a, b in zip(found, [ones @ value.T, _INPUTS.T @ ones, ones.sum(0)]):
      self.assertAllClose(a, b, rtol=1e-5)

  @parameterized.named_parameters(
      ("top", None, True, "dense"), ("nested", "tower/late", True,
                                     "tower/late/dense"),
      ("without_bias", None, False, "dense"))
  def test_variables_have_the_names_of_tf_layers(self, scope, use_bias, prefix):
    with tf.Graph().as_default():
      name = f"{scope}/dense" if scope else "dense"
      dense.dense(tf.constant(_INPUTS), 4, use_bias=use_bias, name=name)
      expected = {f"{prefix}/kernel": [3, 4]}
      if use_bias:
        expected[f"{prefix}/bias"] = [4]
      self.assertEqual(_shapes(), expected)

  def test_outer_scope_is_part_of_the_name(self):
    with tf.Graph().as_default():
      with tf.variable_scope("outer"):
        dense.dense(tf.constant(_INPUTS), 4)
      self.assertEqual(list(_shapes()), ["outer/dense/kernel",
                                         "outer/dense/bias"])

  def test_reuse_makes_nothing_new(self):
    with tf.Graph().as_default(), tf.Session() as session:
      first = dense.dense(tf.constant(_INPUTS), 4)
      with tf.variable_scope(tf.get_variable_scope(), reuse=True):
        second = dense.dense(tf.constant(_INPUTS), 4)
      self.assertLen(tf.global_variables(), 2)
      session.run(tf.global_variables_initializer())
      self.assertAllEqual(*session.run([first, second]))

  def test_second_of_a_name_is_refused_without_reuse(self):
    with tf.Graph().as_default():
      dense.dense(tf.constant(_INPUTS), 4)
      with self.assertRaisesRegex(ValueError, "dense/kernel already exists"):
        dense.dense(tf.constant(_INPUTS), 4)

  def test_unknown_batch_size(self):
    with tf.Graph().as_default(), tf.Session() as session:
      inputs = tf.placeholder(tf.float32, [None, 3])
      outputs = dense.dense(inputs, 4)
      self.assertEqual(outputs.shape.as_list(), [None, 4])
      session.run(tf.global_variables_initializer())
      for size in (0, 2):
        self.assertEqual(
            session.run(outputs, {inputs: _INPUTS[:size]}).shape, (size, 4))

  def test_initial_value_depends_on_seed_and_name_alone(self):
    def build(seed=1, name="dense", before=False):
      def fill():
        if before:
          dense.dense(tf.constant(_INPUTS), 2, seed=seed, name="before")
        dense.dense(tf.constant(_INPUTS), 4, seed=seed, name=name)
      return _initial_values(fill)
    kernel = build()["dense/kernel"]
    self.assertAllEqual(build()["dense/bias"], np.zeros(4))
    self.assertAllEqual(build(before=True)["dense/kernel"], kernel)
    self.assertNotAllEqual(build(seed=2)["dense/kernel"], kernel)
    self.assertNotAllEqual(build(name="b")["b/kernel"], kernel)
    self.assertAllInRange(kernel, -np.sqrt(6 / 7), np.sqrt(6 / 7))

  def test_initializer_is_made_of_seed_and_full_name(self):
    made = []
    def make(seed, variable_name):
      made.append((seed, variable_name))
      return initializers.he_normal(seed, variable_name)
    def fill():
      with tf.variable_scope("outer"):
        dense.dense(tf.constant(_INPUTS), 4, seed=5, name="a/b",
                    initializer=make)
    values = _initial_values(fill)
    self.assertEqual(made, [(5, "outer/a/b/kernel")])
    self.assertAllEqual(values["outer/a/b/bias"], np.zeros(4))
    with tf.Graph().as_default(), tf.Session() as session:
      self.assertAllEqual(
          values["outer/a/b/kernel"],
          session.run(initializers.he_normal(5, "outer/a/b/kernel")([3, 4])))

  def test_default_initializer_is_glorot_uniform_with_the_same_ops(self):
    ops, values = [], []
    for initializer in (None, initializers.glorot_uniform):
      with tf.Graph().as_default() as graph, tf.Session() as session:
        dense.dense(tf.constant(_INPUTS), 4, initializer=initializer)
        session.run(tf.global_variables_initializer())
        values.append(session.run(tf.trainable_variables()[0]))
        ops.append([(op.name, op.type) for op in graph.get_operations()])
    self.assertAllEqual(*values)
    self.assertEqual(*ops)

  @parameterized.parameters(
      ([3], r"\(3,\)"), ([5, 3, 1], r"\(5, 3, 1\)"),
      ([5, None], r"\(5, None\)"), (None, "<unknown>"))
  def test_bad_shape_is_refused(self, shape, found):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, r"^layer: `inputs` must have shape \[any, D\] with D known,"
        f" found {found}"):
      dense.dense(tf.placeholder(tf.float32, shape), 4, name="layer")


if __name__ == "__main__":
  absltest.main()

"""Tests of compat.slim and contrib_layers against formulas, and refusals."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.compat import contrib_layers
from mtl_graph.compat import slim

_MATRIX = np.random.default_rng(0).normal(size=[6, 4])


class FormulaTest(tf.test.TestCase):
  """In double precision, against numpy."""

  def test_fully_connected_with_layer_norm(self):
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = slim.fully_connected(tf.constant(_MATRIX), 3,
                                     normalizer_fn=slim.layer_norm, scope="f")
      session.run(tf.global_variables_initializer())
      found, w = session.run([outputs, slim.get_unique_variable("f/weights")])
    x = _MATRIX @ w
    x -= x.mean(1, keepdims=True)
    self.assertAllClose(found, np.maximum(
        x / np.sqrt((x * x).mean(1, keepdims=True)), 0), atol=1e-9, rtol=1e-9)

  def test_batch_norm_moves_averages_as_it_goes(self):
    with tf.Graph().as_default(), tf.Session() as session:
      outputs = slim.batch_norm(tf.constant(_MATRIX), decay=0.9,
                                updates_collections=None)
      session.run(tf.global_variables_initializer())
      found = session.run(outputs)
      mean, variance = session.run([v for v in slim.get_model_variables()
                                    if "moving" in v.name])
    self.assertAllClose(found, (_MATRIX - _MATRIX.mean(0)) / np.sqrt(
        _MATRIX.var(0) + 0.001), atol=1e-9, rtol=1e-9)
    # TensorFlow's moving averages know 0.1 in single precision.
    self.assertAllClose(mean, 0.1 * _MATRIX.mean(0), rtol=1e-6)
    self.assertAllClose(variance, 0.9 + 0.1 * _MATRIX.var(0), rtol=1e-6)

  def test_embed_sequence(self):
    ids = np.int32([[3, 1], [3, 0]])
    with tf.Graph().as_default(), tf.Session() as session:
      first = contrib_layers.embed_sequence(ids, 5, 2, scope="e")
      second = contrib_layers.embed_sequence(ids, 5, 2, unique=True, scope="e",
                                             reuse=True)
      session.run(tf.global_variables_initializer())
      table, *found = session.run(
          [slim.get_unique_variable("e/embeddings"), first, second])
    for rows in found:
      self.assertAllEqual(rows, table[ids])

  def test_starts(self):
    with tf.Graph().as_default(), tf.Session() as session:
      found = session.run([
          contrib_layers.xavier_initializer()([100, 300]),
          contrib_layers.xavier_initializer(uniform=False)([3, 5, 20, 30]),
          contrib_layers.variance_scaling_initializer()([200, 100])])
    limit = np.sqrt(3 / 200)
    self.assertBetween(np.max(np.abs(found[0])), 0.99 * limit, limit)
    # What truncating leaves of a variance is 0.774.
    self.assertAllClose(np.var(found[1]), 1.3 * 0.774 / (15 * 25), rtol=0.05)
    self.assertAllClose(np.var(found[2]), 1.3 * 0.774 * 2 / 200, rtol=0.05)

  def test_penalties(self):
    with tf.Graph().as_default(), tf.Session() as session:
      w = tf.constant(_MATRIX)
      tf.add_to_collection(tf.GraphKeys.WEIGHTS, w)
      both = contrib_layers.l1_l2_regularizer(0.5, 0.25)
      found = session.run([both(w), contrib_layers.apply_regularization(both)])
      self.assertLen(tf.losses.get_regularization_losses(), 1)
      self.assertIsNone(contrib_layers.l1_regularizer(0.0)(w))
    expected = 0.5 * np.abs(_MATRIX).sum() + 0.125 * (_MATRIX ** 2).sum()
    self.assertAllClose(found, [expected] * 2)

  def test_restores_what_a_checkpoint_has(self):
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, "model")
      with tf.Graph().as_default(), tf.Session() as session:
        slim.variable("a", initializer=3.0)
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, path)
      with tf.Graph().as_default(), tf.Session() as session:
        variables = [slim.variable(n, initializer=0.0) for n in "ab"]
        session.run(tf.global_variables_initializer())
        slim.assign_from_checkpoint_fn(path, variables,
                                       ignore_missing_vars=True)(session)
        self.assertEqual(session.run(variables), [3.0, 0.0])
        self.assertIsNone(slim.assign_from_checkpoint_fn(path, variables[1:],
                                                         True))


class RefusalTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("outputs", lambda x: slim.fully_connected(x, 3.0),
       "`num_outputs` must be an integer, found 3.0"),
      ("rank", lambda x: slim.conv2d(x, 2, 3),
       r"Conv: `inputs` must have rank 4, found \(6, 4\)"),
      ("any_rank", lambda x: slim.convolution(x, 2, 3),
       "Conv: `inputs` must have rank 3 or 4 or 5"),
      ("format", lambda x: slim.max_pool2d(x, 2, data_format="NCW"),
       "`data_format` must be NHWC or NCHW, found 'NCW'"),
      ("renorm", lambda x: slim.batch_norm(x, renorm=True),
       "batch_norm: `renorm` must be False, found True"),
      ("zero_debias", lambda x: slim.batch_norm(
          x, zero_debias_moving_mean=True), "`zero_debias_moving_mean` must"),
      ("weights", lambda x: slim.batch_norm(x, batch_weights=x),
       "`batch_weights` must be None"),
      ("axis", lambda x: slim.layer_norm(x, begin_norm_axis=2),
       "must be below 2, found 2 and -1"),
      ("dim", lambda x: slim.unit_norm(x, 2), "at least 0 and below 2, found"),
      ("vocabulary", contrib_layers.embed_sequence,
       "`vocab_size` and `embed_dim` must be given without `reuse`"),
      ("scale", lambda _: slim.l2_regularizer(1),
       "the scale must not be an integer, found 1; allowed: 1.0"),
      ("negative", lambda _: slim.l1_regularizer(-1.0), "must not be below 0"),
      ("mode", lambda _: slim.variance_scaling_initializer(mode="FAN"),
       "`mode` must be FAN_IN, FAN_OUT or FAN_AVG, found FAN"),
      ("not_decorated", lambda _: _enter(slim.arg_scope([tf.nn.relu])),
       "is not decorated with add_arg_scope"),
      ("no_list", lambda _: _enter(slim.arg_scope(slim.conv2d)),
       "must be given a list of functions or a scope that was kept"),
      ("kept", lambda _: _enter(slim.arg_scope({}, stride=2)),
       "takes no arguments, found stride"),
      ("no_variable", lambda _: slim.get_unique_variable("a"),
       "there must be one variable 'a', found"),
  )
  def test_refused(self, build, message):
    with tf.Graph().as_default():
      with self.assertRaisesRegex((TypeError, ValueError), message):
        build(tf.constant(_MATRIX))


def _enter(scope):
  with scope:
    pass


if __name__ == "__main__":
  absltest.main()

"""Tests of the embedding look-up."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.layers import embedding
from mtl_graph.layers import initializers


class EmbeddingTest(parameterized.TestCase, tf.test.TestCase):

  def test_looks_rows_up(self):
    with tf.Graph().as_default(), tf.Session() as session:
      vectors = embedding.embedding(tf.constant([2, 0, 2]), 4, 3,
                                    name="embedding/carrier")
      table, = tf.trainable_variables()
      self.assertEqual(table.op.name, "embedding/carrier/embeddings")
      self.assertEqual(table.shape.as_list(), [4, 3])
      self.assertEqual(vectors.shape.as_list(), [3, 3])
      session.run(tf.global_variables_initializer())
      found, value = session.run([vectors, table])
    self.assertAllEqual(found, value[[2, 0, 2]])

  def test_gradient_counts_rows_and_skips_the_others(self):
    with tf.Graph().as_default(), tf.Session() as session:
      vectors = embedding.embedding(tf.constant([2, 0, 2]), 4, 3)
      gradient = tf.convert_to_tensor(
          tf.gradients(vectors, tf.trainable_variables())[0])
      session.run(tf.global_variables_initializer())
      self.assertAllEqual(session.run(gradient),
                          [[1] * 3, [0] * 3, [2] * 3, [0] * 3])

  def test_looks_several_rows_up(self):
    ids = [[2, 0, 2], [3, 3, 1]]
    with tf.Graph().as_default(), tf.Session() as session:
      vectors = embedding.embedding(tf.constant(ids), 4, 5)
      self.assertEqual(vectors.shape.as_list(), [2, 3, 5])
      session.run(tf.global_variables_initializer())
      found, value = session.run([vectors, tf.trainable_variables()[0]])
    self.assertAllEqual(found, value[np.array(ids)])

  @parameterized.parameters(([2, 0, 2],), ([[2, 0], [2, 1]],))
  def test_gradient_is_of_the_rows_looked_up(self, ids):
    with tf.Graph().as_default(), tf.Session() as session:
      vectors = embedding.embedding(tf.constant(ids), 4, 3)
      table, = tf.trainable_variables()
      upstream = np.random.default_rng(0).normal(
          size=vectors.shape).astype(np.float32)
      gradient, = tf.gradients(vectors, table, upstream)
      self.assertIsInstance(gradient, tf.IndexedSlices)
      values, indices = session.run([gradient.values, gradient.indices])
      dense = session.run(tf.convert_to_tensor(gradient))
    self.assertAllEqual(indices, np.ravel(ids))
    self.assertAllEqual(values, upstream.reshape([-1, 3]))
    expected = np.zeros([4, 3])
    np.add.at(expected, np.array(ids), upstream)
    self.assertAllClose(dense, expected)

  def test_unknown_batch_size_and_several_per_row(self):
    with tf.Graph().as_default(), tf.Session() as session:
      ids = tf.placeholder(tf.int32, [None, 2])
      vectors = embedding.embedding(ids, 4, 3)
      self.assertEqual(vectors.shape.as_list(), [None, 2, 3])
      session.run(tf.global_variables_initializer())
      for size in (0, 5):
        self.assertEqual(session.run(vectors, {ids: [[1, 0]] * size
                                               if size else np.zeros([0, 2])}
                                     ).shape, (size, 2, 3))

  def test_unknown_batch_size(self):
    with tf.Graph().as_default(), tf.Session() as session:
      ids = tf.placeholder(tf.int32, [None])
      vectors = embedding.embedding(ids, 4, 3)
      self.assertEqual(vectors.shape.as_list(), [None, 3])
      session.run(tf.global_variables_initializer())
      for size in (0, 5):
        self.assertEqual(session.run(vectors, {ids: [1] * size}).shape,
                         (size, 3))

  def test_reuse_makes_nothing_new(self):
    with tf.Graph().as_default(), tf.Session() as session:
      with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        both = [embedding.embedding(tf.constant([1, 2]), 4, 3)
                for _ in range(2)]
      self.assertLen(tf.global_variables(), 1)
      session.run(tf.global_variables_initializer())
      self.assertAllEqual(*session.run(both))

  def _table(self, rows=1000, dimension=9, seed=1, name="e", before=False):
    with tf.Graph().as_default(), tf.Session() as session:
      if before:
        embedding.embedding(tf.constant([0]), 3, 3, seed, "before")
      embedding.embedding(tf.constant([0]), rows, dimension, seed, name)
      session.run(tf.global_variables_initializer())
      return session.run(tf.trainable_variables()[-1])

  def test_initial_value_depends_on_seed_and_name_alone(self):
    table = self._table()
    self.assertAllEqual(table, self._table(before=True))
    self.assertNotAllEqual(table, self._table(seed=2))
    self.assertNotAllEqual(table, self._table(name="f"))

  @parameterized.parameters(1, 4, 100)
  def test_initial_values_are_small_and_uniform(self, dimension):
    table = self._table(dimension=dimension)
    self.assertAllInRange(table, -0.05, 0.05)
    size = table.size
    self.assertAllClose(table.mean(), 0, atol=4 * 0.05 / (3 * size) ** 0.5)
    self.assertAllClose(np.mean(np.square(table, dtype=np.float64)),
                        0.05 ** 2 / 3, rtol=0,
                        atol=4 * 0.05 ** 2 * (4 / 45 / size) ** 0.5)

  def test_has_the_bits_it_always_had(self):
    # Runs are repeated under later versions; these are of the first.
    table = self._table(7, 3, 3, "embedding/city")
    self.assertAllEqual(table[0], np.float32(
        [-0.04216545820236206, 0.010204385966062546, -0.04147263616323471]))

  def test_initializer_is_made_of_seed_and_full_name(self):
    with tf.Graph().as_default(), tf.Session() as session:
      with tf.variable_scope("outer"):
        embedding.embedding(tf.constant([0]), 9, 4, 5, "e",
                            initializers.lecun_normal)
      expected = initializers.lecun_normal(5, "outer/e/embeddings")([9, 4])
      session.run(tf.global_variables_initializer())
      self.assertAllEqual(
          *session.run([tf.trainable_variables()[0], expected]))

  @parameterized.parameters(([3, 1, 1], r"\(3, 1, 1\)"), ([], r"\(\)"),
                            (None, "<unknown>"))
  def test_bad_shape_is_refused(self, shape, found):
    with tf.Graph().as_default(), self.assertRaisesRegex(
        ValueError, r"^e: `ids` must have shape \[any\] or \[any, any\], "
        f"found {found}"):
      embedding.embedding(tf.placeholder(tf.int32, shape), 4, 3, name="e")


if __name__ == "__main__":
  absltest.main()

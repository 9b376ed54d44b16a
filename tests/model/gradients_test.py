"""Tests of the one backward pass, its slices, and clipping."""

import collections

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model import gradients
from mtl_graph.protos import training_pb2

# Gradients of a group, None where the loss does not reach.
_GRADIENTS = [np.array([[3.0, -4.0], [0.5, 0.0]]), None, np.array([12.0]),
              np.array([0.1, -0.2])]


def _scaled_to(array, limit):
  return array * min(1, limit / max(np.linalg.norm(array), 1e-30))


def _norm(arrays):
  return np.sqrt(sum(np.sum(a ** 2) for a in arrays if a is not None))


# A sparse gradient with a row that is there twice, made dense.
_DENSE = np.array([[1.0, -3.0], [0.0, 0.0], [4.0, 1.0]])


def _slices():
  return tf.IndexedSlices(
      tf.constant([[6.0, 2.0], [1.0, -3.0], [-2.0, -1.0]]),
      tf.constant([2, 0, 2]), tf.constant([3, 2]))


# A text proto per rule, and what it makes of gradients in float64.
_RULES = {
    "global_norm": ("global_norm: 2.5", lambda arrays: [
        None if a is None else a * min(1, 2.5 / max(_norm(arrays), 1e-30))
        for a in arrays]),
    "norm": ("norm: 2.5", lambda arrays: [
        None if a is None else _scaled_to(a, 2.5) for a in arrays]),
    "value": ("value: 2.5", lambda arrays: [
        None if a is None else np.clip(a, -2.5, 2.5) for a in arrays]),
}


def _clipping(text):
  return text_format.Parse(text, training_pb2.Clipping())


def _clip(text, arrays):
  """Returns the clipped gradients, None where there is none."""
  with tf.Graph().as_default(), tf.Session() as session:
    tensors = [None if a is None else tf.constant(a, tf.float32)
               for a in arrays]
    clipped = gradients.clip(_clipping(text), tensors, gradients.norm(tensors))
    values = iter(session.run([c for c in clipped if c is not None]))
    return [None if c is None else next(values) for c in clipped]


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(True, False)
  def test_slices_the_gradients_of_the_concatenated_list(self, use_resource):
    with tf.Graph().as_default(), tf.Session() as session:
      variables = {name: tf.get_variable(name, [i + 2],
                                         use_resource=use_resource)
                   for i, name in enumerate("abcde")}
      loss = tf.add_n([i * tf.reduce_sum(variables[name])
                       for i, name in enumerate("abde")])
      groups = collections.OrderedDict(
          (group, [variables[name] for name in names])
          for group, names in (("two", "da"), ("none", ""), ("three", "bce")))
      built = gradients.build(loss, groups)
      self.assertEqual(list(built), ["two", "none", "three"])
      self.assertEqual(built["none"], [])
      self.assertIsNone(built["three"][1])  # Not reached, and keeps its place.
      two, three = session.run([built["two"], built["three"][::2]])
    self.assertAllEqual(two[0], np.full(5, 2))
    self.assertAllEqual(two[1], np.zeros(2))
    self.assertAllEqual(three[0], np.full(3, 1))
    self.assertAllEqual(three[1], np.full(6, 3))

  def test_sparse_gradient_is_densified(self):
    with tf.Graph().as_default(), tf.Session() as session:
      table = tf.get_variable("table", [4, 2])
      loss = tf.reduce_sum(tf.gather(table, [1, 3, 1]))
      sparse = gradients.build(loss, {"g": [table]})
      self.assertIsInstance(sparse["g"][0], tf.IndexedSlices)
      gradient, = gradients.densify(sparse)["g"]
      self.assertIsInstance(gradient, tf.Tensor)
      found, norm = session.run([gradient, gradients.norm([gradient])])
    self.assertAllEqual(found, [[0, 0], [2, 2], [0, 0], [1, 1]])
    self.assertAllClose(norm, np.sqrt(10))

  @parameterized.parameters(True, False)
  def test_gradient_of_a_sparse_group_is_its_sum_once(self, use_resource):
    with tf.Graph().as_default(), tf.Session() as session:
      table = tf.get_variable("table", [4, 2], use_resource=use_resource)
      bias = tf.get_variable("bias", [2], use_resource=use_resource)
      loss = tf.reduce_sum(bias * tf.gather(table, [[1, 3], [1, 1]])
                           + tf.gather(table, [[3, 0], [1, 1]]))
      built = gradients.build(loss, {"lazy": [table, bias], "eager": [table]})
      found = gradients.densify(built, {"lazy": 0})
      self.assertEqual(list(found), ["lazy", "eager"])
      sparse, dense_bias = found["lazy"]
      self.assertIsInstance(sparse, tf.IndexedSlices)
      self.assertIsInstance(dense_bias, tf.Tensor)
      self.assertIsInstance(found["eager"][0], tf.Tensor)
      session.run(tf.global_variables_initializer())
      rows, values, b, table_gradient, same = session.run(
          [sparse.indices, sparse.values, bias, found["eager"][0],
           tf.convert_to_tensor(sparse)])
    self.assertAllEqual(rows, [0] + [1] * 5 + [3] * 2)
    expected = np.outer([1, 2, 0, 1], np.ones(2)) + np.outer([0, 3, 0, 1], b)
    self.assertAllClose(table_gradient, expected)
    self.assertAllClose(same, expected)

  @parameterized.parameters((4, True), (5, False))
  def test_the_gradient_of_a_small_table_is_dense(self, least, is_sparse):
    with tf.Graph().as_default():
      table = tf.get_variable("table", [4, 2])
      built = gradients.build(tf.reduce_sum(tf.gather(table, [1, 3])),
                              {"g": [table]})
      found, = gradients.densify(built, {"g": least})["g"]
    self.assertIsInstance(found,
                          tf.IndexedSlices if is_sparse else tf.Tensor)

  def test_sparse_group_keeps_none(self):
    with tf.Graph().as_default():
      self.assertEqual(gradients.densify({"lazy": [None]}, {"lazy": 0}),
                       {"lazy": [None]})

  def test_stop_gradients_hold_tensors_constant(self):
    with tf.Graph().as_default():
      a, b = tf.get_variable("a", [2]), tf.get_variable("b", [2])
      middle = 2.0 * a
      loss = tf.reduce_sum(middle * b)
      built = gradients.build(loss, {"a": [a], "b": [b]}, [middle])
      self.assertIsNone(built["a"][0])
      self.assertIsNotNone(built["b"][0])


class NormTest(tf.test.TestCase):

  def test_matches_formula(self):
    with tf.Graph().as_default(), tf.Session() as session:
      norm = gradients.norm([None if a is None else tf.constant(a, tf.float32)
                             for a in _GRADIENTS])
      self.assertAllClose(session.run(norm), _norm(_GRADIENTS))

  def test_of_sparse_gradient_is_the_dense_ones(self):
    with tf.Graph().as_default(), tf.Session() as session:
      sparse = {"g": [_slices(), tf.constant([3.0])]}
      self.assertAllClose(
          session.run([gradients.norm(gradients.densify(sparse, {"g": 0})["g"]),
                       gradients.norm(gradients.densify(sparse)["g"])]),
          [np.sqrt(_DENSE.ravel() @ _DENSE.ravel() + 9)] * 2)

  def test_of_nothing_is_zero(self):
    with tf.Graph().as_default(), tf.Session() as session:
      self.assertAllEqual(session.run([gradients.norm([]),
                                       gradients.norm([None])]), [0, 0])


class ClipTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_rule_is_tested(self):
    kinds = training_pb2.Clipping.DESCRIPTOR.oneofs_by_name["kind"].fields
    self.assertCountEqual([kind.name for kind in kinds], _RULES)

  @parameterized.product(rule=tuple(_RULES), scale=(0.01, 0.19, 1.0, 1e4, 0.0))
  def test_matches_formula(self, rule, scale):
    text, formula = _RULES[rule]
    arrays = [None if a is None else scale * a for a in _GRADIENTS]
    for found, expected in zip(_clip(text, arrays), formula(arrays)):
      if expected is None:
        self.assertIsNone(found)
      else:
        self.assertAllClose(found, expected, rtol=1e-5, atol=0)

  @parameterized.parameters(*_RULES)
  def test_of_sparse_gradient_is_the_dense_ones(self, rule):
    clipping = _clipping(_RULES[rule][0])
    with tf.Graph().as_default(), tf.Session() as session:
      some = [_slices(), tf.constant([3.0]), None]
      sparse = gradients.densify({"g": some}, {"g": 0})["g"]
      dense = gradients.densify({"g": some})["g"]
      found = gradients.clip(clipping, sparse, gradients.norm(sparse))
      expected = gradients.clip(clipping, dense, gradients.norm(dense))
      self.assertIsInstance(found[0], tf.IndexedSlices)
      self.assertIsNone(found[2])
      self.assertAllEqual(session.run(found[0].indices), [0, 2, 2])
      found, expected = session.run([
          [tf.convert_to_tensor(g) for g in found[:2]], expected[:2]])
      for values, others, before in zip(found, expected, [_DENSE, [3.0]]):
        self.assertAllClose(values, others, rtol=1e-6, atol=0)
        self.assertNotAllEqual(values, before)

  @parameterized.parameters(*_RULES)
  def test_below_the_limit_nothing_changes(self, rule):
    arrays = [None if a is None else 0.01 * a for a in _GRADIENTS]
    for found, expected in zip(_clip(_RULES[rule][0], arrays), arrays):
      if expected is not None:
        self.assertAllClose(found, expected, rtol=1e-6, atol=0)

  def test_empty_message_clips_nothing(self):
    with tf.Graph().as_default():
      tensors = [tf.zeros([2]), None]
      self.assertEqual(gradients.clip(_clipping(""), tensors, tf.zeros([])),
                       tensors)


if __name__ == "__main__":
  absltest.main()

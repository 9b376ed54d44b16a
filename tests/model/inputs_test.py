"""Tests of what the network reads: the deep part and the wide one."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import outline
from mtl_graph.data import features as features_lib
from mtl_graph.model import inputs
from mtl_graph.model import stacks
from mtl_graph.protos import data_pb2
from mtl_graph.protos import experiment_pb2

_NORMAL = "initializer { normal: 1 }"
_EMBEDDED = f"num_buckets: 5 embedding_dimension: 3 {_NORMAL}"
# Of sets of up to four categories out of five, -1 where there is none; the last
# row has none at all.
_SETS = np.array([[0, 2, -1, -1], [5, 5, 1, 0], [3, -1, -1, -1],
                  [-1, -1, -1, -1]])
_WEIGHTS = np.array([[1, 3, 0, 0], [0.5, 2, 1, 0], [2, 0, 0, 0],
                     [0, 0, 0, 0]], np.float32)
_PRESENT = (_SETS >= 0).astype(float)


def _features(*texts):
  return text_format.Parse(" ".join("feature {" + t + "}" for t in texts),
                           data_pb2.Data()).feature


def _build(features, numbers=None, ids=None, held=()):
  """Builds the inputs in the current graph."""
  rows = len(ids if numbers is None else numbers)
  numbers = np.zeros([rows, 0]) if numbers is None else numbers
  ids = np.zeros([rows, 0]) if ids is None else ids
  with tf.variable_scope("", reuse=tf.AUTO_REUSE):
    return inputs.build(
        features, features_lib.take_apart(features, features_lib.Transformed(
            tf.constant(numbers, tf.float32), tf.constant(ids, tf.int32))),
        stacks.Mode(1, None, frozenset(held), []))


def _deep(features, numbers=None, ids=None):
  """Returns the deep part, and every variable by name."""
  with tf.Graph().as_default(), tf.Session() as session:
    built = _build(features, numbers, ids)
    session.run(tf.global_variables_initializer())
    return session.run([built.deep,
                        {v.op.name: v for v in tf.global_variables()}])


def _means(vectors, weights, power=1):
  divisor = (weights ** power).sum(1, keepdims=True) ** (1 / power)
  return np.einsum("bld,bl->bd", vectors, weights) / np.maximum(divisor, 1e-30)


class DeepTest(parameterized.TestCase, tf.test.TestCase):

  def test_one_category_is_a_row_of_its_table(self):
    found, values = _deep(_features(
        f'name: "c" categorical {{ {_EMBEDDED} }}'), ids=[[0], [5], [2]])
    table = values["embedding/c/embeddings"]
    self.assertEqual(table.shape, (6, 3))
    self.assertAllEqual(found, table[[0, 5, 2]])

  def test_one_hot(self):
    found, values = _deep(_features(
        'name: "c" categorical { num_buckets: 3 one_hot {} }'),
                          ids=[[0], [3], [2]])
    self.assertAllEqual(found, np.eye(4)[[0, 3, 2]])
    self.assertEmpty(values)

  @parameterized.parameters(
      ("", lambda e: _means(e, _PRESENT)),
      ("combiner: MEAN", lambda e: _means(e, _PRESENT)),
      ("combiner: SUM", lambda e: np.einsum("bld,bl->bd", e, _PRESENT)),
      ("combiner: SQRTN", lambda e: _means(e, _PRESENT, 2)),
      ("combiner: MAX", lambda e: np.where(
          _PRESENT[:, :, None], e, -np.inf)[:3].max(1)))
  def test_several_categories_become_one_vector(self, pooling, formula):
    found, values = _deep(_features(
        f'name: "c" categorical {{ {_EMBEDDED} values {{ max_values: 4 '
        f'{pooling} }} }}'), ids=_SETS)
    expected = formula(values["embedding/c/embeddings"].astype(np.float64)[
        _SETS])
    self.assertAllClose(found[:3], expected[:3], rtol=1e-5)
    self.assertAllEqual(found[3], np.zeros(3))

  @parameterized.parameters(
      ("MEAN", 1), ("SQRTN", 2), ("SUM", None))
  def test_weights_of_categories(self, combiner, power):
    found, values = _deep(_features(
        f'name: "c" categorical {{ {_EMBEDDED} values {{ max_values: 4 '
        f'combiner: {combiner} weight_column: "w" }} }}'),
                          numbers=_WEIGHTS, ids=_SETS)
    vectors = values["embedding/c/embeddings"].astype(np.float64)[_SETS]
    expected = (_means(vectors, _WEIGHTS, power) if power
                else np.einsum("bld,bl->bd", vectors, _WEIGHTS))
    self.assertAllClose(found, expected, rtol=1e-5)

  def test_hot_sets(self):
    one, _ = _deep(_features(
        'name: "c" categorical { num_buckets: 5 one_hot {} values { '
        'max_values: 4 combiner: SUM } }'), ids=_SETS)
    many, _ = _deep(_features(
        'name: "c" categorical { num_buckets: 5 multi_hot {} values { '
        'max_values: 4 } }'), ids=_SETS)
    counts = np.array([[1, 0, 1, 0, 0, 0], [1, 1, 0, 0, 0, 2],
                       [0, 0, 0, 1, 0, 0], [0] * 6])
    self.assertAllEqual(one, counts)
    self.assertAllEqual(many, counts > 0)

  @parameterized.parameters("lstm", "gru")
  def test_a_sequence_is_read_up_to_its_end(self, kind):
    features = _features(f'name: "c" categorical {{ {_EMBEDDED} values {{ '
                         f'max_values: 4 {kind} {{ units: 2 }} }} }}')
    found, values = _deep(features, ids=_SETS)
    self.assertEqual(found.shape, (4, 2))
    self.assertEqual(
        {name: list(value.shape) for name, value in values.items()},
        outline.build(experiment_pb2.Experiment(
            data=data_pb2.Data(feature=features))).variables)
    # The same sequence cut where it ends gives the same state.
    short = _features(f'name: "c" categorical {{ {_EMBEDDED} values {{ '
                      f'max_values: 2 {kind} {{ units: 2 }} }} }}')
    self.assertAllClose(_deep(short, ids=_SETS[[0, 2], :2])[0], found[[0, 2]],
                        rtol=1e-6)
    self.assertAllEqual(found[3], np.zeros(2))
    # And its order counts.
    turned = np.array([[2, 0, -1, -1]])
    self.assertNotAllClose(_deep(features, ids=turned)[0][0], found[0])

  def test_images_come_in_their_shape_and_go_through_their_encoder(self):
    pixels = np.random.default_rng(0).normal(size=[3, 12])
    features = _features('name: "i" image { height: 2 width: 3 channels: 2 } '
                         'encoder { layer { global_max_pooling {} } }',
                         'name: "j" image { height: 2 width: 3 channels: 2 }')
    found, _ = _deep(features[:1], numbers=pixels)
    self.assertAllClose(found, pixels.reshape([3, 2, 3, 2]).max((1, 2)))
    found, _ = _deep(features[1:], numbers=pixels)
    self.assertAllClose(found, pixels.reshape([3, 2, 3, 2]))

  def test_an_encoder_is_a_stack_of_the_feature(self):
    found, values = _deep(_features(
        'name: "x" numeric { size: 2 } encoder { layer { dense { units: 3 '
        'activation: TANH } } layer { dense { units: 1 } } }'),
                          numbers=[[1, 2], [3, -1]])
    self.assertAllClose(found, np.tanh(np.array([[1, 2], [3, -1]]) @ values[
        "encoder/x/dense/kernel"]) @ values["encoder/x/dense_1/kernel"],
                        rtol=1e-5)

  def test_features_stand_side_by_side_in_their_order(self):
    found, values = _deep(_features(
        'name: "x" numeric {}', f'name: "c" categorical {{ {_EMBEDDED} }}',
        'name: "only" use: CROSS_ONLY categorical { num_buckets: 2 }',
        'name: "v" numeric { size: 2 }',
        'name: "wide" use: WIDE categorical { num_buckets: 2 }',
        f'name: "t" cross {{ feature: "c" feature: "only" hash_buckets: 4 '
        f'embedding_dimension: 2 {_NORMAL} }} use: WIDE_AND_DEEP'),
                          numbers=[[1, 2, 3], [4, 5, 6]],
                          ids=[[0, 1, 2, 3], [5, 2, 0, 1]])
    self.assertCountEqual(values, ["embedding/c/embeddings",
                                   "embedding/t/embeddings"])
    self.assertEqual(values["embedding/t/embeddings"].shape, (4, 2))
    self.assertAllEqual(found, np.concatenate([
        [[1], [4]], values["embedding/c/embeddings"][[0, 5]], [[2, 3], [5, 6]],
        values["embedding/t/embeddings"][[3, 1]]], 1))

  def test_a_shared_table_is_one_variable(self):
    shared = f'{_EMBEDDED} shared_embedding: "both"'
    found, values = _deep(_features(
        f'name: "c" categorical {{ {shared} }}',
        f'name: "d" categorical {{ {shared} values {{ max_values: 2 }} }}'),
                          ids=[[0, 1, -1], [5, 2, 2]])
    self.assertEqual(list(values), ["embedding/both/embeddings"])
    table = values["embedding/both/embeddings"]
    self.assertAllClose(found, np.concatenate([table[[0, 5]], table[[1, 2]]],
                                              1))

  def test_nothing_deep_is_no_numbers(self):
    found, values = _deep(_features(
        'name: "w" use: WIDE categorical { num_buckets: 2 }'), ids=[[0], [1]])
    self.assertEqual(found.shape, (2, 0))
    self.assertEmpty(values)

  def test_a_held_embedding_is_not_trained_but_its_encoder_is(self):
    with tf.Graph().as_default():
      built = _build(_features(
          f'name: "c" categorical {{ {_EMBEDDED} }} encoder {{ layer {{ dense '
          '{ units: 2 } } }'), ids=[[0]], held=["embedding/c"])
      variables = tf.trainable_variables()
      self.assertEqual(
          {v.op.name for v, g in zip(variables, tf.gradients(
              built.deep, variables)) if g is not None},
          {"encoder/c/dense/kernel", "encoder/c/dense/bias"})


class WideTest(parameterized.TestCase, tf.test.TestCase):

  def _logits(self, features, numbers=None, ids=None, units=2):
    """Returns the wide logits under weights of chance, and the weights."""
    random = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.Session() as session:
      built = _build(features, numbers, ids)
      logits = inputs.wide_logits(features, built.wide, "late", units)
      if logits is None:
        return None, {}
      session.run(tf.global_variables_initializer())
      self.assertAllEqual(session.run(logits),
                          np.zeros([len(ids if numbers is None else numbers),
                                    units]))
      values = {}
      for variable in tf.trainable_variables("wide/"):
        values[variable.op.name] = random.normal(size=variable.shape)
        variable.load(values[variable.op.name], session)
      return session.run(logits), values

  def test_is_the_sum_of_numbers_and_categories_times_their_weights(self):
    numbers, ids = [[1, 2, 3], [4, 5, 6]], [[0, 1, 3], [5, 2, 1]]
    found, v = self._logits(_features(
        'name: "x" numeric { size: 2 } use: WIDE',
        'name: "c" categorical { num_buckets: 5 } use: WIDE',
        'name: "d" categorical { num_buckets: 2 one_hot {} }',
        'name: "t" cross { feature: "c" feature: "d" hash_buckets: 4 } '
        'use: WIDE', 'name: "y" numeric {} use: WIDE_AND_DEEP'), numbers, ids)
    self.assertEqual({name: w.shape for name, w in v.items()}, {
        "wide/late/x/weights": (2, 2), "wide/late/c/weights": (6, 2),
        "wide/late/t/weights": (4, 2), "wide/late/y/weights": (1, 2)})
    numbers, ids = np.array(numbers), np.array(ids)
    self.assertAllClose(
        found, numbers[:, :2] @ v["wide/late/x/weights"]
        + np.eye(6)[ids[:, 0]] @ v["wide/late/c/weights"]
        + np.eye(4)[ids[:, 2]] @ v["wide/late/t/weights"]
        + numbers[:, 2:] @ v["wide/late/y/weights"], rtol=1e-5)

  @parameterized.parameters(
      ("MEAN", "", lambda hot: hot / np.maximum(hot.sum(1, keepdims=True), 1)),
      ("SUM", "", lambda hot: hot),
      ("SUM", 'weight_column: "w"', None))
  def test_sets_of_categories(self, combiner, weights, formula):
    found, v = self._logits(_features(
        'name: "c" use: WIDE categorical { num_buckets: 5 values { max_values: '
        f'4 combiner: {combiner} {weights} }} }}'),
                            _WEIGHTS if weights else None, _SETS)
    hot = np.zeros([4, 6])
    for row, place in zip(*np.nonzero(_SETS >= 0)):
      hot[row, _SETS[row, place]] += _WEIGHTS[row, place] if weights else 1
    expected = (formula(hot) if formula else hot) @ v["wide/late/c/weights"]
    self.assertAllClose(found, expected, rtol=1e-5, atol=1e-6)

  def test_a_multi_hot_set_counts_each_category_once(self):
    found, v = self._logits(_features(
        'name: "c" use: WIDE_AND_DEEP categorical { num_buckets: 5 multi_hot {}'
        ' values { max_values: 4 } }'), None, _SETS)
    hot = np.zeros([4, 6])
    for row, place in zip(*np.nonzero(_SETS >= 0)):
      hot[row, _SETS[row, place]] = 1
    self.assertAllClose(found, hot @ v["wide/late/c/weights"], rtol=1e-5,
                        atol=1e-6)

  def test_there_is_none_without_features_for_it(self):
    found, values = self._logits(_features('name: "x" numeric {}'),
                                 [[1.0], [2.0]])
    self.assertIsNone(found)
    self.assertEmpty(values)


if __name__ == "__main__":
  absltest.main()

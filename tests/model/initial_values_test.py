"""Tests of how variables start, as the experiment says."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import initial_values
from mtl_graph.protos import features_pb2
from mtl_graph.protos import layers_pb2

_IN, _OUT = 60, 40


def _deviation(factor, fan):
  return (factor / fan) ** 0.5


# A text proto per kind; the standard deviation and the bound of what it draws.
_SCALED = {
    "glorot_uniform": ("{}", _deviation(2, _IN + _OUT), 3 ** 0.5),
    "glorot_normal": ("{}", _deviation(2, _IN + _OUT), 2 / 0.8796),
    "he_uniform": ("{}", _deviation(2, _IN), 3 ** 0.5),
    "he_normal": ("{}", _deviation(2, _IN), 2 / 0.8796),
    "lecun_uniform": ("{}", _deviation(1, _IN), 3 ** 0.5),
    "lecun_normal": ("{}", _deviation(1, _IN), 2 / 0.8796),
    "uniform": (": 0.3", 0.3 / 3 ** 0.5, 3 ** 0.5),
    "normal": (": 0.3", 0.3, 5),
    "truncated_normal": (": 0.3", 0.3 * 0.8796, 2 / 0.8796),
}
_FIXED = {
    "constant": (": 0.3", lambda w: (w, np.full([_IN, _OUT], 0.3))),
    "orthogonal": (": 0.3", lambda w: (w.T @ w, 0.09 * np.eye(_OUT))),
    "identity": (": 0.3", lambda w: (w, 0.3 * np.eye(_IN, _OUT))),
}


def _draw(message, seed=1, name="trunk/dense/kernel"):
  initializer = initial_values.build(message)(seed, name)
  with tf.Graph().as_default(), tf.Session() as session:
    variable = tf.get_variable("w", [_IN, _OUT], initializer=initializer)
    session.run(tf.global_variables_initializer())
    return session.run(variable)


def _dense(kind, value):
  separator = "" if value.startswith(":") else " "
  return text_format.Parse(
      f"initializer {{ {kind}{separator}{value} }}", layers_pb2.Dense())


class InitialValuesTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_kind_is_tested(self):
    kinds = layers_pb2.Initializer.DESCRIPTOR.oneofs_by_name["kind"].fields
    self.assertCountEqual([kind.name for kind in kinds], [*_SCALED, *_FIXED])

  @parameterized.parameters(*_SCALED)
  def test_has_the_scale_of_the_schema(self, kind):
    value, deviation, bound = _SCALED[kind]
    found = _draw(_dense(kind, value)).astype(np.float64)
    self.assertAllClose(found.std() / deviation, 1, atol=0.05)
    self.assertLess(np.abs(found).max(), 1.001 * bound * deviation)
    self.assertLess(abs(found.mean()), 5 * deviation / (_IN * _OUT) ** 0.5)

  @parameterized.parameters(*_FIXED)
  def test_is_the_matrix_of_the_schema(self, kind):
    value, formula = _FIXED[kind]
    found, expected = formula(_draw(_dense(kind, value)).astype(np.float64))
    self.assertAllClose(found, expected, atol=1e-6)

  @parameterized.parameters("he_normal", "truncated_normal", "orthogonal")
  def test_is_drawn_by_seed_and_name(self, kind):
    message = _dense(kind, {**_SCALED, **_FIXED}[kind][0])
    self.assertAllEqual(_draw(message), _draw(message))
    self.assertNotAllEqual(_draw(message), _draw(message, seed=2))
    self.assertNotAllEqual(_draw(message), _draw(message, name="other/kernel"))

  @parameterized.parameters(layers_pb2.Dense(), layers_pb2.Conv2d(),
                            features_pb2.Categorical(), features_pb2.Cross())
  def test_unset_leaves_the_layers_own(self, message):
    self.assertIsNone(initial_values.build(message))

  def test_no_kind_is_refused(self):
    with self.assertRaisesRegex(config.ConfigError,
                                "^initializer: found 'None'; allowed"):
      initial_values.build(text_format.Parse("initializer {}",
                                             layers_pb2.Dense()))


if __name__ == "__main__":
  absltest.main()

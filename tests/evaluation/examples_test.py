"""Tests of parsing many serialized examples at once."""

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.evaluation import examples

_KINDS = {"f": "float_list", "i": "int64_list", "b": "bytes_list"}


def _example(**features):
  example = tf.train.Example()
  for name, values in features.items():
    getattr(example.features.feature[name], _KINDS[name]).value.extend(values)
  return example.SerializeToString()


class ParserTest(absltest.TestCase):

  def test_values_and_lengths(self):
    parse = examples.Parser()
    for _ in range(2):
      found = parse([_example(f=[1.5], b=[b"\xff", b""]), _example(),
                     _example(i=[2 ** 60], f=[2, 3])], _KINDS)
      self.assertEqual({name: [one.flat.tolist(), one.lengths.tolist()]
                        for name, one in found.items()},
                       {"f": [[1.5, 2, 3], [1, 0, 2]],
                        "i": [[2 ** 60], [0, 0, 1]],
                        "b": [[b"\xff", b""], [2, 0, 0]]})
    self.assertEqual(found["f"].flat.dtype, np.float32)

  def test_what_is_not_as_expected_is_left_to_others(self):
    parse = examples.Parser()
    for wrong in (b"no example", _example(f=[1.0])):
      self.assertIsNone(parse([_example(i=[1]), wrong], {"f": "int64_list"}))


if __name__ == "__main__":
  absltest.main()

"""Tests of values as text."""

import decimal

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import texts

_NAN = float("nan")
# What pandas calls the type of its missing value.
_NA = type("NAType", (), {})()


class TextsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("integers", np.array([5, -1], np.int8), ["5", "-1"]),
      ("large", np.array([2 ** 64 - 1], np.uint64), ["18446744073709551615"]),
      ("floats", np.array([5.0, 0.1, _NAN, -0.0, 1e20]),
       ["5", "0.1", "", "0", "100000000000000000000"]),
      ("float32", np.array([5, 0.5], np.float32), ["5", "0.5"]),
      ("booleans", np.array([True, False]), ["True", "False"]),
      ("unicode", np.array(["a", ""]), ["a", ""]),
      ("bytes", np.array(["ü".encode(), b""]), ["ü", ""]),
      ("objects", np.array(["a", None, _NAN, b"b", 3, decimal.Decimal("1.50"),
                            _NA], object),
       ["a", "", "", "b", "3", "1.50", ""]),
      ("dates", np.array(["2020-01-31", "NaT"], "datetime64[D]"),
       ["2020-01-31", ""]),
  )
  def test_writes(self, values, expected):
    self.assertEqual(texts.of(values), expected)

  def test_decodes_up_to_the_first_that_is_not_utf_8(self):
    self.assertEqual(texts.decode(["ü".encode(), b"", b"\xff", b"a"]),
                     ["ü", ""])
    self.assertEqual(texts.decode([b"a", b"b"]), ["a", "b"])


if __name__ == "__main__":
  absltest.main()

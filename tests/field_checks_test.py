"""Tests of the checks that fields of any message have in common."""

import contextlib
import os
import struct
import tempfile

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import field_checks
from mtl_graph.protos import features_pb2


def _problems(**fields):
  """Returns what is said of the numbers of a `Categorical`, and where."""
  found = []
  field_checks.finite(
      features_pb2.Feature(categorical=features_pb2.Categorical(**fields)), "f",
      lambda path, problem: found.append((path, problem)))
  return found


def _float32(number):
  return struct.unpack("f", struct.pack("f", number))[0]


class FiniteTest(parameterized.TestCase):

  @parameterized.parameters(
      0, 1, -1, 0.5, 1e-30, -1e-30, 2.0 ** -126, -2.0 ** -126, 3.4028234e38,
      -3.4028234e38, 1 - 2.0 ** -24, 1 + 1e-12)
  def test_accepts_what_32_bits_hold(self, number):
    self.assertEqual(_problems(boundary=[number]), [])
    self.assertEqual(_float32(number) == 0, number == 0)

  @parameterized.parameters(
      (float("nan"), "found nan; allowed: a finite number"),
      (float("-inf"), "found -inf; allowed: a finite number"),
      (-3.5e38, "found -3.5e+38; allowed: what fits 32-bit floating point"),
      (1e-46, "found 1e-46, which 32-bit floating point takes for 0; allowed: "
       "what it tells from 0"),
      (-1e-39, "found -1e-39, which 32-bit floating point takes for 0; allowed:"
       " what it tells from 0"),
      (1 - 1e-9, "found 0.999999999, which 32-bit floating point takes for 1; "
       "allowed: what it tells from 1"))
  def test_refuses_the_rest_in_place(self, number, problem):
    self.assertEqual(_problems(boundary=[2, number]),
                     [("f.categorical.boundary[1]", problem)])

  def test_what_is_taken_for_1_is_1(self):
    self.assertEqual(_float32(1 - 2.0 ** -25), 1)
    self.assertLen(_problems(boundary=[1 - 2.0 ** -25]), 1)
    self.assertLess(_float32(1 - 2.0 ** -24), 1)


class NearestFileTest(absltest.TestCase):

  def test_is_another_one(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.enter_context(contextlib.chdir(folder))
    os.mkdir("rows")
    self.assertEqual(field_checks.nearest_file("rows"), "")
    self.assertEqual(field_checks.nearest_file("rwos"), "; nearest: 'rows'")
    self.assertEqual(field_checks.nearest_file("there/rows"), "")


if __name__ == "__main__":
  absltest.main()

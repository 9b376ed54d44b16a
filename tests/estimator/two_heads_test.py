"""Code of 2018 does what TensorFlow 1.15 did: names and numbers alike."""

import json
import pathlib
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from tests.estimator import two_heads

_EXPECTED = json.loads((pathlib.Path(__file__).parent / "expected.json")
                       .read_text(encoding="utf-8"))


class TwoHeadsTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._found = two_heads.run(
        cls.enterClassContext(tempfile.TemporaryDirectory()))

  def check(self, found, expected, path=""):
    """Asserts that names are the same, and numbers but for rounding."""
    if isinstance(expected, dict):
      self.assertCountEqual(found, expected, path)
      for name, value in expected.items():
        self.check(found[name], value, f"{path}/{name}")
    elif isinstance(expected, list):
      self.assertLen(found, len(expected), path)
      for i, (one, value) in enumerate(zip(found, expected)):
        self.check(one, value, f"{path}[{i}]")
    elif isinstance(expected, float):
      np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6,
                                 err_msg=path)
    else:
      self.assertEqual(found, expected, path)

  def test_the_original_is_of_its_time(self):
    self.assertStartsWith(_EXPECTED["tensorflow"], "1.15.")

  @parameterized.parameters(
      "losses", "metrics", "metrics_of_two_batches", "predictions",
      "signatures", "answers", "raw_signatures", "variables", "files", "events")
  def test_as_the_original(self, what):
    self.assertNotEmpty(_EXPECTED["two_heads"][what])
    self.check(self._found[what], _EXPECTED["two_heads"][what])

  @parameterized.parameters(*_EXPECTED["heads"])
  def test_every_head_as_the_original(self, kind):
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.check(two_heads.run_head(folder, kind), _EXPECTED["heads"][kind])

  def test_a_difference_would_be_seen(self):
    for other in ({"a": 1.0}, {"a": 2.0, "b": 1}, {"a": 2.0001, "c": [0]}):
      with self.assertRaises(AssertionError):
        self.check(other, {"a": 2.0, "c": [0]})


if __name__ == "__main__":
  absltest.main()

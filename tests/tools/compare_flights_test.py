"""Tests for tools/compare_flights.py."""

from absl.testing import absltest
import numpy as np

from mtl_graph import config
from mtl_graph.data import splits
from tools import compare_flights

EXPERIMENT = """
  name: "tiny"
  data {
    feature { name: "x" numeric { normalization: Z_SCORE missing_value: 0 } }
    feature { name: "c" categorical { hash_buckets: 8 embedding_dimension: 2 } }
  }
  model { task { name: "y" regression {} } task { name: "z" binary {} } }
"""


class CompareFlightsTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.experiment = config.parse(EXPERIMENT)
    random = np.random.RandomState(0)
    self.rows = {}
    for split, count in (("train", 200), ("validation", 50), ("test", 50)):
      x = random.randn(count)
      y = 3 * x + 1
      y[0] = np.nan
      self.rows[split] = splits.read(self.experiment, split, {
          "x": x, "c": random.choice(["a", "b"], count), "y": y,
          "z": (x > 0).astype(int)})

  def test_inputs_are_normalized_and_one_hot(self):
    inputs = compare_flights.design_matrices(self.experiment, self.rows)
    self.assertEqual(inputs["train"].shape, (200, 3))
    np.testing.assert_allclose(inputs["train"][:, 0].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(inputs["train"][:, 0].std(), 1, atol=1e-6)
    np.testing.assert_array_equal(inputs["test"][:, 1:].sum(axis=1), 1)

  def test_linear_models_find_what_is_linear(self):
    inputs = compare_flights.design_matrices(self.experiment, self.rows)
    for t, task in enumerate(self.experiment.model.task):
      score = compare_flights.linear_baseline(task, t, inputs, self.rows,
                                              (0.1,))
      self.assertGreater(score, 0.99)


if __name__ == "__main__":
  absltest.main()

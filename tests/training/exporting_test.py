"""Tests of exporting while a run goes on."""

import os

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.checkpoints import checkpoints
from tests.training import small_run

_BEST = 'evaluation={every_steps: 4 best {metric: "b/rmse" goal: MINIMIZE}}'


class ExportingTest(small_run.SmallRunTest):

  def setUp(self):
    super().setUp()
    self._calls = []

  def _export(self, unused_experiment, checkpoint, raw, expected, record,
              unused_try):
    self._calls.append((record, checkpoint, expected))
    self.assertLen(raw["x"], 20)
    self.assertEqual(checkpoints.global_step(checkpoint), record.step)
    self.assertTrue(os.path.exists(checkpoint + ".index"))
    return f"v{record.step}"

  def _run(self, *overrides):
    return self.train("training.num_steps=12", *overrides,
                      exporter=self._export)

  def _steps(self):
    return [record.step for record, _, _ in self._calls]

  @parameterized.named_parameters(
      ("steps", "every_steps: 5", [5, 10, 12]),
      ("evaluations", "every_evaluation {}", [4, 8, 12, 12]))
  def test_when(self, when, expected):
    result = self._run("evaluation={every_steps: 4}",
                       f"serving={{publishing {{ {when} }}}}")
    self.assertEqual(self._steps(), expected)
    self.assertEqual(result.export_path, "v12")
    self.assertLen(self.log("^exported v"), len(expected))
    # Each is the model as it stood then.
    values = [expected["b"]["value"] for _, _, expected in self._calls]
    self.assertGreater(np.abs(values[0] - values[1]).max(), 1e-4)
    last = self._calls[-1][0]
    self.assertEqual(last.metrics, result.metrics)
    self.assertCountEqual(last.digests, ["train", "validation"])

  def test_every_best(self):
    self._run(_BEST, "serving={publishing {every_best {}}}")
    losses = self.losses("b")
    self.assertEqual(sorted(losses), [4, 8, 12])
    best, rising = float("inf"), []
    for record, _, _ in self._calls[:-1]:
      value = record.metrics["validation"]["b"]["rmse"]
      self.assertLess(value, best)
      best = value
      rising.append(record.step)
    self.assertEqual(rising[0], 4)
    self.assertEqual(self._steps()[-1], rising[-1])

  def test_not_without_a_serving_message(self):
    self.assertIsNone(self._run().export_path)
    self.assertEmpty(self._calls)

  def test_held_back(self):
    result = self.train("serving={}", exporter=lambda *call: None)
    self.assertIsNone(result.export_path)
    self.assertEmpty(self.log("^exported"))


if __name__ == "__main__":
  absltest.main()

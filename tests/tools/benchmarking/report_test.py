"""Tests for tools/benchmarking/report.py."""

import json
import os
import tempfile

from absl.testing import absltest

from tools.benchmarking import report


class ReportTest(absltest.TestCase):

  _FOUND = {
      "date": "2026-01-31", "machine": {"processor": "abacus", "cores": 2},
      "versions": {"torch": "2.13.0"}, "rounds": 3, "cases": {
          "small": [
              {"contestant": "engine LOOP", "refused": "mode: found LOOP",
               "seconds": []},
              {"contestant": "engine AUTO", "seconds": [1e-3, 1e-3, 2e-3],
               "batch_size": 256, "threads": 1, "peak_memory_mb": 812.3,
               "first_step_seconds": 3.5, "without_imports_seconds": 1.25,
               "execution": "XLA in blocks of 100"},
              {"contestant": "by hand, feed_dict",
               "seconds": [4e-3, 4e-3, 9e-3],
               "batch_size": 256, "threads": 2, "peak_memory_mb": 700.0,
               "first_step_seconds": 2.5, "without_imports_seconds": 0.25}],
          "tasks_2": [
              {"contestant": name, "seconds": [1e-3, 1e-3, 2e-3],
               "batch_size": 256, "threads": 1, "peak_memory_mb": 812.3,
               "first_step_seconds": 3.5, "without_imports_seconds": 1.25,
               "graph_seconds": 0.5}
              for name in ("engine AUTO", "engine SESSION",
                           "products, numpy")]}}

  def test_text(self):
    text = report.text(self._FOUND)
    self.assertRegex(text, r"engine LOOP +not built")
    self.assertIn("engine AUTO took XLA in blocks of 100", text)
    self.assertRegex(text, r"engine AUTO +256,000 +1,000 +1.00 x +1 +812 +3.50 "
                     r"+1.25")
    self.assertRegex(text, r"by hand, feed_dict +64,000 +4,000 +4.00 x +2")
    self.assertRegex(text, r"feed_dict loop +>= 3.5 +4.00 +met")

  def test_files(self):
    with tempfile.TemporaryDirectory() as folder:
      report.write(folder, self._FOUND)
      self.assertCountEqual(os.listdir(folder), report.FILES)
      with open(os.path.join(folder, "benchmark.json"),
                encoding="utf-8") as file:
        self.assertEqual(json.load(file), self._FOUND)

  def test_the_machine(self):
    self.assertGreater(report.machine()["cores"], 0)



if __name__ == "__main__":
  absltest.main()

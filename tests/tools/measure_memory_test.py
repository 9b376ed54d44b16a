"""Tests of measuring the memory that training takes."""

import os
import tempfile

from absl import flags
from absl.testing import absltest

from mtl_graph import config
from tests import small_experiment
from tools import measure_memory


class MeasureMemoryTest(absltest.TestCase):

  def test_peaks_of_a_run(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    small_experiment.write(folder, small_experiment.TEXT)
    experiment = config.parse(small_experiment.TEXT)
    for split in ("train", "validation"):
      files = getattr(experiment.data, split).csv
      files.path[:] = [os.path.join(folder, path) for path in files.path]
    experiment.training.num_steps = 4
    experiment.training.log_every_steps = 1
    found = measure_memory.peaks(experiment, folder)
    self.assertEqual([one[:2] for one in found],
                     [(step, 4) for step in range(1, 5)])
    # TensorFlow alone takes more than the one, and the rows are few.
    self.assertBetween(found[0].megabytes, 200, 4000)
    self.assertGreaterEqual(found[-1].megabytes, found[0].megabytes)
    self.assertNotEmpty(os.listdir(os.path.join(folder, "cache")))
    os.remove(os.path.join(folder, "train.csv"))
    with self.assertRaisesRegex(flags.Error, "training failed: .*train.csv"):
      measure_memory.peaks(experiment, folder)

  def test_what_is_said(self):
    found = [measure_memory.Peak(step, 40, 100 + step) for step in (3, 5, 40)]
    self.assertEqual(
        measure_memory.text(found, 10),
        "peak memory: 105 MB up to step 5 of 40, the end of the first epoch, "
        "140 MB up to step 40, the end of the last of 10 (+33.3 %)")


if __name__ == "__main__":
  absltest.main()

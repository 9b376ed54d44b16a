"""Tests for tools/benchmarking/files.py."""

import csv
import os
import tempfile

from absl.testing import absltest
import numpy as np

from mtl_graph import config
from mtl_graph.data import splits
from tools.benchmarking import cases
from tools.benchmarking import engine
from tools.benchmarking import files


class FilesTest(absltest.TestCase):

  def test_files_hold_the_rows(self):
    case = cases.CASES["middle"]._replace(batch_size=4, batches=2)
    arrays = cases.make_arrays(case)
    columns = cases.columns(case, arrays)
    text = engine.experiment(case, "SESSION", 1)
    with tempfile.TemporaryDirectory() as folder:
      for kind, write in (("csv", files.write_csv),
                          ("tfrecord", files.write_tfrecord)):
        path = os.path.join(folder, f"rows.{kind}")
        write(path, columns)
        experiment = config.parse(text)
        getattr(experiment.data.train, kind).path.append(path)
        rows = splits.read(experiment, "train")
        np.testing.assert_array_equal(rows.labels.values, arrays.labels)
        np.testing.assert_array_equal(rows.raw["c3"].ravel(), arrays.ids[:, 3])
        np.testing.assert_allclose(rows.raw["x6"].ravel(),
                                   arrays.numbers[:, 6])
      with open(os.path.join(folder, "rows.csv"), encoding="utf-8") as file:
        self.assertLen(list(csv.reader(file)), 9)



if __name__ == "__main__":
  absltest.main()

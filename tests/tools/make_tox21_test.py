"""Tests for tools/make_tox21.py and the experiment that reads its files."""

import contextlib
import io
import os
import pathlib
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import api
from mtl_graph import config
from tools import make_tox21

ROOT = pathlib.Path(__file__).absolute().parent.parent.parent
EXPERIMENT = ROOT / "protos" / "examples" / "large" / "tox21.pbtxt"
ASSAYS = ["NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER",
          "NR-ER-LBD", "NR-PPAR-gamma", "SR-ARE", "SR-ATAD5", "SR-HSE",
          "SR-MMP", "SR-p53"]
SPLIT = "scaffold_split_0train_1valid_2test"


def make_arrays(rows=60):
  """Makes arrays in the published form; also returns the bits not packed."""
  random = np.random.RandomState(0)
  bits = random.randint(0, 2, (rows, 1024)).astype(np.uint8)
  labels = random.randint(0, 2, (rows, 12)).astype(np.float32)
  labels[random.rand(rows, 12) < 0.2] = np.nan
  return {"X_packed": np.packbits(bits, axis=1), "Y": labels,
          "tasks": np.array(ASSAYS), "row": np.arange(rows),
          SPLIT: np.arange(rows) % 3}, bits


class MakeTox21Test(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    self.input = os.path.join(self.folder, "input.npz")
    self.output = os.path.join(self.folder, "new")
    self.arrays, self.bits = make_arrays()
    np.savez(self.input, **self.arrays)

  def _run(self, *more):
    """Returns the exit code, and what is written to stdout and stderr."""
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(
        errors):
      code = make_tox21.main(["make_tox21", f"--input={self.input}",
                              f"--output_dir={self.output}", *more])
    return code, printed.getvalue(), errors.getvalue()

  def test_splits_as_the_file_says(self):
    self.assertEqual(self._run()[0], 0)
    for i, split in enumerate(("train", "validation", "test")):
      with np.load(os.path.join(self.output, f"{split}.npz")) as found:
        self.assertLen(found.files, 13)
        np.testing.assert_array_equal(found["fingerprint"], self.bits[i::3])
        np.testing.assert_array_equal(found["nr_ar"],
                                      self.arrays["Y"][i::3, 0])
        np.testing.assert_array_equal(found["nr_ppar_gamma"],
                                      self.arrays["Y"][i::3, 6])
        np.testing.assert_array_equal(found["sr_p53"],
                                      self.arrays["Y"][i::3, 11])

  def test_dry_run_writes_nothing(self):
    code, planned, _ = self._run("--dry_run")
    self.assertEqual(code, 0)
    self.assertFalse(os.path.exists(self.output))
    self.assertIn("train.npz: 20 molecules, 12 assays, ", planned)
    self.assertEqual(planned.replace("would write", "wrote"), self._run()[1])

  def test_never_over_a_file(self):
    os.makedirs(self.output)
    mine = pathlib.Path(self.output, "test.npz")
    mine.write_bytes(b"mine")
    code, _, errors = self._run()
    self.assertEqual(code, 2)
    self.assertIn("test.npz' exists; allowed: ", errors)
    self.assertEqual(mine.read_bytes(), b"mine")
    self.assertLen(os.listdir(self.output), 1)

  @parameterized.named_parameters(
      ("array", {"Y": None}, "allowed: Y among them"),
      ("labels", {"Y": np.zeros([60, 3])},
       r"Y: found shape \(60, 3\); allowed: \(60, 12\)"),
      ("split", {SPLIT: np.zeros(60, int)}, r"found \[0\]; allowed: each of "),
  )
  def test_other_arrays_give_one_line(self, changes, message):
    arrays = {**self.arrays, **changes}
    np.savez(self.input, **{k: v for k, v in arrays.items() if v is not None})
    code, _, errors = self._run()
    self.assertEqual(code, 1)
    self.assertRegex(errors, f"^{self.input}: .*{message}.*\n$")

  @parameterized.named_parameters(
      ("text", b"fingerprints", "found no .npz file that can be read"),
      ("cut_short", b"PK\3\4" + bytes(9), "found no .npz file that can be"),
  )
  def test_no_npz_file_gives_one_line(self, data, message):
    pathlib.Path(self.input).write_bytes(data)
    code, _, errors = self._run()
    self.assertEqual(code, 1)
    self.assertRegex(errors, f"^{self.input}: {message}.*\n$")

  def test_experiment_trains_on_such_files(self):
    self._run()
    experiment = config.load(str(EXPERIMENT))
    self.assertEqual([task.name for task in experiment.model.task],
                     [make_tox21.task_name(assay) for assay in ASSAYS])
    result = api.train(
        experiment, model_dir=os.path.join(self.folder, "run"),
        overrides=["training.num_steps=2"] + [
            f"data.{split}.npz.path=['{self.output}/{split}.npz']"
            for split in make_tox21.SPLITS], log=lambda line: None)
    self.assertEqual(result.step, 2)
    self.assertCountEqual(result.metrics, ["validation", "test"])
    self.assertLen(result.metrics["test"], 12)


if __name__ == "__main__":
  absltest.main()

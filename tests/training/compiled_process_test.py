"""Tests a run that XLA compiles as it does for users, not as for other tests."""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

from absl.testing import absltest
import numpy as np

from mtl_graph import api
from tests.training import loopback_run

ROOT = pathlib.Path(__file__).absolute().parent.parent.parent
EXAMPLE = ROOT / "protos" / "examples" / "document.pbtxt"
_TOLERANCE = 1e-5


class CompiledProcessTest(absltest.TestCase):

  def test_is_the_session_to_rounding(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    paths = {mode: os.path.join(folder, mode) for mode in ("XLA", "SESSION")}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("XLA_FLAGS", None)
    compiled = subprocess.run(
        [sys.executable, "-m", "mtl_graph.train", f"--config={EXAMPLE}",
         f"--model_dir={paths['XLA']}", "--set=training.execution.mode=XLA",
         "--set=training.num_steps=20"], cwd=ROOT, capture_output=True,
        text=True, check=False, env=environment)
    self.assertEqual(compiled.returncode, 0, compiled.stderr)
    self.assertRegex(compiled.stdout, r"execution: XLA \(compiled in ")
    with contextlib.chdir(ROOT):
      api.train(str(EXAMPLE), model_dir=paths["SESSION"], overrides=[
          "training.num_steps=20"], log=lambda line: None)
    expected = loopback_run.values(paths["SESSION"])
    found = loopback_run.values(paths["XLA"])
    self.assertCountEqual(found, expected)
    for name, values in expected.items():
      self.assertLessEqual(np.linalg.norm(found[name] - values),
                           _TOLERANCE * np.linalg.norm(values), name)


if __name__ == "__main__":
  absltest.main()

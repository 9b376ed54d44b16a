"""Tests for tools/make_document_data.py."""

import contextlib
import io
import os
import pathlib
import tempfile

from absl.testing import absltest
import numpy as np

from tools import make_document_data

ROOT = pathlib.Path(__file__).absolute().parent.parent.parent


class MakeDocumentDataTest(absltest.TestCase):

  def test_shipped_file_is_what_the_tool_makes(self):
    shipped = np.load(ROOT / "protos/examples/data/document.npz")
    made = make_document_data.make(1000, 3)
    self.assertCountEqual(shipped.files, made)
    for name, array in made.items():
      np.testing.assert_allclose(shipped[name], array, rtol=1e-5, atol=1e-6)

  def test_writes_the_same_bytes_twice_and_never_over_a_file(self):
    with tempfile.TemporaryDirectory() as folder:
      paths = [os.path.join(folder, name) for name in ("a.npz", "b.npz")]
      for path in paths:
        make_document_data.write(make_document_data.make(5, 1), path)
      first, second = [pathlib.Path(path).read_bytes() for path in paths]
      self.assertEqual(first, second)
      errors = io.StringIO()
      with contextlib.redirect_stderr(errors):
        code = make_document_data.main(["tool", f"--output={paths[0]}"])
      self.assertEqual(code, 2)
      self.assertIn("exists; allowed: a new file", errors.getvalue())
      self.assertEqual(pathlib.Path(paths[0]).read_bytes(), first)


if __name__ == "__main__":
  absltest.main()

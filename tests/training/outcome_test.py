"""Tests of what a run came to."""

import math
import os
import shutil
import tempfile

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph.training import outcome

_BASIS = {"steps": 20, "checkpoint": "runs/small/model.ckpt-20",
          "digests": {"train": "abc"}, "experiment": 'name: "small"\n'}


class OutcomeTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self._export = os.path.join(self._folder, "export", "12")
    os.makedirs(self._export)
    self._result = outcome.Result(
        20, _BASIS["checkpoint"], {"test": {"a": {"loss": 0.1 + 0.2}}},
        self._export)

  def test_comes_back(self):
    self.assertIsNone(outcome.read(self._folder, _BASIS))
    outcome.write(self._folder, _BASIS, self._result)
    self.assertEqual(outcome.read(self._folder, _BASIS), self._result)

  def test_without_an_export_and_with_a_metric_that_is_no_number(self):
    outcome.write(self._folder, _BASIS, self._result._replace(
        metrics={"test": {"a": {"auc": math.nan}}}, export_path=None))
    found = outcome.read(self._folder, _BASIS)
    self.assertIsNone(found.export_path)
    self.assertTrue(math.isnan(found.metrics["test"]["a"]["auc"]))

  @parameterized.parameters(
      {"steps": 30}, {"checkpoint": "other"}, {"experiment": ""},
      {"digests": {"train": "abc", "test": "def"}})
  def test_on_another_basis_it_says_nothing(self, **change):
    outcome.write(self._folder, _BASIS, self._result)
    self.assertIsNone(outcome.read(self._folder, {**_BASIS, **change}))

  def test_an_export_that_is_gone_is_made_again(self):
    outcome.write(self._folder, _BASIS, self._result)
    shutil.rmtree(self._export)
    self.assertIsNone(outcome.read(self._folder, _BASIS))

  @parameterized.parameters(b"", b"{", b"[]", b"{}", b'{"result": 1}', b"\xff",
                            b'{"result": {"step": 1}}', b"null")
  def test_a_damaged_file_says_nothing(self, content):
    outcome.write(self._folder, _BASIS, self._result)
    path, = [os.path.join(self._folder, name) for name in
             os.listdir(self._folder) if name.endswith(".json")]
    with open(path, "wb") as file:
      file.write(content)
    self.assertIsNone(outcome.read(self._folder, _BASIS))


if __name__ == "__main__":
  absltest.main()

"""Tests of exports whose weights are rounded, or frozen into the graph."""

import json
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.data import splits
from mtl_graph.evaluation import saved_run
from mtl_graph.model import compressed_weights
from mtl_graph.protos import serving_pb2
from mtl_graph.serving import contract
from mtl_graph.serving import lean_graph
from mtl_graph.serving import saved_model
from tests.serving import rich_export

_FLOAT16 = serving_pb2.Weights.FLOAT16
_INT8 = serving_pb2.Weights.INT8


def _bytes_on_disk(path):
  return os.path.getsize(os.path.join(
      path, "variables", "variables.data-00000-of-00001"))


class CompressTest(parameterized.TestCase):

  @parameterized.parameters(([5, 3],), ([2, 2, 4, 3],), ([0, 3],))
  def test_int8_is_within_half_a_step_of_each_column(self, shape):
    weights = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    stored = compressed_weights.compress(weights, _INT8)
    self.assertEqual(stored.values.dtype, np.int8)
    self.assertEqual(stored.scale.shape, (3,))
    error = np.abs(compressed_weights.widen(stored) - weights)
    self.assertTrue(np.all(error <= stored.scale * 0.5001))
    if weights.size:
      # The largest of each column is kept.
      np.testing.assert_array_equal(np.abs(stored.values.reshape(-1, 3)).max(0),
                                    [127] * 3)

  def test_a_column_of_zeros_stays_that(self):
    stored = compressed_weights.compress(np.zeros([4, 2], np.float32), _INT8)
    np.testing.assert_array_equal(compressed_weights.widen(stored),
                                  np.zeros([4, 2]))

  def test_float16_is_what_numpy_rounds_to(self):
    weights = np.random.default_rng(0).normal(size=[5, 3]).astype(np.float32)
    stored = compressed_weights.compress(weights, _FLOAT16)
    np.testing.assert_array_equal(stored.values, weights.astype(np.float16))
    self.assertIsNone(stored.scale)

  def test_beyond_float16(self):
    with self.assertRaisesRegex(ValueError, "compress: `weights` must be within "
                                "65504 of zero for FLOAT16, found 70000"):
      compressed_weights.compress(np.float32([[1, -7e4]]), _FLOAT16)


class ExportTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._result = rich_export.train(cls._folder)
    model_dir = os.path.dirname(cls._result.checkpoint)
    cls._experiment = config.load(os.path.join(model_dir, "experiment.pbtxt"))
    cls._run = saved_run.open_run(cls._experiment, model_dir)
    cls.enterClassContext(cls._run.session)
    cls._rows = splits.read(cls._experiment, "train", rich_export.columns(5, 90))
    cls._raw, cls._expected = cls._run.evaluator.sample(cls._rows)

  def _export(self, *overrides):
    """Exports the run under other settings; returns the path and the log."""
    experiment = config.parse(config.to_text(self._experiment))
    for assignment in overrides:
      config.override(experiment, f"serving.{assignment}")
    lines = []
    evaluator = self._run.evaluator
    path = saved_model.export(
        experiment, self._result.checkpoint, os.path.join(self._folder, "more"),
        self._raw, self._expected, try_weights=lambda weights:
        evaluator.try_weights(weights, self._rows,
                              evaluator.transform(self._rows)),
        log=lines.append)
    return path, lines

  def _answers(self, path, signature="serving_default"):
    inputs = (self._raw if signature == "serving_default" else
              {"inputs": rich_export.examples(rich_export.columns(5, 90))})
    with rich_export.Server(path) as server:
      return server.run(signature, inputs)

  @parameterized.parameters("FLOAT32", "INT8")
  def test_frozen_weights_answer_alike(self, precision):
    plain, _ = self._export(f"weights.precision={precision}")
    frozen, _ = self._export(f"weights.precision={precision}",
                             "weights.frozen=true")
    self.assertEmpty(contract.problems(frozen))
    self.assertFalse(os.path.exists(os.path.join(frozen, "variables")))
    kinds = {node.op for node in lean_graph.read(frozen).meta_graphs[
        0].graph_def.node}
    self.assertNoCommonElements(kinds, ["VarHandleOp", "ReadVariableOp",
                                        "ResourceGather", "RestoreV2", "SaveV2"])
    for signature in ("serving_default", "predict_examples"):
      found = self._answers(frozen, signature)
      for name, values in self._answers(plain, signature).items():
        if values.dtype.kind == "f":
          np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6)

  @parameterized.parameters(("FLOAT16", 0.5, 0.01), ("INT8", 0.25, 0.1))
  def test_rounded_weights(self, precision, share, tolerance):
    path, lines = self._export(f"weights.precision={precision}")
    self.assertEmpty(contract.problems(path))
    with open(os.path.join(path, "assets.extra", "weights.json"),
              encoding="utf-8") as file:
      cost = json.load(file)
    # What is rounded takes its share, the rest what it took.
    saved = cost["bytes_before"] - cost["bytes_after"]
    self.assertEqual(_bytes_on_disk(self._result.export_path)
                     - _bytes_on_disk(path), saved)
    scales = (sum(tf.train.load_checkpoint(self._result.checkpoint).get_tensor(
        name).shape[-1] * 4 for name in cost["variables"])
              if precision == "INT8" else 0)
    self.assertEqual(cost["bytes_after"], share * cost["bytes_before"] + scales)
    self.assertContainsSubset(
        ["head/late/kernel", "embedding/city/embeddings", "expert/0/dense/kernel"
         ], cost["variables"])
    self.assertNotIn("head/late/bias", cost["variables"])
    # The cost is that of the export, over all rows.
    self.assertEqual(cost["rows"], 90)
    late = cost["metrics"]["late"]["log_loss"]
    labels = self._rows.labels.values[:, 0]
    for when, answers in (("before", self._answers(self._result.export_path)),
                          ("after", self._answers(path))):
      p = np.where(labels > 0, answers["late/probability"],
                   1 - answers["late/probability"]).astype(np.float64)
      self.assertAlmostEqual(late[when], -np.log(p).mean(), 5)
    self.assertNotEqual(late["before"], late["after"])
    self.assertAlmostEqual(late["before"], late["after"], delta=tolerance)
    self.assertIn(f"weights as {precision}: {len(cost['variables'])} variables "
                  f"of {cost['bytes_before']:,} bytes in "
                  f"{cost['bytes_after']:,}; on 90 rows:", lines[0])
    self.assertIn(f"log_loss {late['before']:.4f} -> {late['after']:.4f}",
                  lines[0])

  def test_trying_weights_leaves_the_old_ones(self):
    evaluator = self._run.evaluator
    name = "head/late/kernel"
    before = evaluator.try_weights({}, self._rows)
    zero = evaluator.try_weights(
        {name: np.zeros_like(tf.train.load_variable(self._result.checkpoint,
                                                    name))}, self._rows)
    after = evaluator.try_weights({}, self._rows)
    self.assertEqual(before.metrics, after.metrics)
    self.assertEqual(np.ptp(zero.predictions["late"]["logit"]), 0)
    self.assertGreater(before.predictions["late"]["logit"].std(), 0)


if __name__ == "__main__":
  absltest.main()

"""Tests of clusters whose tables lie in parts on several parameter servers."""

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import api
from mtl_graph.model import train_step
from mtl_graph.serving import saved_model
from mtl_graph.training import loop
from tests import small_experiment
from tests.training import loopback
from tests.training import loopback_run

# Tables of 25 and 9 rows of 8 bytes, each in two parts, and one of 4.
_CUT = "training.cluster={ synchronous {} min_bytes_per_part: 36 }"
_LAZY = ("training.default_optimizer={ lazy_adam { learning_rate { constant: "
         "0.01 } } }")


def _experiment(batch_size, steps, *more):
  experiment = api.experiment_of(loopback_run.TEXT, [
      f"data.batch_size={batch_size}", f"training.num_steps={steps}",
      "training.checkpoint.every_steps=1000", "evaluation.every_steps=1000",
      "training.execution.mode=SESSION", _LAZY,
      "training.moving_average.decay=0.9", *more])
  for field in ("best", "early_stopping"):
    experiment.evaluation.ClearField(field)
  # What is no table is as small as can be: two tasks and one optimizer.
  del experiment.model.task[2:], experiment.training.group[1:]
  experiment.training.group[0].scope.extend(["tower", "head", "log_variance"])
  return experiment


def _answers(export):
  """Returns signatures, variables and predictions of an export."""
  names, rows = small_experiment.make_rows(2, 20)
  columns = dict(zip(names, zip(*rows)))
  with tf.Graph().as_default(), tf.Session() as session:
    found = tf.saved_model.loader.load(session, ["serve"], export)
    serving = found.signature_def["serving_default"]
    feeds = {info.name: np.array(columns[name]).astype(
        tf.as_dtype(info.dtype).as_numpy_dtype)
             for name, info in serving.inputs.items()}
    predictions = session.run({name: info.name for name, info
                               in serving.outputs.items()}, feeds)
  return (dict(found.signature_def),
          tf.train.list_variables(f"{export}/variables/variables"), predictions)


class PartitionedRunTest(loopback_run.LoopbackRunTest):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    # So that gradients of these tables travel as those of large ones do.
    cls.enterClassContext(absltest.mock.patch.object(
        train_step, "_LARGE_TABLE", 0))
    cls._cluster, cls._lines = loopback.Loopback(2), []
    export = ("serving={}",)
    cls._cut = cls._cluster.train(
        _experiment(8, 20, _CUT, *export), "cut", cls._lines.append,
        exporter=api.exporter("cut", print))
    cls._whole = loop.train(
        _experiment(16, 20, *export), "whole", log=cls._lines.append,
        exporter=api.exporter("whole", print))

  def test_an_export_is_that_of_one_process(self):
    alone = saved_model.export(_experiment(8, 20, "serving={}"),
                               self._cut.checkpoint, "alone")
    signatures, variables, predictions = _answers(self._cut.export_path)
    for other in (alone, self._whole.export_path):
      found = _answers(other)
      self.assertEqual(found[:2], (signatures, variables))
      self.assertCountEqual(found[2], predictions)
    self.assertIn(("embedding/hour/embeddings", [25, 2]), variables)
    for name, values in _answers(alone)[2].items():
      np.testing.assert_array_equal(predictions[name], values, name)

  def test_a_run_in_parts_is_one_in_one_piece(self):
    self.assertRegex("\n".join(self._lines),
                     "embedding/hour/embeddings/part_1 ")
    self.assert_equal_runs("whole", "cut")
    # Each goes on from what the other has left.
    lines = []
    more = {"allow_changes": True, "log": lines.append}  # Of batch_size.
    self._cluster.train(_experiment(8, 25, _CUT), "whole", **more)
    loop.train(_experiment(16, 25), "cut", **more)
    self.assertLen([line for line in lines if line.endswith(
        "under a changed experiment; 0 variables start anew")], 2)
    self.assert_equal_runs("whole", "cut")


if __name__ == "__main__":
  absltest.main()

"""Tests that rows on disk are those in memory, to the bit, and of their cache.
"""

import contextlib
import os
import shutil
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import vocabularies
from mtl_graph.checkpoints import sessions
from mtl_graph.data import batches
from mtl_graph.data import row_store
from mtl_graph.data import statistics
from mtl_graph.data import streams
from mtl_graph.evaluation import evaluator
from mtl_graph.model import graphs
from mtl_graph.protos import data_pb2
from mtl_graph.training import row_numbers
from mtl_graph.training import rows
from tests import small_experiment


def _edited(*edits):
  return config.parse(small_experiment.edited(small_experiment.TEXT, edits))


class RowsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(contextlib.chdir(
        self.enter_context(tempfile.TemporaryDirectory())))
    small_experiment.write(".", small_experiment.TEXT)
    self._log = []

  def _rows(self, experiment, streamed=True, model_dir="run", shift=0.0):
    """Parses and transforms; returns both."""
    copy = vocabularies.in_line(experiment)
    if streamed:
      copy.data.input.kind = data_pb2.Input.STREAMED
    parsed = rows.parse(copy, model_dir, log=self._log.append)
    model = graphs.build(parsed.experiment, parsed.statistics)
    with sessions.open_session(model.graph,
                               copy.training.execution) as session:
      sessions.initialize(session)
      if shift:
        variable, = [v for v in model.graph.get_collection("variables")
                     if v.op.name == "statistics/age/mean"]
        with model.graph.as_default():
          session.run(variable.assign_add([shift]))
      own = evaluator.Evaluator(session, model, parsed.experiment)
      transformed = rows.transform(parsed, own, session)
      predictions = own.predict(transformed.batches["validation"])
    return parsed, transformed, predictions

  def check_equal(self, found, expected):
    self.assertEqual(found[1].digests, expected[1].digests)
    self.assertEqual(found[0].experiment.data.feature,
                     expected[0].experiment.data.feature)
    self.assertCountEqual(found[0].statistics, expected[0].statistics)
    for split, batch in expected[1].batches.items():
      for array, values in zip(batches.cast(found[1].batches[split]), batch):
        np.testing.assert_array_equal(array, values)
    for task, values in expected[2].items():
      for key, array in values.items():
        np.testing.assert_array_equal(found[2][task][key], array)

  @parameterized.parameters(7, 16384)
  def test_are_those_in_memory(self, size):
    experiment = _edited((
        'vocabulary: ["bern", "oslo", "rome"]',
        "counted_vocabulary { capacity: 4 min_count: 2 }"))
    expected = self._rows(experiment, streamed=False)
    with mock.patch.object(row_store.slices, "ROWS", size):
      found = self._rows(experiment)
    self.check_equal(found, expected)
    self.assertIsInstance(found[1].batches["train"].numbers, np.memmap)
    # Another process opens what is there, with the vocabulary it has counted.
    for again in (experiment, found[0].experiment):
      with mock.patch.object(row_store, "write") as write:
        self.check_equal(self._rows(again), expected)
        write.assert_not_called()
    self.assertLen(self._log, 1)

  def test_batches_that_are_read_are_those_of_the_training_graph(self):
    experiment = _edited()
    _, resident, _ = self._rows(experiment, streamed=False)
    _, streamed, _ = self._rows(experiment)
    count = len(resident.batches["train"].labels)
    with tf.Graph().as_default(), tf.Session() as session:
      expected = [session.run(batches.gather(
          resident.batches["train"], batches.rows_of_batch(
              tf.constant(number, tf.int64), count, 16, experiment.seed)))
                  for number in range(12)]
    into = batches.Batch(*[np.zeros([64, array.shape[1]], array.dtype)
                           for array in streamed.batches["train"]])
    with streams.Reader(streamed.batches["train"], row_numbers.build(
        [slice(0, count)], 16, experiment.seed), 16) as reader:
      for number in range(0, 12, 4):
        reader.read(number, 4, into)
        for array, *parts in zip(into, *expected[number:number + 4]):
          np.testing.assert_array_equal(array, np.concatenate(parts))

  def test_other_features_and_sources_are_parsed_anew(self):
    first = self._rows(_edited())
    self.assertLen(self._log, 1)
    self._rows(_edited(("num_buckets: 24 embedding_dimension: 2",
                        "num_buckets: 24 embedding_dimension: 3")))
    self.assertLen(self._log, 1)
    self._rows(_edited(("normalization: LOG1P ", "")))
    self.assertLen(self._log, 2)
    self.assertLen([name for name in os.listdir("run/cache")
                    if not name.endswith(".lock")], 1)
    with open("train.csv", encoding="utf-8") as file:
      lines = file.readlines()
    with open("train.csv", "w", encoding="utf-8") as file:
      file.writelines(lines[:-1])
    found = self._rows(_edited())
    self.assertLen(self._log, 3)
    self.assertLen(found[1].batches["train"].labels,
                   len(first[1].batches["train"].labels) - 1)
    self.check_equal(found, self._rows(_edited(), streamed=False))

  def test_statistics_of_a_checkpoint_count(self):
    first = self._rows(_edited())
    found = self._rows(_edited(), shift=0.5)
    self.assertNotEqual(found[1].digests, first[1].digests)
    self.check_equal(found, self._rows(_edited(), streamed=False, shift=0.5))

  def test_a_cache_of_several_runs_keeps_all(self):
    for edits in ((), (("normalization: LOG1P ", ""),), ()):
      experiment = _edited(*edits)
      experiment.data.input.cache_dir = "shared"
      self._rows(experiment, model_dir=f"run-{len(edits)}")
    self.assertLen(self._log, 2)
    self.assertFalse(os.path.exists("run-0"))

  def test_what_a_killed_run_left_is_not_believed(self):
    expected = self._rows(_edited(), streamed=False)
    with mock.patch.object(statistics, "measure",
                           side_effect=KeyboardInterrupt):
      with self.assertRaises(KeyboardInterrupt):
        rows.parse(_streamed(_edited()), "run", log=self._log.append)
    found = self._rows(_edited())
    self.check_equal(found, expected)
    folder, = [entry.path for entry in os.scandir("run/cache")
               if entry.is_dir()]
    inner, = [entry.path for entry in os.scandir(folder) if entry.is_dir()]
    shutil.move(inner, f"{inner}.partial")
    self.check_equal(self._rows(_edited()), expected)
    self.assertLen(self._log, 3)


def _streamed(experiment):
  experiment.data.input.kind = data_pb2.Input.STREAMED
  return experiment


if __name__ == "__main__":
  absltest.main()

"""Tests of rows on disk in a cluster: each is some worker's, once per epoch."""

import collections
import os
import tempfile
import threading

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import api
from mtl_graph.training import cluster_execution
from tests.training import loopback
from tests.training import small_run

_ROWS, _BATCH, _EPOCHS = 80, 8, 2


def _write_csv(path, columns):
  with open(path, "w", encoding="utf-8") as file:
    file.write(",".join(columns) + "\n")
    for row in zip(*columns.values()):
      file.write(",".join(map(str, row)) + "\n")


def _write_records(path, columns):
  with tf.io.TFRecordWriter(path) as writer:
    for row in zip(*columns.values()):
      writer.write(tf.train.Example(features=tf.train.Features(feature={
          name: tf.train.Feature(float_list=tf.train.FloatList(
              value=[float(value)])) if name != "c" else
          tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value)]))
          for name, value in zip(columns, row)})).SerializeToString())


class StreamedClusterTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._cluster = loopback.Loopback(1)

  @parameterized.parameters(
      ("asynchronous", "tfrecord", _write_records, ()),
      ("synchronous", "csv", _write_csv, ("data.input.shuffle_buffer=20",)))
  def test_workers_read_each_row_once_per_epoch(self, strategy, kind, write,
                                                more):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    path = os.path.join(folder, "rows")
    # The number of a row is what tells it from others.
    write(path, {"x": np.arange(_ROWS), "c": np.arange(_ROWS) % 4,
                 "a": np.arange(_ROWS) % 2, "b": np.arange(_ROWS) / 9})
    experiment = api.experiment_of(small_run.TEXT.replace(
        "numeric { normalization: Z_SCORE }", "numeric {}"), [
            f"data.train={{ {kind} {{ path: '{path}' }} }}",
            f"data.batch_size={_BATCH}", "data.input.kind=STREAMED",
            f"training.num_epochs={_EPOCHS}", "training.execution.mode=SESSION",
            f"training.cluster={{ {strategy} {{}} }}", *more])
    experiment.training.ClearField("num_steps")
    fed = collections.defaultdict(list)  # Rows by worker and batch.
    real = cluster_execution.ClusterExecution._fed
    both, started = threading.Barrier(2, timeout=120), set()

    def note(execution):
      values = real(execution)
      if id(execution) not in started:  # Else one may be done before the other.
        started.add(id(execution))
        both.wait()
      fed[id(execution), int(values[-1])].append(values[0][:, 0].copy())
      return values

    with absltest.mock.patch.object(
        cluster_execution.ClusterExecution, "_fed", note):
      self._cluster.train(experiment, os.path.join(folder, "run"))
    count = _EPOCHS * _ROWS // _BATCH
    numbers = collections.Counter(
        number for _, number in fed if number < count)
    self.assertEqual(numbers, dict.fromkeys(range(count), 1))
    self.assertEqual({len(rows) for rows in fed.values()}, {1})
    self.assertLen({worker for worker, _ in fed}, 2)
    for epoch in range(_EPOCHS):
      batches = range(epoch * count // _EPOCHS, (epoch + 1) * count // _EPOCHS)
      self.assertCountEqual(
          np.concatenate([rows[0] for (_, number), rows in fed.items()
                          if number in batches]), np.arange(_ROWS))


if __name__ == "__main__":
  absltest.main()

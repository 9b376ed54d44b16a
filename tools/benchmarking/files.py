"""Writes the rows of the benchmark where its contestants read them."""

import csv
import os
from typing import Any, Sequence

import numpy as np

from mtl_graph import importing
from tools.benchmarking import cases
from tools.benchmarking import worker


def write(folder: str, contestants: Sequence[Any]) -> None:
  """Writes the rows of the cases that contestants name, each once.

  Args:
    folder: Where to.
    contestants: What has a `case`, and "source" in its `options` where it
      reads a file: "csv" or "tfrecord".
  """
  for name in {c.case for c in contestants}:
    case = cases.CASES[name]
    arrays = cases.make_arrays(case)
    worker.save(folder, case, arrays)
    sources = {c.options.get("source") for c in contestants if c.case == name}
    columns = cases.columns(case, arrays)
    if "csv" in sources:
      write_csv(os.path.join(folder, f"{name}.csv"), columns)
    if "tfrecord" in sources:
      write_tfrecord(os.path.join(folder, f"{name}.tfrecord"), columns)


def write_csv(path: str, columns) -> None:
  """Writes columns of one value per row as comma-separated text."""
  with open(path, "w", encoding="utf-8", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows(zip(*[column.tolist() for column in columns.values()]))


def write_tfrecord(path: str, columns) -> None:
  """Writes columns of one value per row as serialized tf.Example."""
  importing.start_tensorflow()
  import tensorflow.compat.v1 as tf  # Not where there are no such files.
  kinds = {name: "int64_list" if np.issubdtype(column.dtype, np.integer)
           else "float_list" for name, column in columns.items()}
  with tf.io.TFRecordWriter(path) as writer:
    for row in zip(*[column.tolist() for column in columns.values()]):
      example = tf.train.Example()
      for (name, kind), value in zip(kinds.items(), row):
        getattr(example.features.feature[name], kind).value.append(value)
      writer.write(example.SerializeToString())

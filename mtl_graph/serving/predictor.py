"""Loads an export and runs it over arrays and files."""

import csv
import json
import os
import sys
from typing import Dict, List, Mapping, Sequence

from google.protobuf import message
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import row_sets
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import sessions
from mtl_graph.data import raw_values
from mtl_graph.data import sources
from mtl_graph.evaluation import tables
from mtl_graph.protos import data_pb2

SIGNATURE = "serving_default"
_BATCH_SIZE = 4096


class PredictError(Exception):
  """An export that cannot be loaded, or an output that cannot be written."""


class Predictor:
  """An export, loaded; usable as a context."""

  def __init__(self, path: str):
    """Loads an export.

    Args:
      path: Path of a version, or of a folder of versions: the newest is taken.

    Raises:
      PredictError: If there is no export, or it cannot be loaded.
    """
    self.path = _version(path)
    try:
      self.experiment = config.load(
          os.path.join(self.path, "assets.extra", "experiment.pbtxt"))
      with tf.Graph().as_default() as graph:
        self._session = sessions.open_session(graph)
        meta_graph = tf.saved_model.load(
            self._session, [tf.saved_model.tag_constants.SERVING], self.path)
    except (OSError, RuntimeError, tf.errors.OpError, ValueError, KeyError,
            message.DecodeError, config.ConfigErrors) as error:
      raise PredictError(f"{self.path}: cannot be loaded: "
                         f"{checkpoints.reason_of(error)}") from error
    signature = meta_graph.signature_def[SIGNATURE]
    self.inputs = sorted(signature.inputs)
    self.outputs = sorted(signature.outputs)
    self._call = self._session.make_callable(
        [signature.outputs[name].name for name in self.outputs],
        [signature.inputs[name].name for name in self.inputs])

  def __enter__(self) -> "Predictor":
    return self

  def __exit__(self, *unused_exception) -> None:
    self.close()

  def close(self) -> None:
    """Closes the session."""
    self._session.close()

  def run(self, raw: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Runs `serving_default` on raw values, in batches.

    Args:
      raw: Arrays of one entry per row, by feature.

    Returns:
      Arrays of one entry per row, by output: `<task>/<key>`.
    """
    rows = len(raw[self.inputs[0]])
    parts = [self._call(*[raw[name][start:start + _BATCH_SIZE]
                          for name in self.inputs])
             for start in range(0, max(rows, 1), _BATCH_SIZE)]
    return {name: _text(np.concatenate(arrays))
            for name, arrays in zip(self.outputs, zip(*parts))}

  def predict(self, arrays: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Predicts from columns as training read them.

    Args:
      arrays: Arrays, or lists, of one entry per row, by column. Columns that no
        feature reads are left alone.

    Returns:
      Arrays of one entry per row, by output: `<task>/<key>`.

    Raises:
      DataError: If a column is missing or holds what the feature cannot take.
    """
    table = sources.from_arrays(arrays, self._columns(), "arrays")
    return self.run(raw_values.read(self.experiment.data.feature, table))

  def predict_csv(self, input_path: str, output_path: str,
                  keys: Sequence[str] = ()) -> int:
    """Predicts every row of a CSV file.

    Args:
      input_path: Path or glob, plain or gzip.
      output_path: Path ending in `.csv` or `.jsonl`, or "-" for CSV on standard
        output. Written under another name first.
      keys: Columns passed through in front of the predictions.

    Returns:
      The number of rows.

    Raises:
      DataError: If the input cannot be used.
      PredictError: If the output cannot be written.
    """
    source = self._source_like(input_path)
    columns = list(dict.fromkeys([*self._columns(), *keys]))
    table = sources.read(source, columns, "--input")
    answers = self.run(raw_values.read(self.experiment.data.feature, table))
    names = list(keys)
    values: List = [table.columns[key] for key in keys]
    for name in self.outputs:
      if answers[name].ndim > 1 and not output_path.endswith(".jsonl"):
        for i in range(answers[name].shape[1]):
          names.append(f"{name}[{i}]")
          values.append(answers[name][:, i].tolist())
      else:
        names.append(name)
        values.append(answers[name].tolist())
    _write(output_path, names, values)
    return len(values[0])

  def _columns(self):
    return raw_values.columns_of(self.experiment.data.feature)

  def _source_like(self, path):
    """Returns a CSV source that is read as the training rows were.

    Of several sources, it is read as the first whose training rows are CSV.
    """
    trained = next(
        (rows.source.csv
         for rows in row_sets.every(self.experiment.data, "train")
         if rows.source.HasField("csv")), data_pb2.CsvFiles())
    return data_pb2.Source(csv=data_pb2.CsvFiles(
        path=[path], header_file=trained.header_file or None,
        strip_spaces=trained.strip_spaces,
        missing_value=trained.missing_value))


def load(path: str) -> Predictor:
  """Loads an export; see `Predictor`."""
  return Predictor(path)


def _text(values: np.ndarray) -> np.ndarray:
  """Returns names as `str`, in which they can be written; numbers as they are.
  """
  if values.dtype != object:
    return values
  decoded = np.empty(values.shape, object)
  decoded.flat = [value.decode() for value in values.flat]
  return decoded


def _version(path: str) -> str:
  """Returns the folder of the export that a path means."""
  if os.path.isfile(os.path.join(path, "saved_model.pb")):
    return path
  versions = [n for n in (os.listdir(path) if os.path.isdir(path) else [])
              if n.isdigit()
              and os.path.isfile(os.path.join(path, n, "saved_model.pb"))]
  if not versions:
    raise PredictError(f"{path}: found no export; allowed: a folder with "
                       "saved_model.pb, or one of numbered versions")
  return os.path.join(path, max(versions, key=int))


def _write(path, names, values):
  """Writes columns as CSV or JSON lines."""
  try:
    if path == "-":
      _write_rows(sys.stdout, path, names, values)
      return
    with open(path + ".tmp", "w", encoding="utf-8", newline="") as file:
      _write_rows(file, path, names, values)
    os.replace(path + ".tmp", path)
  except BrokenPipeError:
    raise  # Whoever read our output has seen enough.
  except OSError as error:
    raise PredictError(
        f"{path}: cannot be written: {error.strerror}") from error


def _write_rows(file, path, names, values):
  if path.endswith(".jsonl"):
    for row in zip(*values):
      file.write(json.dumps(tables.finite(dict(zip(names, row)))) + "\n")
    return
  writer = csv.writer(file, lineterminator="\n")
  writer.writerow(names)
  writer.writerows(zip(*values))

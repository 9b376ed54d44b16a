"""Predicts the rows of files, in batches, at constant memory."""

import contextlib
import csv
import json
import os
import sys
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

from mtl_graph import row_sets
from mtl_graph.data import csv_files
from mtl_graph.data import raw_values
from mtl_graph.data import sources
from mtl_graph.evaluation import tables
from mtl_graph.protos import data_pb2
from mtl_graph.protos import experiment_pb2
from mtl_graph.serving import manifest
from mtl_graph.serving import signature_calls
from mtl_graph.serving import signature_reader

_INPUT = "--input"
# What a folder of outputs says of itself.
_SAYS = "predictions.json"
_TFRECORD = (".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecords.gz")


class OutputError(Exception):
  """Predictions that cannot be written."""


class Asked(NamedTuple):
  """What is asked about each row.

  Attributes:
    signatures: Names of the signatures, all asked in one run of the model.
    keys: Columns passed through in front of the predictions.
    batch_size: Rows of a run of the model.
  """
  signatures: Tuple[str, ...] = (signature_reader.DEFAULT,)
  keys: Tuple[str, ...] = ()
  batch_size: int = 4096


def predict(calls: signature_calls.Calls,
            experiment: experiment_pb2.Experiment, input_path: str,
            output_path: str, asked: Asked) -> int:
  """Predicts the rows of files into one file.

  Args:
    calls: The export.
    experiment: Its experiment.
    input_path: Path, glob or shards of the input.
    output_path: Path ending in `.csv` or `.jsonl`, or "-" for CSV on standard
      output. Written under another name first.
    asked: What is asked.

  Returns:
    The number of rows.

  Raises:
    DataError: If the input cannot be used.
    OutputError: If there is no such signature, or the output cannot be written.
  """
  _check_signatures(calls, asked)
  rows, paths = 0, []
  with _writer(output_path) as write:
    for names, values in _batches(calls, experiment, input_path, asked):
      write(names, values)
      rows += len(values[0])
    if not rows:
      paths = sources.paths_of(source_of(experiment, input_path), _INPUT)
    sources.check_some(rows, paths, _INPUT)
  return rows


def predict_shards(calls: signature_calls.Calls,
                   experiment: experiment_pb2.Experiment, path: str,
                   input_path: str, output_dir: str, ending: str, asked: Asked,
                   log=print) -> int:
  """Predicts the rows of each file into a file of its own.

  A file that is there already is finished, and its input is not read again: a
  run that was stopped goes on where it was.

  Args:
    calls: The export.
    experiment: Its experiment.
    path: Path of the export.
    input_path: Path, glob or shards of the input.
    output_dir: Folder of the outputs, made if need be.
    ending: ".csv" or ".jsonl".
    asked: What is asked.
    log: Takes a line for each file.

  Returns:
    The number of rows predicted in this run.

  Raises:
    DataError: If the input cannot be used.
    OutputError: If the folder holds other predictions, or cannot be written.
  """
  _check_signatures(calls, asked)
  inputs = sources.paths_of(source_of(experiment, input_path), _INPUT)
  outputs: Dict[str, str] = {}
  for one in inputs:
    name = os.path.basename(one)
    for cut in (".gz", ".csv", *_TFRECORD, ".npz", ".parquet"):
      name = name.removesuffix(cut)
    output = os.path.join(output_dir, name + ending)
    if output in outputs:
      raise OutputError(f"{_INPUT}: '{one}' and '{outputs[output]}' would both "
                        f"be predicted into '{output}'; allowed: files with "
                        "names of their own")
    outputs[output] = one
  _claim(output_dir, {
      "weights": manifest.weights_of(path), "signatures": asked.signatures,
      "keys": asked.keys})
  rows = 0
  for number, (output, one) in enumerate(outputs.items(), 1):
    where = f"[{number}/{len(outputs)}] {one}"
    if os.path.exists(output):
      log(f"{where}: {output} is there")
      continue
    count = predict(calls, experiment, one, output, asked)
    log(f"{where}: {count:,} rows into {output}")
    rows += count
  return rows


def source_of(experiment: experiment_pb2.Experiment, path: str
              ) -> data_pb2.Source:
  """Returns the source that a path means, by its ending.

  CSV, unless it ends as TFRecord, npz or Parquet files do; CSV is read as the
  training rows were, of several sources as the first whose rows are CSV.

  Args:
    experiment: The experiment of the export.
    path: Path, glob or shards.

  Returns:
    The source.
  """
  if path.endswith(_TFRECORD):
    return data_pb2.Source(tfrecord=data_pb2.TfRecordFiles(path=[path]))
  if path.endswith(".npz"):
    return data_pb2.Source(npz=data_pb2.NpzFiles(path=[path]))
  if path.endswith(".parquet"):
    return data_pb2.Source(parquet=data_pb2.ParquetFiles(path=[path]))
  trained = next((rows.source.csv
                  for rows in row_sets.every(experiment.data, "train")
                  if rows.source.HasField("csv")), data_pb2.CsvFiles())
  return data_pb2.Source(csv=data_pb2.CsvFiles(
      path=[path], header_file=trained.header_file or None,
      strip_spaces=trained.strip_spaces, missing_value=trained.missing_value))


def raw_batches(experiment: experiment_pb2.Experiment, input_path: str,
                keys: Tuple[str, ...], batch_size: int
                ) -> Iterator[Tuple[Dict[str, np.ndarray], sources.Table]]:
  """Yields raw values by input, and the table they are from, batch by batch."""
  features = experiment.data.feature
  columns = list(dict.fromkeys([*raw_values.columns_of(features), *keys]))
  for piece in sources.pieces(source_of(experiment, input_path), columns,
                              _INPUT, False, batch_size):
    table = csv_files.parse(piece) if isinstance(
        piece, csv_files.Piece) else piece
    yield raw_values.read(features, table), table


def _batches(calls, experiment, input_path, asked):
  """Yields names and values of what is written, batch by batch."""
  for raw, table in raw_batches(experiment, input_path, asked.keys,
                                asked.batch_size):
    feeds = {name: calls.feed(name, raw) for name in asked.signatures}
    names = list(asked.keys)
    values: List[Any] = [table.columns[key] for key in asked.keys]
    for name, answer in calls.ask_several(feeds).items():
      for key in sorted(answer):
        names.append(key if name == signature_reader.DEFAULT
                     else f"{name}:{key}")
        values.append(answer[key])
    yield names, values


def _check_signatures(calls, asked):
  for name in asked.signatures:
    if name not in calls.signatures:
      raise OutputError(f"--signatures: no signature '{name}'; allowed: "
                        f"{', '.join(calls.signatures)}")


def _claim(output_dir, says):
  """Sees to it that a folder holds predictions of one kind."""
  path, says = os.path.join(output_dir, _SAYS), json.loads(json.dumps(says))
  try:
    os.makedirs(output_dir, exist_ok=True)
    if not os.path.exists(path):
      tables.write_json(says, path)
    found = tables.read_json(path)
  except (OSError, ValueError) as error:
    raise OutputError(f"{output_dir}: cannot be written: "
                      f"{getattr(error, 'strerror', error)}") from error
  if found != says:
    wrong = [key for key in says if found.get(key) != says[key]]
    raise OutputError(
        f"--output_dir: '{output_dir}' holds predictions with other "
        f"{' and '.join(wrong)}; allowed: a folder of its own for each export, "
        "and what is asked of it")


@contextlib.contextmanager
def _writer(path):
  """Opens an output; yields what takes names and values of some rows."""
  aside = path if path == "-" else path + ".tmp"
  try:
    with contextlib.ExitStack() as stack:
      file = sys.stdout if path == "-" else stack.enter_context(
          open(aside, "w", encoding="utf-8", newline=""))
      yield _Rows(file, path.endswith(".jsonl")).write
    if path != "-":
      os.replace(aside, path)
  except BrokenPipeError:
    raise  # Whoever read our output has seen enough.
  except OSError as error:
    raise OutputError(
        f"{path}: cannot be written: {error.strerror}") from error
  finally:
    if path != "-" and os.path.exists(aside):
      os.remove(aside)


class _Rows:
  """Writes rows as CSV or JSON lines."""

  def __init__(self, file, as_json: bool):
    self._file = file
    self._as_json = as_json
    self._csv = csv.writer(file, lineterminator="\n")
    self._names = None

  def write(self, names, values):
    """Writes some rows; in front of the first ones the names."""
    if self._as_json:
      for row in zip(*map(_plain, values)):
        self._file.write(json.dumps(tables.finite(dict(zip(names, row)))) +
                         "\n")
      return
    spread_names, spread = [], []
    for name, column in zip(names, values):
      flat = np.asarray(column)
      if flat.ndim > 1:
        flat = flat.reshape(len(flat), -1)
        spread_names += [f"{name}[{i}]" for i in range(flat.shape[1])]
        spread += [_plain(flat[:, i]) for i in range(flat.shape[1])]
      else:
        spread_names.append(name)
        spread.append(_plain(column))
    if self._names is None:
      self._names = spread_names
      self._csv.writerow(spread_names)
    self._csv.writerows(zip(*spread))


def _plain(column):
  """Returns the values of a column as Python's own, bytes as text."""
  def text(value):
    if isinstance(value, list):
      return [text(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value
  values = column.tolist() if isinstance(column, np.ndarray) else list(column)
  return [text(value) for value in values]

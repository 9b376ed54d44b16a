"""Loads an export and runs it over arrays and files."""

import os
from typing import Dict, Mapping, Sequence

import numpy as np

from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.data import raw_values
from mtl_graph.data import sources
from mtl_graph.serving import file_prediction
from mtl_graph.serving import signature_calls
from mtl_graph.serving import signature_reader
from mtl_graph.serving import versions

SIGNATURE = signature_reader.DEFAULT
_BATCH_SIZE = 4096


class PredictError(Exception):
  """An export that cannot be loaded."""


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
      self.calls = signature_calls.Calls(self.path)
      signature = self.calls.signatures[SIGNATURE]
    except signature_calls.LoadError as error:
      raise PredictError(str(error)) from error
    except (KeyError, config.ConfigErrors) as error:
      raise PredictError(f"{self.path}: cannot be loaded: "
                         f"{checkpoints.reason_of(error)}") from error
    self.inputs = list(signature.inputs)
    self.outputs = list(signature.outputs)

  def __enter__(self) -> "Predictor":
    return self

  def __exit__(self, *unused_exception) -> None:
    self.close()

  def close(self) -> None:
    """Closes the session."""
    self.calls.close()

  def run(self, raw: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Runs `serving_default` on raw values, in batches.

    Args:
      raw: Arrays of one entry per row, by feature.

    Returns:
      Arrays of one entry per row, by output: `<task>/<key>`.
    """
    rows = len(raw[self.inputs[0]])
    parts = [self.calls.ask(SIGNATURE, {
        name: raw[name][start:start + _BATCH_SIZE] for name in self.inputs})
             for start in range(0, max(rows, 1), _BATCH_SIZE)]
    return {name: _text(np.concatenate([part[name] for part in parts]))
            for name in self.outputs}

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
    """Predicts every row of files, reading and writing in batches.

    Args:
      input_path: Path, glob or shards of CSV or TFRecord files; see
        `file_prediction.source_of`.
      output_path: Path ending in `.csv` or `.jsonl`, or "-" for CSV on standard
        output.
      keys: Columns passed through in front of the predictions.

    Returns:
      The number of rows.

    Raises:
      DataError: If the input cannot be used.
      OutputError: If the output cannot be written.
    """
    return file_prediction.predict(
        self.calls, self.experiment, input_path, output_path,
        file_prediction.Asked(keys=tuple(keys), batch_size=_BATCH_SIZE))

  def _columns(self):
    return raw_values.columns_of(self.experiment.data.feature)


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
  newest = versions.newest(path)
  if newest is None:
    raise PredictError(f"{path}: found no export; allowed: a folder with "
                       "saved_model.pb, or one of numbered versions")
  return newest

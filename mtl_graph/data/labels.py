"""Reads the labels of the tasks, and which rows bear one."""

import collections
from typing import Optional, Sequence

import numpy as np

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.data import columns
from mtl_graph.data import sources
from mtl_graph.protos import model_pb2

# values: labels in their own units, 0 where there is none; float32 [N, T].
# weights: sample weight where there is a label, else 0; float32 [N, T].
Labels = collections.namedtuple("Labels", ["values", "weights"])


def column_of(task: model_pb2.Task) -> str:
  """Returns the column a task's label is read from."""
  return task.label.column or task.name


def read(tasks: Sequence[model_pb2.Task], table: sources.Table,
         weight_column: Optional[str] = None,
         required: bool = True) -> Labels:
  """Reads the labels of every task.

  Args:
    tasks: The tasks.
    table: The rows.
    weight_column: Column of weights per row, or None: all weigh 1.
    required: Whether every task must have a label in some row, as in training.

  Returns:
    A `Labels` with a column per task, in the order of `tasks`.

  Raises:
    DataError: If a label or a weight is not of its kind.
  """
  rows = sum(length for _, length in table.files)
  sample_weights = np.ones(rows)
  if weight_column:
    sample_weights = columns.numbers(table, weight_column)
    columns.check_vector(table, weight_column, sample_weights)
    wrong = ~(sample_weights >= 0)  # NaN compares false, hence is wrong too.
    if wrong.any():
      row = int(np.argmax(wrong))
      raise columns.bad_value(
          table, row, weight_column, table.columns[weight_column][row],
          "a number of at least 0")
    _check_fits(table, weight_column, sample_weights)
  values = np.zeros([rows, len(tasks)], np.float32)
  weights = np.zeros([rows, len(tasks)], np.float32)
  for t, task in enumerate(tasks):
    label = _read_task(task, table, required)
    labelled = ~np.isnan(label)
    values[:, t] = np.where(labelled, label, 0)
    weights[:, t] = np.where(labelled, sample_weights, 0)
    if required and not weights[:, t].any():
      raise sources.DataError(
          f"{', '.join(path for path, _ in table.files)}: no row has a label "
          f"of a weight above 0 for task '{task.name}' in column "
          f"'{column_of(task)}'; allowed: at least one")
  return Labels(values, weights)


def _read_task(task: model_pb2.Task, table: sources.Table, required: bool
               ) -> np.ndarray:
  """Returns one task's labels, NaN where there is none; float64 [N]."""
  column, label = column_of(task), task.label
  head = task.WhichOneof("head")
  if head == "multiclass":
    return _class_indices(task, table, column)
  if label.HasField("positive_value"):
    texts = columns.strings(table, column)
    values = (texts == label.positive_value).astype(np.float64)
    values[texts == ""] = np.nan
    if required and not (values == 1).any():
      raise sources.DataError(
          f"{table.files[0][0]}: no row of column '{column}' is "
          f"'{label.positive_value}' (label of task '{task.name}'); there are: "
          + ", ".join(sorted(set(texts))[:10])
          + config.nearest(label.positive_value, set(texts)))
    return values
  values = columns.numbers(table, column)
  columns.check_vector(table, column, values)
  if label.HasField("ignore_value"):
    values = np.where(values == _as_stored(label.ignore_value, table, column),
                      np.nan, values)
  if head == "binary":
    if label.HasField("greater_than"):
      return np.where(np.isnan(values), np.nan,
                      values > _as_stored(label.greater_than, table, column))
    _check_each(table, column, values, ~np.isin(values, (0, 1)),
                "0 or 1, or nothing where there is no label; other columns "
                "take label.greater_than or label.positive_value")
  if label.log1p:
    _check_each(table, column, values, values < 0, "a number of at least 0, as "
                "label.log1p is set")
  _check_fits(table, column, values)
  return values


def _class_indices(task, table, column):
  """Returns the class numbers of a multiclass task, NaN where unlabelled."""
  count = outline.logit_count(task)
  if not task.multiclass.num_classes:
    classes = outline.vocabulary(task.multiclass)
    index = {name: float(i) for i, name in enumerate(classes)}
    index[""] = np.nan
    texts = columns.strings(table, column)
    unknown = np.array([text not in index for text in texts])
    if unknown.any():
      row = int(np.argmax(unknown))
      raise columns.bad_value(table, row, column, texts[row], "an entry of the "
                              "vocabulary"
                              + config.nearest(texts[row], classes))
    return np.array([index[text] for text in texts])
  values = columns.integers(table, column).astype(np.float64)
  values[values < 0] = np.nan
  _check_each(table, column, values, values >= count,
              f"0 to {count - 1}, or nothing where there is no label")
  return values


def _as_stored(number, table, column):
  """Rounds a number as the column does, so that equal ones compare equal."""
  dtype = table.columns[column].dtype
  return float(dtype.type(number)) if dtype.kind == "f" else number


def _check_fits(table, column, values):
  _check_each(table, column, values,
              np.abs(values) > np.finfo(np.float32).max,
              "a number that fits 32-bit floating point")


def _check_each(table, column, values, wrong, allowed):
  wrong = wrong & ~np.isnan(values)
  if wrong.any():
    row = int(np.argmax(wrong))
    raise columns.bad_value(table, row, column, table.columns[column][row],
                            allowed)

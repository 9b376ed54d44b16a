"""Reads the labels of the tasks, and which rows bear one."""

import collections
from typing import Collection, Dict, List, Optional, Sequence

import numpy as np

from mtl_graph import config
from mtl_graph import outline
from mtl_graph import vocabularies
from mtl_graph.data import columns
from mtl_graph.data import selection
from mtl_graph.data import table as table_lib
from mtl_graph.protos import model_pb2

# values: labels in their own units, the columns of one task after the other, 0
#   where a row has none, NaN where only a part of a vector is missing; float32
#   [N, W].
# weights: sample weight where there is a label, else 0; float32 [N, T].
Labels = collections.namedtuple("Labels", ["values", "weights"])


def columns_of(task: model_pb2.Task) -> List[str]:
  """Returns the columns a task's label is read from; none if it has none."""
  if not outline.has_label(task):
    return []
  return list(task.label.column) or [task.name]


def all_columns(tasks: Sequence[model_pb2.Task]) -> List[str]:
  """Returns every column that labels, weights and conditions are read from."""
  names = []
  for task in tasks:
    names += columns_of(task)
    names.append(task.label.weight_column)
    names += [c.column.column for c in task.label.only_when
              if c.WhichOneof("what") == "column"]
  return list(dict.fromkeys(name for name in names if name))


def read(tasks: Sequence[model_pb2.Task], table: table_lib.Table,
         weight_column: Optional[str] = None,
         labelled: Optional[Collection[str]] = None) -> Labels:
  """Reads the labels of every task.

  Args:
    tasks: The tasks.
    table: The rows.
    weight_column: Column of weights per row, or None: all weigh 1.
    labelled: Names of the tasks that the rows label, whose columns alone are
      read; None: all.

  Returns:
    A `Labels` with the columns of each task, in the order of `tasks`. Of a task
    that has no label, or none in these rows, values and weights are 0.

  Raises:
    DataError: If a label or a weight is not of its kind.
  """
  rows = table_lib.count(table)
  sample_weights = (_read_weights(table, weight_column) if weight_column
                    else np.ones(rows))
  labels = {task.name: _read_task(task, table) for task in tasks
            if _is_read(task, labelled)}
  values, weights = [], np.zeros([rows, len(tasks)], np.float32)
  for t, task in enumerate(tasks):
    if task.name not in labels:
      values.append(np.zeros([rows, outline.label_width(task)]))
      continue
    label = labels[task.name]
    present = ~np.isnan(label).all(axis=1) & _counts(task, table, labels)
    own = sample_weights
    if task.label.weight_column:
      own = own * _read_weights(table, task.label.weight_column)
    values.append(np.where(present[:, np.newaxis], label, 0))
    weights[:, t] = np.where(present, own, 0)
  return Labels(np.concatenate(values, axis=1).astype(np.float32), weights)


def _is_read(task, labelled) -> bool:
  return outline.has_label(task) and (labelled is None
                                      or task.name in labelled)


# present: whether each task has a label of a weight above 0 in some row,
#   boolean [T].
# texts: by task whose label has a positive value that no row holds, what the
#   rows hold instead.
Presence = collections.namedtuple("Presence", ["present", "texts"])


def presence(tasks: Sequence[model_pb2.Task], table: table_lib.Table,
             labels: Labels, labelled: Optional[Collection[str]] = None
             ) -> Presence:
  """Tells which tasks have labels in some rows.

  Args:
    tasks: The tasks.
    table: The rows.
    labels: What `read` made of them.
    labelled: As of `read`.

  Returns:
    A `Presence`.
  """
  found = {}
  for task in tasks:
    if _is_read(task, labelled) and task.label.HasField("positive_value"):
      texts = set(columns.strings(table, columns_of(task)[0]))
      if task.label.positive_value not in texts:
        found[task.name] = texts
  return Presence(labels.weights.any(axis=0), found)


def merged(parts: Sequence[Presence]) -> Presence:
  """Returns what is present in any of several sets of rows."""
  texts = {
      task: set().union(*[part.texts[task] for part in parts])
      for task in parts[0].texts if all(task in part.texts for part in parts)}
  return Presence(np.any([part.present for part in parts], axis=0), texts)


def check_presence(found: Presence, tasks: Sequence[model_pb2.Task],
                   paths: Sequence[str],
                   labelled: Optional[Collection[str]] = None) -> None:
  """Raises where a task has no label in any row, as it must in training.

  Args:
    found: What there is in all rows.
    tasks: The tasks; those without a loss need no label.
    paths: The files of the rows.
    labelled: As of `read`.

  Raises:
    DataError: If a task has none.
  """
  required = [(t, task) for t, task in enumerate(tasks)
              if _is_read(task, labelled) and not task.no_loss]
  for _, task in required:
    if task.name in found.texts:
      texts = found.texts[task.name]
      raise table_lib.DataError(
          f"{paths[0]}: no row of column '{columns_of(task)[0]}' is "
          f"'{task.label.positive_value}' (label of task '{task.name}'); there "
          "are: " + ", ".join(sorted(texts)[:10])
          + config.nearest(task.label.positive_value, texts))
  for t, task in required:
    if not found.present[t]:
      raise table_lib.DataError(
          f"{', '.join(paths)}: no row has a label of a weight above 0 for "
          f"task '{task.name}' in column '{columns_of(task)[0]}'; allowed: at "
          "least one")


def _read_weights(table, column):
  weights = columns.numbers(table, column)
  columns.check_vector(table, column, weights)
  # NaN compares false, hence is wrong too.
  _check_each(table, column, np.nan_to_num(weights, nan=-1.0),
              ~(weights >= 0), "a number of at least 0")
  _check_fits(table, column, weights)
  return weights


def _counts(task, table, labels: Dict[str, np.ndarray]) -> np.ndarray:
  """Returns in which rows the conditions of a label hold."""
  holds = np.ones(table_lib.count(table), bool)
  for condition in task.label.only_when:
    if condition.WhichOneof("what") == "task":
      holds &= labels[condition.task][:, 0] == 1
    else:
      holds &= selection.holds(condition.column, table)
  return holds


def _read_task(task: model_pb2.Task, table: table_lib.Table) -> np.ndarray:
  """Returns one task's labels, NaN where there is none; float64 [N, W]."""
  head = task.WhichOneof("head")
  if head == "multilabel":
    return _read_multilabel(task, table)
  if head == "regression" and task.regression.size > 1:
    return _read_vector(task, table, task.regression.size)
  column = columns_of(task)[0]
  if head in ("multiclass", "ordinal"):
    values = _class_indices(task, getattr(task, head), table, column)
  elif head == "binary":
    values = _read_binary(task, table, column)
  elif head == "count":
    values = _read_number(task, table, column)
    _check_each(table, column, values, (values < 0) | (values % 1 != 0),
                "a whole number of at least 0, or nothing where there is no "
                "label")
    _check_fits(table, column, values)
  else:
    values = _read_number(task, table, column)
    _check_target(task, table, column, values)
  return values[:, np.newaxis]


def _read_number(task, table, column):
  """Returns a column as numbers, NaN where they are to be ignored."""
  values = columns.numbers(table, column)
  columns.check_vector(table, column, values)
  return _ignored(task, table, column, values)


def _ignored(task, table, column, values):
  if not task.label.HasField("ignore_value"):
    return values
  return np.where(
      values == columns.as_stored(task.label.ignore_value, table, column),
      np.nan, values)


def _read_binary(task, table, column):
  label = task.label
  if label.HasField("positive_value"):
    texts = columns.strings(table, column)
    values = (texts == label.positive_value).astype(np.float64)
    values[texts == ""] = np.nan
    return values
  values = _read_number(task, table, column)
  if label.HasField("greater_than"):
    return np.where(np.isnan(values), np.nan,
                    values > columns.as_stored(label.greater_than, table,
                                               column))
  _check_each(table, column, values, ~np.isin(values, (0, 1)),
              "0 or 1, or nothing where there is no label; other columns "
              "take label.greater_than or label.positive_value")
  return values


def _check_target(task, table, column, values):
  if task.label.log1p:
    _check_each(table, column, values, values < 0, "a number of at least 0, as "
                "label.log1p is set")
  _check_fits(table, column, values)


def _read_vector(task, table, size):
  """Returns a label of several numbers; [N, size]."""
  names = columns_of(task)
  if len(names) > 1:
    parts = [_read_number(task, table, name) for name in names]
  else:
    vectors = columns.vectors(table, names[0], task.label.separator, size)
    parts = list(_ignored(task, table, names[0], vectors).T)
  for i, part in enumerate(parts):
    _check_target(task, table, names[i % len(names)], part)
  return np.stack(parts, axis=1)


def _read_multilabel(task, table):
  """Returns zeros and ones, NaN where one is missing; [N, C]."""
  count, names = outline.label_width(task), columns_of(task)
  if not task.multilabel.num_labels:
    return _read_set(task, table, names[0])
  values = _read_vector(task, table, count)
  for i, name in enumerate(names):
    part = values if len(names) == 1 else values[:, i:i + 1]
    _check_each(table, name, part,
                (~np.isin(part, (0, 1)) & ~np.isnan(part)).any(axis=1),
                "0 or 1 for each label, or nothing where it is missing")
  return values


def _read_set(task, table, column):
  """Returns the labels of a set of names; a row without any has no label."""
  entries = vocabularies.entries(task.multilabel)
  index = {name: i for i, name in enumerate(entries)}
  found = columns.padded_strings(table, column, task.label.separator, None,
                                 False)
  values = np.zeros([len(found), len(entries)])
  values[(found == "").all(axis=1)] = np.nan
  for name in np.unique(found[found != ""]):
    rows = (found == name).any(axis=1)
    if name not in index:
      row = int(np.argmax(rows))
      raise columns.bad_value(table, row, column, name, "an entry of the "
                              "vocabulary" + config.nearest(name, entries))
    values[rows, index[name]] = 1
  return values


def _class_indices(task, head, table, column):
  """Returns class numbers, NaN where unlabelled."""
  count = vocabularies.class_count(head)
  if not head.num_classes:
    classes = vocabularies.entries(head)
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
  values = _read_number(task, table, column)
  _check_each(table, column, values,
              (values < 0) | (values >= count) | (values % 1 != 0),
              f"0 to {count - 1}, or nothing where there is no label")
  return values


def _check_fits(table, column, values):
  _check_each(table, column, values,
              np.abs(values) > np.finfo(np.float32).max,
              "a number that fits 32-bit floating point")


def _check_each(table, column, values, wrong, allowed):
  """Raises at the first row that is wrong, rows without a value aside."""
  if values.ndim == 1:
    wrong = wrong & ~np.isnan(values)
  columns.check_rows(table, column, wrong, allowed)

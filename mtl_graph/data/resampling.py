"""Balances classes by repeating rows, or by leaving rows out."""

from typing import Sequence

import numpy as np

from mtl_graph import outline
from mtl_graph.data import labels as labels_lib
from mtl_graph.data import table
from mtl_graph.ops import random_bits
from mtl_graph.protos import data_pb2
from mtl_graph.protos import model_pb2

# More rows of an epoch than these, where there are far fewer to begin with, are
# a mistake that would end in want of memory.
_MOST_ROWS = 10 ** 8


def rows(resampling: data_pb2.Resampling, tasks: Sequence[model_pb2.Task],
         labels: labels_lib.Labels, seed: int) -> np.ndarray:
  """Chooses the rows of an epoch.

  With n_c labelled rows and a share f_c of class c, an epoch has N f_c rows of
  each class, where N is the largest n_c / f_c (OVERSAMPLE) or the smallest
  (UNDERSAMPLE), and every unlabelled row once. What a whole number of
  repetitions leaves over is drawn by the seed, without replacement.

  Args:
    resampling: The `Resampling` message.
    tasks: The tasks.
    labels: The labels of all rows.
    seed: Seed of the experiment.

  Returns:
    Row numbers, int64, in rising order.

  Raises:
    DataError: If a class has no row at all, or would have none left, or an
      epoch would have more rows than can be held.
  """
  place = [task.name for task in tasks].index(resampling.task)
  count = outline.class_count(tasks[place])
  labelled = labels.weights[:, place] > 0
  classes = labels.values[:, outline.label_slices(tasks)[resampling.task].start]
  members = [np.flatnonzero(labelled & (classes == c)) for c in range(count)]
  empty = [c for c in range(count) if not len(members[c])]
  if empty:
    raise table.DataError(
        f"data.resampling: no training row of task '{resampling.task}' is of "
        f"class {empty[0]}; allowed: at least one of each class")
  shares = np.array(resampling.fraction or [1 / count] * count)
  ratios = np.array([len(m) for m in members]) / shares
  total = (ratios.max() if resampling.method == data_pb2.Resampling.OVERSAMPLE
           else ratios.min())
  _check_total(total, shares, len(labels.values), resampling.task)
  generator = np.random.Generator(np.random.Philox(
      key=[seed, random_bits.key_of(seed, "resampling")]))
  chosen = [np.flatnonzero(~labelled)]
  for share, some in zip(shares, members):
    whole, rest = divmod(int(round(total * share)), len(some))
    chosen += [np.repeat(some, whole), generator.permutation(some)[:rest]]
  return np.sort(np.concatenate(chosen))


def _check_total(total, shares, count, task):
  """Raises where shares leave a class, or the memory of a machine, behind."""
  if total > max(_MOST_ROWS, 10 * count):
    raise table.DataError(
        f"data.resampling.fraction: found shares that make {total:.3g} rows of "
        f"{count}; allowed: shares nearer to those of the classes of task "
        f"'{task}'")
  left_out = np.flatnonzero(np.round(total * shares) < 1)
  if len(left_out):
    raise table.DataError(
        f"data.resampling.fraction: found {shares[left_out[0]]:g} of class "
        f"{left_out[0]} of task '{task}', of which no row would be left; "
        "allowed: shares nearer to those of the classes, or OVERSAMPLE")

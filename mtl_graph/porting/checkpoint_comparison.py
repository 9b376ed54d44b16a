"""Compares a checkpoint with another one, or with what an experiment builds."""

from typing import Dict, List, NamedTuple, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import outline
from mtl_graph import ownership
from mtl_graph import vocabularies
from mtl_graph.checkpoints import checkpoint_groups
from mtl_graph.checkpoints import checkpoint_reader
from mtl_graph.model import graphs
from mtl_graph.model import variable_groups
from mtl_graph.protos import experiment_pb2


class Difference(NamedTuple):
  """What two checkpoints differ in.

  Attributes:
    only_first: Names in the first only.
    only_second: Names in the second only.
    shapes: Names with other shapes or types, and both, as text.
    values: Names with other values, and by how much at most; NaN where only
      one of the two is no number.
    equal: Names of what is the same to the bit.
  """
  only_first: List[str]
  only_second: List[str]
  shapes: Dict[str, str]
  values: Dict[str, float]
  equal: List[str]


def diff(first: checkpoint_reader.Reader, second: checkpoint_reader.Reader
         ) -> Difference:
  """Compares two checkpoints, values included.

  Raises:
    CheckpointError: If one of them is damaged.
  """
  a, b = first.variables, second.variables
  found = Difference(sorted(a.keys() - b.keys()), sorted(b.keys() - a.keys()),
                     {}, {}, [])
  for name in sorted(a.keys() & b.keys()):
    if a[name][1:] != b[name][1:]:
      found.shapes[name] = f"{_described(a[name])} -> {_described(b[name])}"
      continue
    x, y = first.value(name), second.value(name)
    if x.tobytes() == y.tobytes() if x.dtype != object else (
        np.array_equal(x, y)):
      found.equal.append(name)
    elif x.dtype == object:
      found.values[name] = float("inf")
    else:
      gap = np.abs(x.astype(np.complex128) - y.astype(np.complex128))
      both = np.isnan(gap) & (x != x) & (y != y)
      found.values[name] = float(np.max(np.where(both, 0.0, gap)))
  return found


def _described(saved):
  return f"{saved.dtype.name} [{', '.join(map(str, saved.shape))}]"


class Fit(NamedTuple):
  """How a checkpoint fits an experiment.

  Attributes:
    restored: Names that are in both, with one shape.
    missing: Names that the checkpoint lacks, with the nearest that it has.
    shapes: Names with other shapes, and both, as text.
    unused: Names that the experiment has no variable for; optimizers' state,
      averages and counters are left out.
    other: How many variables of the checkpoint are such state.
  """
  restored: List[str]
  missing: Dict[str, str]
  shapes: Dict[str, str]
  unused: List[str]
  other: int


def wanted_by(experiment: experiment_pb2.Experiment) -> Dict[str, List[int]]:
  """Returns the variables that an experiment builds, with their shapes.

  They are the trainable ones, the statistics of the layers that are called
  batch_normalization, and all that functions of Python make. A vocabulary that
  is counted from the rows has none yet.
  """
  shapes = _shapes(experiment)
  for name in list(shapes):
    scope, _, last = name.rpartition("/")
    if last in ("gamma", "beta") and scope.rpartition("/")[2].startswith(
        "batch_normalization"):
      for statistic in ("moving_mean", "moving_variance"):
        shapes[f"{scope}/{statistic}"] = shapes[name]
  return shapes


def groups_of(experiment: experiment_pb2.Experiment) -> Dict[str, List[str]]:
  """Returns the variables of each variable group of an experiment."""
  names = list(_shapes(experiment, trainable=True))
  groups = experiment.training.group or variable_groups.default_groups(
      [task.name for task in experiment.model.task], names)
  return ownership.claim(groups, names, lambda *unused: None)


def _shapes(experiment, trainable: bool = False) -> Dict[str, List[int]]:
  """Returns shapes of the trainable variables, and of what functions make."""
  experiment = vocabularies.in_line(experiment)
  found = outline.build(experiment)
  shapes = {name: list(shape) for name, shape in found.variables.items()}
  if found.functions:
    # What they make is known once they have been called.
    built = graphs.build(experiment)
    with built.graph.as_default():
      shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()
                if v.op.name in built.trainable or not trainable and any(
                    ownership.within(v.op.name, scope)
                    for scope in found.functions)}
  return shapes


def against(reader: checkpoint_reader.Reader,
            wanted: Dict[str, Sequence[int]]) -> Fit:
  """Compares a checkpoint with the variables that a graph wants.

  Args:
    reader: The checkpoint.
    wanted: Shapes by name; a dimension of 0 fits any.

  Returns:
    A `Fit`.
  """
  saved = reader.variables
  kinds = {name: checkpoint_groups.kind_of(name, saved).kind for name in saved}
  free = [name for name in saved if name not in wanted
          and kinds[name] in ("model", "batch norm statistics")]
  fit = Fit([], {}, {}, free, sum(
      name not in wanted and name not in free for name in saved))
  for name, shape in wanted.items():
    if name not in saved:
      same = [n for n in free if _fits(saved[n].shape, shape)]
      fit.missing[name] = config.nearest(name, same) or config.nearest(
          name, free) or (f"; of its shape: {', '.join(same[:3])}" if same
                          else "")
    elif _fits(saved[name].shape, shape):
      fit.restored.append(name)
    else:
      fit.shapes[name] = (f"{saved[name].shape} in the checkpoint, "
                          f"{list(shape)} wanted")
  return fit


def _fits(saved, wanted):
  return len(saved) == len(wanted) and all(
      w in (0, s) for s, w in zip(saved, wanted))

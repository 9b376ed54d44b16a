"""Makes the experiments of a k-fold cross-validation out of one."""

from typing import List

from mtl_graph import config
from mtl_graph.protos import data_pb2
from mtl_graph.protos import experiment_pb2


def split(experiment: experiment_pb2.Experiment, count: int,
          key_column: str = "") -> List[experiment_pb2.Experiment]:
  """Makes one experiment per fold.

  Fold i of k is validated on the rows of `data.train` whose hash lies from i/k
  to (i+1)/k, and trained on all others. It exports nothing.

  Args:
    experiment: The experiment; stays as it is.
    count: How many folds, k.
    key_column: Column whose hash counts, so that rows with the same key stay
      together; empty: the hash of the whole row.

  Returns:
    The experiments, not validated yet.

  Raises:
    ConfigErrors: If there are fewer than two folds, `data.train` is a part
      already, or there are sources per task in its place.
  """
  errors = []
  if count < 2:
    errors.append(config.ConfigError(
        "--folds", f"found {count}; allowed: at least 2"))
  if experiment.data.source:
    errors.append(config.ConfigError(
        "data.source", f"found {len(experiment.data.source)}; allowed: none, "
        "as cross-validation cuts data.train into parts"))
  elif experiment.data.train.HasField("part"):
    errors.append(config.ConfigError(
        "data.train.part", "found one; allowed: none, as cross-validation cuts "
        "data.train into parts itself; rows to hold out need files of their "
        "own"))
  if errors:
    raise config.ConfigErrors(errors)
  return [_fold(experiment, i, count, key_column) for i in range(count)]


def _fold(experiment, i, count, key_column):
  fold = experiment_pb2.Experiment()
  fold.CopyFrom(experiment)
  fold.ClearField("serving")
  # The last fold ends at count / count, which is 1 to the bit.
  part = data_pb2.Part(**{"from": i / count, "to": (i + 1) / count})
  if key_column:
    part.key_column = key_column
  else:
    part.row_hash.SetInParent()
  fold.data.validation.CopyFrom(fold.data.train)
  fold.data.validation.part.CopyFrom(part)
  fold.data.train.part.CopyFrom(part)
  fold.data.train.part.outside = True
  return fold

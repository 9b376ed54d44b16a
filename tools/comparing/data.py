"""The data sets on which compare_methods.py compares methods."""

import os
from typing import Callable, Dict, NamedTuple, Tuple

import numpy as np

from mtl_graph import api
from mtl_graph.protos import experiment_pb2
from tools import make_census
from tools import make_multimnist
from tools import make_tox21
from tools.comparing import methods

# The census columns that are used, and their types.
_CENSUS = {"age": float, "capital_gains": float, "sex": object,
           "det_occ_code": object, "class_worker": object,
           "income_50k": object, "marital_stat": object, "education": object,
           "wage_per_hour": float, "instance_weight": float}

Splits = Dict[str, Dict[str, np.ndarray]]

_EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                         "protos", "examples", "large")


class Dataset(NamedTuple):
  """A data set, and how it is trained on.

  Attributes:
    file: Name of the experiment.
    read: Given the path of the data as published, returns columns by split.
    rate: The learning rate that trials multiply.
    steps: Steps of each run.
    kernel: The kernel by which GradNorm measures gradients.
    metric: By task the metric that counts, by its name in the results, and
      whether higher is better; "" is every other task.
    note: What a reader should know, a sentence or two.
  """
  file: str
  read: Callable[[str], Splits]
  rate: float
  steps: int
  kernel: str
  metric: Dict[str, Tuple[str, bool]]
  note: str


def read_census(path: str) -> Splits:
  """Reads census-income.test.gz, split by a hash of the row."""
  found = {}
  for split, rows in make_census.split(make_census.read(path)).items():
    columns = zip(*[[field.strip() for field in row.decode().split(",")]
                    for row in rows])
    found[split] = {name: np.array(values, _CENSUS[name])
                    for name, values in zip(make_census.COLUMNS, columns)
                    if name in _CENSUS}
  return found


def read_tox21(path: str) -> Splits:
  """Reads derived_ecfp4_1024.npz, split by scaffold."""
  return make_tox21.make(make_tox21.read(path))


def read_multimnist(path: str) -> Splits:
  """Makes pairs of the digits of a folder; no digit trains and is tested."""
  made = make_multimnist.make(
      *make_multimnist.read(path), {"train": 30000, "validation": 10000}, 1)
  held_out = made["validation"]
  half = len(held_out["left"]) // 2
  return {"train": made["train"],
          "validation": {k: v[:half] for k, v in held_out.items()},
          "test": {k: v[half:] for k, v in held_out.items()}}


DATASETS = {
    "census": Dataset(
        "census_mixed", read_census, 0.06, 300, "expert/7/dense/kernel",
        {"income": ("auc", True), "never_married": ("auc", True),
         "education": ("accuracy", True), "wage": ("loss", False)},
        "Two binary tasks (AUC), one of 17 classes (accuracy) and a wage that "
        "94 % of the rows do not have (squared error of ln(1 + wage)), on a "
        "mixture of 8 experts; 79,517 rows to train on, 10,037 to choose by, "
        "10,208 to test on, equal rows on one side."),
    "tox21": Dataset(
        "tox21", read_tox21, 0.001, 300, "trunk/dense/kernel",
        {"": ("auc", True)},
        "Twelve assays (AUC), most molecules with labels of some, split by "
        "scaffold."),
    "multimnist": Dataset(
        "multimnist", read_multimnist, 0.003, 500, "trunk/dense/kernel",
        {"": ("accuracy", True)},
        "Two digits on one image (accuracy); 30,000 pairs to train on, 5,000 "
        "each to choose by and to test on, of digits that no pair of training "
        "has."),
}


def experiment_of(dataset: Dataset) -> experiment_pb2.Experiment:
  """Returns the experiment of a data set, for columns handed over."""
  experiment = api.experiment_of(
      os.path.join(_EXAMPLES, f"{dataset.file}.pbtxt"), [
          f"training.num_steps={dataset.steps}",
          f"evaluation.every_steps={dataset.steps}",
          f"training.log_every_steps={dataset.steps}",
          "evaluation.batch_size=4096", "training.execution.mode=LOOP",
          "training.execution.intra_op_threads=1",
          "training.summaries.enabled=false",
          "training.checkpoint.every_steps=0"])
  for split in ("train", "validation", "test"):
    source = getattr(experiment.data, split)
    for kind in ("csv", "npz"):
      source.ClearField(kind)
  return experiment


def measured(dataset: Dataset, task: str) -> Tuple[str, bool]:
  """Returns a task's metric, and whether higher is better."""
  return dataset.metric.get(task) or dataset.metric[""]


def methods_of(name: str):
  """Returns the names of the methods that are compared on a data set."""
  return list(methods.METHODS if name == "census" else methods.FEW)

"""The data sets on which compare_methods.py compares methods."""

import contextlib
import gzip
import os
import subprocess
import sys
import tempfile
from typing import Callable, Dict, Iterator, NamedTuple, Tuple

import numpy as np

from mtl_graph import api
from mtl_graph.data import table
from mtl_graph.protos import experiment_pb2
from tools.comparing import methods

# The census columns that are used, and their types.
_CENSUS = {"age": float, "capital_gains": float, "sex": object,
           "det_occ_code": object, "class_worker": object,
           "income_50k": object, "marital_stat": object, "education": object,
           "wage_per_hour": float, "instance_weight": float}

Splits = Dict[str, Dict[str, np.ndarray]]

_SPLITS = ("train", "validation", "test")
_TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_EXAMPLES = os.path.join(_TOOLS, "..", "protos", "examples", "large")


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
  with _made("make_census", f"--input={path}") as folder:
    with open(os.path.join(folder, "census-columns.txt"),
              encoding="utf-8") as file:
      names = file.read().split()
    for split in _SPLITS:
      with gzip.open(os.path.join(folder, f"census-{split}.csv.gz"),
                     "rt") as file:
        columns = zip(*[[field.strip() for field in row.split(",")]
                        for row in file])
      found[split] = {name: np.array(values, _CENSUS[name])
                      for name, values in zip(names, columns)
                      if name in _CENSUS}
  return found


def read_tox21(path: str) -> Splits:
  """Reads derived_ecfp4_1024.npz, split by scaffold."""
  with _made("make_tox21", f"--input={path}") as folder:
    return {split: _arrays(folder, split) for split in _SPLITS}


def read_multimnist(path: str) -> Splits:
  """Makes pairs of the digits of a folder; no digit trains and is tested."""
  with _made("make_multimnist", f"--input_dir={path}", "--train_pairs=40000",
             "--validation_pairs=10000") as folder:
    train, held_out = (_arrays(folder, split) for split in _SPLITS[:2])
  half = len(held_out["left"]) // 2
  return {"train": train,
          "validation": {k: v[:half] for k, v in held_out.items()},
          "test": {k: v[half:] for k, v in held_out.items()}}


@contextlib.contextmanager
def _made(tool: str, *arguments: str) -> Iterator[str]:
  """Yields a folder of what a tool makes of data as published."""
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(_TOOLS, f"{tool}.py")
    made = subprocess.run(
        [sys.executable, path, f"--output_dir={folder}", *arguments],
        capture_output=True, text=True, check=False)
    if made.returncode:
      raise table.DataError(made.stderr.strip())
    yield folder


def _arrays(folder: str, split: str) -> Dict[str, np.ndarray]:
  with np.load(os.path.join(folder, f"{split}.npz")) as file:
    return dict(file)


DATASETS = {
    "census": Dataset(
        "census_mixed", read_census, 0.06, 300, "expert/7/dense/kernel",
        {"income": ("auc", True), "never_married": ("auc", True),
         "education": ("accuracy", True), "wage": ("loss", False)},
        "Two binary tasks (AUC), one of 17 classes (accuracy) and a wage that "
        "94 % of the rows do not have (squared error of ln(1 + wage)), on a "
        "mixture of 8 experts; 79,517 rows to train on, 10,037 to choose by, "
        "10,208 to test on, equal rows on one side. GradNorm measures gradients "
        "at one kernel, and no kernel is of all experts: one of eight stands "
        "for them, which is no fair picture of the method."),
    "tox21": Dataset(
        "tox21", read_tox21, 0.003, 300, "trunk/dense/kernel",
        {"": ("auc", True)},
        "Twelve assays (AUC), most molecules with labels of some, split by "
        "scaffold."),
    "multimnist": Dataset(
        "multimnist", read_multimnist, 0.003, 600, "trunk/dense/kernel",
        {"": ("accuracy", True)},
        "Two digits on one image (accuracy); 40,000 pairs to train on, 5,000 "
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
  for split in _SPLITS:
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

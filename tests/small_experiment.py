"""A small valid experiment with its rows, and ways to break copies of it."""

import csv
import gzip
import os
import re
from typing import Callable, List, NamedTuple, Sequence, Tuple, Union

import numpy as np

TEXT = """\
name: "small"
seed: 7
data {
  train { csv { path: "train.csv" } weight_column: "weight" }
  validation { csv { path: "validation.csv" } weight_column: "weight" }
  batch_size: 16
  feature { name: "age" numeric { normalization: Z_SCORE } }
  feature { name: "income" numeric { normalization: LOG1P missing_value: 0 } }
  feature {
    name: "city"
    categorical { vocabulary: ["bern", "oslo", "rome"] embedding_dimension: 2 }
  }
  feature {
    name: "device" categorical { hash_buckets: 8 embedding_dimension: 2 }
  }
  feature { name: "hour" categorical { num_buckets: 24 embedding_dimension: 2 }}
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: RELU } } } }
  task {
    name: "click" label { column: "clicked" } binary {}
    tower { layer { dense { units: 3 activation: TANH } } }
  }
  task {
    name: "spent" label { log1p: true } regression { loss: HUBER huber_delta: 2}
    estimate { task: "click" form: PROBABILITY }
  }
  task {
    name: "tier" multiclass { vocabulary: ["bronze", "silver", "gold"] }
    tower { layer { dropout { rate: 0.1 } } }
  }
}
training {
  num_steps: 4
  joint { loss { uncertainty {} } }
  default_optimizer { adam { learning_rate { constant: 0.01 } } }
  group { name: "shared" scope: "embedding" scope: "trunk" }
  group {
    name: "click" scope: "tower/click" scope: "head/click"
    optimizer { adam { learning_rate { constant: 0.002 } } }
    clipping { global_norm: 1 }
  }
  group { name: "others" scope: "head/spent" scope: "head/tier" }
  checkpoint { every_steps: 1 keep: 2 }
  summaries { enabled: false }
}
evaluation {
  every_steps: 1
  best { metric: "click/auc" goal: MAXIMIZE }
  early_stopping { metric: "click/log_loss" goal: MINIMIZE patience: 9 }
}
"""

# What a case prepares runs inside its folder, hence on relative paths.
Preparation = Callable[[], None]


class Case(NamedTuple):
  """One broken experiment, data file or run, and what must be said of it.

  Attributes:
    name: Its name.
    expect: Regular expressions, each of which must match standard error; the
      field path, or the file and the row, are among them.
    edits: Pairs of a piece of the experiment and what stands in its place.
    flags: Flags behind those of `command`, which a later one overrides.
    prepare: What is done to the folder before the launcher starts.
    code: Exit code.
    launcher: Which launcher: train, evaluate, export or predict.
    process: Whether it runs in a process of its own.
    bare: Whether it gets no flags but its own.
    base: The experiment that `edits` and --set change, by the name of its
      module in tests/, without its ending: small, wide and so on.
    whole: Whether `expect` lists all that may be said.
  """
  name: str
  expect: Tuple[str, ...]
  edits: Tuple[Tuple[str, str], ...] = ()
  flags: Tuple[str, ...] = ()
  prepare: Tuple[Preparation, ...] = ()
  code: int = 2
  launcher: str = "train"
  process: bool = False
  bare: bool = False
  base: str = "small"
  whole: bool = False


def command(case: Case) -> List[str]:
  """Returns the command line of a case, without the interpreter."""
  flags = [f"--config={case.base}.pbtxt", "--model_dir=run"]
  if case.launcher == "predict":
    flags = ["--export_dir=run/export", "--input=validation.csv",
             "--output=predictions.csv"]
  return [case.launcher, *([] if case.bare else flags), *case.flags]


def edited(text: str, edits: Sequence[Tuple[str, str]]) -> str:
  """Returns a text with pieces of it replaced, each of which occurs once."""
  for old, new in edits:
    if text.count(old) != 1:
      raise ValueError(f"edited: found {old!r} {text.count(old)} times.")
    text = text.replace(old, new)
  return text


def text_case(name: str, old: str, new: str, *expect: str, **more) -> Case:
  """An experiment whose text has one piece replaced."""
  return Case(name, expect, edits=((old, new),), **more)


def set_case(name: str, assignment: str, *expect: str,
             flags: Sequence[str] = (), **more) -> Case:
  """An experiment with one override."""
  return Case(name, expect, flags=(f"--set={assignment}", *flags), **more)


def line_case(name: str, assignments: Union[str, Sequence[str]], *lines: str,
              flags: Sequence[str] = (), **more) -> Case:
  """An experiment with overrides, and all that must be said of it, in full.

  Args:
    name: Name of the case.
    assignments: What --set takes; one, or several.
    *lines: The lines of standard error; "..." at the end stands for more.
    flags: Flags behind those that override.
    **more: Further fields of the case.

  Returns:
    The case.
  """
  if isinstance(assignments, str):
    assignments = [assignments]
  return Case(name, tuple(map(exactly, lines)),
              flags=(*(f"--set={a}" for a in assignments), *flags), whole=True,
              **more)


def exactly(line: str) -> str:
  """Returns the expression for a line, or for how it begins before "..."."""
  if line.endswith("..."):
    return "^" + re.escape(line[:-len("...")])
  return f"^{re.escape(line)}$"


def flag_case(name: str, flags: Sequence[str], *expect: str, **more) -> Case:
  """A command line with further flags."""
  return Case(name, expect, flags=tuple(flags), **more)


def make_rows(seed: int, count: int):
  """Returns a header and rows of strings."""
  random = np.random.RandomState(seed)
  age = random.randint(18, 90, count)
  clicked = random.rand(count) < age / 100
  columns = {
      "age": age,
      "income": np.round(random.lognormal(10, 1, count), 2),
      "city": random.choice(["bern", "oslo", "rome", ""], count),
      "device": random.choice(["tablet", "laptop", "phone"], count),
      "hour": random.randint(0, 24, count),
      "clicked": clicked.astype(int),
      "spent": np.round(age * clicked * random.rand(count), 2),
      "tier": random.choice(["bronze", "silver", "gold", ""], count),
      "weight": random.randint(1, 4, count),
  }
  return list(columns), [list(map(str, row)) for row in zip(*columns.values())]


def write(folder: str, text: str, name: str = "small") -> None:
  """Writes an experiment as `<name>.pbtxt`, and its files, into a folder."""
  path = os.path.join(folder, f"{name}.pbtxt")
  with open(path, "w", encoding="utf-8") as file:
    file.write(text)
  for name, seed, count in (("train", 1, 60), ("validation", 2, 20)):
    write_csv(os.path.join(folder, name + ".csv"), *make_rows(seed, count))


def write_csv(path, header, rows):
  """Writes a CSV file."""
  with open(path, "w", encoding="utf-8", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def rows_of(path):
  """Returns the header and the rows of a CSV file."""
  with open(path, encoding="utf-8", newline="") as file:
    header, *rows = csv.reader(file)
  return header, rows


def cell(row: int, column: str, value: str, path: str = "train.csv"
         ) -> Preparation:
  """Replaces one field; rows count from 1."""
  def prepare():
    header, rows = rows_of(path)
    rows[row - 1][header.index(column)] = value
    write_csv(path, header, rows)
  return prepare


def column(name: str, value: str, path: str = "train.csv") -> Preparation:
  """Replaces all fields of a column."""
  def prepare():
    header, rows = rows_of(path)
    for row in rows:
      row[header.index(name)] = value
    write_csv(path, header, rows)
  return prepare


def header(old: str, new: str, path: str = "train.csv") -> Preparation:
  """Renames a column."""
  def prepare():
    names, rows = rows_of(path)
    write_csv(path, [new if name == old else name for name in names], rows)
  return prepare


def content(path: str, data: bytes) -> Preparation:
  """Writes a file."""
  def prepare():
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as file:
      file.write(data)
  return prepare


def bytes_of(change: Callable[[bytes], bytes], path: str = "train.csv"
             ) -> Preparation:
  """Changes the bytes of a file."""
  def prepare():
    with open(path, "rb") as file:
      data = file.read()
    with open(path, "wb") as file:
      file.write(change(data))
  return prepare


def zipped(change: Callable[[bytes], bytes], path: str = "train.csv.gz"
           ) -> Preparation:
  """Writes train.csv compressed, its compressed bytes changed."""
  def prepare():
    with open("train.csv", "rb") as file:
      data = gzip.compress(file.read())
    with open(path, "wb") as file:
      file.write(change(data))
  return prepare


def npz(change: Callable[[dict], dict], path: str = "train.npz") -> Preparation:
  """Writes the rows of train.csv as arrays, after a change to them."""
  def prepare():
    names, rows = rows_of("train.csv")
    arrays = {name: np.array(values) for name, values in zip(names, zip(*rows))}
    for name in ("age", "income", "clicked", "spent", "weight"):
      arrays[name] = arrays[name].astype(np.float64)
    arrays["hour"] = arrays["hour"].astype(np.int64)
    np.savez(path, **change(arrays))
  return prepare

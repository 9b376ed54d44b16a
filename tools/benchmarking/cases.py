"""What the benchmark trains: models, their data and their initial values.

Every contestant gets the same of all three, so that what differs between them
is how fast they go.
"""

from typing import Dict, List, NamedTuple, Tuple

import numpy as np

# Learning rates: of what is shared, and of the tasks' own variables in turn.
SHARED_RATE = 1e-3
TASK_RATES = (1e-2, 5e-4)
# Categories and width of an embedding for each categorical feature of the
# Census-Income data, as protos/examples/large/census_shared_bottom.pbtxt has
# them.
_CENSUS = ((32, 8), (128, 8), (128, 8), (9, 4), (52, 8), (47, 8), (3, 4),
           (24, 8), (15, 8), (5, 4), (10, 4), (2, 4), (3, 4), (6, 4), (8, 4),
           (6, 4), (6, 4), (51, 8), (38, 8), (8, 4), (10, 4), (9, 4), (10, 4),
           (3, 4), (4, 4), (5, 4), (43, 8), (43, 8), (43, 8), (5, 4), (3, 4),
           (3, 4), (3, 4), (2, 4))


class Case(NamedTuple):
  """One model, and how it is trained.

  Attributes:
    name: Its name.
    numbers: Width of each numeric feature.
    categories: Categories and width of the embedding of each categorical
      feature. A table has one more row than categories, for unknown ones.
    trunk: Units of the trunk's layer, or of each expert's.
    experts: Experts, each task with a gate of its own; 0: a trunk.
    tower: Units of each task's layer.
    tasks: Tasks.
    binary: Whether labels are 0 and 1 under cross entropy, else numbers under
      squared error.
    batch_size: Rows per step.
    batches: Batches per epoch.
    line_steps: Steps between two lines of the engine's log.
    lazy: Whether only the rows of a table that a batch reads are updated.
  """
  name: str
  numbers: Tuple[int, ...]
  categories: Tuple[Tuple[int, int], ...] = ()
  trunk: int = 128
  experts: int = 0
  tower: int = 64
  tasks: int = 2
  binary: bool = False
  batch_size: int = 256
  batches: int = 400
  line_steps: int = 400
  lazy: bool = False


class Dense(NamedTuple):
  """A dense layer.

  Attributes:
    scope: Its scope in the engine.
    inputs: What it reads.
    outputs: Its units.
    bias: Whether it has one.
    reads_input: Whether it reads the features.
  """
  scope: str
  inputs: int
  outputs: int
  bias: bool = True
  reads_input: bool = False


class Arrays(NamedTuple):
  """Rows.

  Attributes:
    numbers: float32 `[N, D]`.
    ids: int32 `[N, C]`.
    labels: float32 `[N, T]`.
  """
  numbers: np.ndarray
  ids: np.ndarray
  labels: np.ndarray


def _embeddings(name, rows):
  return Case(name, (16,), ((rows, 16),), trunk=64, tower=32, batch_size=1024,
              batches=50, line_steps=50, lazy=True)


TASK_COUNTS = (2, 4, 8, 16, 32)
CASES = {case.name: case for case in (
    Case("small", (64,)),
    Case("middle", (1,) * 7, _CENSUS, trunk=32, experts=8, tower=32,
         binary=True, batches=200, line_steps=100),
    Case("large", (512,), trunk=1024, batch_size=1024, batches=100,
         line_steps=20),
    _embeddings("embeddings_1000", 1000),
    _embeddings("embeddings_1000000", 1000000),
    *[Case(f"tasks_{count}", (64,), tasks=count, batches=100, line_steps=100)
      for count in TASK_COUNTS])}


def task_names(case: Case) -> List[str]:
  """Returns the names of the tasks."""
  return [f"task_{t}" for t in range(case.tasks)]


def rate(task: int) -> float:
  """Returns the learning rate of a task's own variables."""
  return TASK_RATES[task % len(TASK_RATES)]


def layers(case: Case) -> List[Dense]:
  """Returns the dense layers in the order of the forward pass."""
  width = sum(case.numbers) + sum(size for _, size in case.categories)
  scopes = ([f"expert/{i}/dense" for i in range(case.experts)]
            or ["trunk/dense"])
  found = [Dense(scope, width, case.trunk, reads_input=True)
           for scope in scopes]
  for task in task_names(case):
    if case.experts:
      found.append(Dense(f"gate/{task}", width, case.experts, False, True))
    found += [Dense(f"tower/{task}/dense", case.trunk, case.tower),
              Dense(f"head/{task}", case.tower, 1)]
  return found


def initial_values(case: Case, seed: int = 1) -> Dict[str, np.ndarray]:
  """Draws an initial value for each variable, by its name in the engine."""
  random = np.random.default_rng(seed)
  values = {}
  for c, (rows, size) in enumerate(case.categories):
    values[f"embedding/c{c}/embeddings"] = random.uniform(
        -0.05, 0.05, [rows + 1, size])
  for layer in layers(case):
    limit = np.sqrt(6 / (layer.inputs + layer.outputs))
    values[f"{layer.scope}/kernel"] = random.uniform(
        -limit, limit, [layer.inputs, layer.outputs])
    if layer.bias:
      values[f"{layer.scope}/bias"] = np.zeros([layer.outputs])
  return {name: value.astype(np.float32) for name, value in values.items()}


def groups(case: Case, names: List[str]) -> Dict[str, List[str]]:
  """Returns the names of the variables by the group that trains them.

  Args:
    case: The case.
    names: Names of variables, of which each falls to one group.

  Returns:
    Names by group: "shared", then each task.
  """
  found = {"shared": [n for n in names if n.split("/")[0] in (
      "embedding", "expert", "trunk")]}
  for task in task_names(case):
    found[task] = [n for n in names if n.split("/")[1] == task]
  return found


def parameters(case: Case) -> int:
  """Returns how many parameters the model has."""
  return sum(rows * size + size for rows, size in case.categories) + sum(
      layer.inputs * layer.outputs + layer.bias * layer.outputs
      for layer in layers(case))


def products(case: Case, towers_only: bool = False
             ) -> List[Tuple[int, int, int]]:
  """Returns the matrix products of a step, forward and backward.

  Args:
    case: The case.
    towers_only: Whether to leave out the layers that tasks share.

  Returns:
    Triples (M, K, N), a product of `[M, K]` and `[K, N]` each.
  """
  found = []
  batch = case.batch_size
  for layer in layers(case):
    if towers_only and layer.reads_input:
      continue
    found.append((batch, layer.inputs, layer.outputs))
    found.append((layer.inputs, batch, layer.outputs))
    # Nobody asks for the gradient of numbers that come from the data.
    if case.categories or not layer.reads_input:
      found.append((batch, layer.outputs, layer.inputs))
  return found


def make_arrays(case: Case, seed: int = 2) -> Arrays:
  """Draws the rows of an epoch."""
  random = np.random.default_rng(seed)
  rows = case.batch_size * case.batches
  numbers = random.standard_normal([rows, sum(case.numbers)], np.float32)
  ids = np.stack([random.integers(0, count, rows, np.int32)
                  for count, _ in case.categories] or [[]] * rows,
                 axis=-1 if case.categories else 0)
  labels = random.standard_normal([rows, case.tasks], np.float32)
  if case.binary:
    labels = (labels > 0).astype(np.float32)
  return Arrays(numbers, ids.reshape(rows, -1).astype(np.int32), labels)


def columns(case: Case, arrays: Arrays) -> Dict[str, np.ndarray]:
  """Returns rows as the columns that the engine's experiment reads."""
  found = {}
  place = 0
  for i, size in enumerate(case.numbers):
    column = arrays.numbers[:, place:place + size]
    found[f"x{i}"] = column if size > 1 else column[:, 0]
    place += size
  for c in range(len(case.categories)):
    found[f"c{c}"] = arrays.ids[:, c]
  for t, task in enumerate(task_names(case)):
    found[task] = arrays.labels[:, t]
  return found


def reference_loss(case: Case, values: Dict[str, np.ndarray], arrays: Arrays
                   ) -> float:
  """Computes the loss over all rows in float64: what everyone must agree on."""
  def dense(scope, x):
    bias = values.get(f"{scope}/bias")
    y = x @ values[f"{scope}/kernel"].astype(np.float64)
    return y if bias is None else y + bias

  def relu(x):
    return np.maximum(x, 0)

  features = np.concatenate([arrays.numbers.astype(np.float64)] + [
      values[f"embedding/c{c}/embeddings"][arrays.ids[:, c]]
      for c in range(len(case.categories))], axis=1)
  if case.experts:
    experts = np.stack([relu(dense(f"expert/{i}/dense", features))
                        for i in range(case.experts)], axis=1)
  else:
    trunk = relu(dense("trunk/dense", features))
  total = 0.0
  for t, task in enumerate(task_names(case)):
    if case.experts:
      weights = np.exp(dense(f"gate/{task}", features))
      weights /= weights.sum(axis=1, keepdims=True)
      trunk = np.einsum("be,beh->bh", weights, experts)
    estimate = dense(f"head/{task}",
                     relu(dense(f"tower/{task}/dense", trunk)))[:, 0]
    label = arrays.labels[:, t]
    total += np.mean(np.logaddexp(0, estimate) - label * estimate
                     if case.binary else np.square(estimate - label))
  return float(total)

"""PyTorch's contestants of the benchmark."""

import itertools
from typing import Dict, Iterator, List

import numpy as np
import torch
from torch import nn

from tools.benchmarking import cases
from tools.benchmarking import pipe


def build(case: cases.Case, arrays: cases.Arrays,
          values: Dict[str, np.ndarray], threads: int, fused: bool = False,
          loader: bool = False, compiled: bool = False
          ) -> pipe.Rival:
  """Builds the model and its optimizer.

  Args:
    case: The model. If it is `lazy`, its tables are trained by SparseAdam.
    arrays: The rows.
    values: Initial values by name.
    threads: Threads within an op.
    fused: Whether Adam is the fused one, else as it comes.
    loader: Whether batches come from a DataLoader, else by indexing tensors
      with a permutation.
    compiled: Whether model and loss go through `torch.compile`.

  Returns:
    A `Rival`.
  """
  torch.set_num_threads(threads)
  model = Model(case)
  model.fill(values)
  tensors = [torch.from_numpy(array) for array in arrays]
  trained = optimizers(case, model, fused)
  loss_of = torch.compile(model) if compiled else model
  batches = _loaded(case, tensors) if loader else indexed(case, tensors)

  def step():
    loss = loss_of(*next(batches))
    for optimizer in trained:
      optimizer.zero_grad(set_to_none=True)
    loss.backward()
    for optimizer in trained:
      optimizer.step()
    return loss

  def run(count):
    for _ in range(count):
      step()
    return count

  return pipe.Rival(
      sum(p.numel() for p in model.parameters()), run,
      lambda count: [step().item() for _ in range(count)])


class Model(nn.Module):
  """The case's model; called with a batch it returns the sum of the losses."""

  def __init__(self, case):
    super().__init__()
    self._case = case
    width = sum(case.numbers) + sum(size for _, size in case.categories)
    self.embedding = nn.ModuleList([
        nn.Embedding(rows + 1, size, sparse=case.lazy)
        for rows, size in case.categories])
    # All experts in one product: faster than one after the other.
    self.shared = nn.Linear(width, case.trunk * max(case.experts, 1))
    self.gate = nn.ModuleList([
        nn.Linear(width, case.experts, bias=False)
        for _ in range(case.tasks if case.experts else 0)])
    self.tower = nn.ModuleList([nn.Linear(case.trunk, case.tower)
                                for _ in range(case.tasks)])
    self.head = nn.ModuleList([nn.Linear(case.tower, 1)
                               for _ in range(case.tasks)])

  def forward(self, numbers, ids, labels):
    """Returns the sum of the tasks' losses."""
    return sum(self.losses(numbers, ids, labels)[1])

  def losses(self, numbers, ids, labels):
    """Returns what the trunk or the experts make of it, and each task's loss.
    """
    case = self._case
    features = numbers
    if case.categories:
      features = torch.cat([numbers] + [
          table(ids[:, c]) for c, table in enumerate(self.embedding)], 1)
    shared = made = torch.relu(self.shared(features))
    if case.experts:
      experts = shared.view(-1, case.experts, case.trunk)
    losses = []
    for t in range(case.tasks):
      if case.experts:
        weights = torch.softmax(self.gate[t](features), 1)
        shared = torch.bmm(weights.unsqueeze(1), experts).squeeze(1)
      estimate = self.head[t](torch.relu(self.tower[t](shared)))[:, 0]
      losses.append(
          nn.functional.binary_cross_entropy_with_logits(
              estimate, labels[:, t]) if case.binary
          else nn.functional.mse_loss(estimate, labels[:, t]))
    return made, losses

  def fill(self, values: Dict[str, np.ndarray]) -> None:
    """Sets the initial values."""
    case = self._case

    def fill(linear, scopes):
      kernels = [values[f"{scope}/kernel"] for scope in scopes]
      linear.weight.copy_(torch.from_numpy(np.concatenate(kernels, 1).T))
      if linear.bias is not None:
        linear.bias.copy_(torch.from_numpy(np.concatenate(
            [values[f"{scope}/bias"] for scope in scopes])))

    with torch.no_grad():
      for c, table in enumerate(self.embedding):
        table.weight.copy_(torch.from_numpy(
            values[f"embedding/c{c}/embeddings"]))
      fill(self.shared, [f"expert/{i}/dense" for i in range(case.experts)]
           or ["trunk/dense"])
      for t, task in enumerate(cases.task_names(case)):
        if case.experts:
          fill(self.gate[t], [f"gate/{task}"])
        fill(self.tower[t], [f"tower/{task}/dense"])
        fill(self.head[t], [f"head/{task}"])


def optimizers(case: cases.Case, model: Model, fused: bool
               ) -> List[torch.optim.Optimizer]:
  """Makes one Adam with a group per rate, and one for lazy tables."""
  shared = list(model.shared.parameters())
  found = []
  if case.lazy:
    found.append(torch.optim.SparseAdam(model.embedding.parameters(),
                                        lr=cases.SHARED_RATE))
  else:
    shared += model.embedding.parameters()
  groups = [{"params": shared, "lr": cases.SHARED_RATE}]
  for t in range(case.tasks):
    own = [*([model.gate[t]] if case.experts else []), model.tower[t],
           model.head[t]]
    groups.append({"params": list(itertools.chain.from_iterable(
        module.parameters() for module in own)),
                   "lr": cases.rate(t)})
  # Unset, not False: then PyTorch chooses.
  return found + [torch.optim.Adam(groups, **({"fused": True} if fused
                                              else {}))]


def indexed(case: cases.Case, tensors: List[torch.Tensor]
            ) -> Iterator[List[torch.Tensor]]:
  """Yields batches by indexing with a permutation per epoch."""
  while True:
    order = torch.randperm(len(tensors[0]))
    for rows in order.split(case.batch_size):
      yield [tensor[rows] for tensor in tensors]


def _loaded(case, tensors) -> Iterator[List[torch.Tensor]]:
  """Yields batches of a DataLoader as it comes, without worker processes."""
  loader = torch.utils.data.DataLoader(
      torch.utils.data.TensorDataset(*tensors), case.batch_size, shuffle=True)
  while True:
    yield from loader

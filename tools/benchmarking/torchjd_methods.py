"""TorchJD's contestants of the benchmark of gradient balancing."""

import itertools
from typing import Dict, Optional

import numpy as np
import torch
from torchjd import aggregation
from torchjd import autojac

from tools.benchmarking import cases
from tools.benchmarking import pipe
from tools.benchmarking import pytorch

# Aggregators by the field of a GradientBalancing message, from how many tasks.
AGGREGATORS = {
    "pcgrad": lambda t: aggregation.PCGrad(),
    "gradvac": lambda t: aggregation.GradVac(),
    "mgda": lambda t: aggregation.MGDA(),
    "cagrad": lambda t: aggregation.CAGrad(c=0.5),
    "imtl_g": lambda t: aggregation.IMTLG(),
    "graddrop": lambda t: aggregation.GradDrop(),
    "nash_mtl": lambda t: aggregation.NashMTL(n_tasks=t),
    "fairgrad": lambda t: aggregation.FairGrad(alpha=2.0),
    "aligned_mtl": lambda t: aggregation.AlignedMTL(),
    "upgrad": lambda t: aggregation.UPGrad(),
    "dual_proj": lambda t: aggregation.DualProj(),
    "config": lambda t: aggregation.ConFIG(),
    "excess_mtl": lambda t: aggregation.ExcessMTL(),
}


def build(case: cases.Case, arrays: cases.Arrays,
          values: Dict[str, np.ndarray], threads: int,
          method: Optional[str] = None) -> pipe.Rival:
  """Builds the model, its optimizer and an aggregator.

  Args:
    case: The model, with a trunk.
    arrays: The rows.
    values: Initial values by name.
    threads: Threads within an op.
    method: One of `AGGREGATORS`; None: the plain sum, without TorchJD.

  Returns:
    A `Rival`.
  """
  torch.set_num_threads(threads)
  model = pytorch.Model(case)
  model.fill(values)
  optimizer, = pytorch.optimizers(case, model, fused=True)
  batches = pytorch.indexed(case, [torch.from_numpy(a) for a in arrays])
  aggregator = method and AGGREGATORS[method](case.tasks)
  shared = list(model.shared.parameters())
  own = [list(itertools.chain(tower.parameters(), head.parameters()))
         for tower, head in zip(model.tower, model.head)]

  def step():
    features, losses = model.losses(*next(batches))
    optimizer.zero_grad(set_to_none=True)
    if aggregator:
      autojac.mtl_backward(losses, features=features, tasks_params=own,
                           shared_params=shared)
      autojac.jac_to_grad(shared, aggregator)
    else:
      sum(losses).backward()
    optimizer.step()
    return sum(loss.detach() for loss in losses)

  def run(count):
    for _ in range(count):
      step()
    return count

  return pipe.Rival(
      sum(p.numel() for p in model.parameters()), run,
      lambda count: [step().item() for _ in range(count)])

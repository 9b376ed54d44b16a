"""TorchJD's contestants of the benchmark of balanced gradients and losses."""

import itertools
from typing import Dict, Optional

import numpy as np
import torch
from torchjd import aggregation
from torchjd import autojac
from torchjd import scalarization

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
    "sdmgrad": lambda t: aggregation.GramianWeightedAggregator(
        aggregation.SDMGradWeighting()),
}
# What makes one loss of several, by the field of a LossIntegration message.
SCALARIZERS = {
    "uncertainty": scalarization.UW,
    "imtl_l": scalarization.IMTLL,
    "dynamic_weight_average": lambda t: scalarization.DWA(),
    "geometric_mean": lambda t: scalarization.GeometricMean(),
    "random_weights": lambda t: scalarization.Random(),
    "famo": scalarization.FAMO,
    "smooth_chebyshev": lambda t: scalarization.STCH(mu=1.0),
}
# Steps that dynamic weight averages are over.
WINDOW = 25


def build(case: cases.Case, arrays: cases.Arrays,
          values: Dict[str, np.ndarray], threads: int,
          method: Optional[str] = None) -> pipe.Rival:
  """Builds the model, its optimizer and an aggregator.

  Args:
    case: The model, with a trunk.
    arrays: The rows.
    values: Initial values by name.
    threads: Threads within an op.
    method: One of `AGGREGATORS` or `SCALARIZERS`; None: the plain sum, without
      TorchJD.

  Returns:
    A `Rival`.
  """
  torch.set_num_threads(threads)
  model = pytorch.Model(case)
  model.fill(values)
  optimizer, = pytorch.optimizers(case, model, fused=True)
  scalarizer = (SCALARIZERS[method](case.tasks) if method in SCALARIZERS
                else None)
  # FAMO moves its own.
  learned = (list(scalarizer.parameters())
             if scalarizer and method != "famo" else [])
  if learned:
    optimizer.add_param_group({"params": learned, "lr": cases.SHARED_RATE})
  batches = pytorch.indexed(case, [torch.from_numpy(a) for a in arrays])
  aggregator = (AGGREGATORS[method](case.tasks) if method in AGGREGATORS
                else None)
  numbers = itertools.count(1)
  shared = list(model.shared.parameters())
  own = [list(itertools.chain(tower.parameters(), head.parameters()))
         for tower, head in zip(model.tower, model.head)]

  def step():
    batch = next(batches)
    features, losses = model.losses(*batch)
    optimizer.zero_grad(set_to_none=True)
    if aggregator:
      autojac.mtl_backward(losses, features=features, tasks_params=own,
                           shared_params=shared)
      autojac.jac_to_grad(shared, aggregator)
    elif scalarizer:
      scalarizer(torch.stack(losses)).backward()
    else:
      sum(losses).backward()
    optimizer.step()
    if method == "famo":
      with torch.no_grad():
        scalarizer.update(torch.stack(model.losses(*batch)[1]))
    elif method == "dynamic_weight_average" and next(numbers) % WINDOW == 0:
      scalarizer.step()
    return sum(loss.detach() for loss in losses)

  def run(count):
    for _ in range(count):
      step()
    return count

  return pipe.Rival(
      sum(p.numel() for p in [*model.parameters(), *learned]), run,
      lambda count: [step().item() for _ in range(count)])

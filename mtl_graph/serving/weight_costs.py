"""What it costs to store weights in fewer bits than they were trained in."""

import collections
import os
from typing import Callable, Dict, Mapping, Optional

import numpy as np

from mtl_graph.evaluation import evaluator
from mtl_graph.evaluation import tables
from mtl_graph.protos import serving_pb2

# Weights as they are read once they have been rounded, by the name of their
# variable.
Rounded = Mapping[str, np.ndarray]
# Measures a model under other weights; under none, as it was trained.
TryWeights = Callable[[Rounded], evaluator.Trial]


def measure(precision: int, rounded: Rounded,
            try_weights: Optional[TryWeights], path: str,
            log: Callable[[str], None]
            ) -> Optional[Dict[str, Dict[str, np.ndarray]]]:
  """Measures what rounding costs, prints it, and writes it into an export.

  Args:
    precision: A value of `Weights.Precision`.
    rounded: The weights that were rounded.
    try_weights: Measures the model; None: nothing is measured.
    path: Folder of the export; `assets.extra/weights.json` is written.
    log: Takes the lines.

  Returns:
    What the training graph says of a sample under the rounded weights, by task
    and key; None if it was not asked.
  """
  name = serving_pb2.Weights.Precision.Name(precision)
  cost = collections.OrderedDict(
      precision=name, variables=sorted(rounded),
      bytes_before=sum(w.nbytes for w in rounded.values()),
      bytes_after=sum(_bytes(w, precision) for w in rounded.values()))
  line = (f"weights as {name}: {len(rounded)} variables of "
          f"{cost['bytes_before']:,} bytes in {cost['bytes_after']:,}")
  after = None
  if try_weights is None:
    log(f"{line}; the cost was not measured")
  else:
    before, after = try_weights({}), try_weights(rounded)
    cost["rows"] = after.rows
    cost["metrics"] = {
        task: {metric: {"before": value, "after": after.metrics[task][metric]}
               for metric, value in metrics.items()}
        for task, metrics in before.metrics.items()}
    log("\n".join([f"{line}; on {after.rows:,} rows:"] + [
        f"  {task}: " + ", ".join(
            f"{metric} {values['before']:.4f} -> {values['after']:.4f}"
            for metric, values in metrics.items())
        for task, metrics in cost["metrics"].items()]))
  tables.write_json(cost, os.path.join(path, "assets.extra", "weights.json"))
  return after and after.predictions


def _bytes(weights, precision) -> int:
  if precision == serving_pb2.Weights.FLOAT16:
    return weights.size * 2
  return weights.size + weights.shape[-1] * 4

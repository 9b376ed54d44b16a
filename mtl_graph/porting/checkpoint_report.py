"""Says what a checkpoint holds, and what it differs in, as text."""

import collections
from typing import Any, Dict, List

import numpy as np

from mtl_graph.porting import checkpoint_comparison
from mtl_graph.checkpoints import checkpoint_groups
from mtl_graph.checkpoints import checkpoint_reader


def contents(reader: checkpoint_reader.Reader) -> List[Dict[str, Any]]:
  """Reads a checkpoint whole and describes each variable.

  Args:
    reader: The checkpoint.

  Returns:
    A dict per variable: name, shape, type, kind, size, bytes, nan and inf
    (how many of each), least and most, which are None of what has none.

  Raises:
    CheckpointError: If a value cannot be read.
  """
  found = []
  for label, names in checkpoint_groups.by_label(reader.variables).items():
    for name in names:
      saved, value = reader.variables[name], reader.value(name)
      real = value.dtype.kind in "fiu" or saved.dtype.name == "bfloat16"
      floats = value.astype(np.float64) if real else np.zeros([0])
      finite = floats[np.isfinite(floats)]
      found.append({
          "name": name, "shape": saved.shape, "type": saved.dtype.name,
          "kind": label, "size": saved.size, "bytes": saved.bytes,
          "nan": int(np.isnan(floats).sum()),
          "inf": int(np.isinf(floats).sum()),
          "least": float(finite.min()) if finite.size else None,
          "most": float(finite.max()) if finite.size else None,
      })
  return found


def as_text(reader: checkpoint_reader.Reader,
            variables: List[Dict[str, Any]]) -> str:
  """Returns the groups of a checkpoint with a line per variable.

  Args:
    reader: The checkpoint.
    variables: What `contents` returned.
  """
  lines = [f"{reader.path}: format V{reader.version}, {len(variables)} "
           f"variables, {_size(sum(v['bytes'] for v in variables))}"]
  groups = collections.OrderedDict()
  for variable in variables:
    groups.setdefault(variable["kind"], []).append(variable)
  width = max((len(v["name"]) for v in variables), default=0)
  for kind, members in groups.items():
    lines += ["", f"{kind}: {len(members)} variables, "
              f"{sum(v['size'] for v in members):,} numbers, "
              f"{_size(sum(v['bytes'] for v in members))}"]
    for v in members:
      shape = "x".join(map(str, v["shape"])) or "scalar"
      span = ("" if v["least"] is None
              else f"  {v['least']:.4g} to {v['most']:.4g}")
      bad = "".join(f"  {v[what]:,} {what.upper() if what == 'inf' else 'NaN'}"
                    for what in ("nan", "inf") if v[what])
      lines.append(f"  {v['name']:<{width}}  {v['type']} {shape}{span}{bad}")
  wholes = collections.defaultdict(list)
  for v in variables:
    part = checkpoint_groups.partition_of(v["name"])
    if part:
      wholes[part[0]].append(v["name"])
  if wholes:
    lines += ["", "partitions:"] + [
        f"  {whole} in {len(parts)}" for whole, parts in sorted(wholes.items())]
  bad = sum(bool(v["nan"] or v["inf"]) for v in variables)
  lines += ["", f"{bad} variables hold numbers that are not finite" if bad
            else "every number is finite"]
  return "\n".join(lines)


def _size(number):
  for unit in ("B", "KiB", "MiB"):
    if number < 1024:
      return f"{number:,.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"
    number /= 1024
  return f"{number:,.1f} GiB"


def diff_as_text(difference: checkpoint_comparison.Difference) -> str:
  """Returns what two checkpoints differ in, a line per variable."""
  lines = [f"only in the first: {name}" for name in difference.only_first]
  lines += [f"only in the second: {name}" for name in difference.only_second]
  lines += [f"other shape or type: {name}: {both}"
            for name, both in difference.shapes.items()]
  lines += [f"other values: {name}: by up to {gap:.6g}"
            for name, gap in difference.values.items()]
  lines.append(f"{len(difference.equal)} variables are equal to the bit, "
               f"{len(lines)} are not")
  return "\n".join(lines)


def fit_as_text(fit: checkpoint_comparison.Fit) -> str:
  """Returns how a checkpoint fits an experiment, a line per variable."""
  lines = [f"restored: {name}" for name in fit.restored]
  lines += [f"missing: {name}{nearest}"
            for name, nearest in fit.missing.items()]
  lines += [f"wrong shape: {name}: {both}" for name, both in fit.shapes.items()]
  lines += [f"unused: {name}" for name in fit.unused]
  lines.append(
      f"{len(fit.restored)} restored, {len(fit.missing)} missing, "
      f"{len(fit.shapes)} of another shape, {len(fit.unused)} unused; "
      f"{fit.other} more hold optimizers' state, averages and counters")
  return "\n".join(lines)

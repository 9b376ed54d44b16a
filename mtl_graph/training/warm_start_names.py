"""Says what a checkpoint calls the variables that a run wants of it."""

import re
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence

from mtl_graph import config
from mtl_graph import ownership
from mtl_graph.checkpoints import checkpoint_groups
from mtl_graph.checkpoints import checkpoints as checkpoints_lib
from mtl_graph.checkpoints import renaming
from mtl_graph.protos import training_pb2

# What a new run begins by itself, whatever the other one's checkpoint has.
_OWN = ("global_step", "run_state", "iterations/", "task_weighting/",
        "gradient_balancing/")
STATISTICS = "statistics/"
OPTIMIZER = "optimizer/"
_POWER = re.compile(r"(?:^|/)(beta[12]_power)(?:_(\d+))?$")
_MODEL = ("model", "batch norm statistics")


class Saved(NamedTuple):
  """A checkpoint under the names that the rules give it.

  Attributes:
    rows: Where each variable comes from, by its name.
    shapes: Its shape, by its name.
  """
  rows: Dict[str, renaming.Row]
  shapes: Dict[str, List[int]]


def renamed(message: training_pb2.WarmStart, field_path: str, path: str,
            shapes: Mapping[str, Sequence[int]]) -> Saved:
  """Applies the rules of a `WarmStart` to what a checkpoint has.

  Args:
    message: The message.
    field_path: Where it sits in the experiment.
    path: Path of the checkpoint.
    shapes: Its shapes by name.

  Returns:
    A `Saved`.

  Raises:
    CheckpointError: If a rule matches nothing, two variables would get one
      name, or a scope that is renamed is not there.
  """
  names = [message.Preset.Name(preset) for preset in message.preset]

  def place(kind, which):
    if kind == "preset":
      return f"{field_path}.preset[{names.index(which.upper())}]"
    return f"{field_path}.{kind}[{which}]" + (
        ".regex" if kind == "rule" else "")

  try:
    rows = renaming.plan(shapes, renaming.Rules(
        rules=[(rule.regex, rule.replacement) for rule in message.rule],
        ignore=message.ignore, drop=message.drop,
        presets=[name.lower() for name in names]), place)
  except renaming.RenamingError as error:
    text = str(error)
    raise checkpoints_lib.CheckpointError(
        text if text.startswith(field_path)
        else f"{field_path}: {path}: {text}") from error
  saved = Saved({row.target: row for row in rows if row.target is not None}, {})
  for name, row in saved.rows.items():
    saved.shapes[name] = list(shapes[row.sources[0]])
    if len(row.sources) > 1:
      saved.shapes[name][row.axis] = sum(shapes[part][row.axis]
                                         for part in row.sources)
  _check_renames(message, field_path, path, saved.shapes)
  return saved


def wanted(message: training_pb2.WarmStart, names: Iterable[str],
           saved: Iterable[str]) -> Dict[str, str]:
  """Returns the variables that are wanted, with their names in a checkpoint.

  Args:
    message: The `WarmStart` message.
    names: Names of all variables of the run.
    saved: Names in the checkpoint, as the rules have left them.

  Returns:
    Names in the checkpoint by names in the run; they need not be there.
  """
  names, saved = list(names), set(saved)
  by_state = {}  # Optimizers' state without its group to full names.
  for name in saved:
    by_state.setdefault(behind_group(name), []).append(name)
  states = [behind_group(name) for name in names]
  result = {}
  for name, state in zip(names, states):
    if name.startswith(_OWN):
      continue
    if name.startswith(STATISTICS):
      # What is normalized otherwise means something else to the network.
      result[name] = name
    elif state is None:
      if takes(message, name):
        result[name] = saved_name(name, message)
    elif message.optimizer_state and (
        "/" not in state or takes(message, state)):
      there = saved_name(state, message)
      group = name[:len(name) - len(state)]
      # Another run may have had the variable in a group of another name.
      others = by_state.get(there, []) if "/" in state else []
      if len(others) == 1:
        result[name] = others[0]
      elif there in saved and group + there not in saved and (
          states.count(state) == 1):
        result[name] = there  # No project but this one has it in groups.
      else:
        result[name] = group + there
  result.update(_powers(result, saved))
  # Powers count the steps of a group's slots: they are nothing to new ones.
  going_on = {group_of(name) for name, there in result.items()
              if there in saved and "/" in (behind_group(name) or "")}
  return {name: there for name, there in result.items()
          if "/" in (behind_group(name) or "/") or group_of(name) in going_on}


def _powers(result, saved) -> Dict[str, str]:
  """Returns where the powers of Adam are that are in no group.

  One is everybody's; as many as there are groups with Adam are theirs in their
  order, as optimizers of one graph number them.
  """
  found, numbered = {}, {}
  for name in saved:
    kind = checkpoint_groups.kind_of(name, saved)
    if kind.kind == "power" and not kind.group:
      match = _POWER.search(name)
      numbered.setdefault(match[1], []).append((int(match[2] or 0), name))
  for power, there in numbered.items():
    here = [name for name in result if behind_group(name) == power
            and result[name] not in saved]
    there.sort()
    if len(there) in (1, len(here)):
      found.update((name, there[i if len(there) > 1 else 0][1])
                   for i, name in enumerate(here))
  return found


def unused(names: Iterable[str], saved: Iterable[str]) -> List[str]:
  """Returns the variables of a checkpoint's model that nothing was taken from.

  Args:
    names: Names that something was taken from.
    saved: Names in the checkpoint, as the rules have left them.
  """
  taken, every = set(names), set(saved)
  return [name for name in sorted(every - taken)
          if checkpoint_groups.kind_of(name, every).kind in _MODEL
          and not name.startswith((*_OWN, STATISTICS, OPTIMIZER))]


def behind_group(name: str) -> Optional[str]:
  """Returns what of an optimizer's state a name is of, without its group.

  It is "beta1_power" of "optimizer/a/beta1_power", "head/a/kernel/Adam" of
  "optimizer/a/head/a/kernel/Adam", and None of what is no such state.
  """
  if not name.startswith(OPTIMIZER):
    return None
  return name[len(OPTIMIZER):].partition("/")[2]


def group_of(name: str) -> str:
  """Returns the variable group that an optimizer's state is of."""
  return name[len(OPTIMIZER):].partition("/")[0]


def takes(message: training_pb2.WarmStart, name: str) -> bool:
  """Returns whether a variable lies in a scope that is taken."""
  return not message.scope or any(
      ownership.within(name, scope) for scope in message.scope)


def takes_of(message: training_pb2.WarmStart, scope: str) -> bool:
  """Returns whether something in a scope is taken, as far as scopes say."""
  return takes(message, scope) or any(
      ownership.within(taken, scope) for taken in message.scope)


def saved_name(name: str, message: training_pb2.WarmStart) -> str:
  """Returns what a variable of this run is called in the checkpoint."""
  renames = [r for r in message.rename if ownership.within(name, r.here)]
  if not renames:
    return name
  closest = max(renames, key=lambda rename: len(rename.here))
  return closest.saved + name[len(closest.here):]


def _check_renames(message, field_path: str, path: str,
                   saved: Iterable[str]) -> None:
  """Raises where a scope that is renamed is not in the checkpoint at all."""
  there = [n for n in saved if behind_group(n) is None
           and not n.startswith(_OWN)]
  for j, rename in enumerate(message.rename):
    if not any(ownership.within(name, rename.saved) for name in there):
      raise checkpoints_lib.CheckpointError(
          f"{field_path}.rename[{j}].saved: found '{rename.saved}', a scope "
          f"without variables in {path}; allowed: one that has some"
          + config.nearest(rename.saved, ownership.scopes_of(there)))

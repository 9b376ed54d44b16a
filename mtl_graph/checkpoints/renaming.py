"""Renames what a checkpoint holds, by rules and presets, into a new one."""

import collections
import re
from typing import (Callable, Collection, Dict, Iterable, List, Mapping,
                    NamedTuple, Optional, Sequence, Tuple)

from mtl_graph import field_checks
from mtl_graph import ownership
from mtl_graph.checkpoints import checkpoint_groups

_KERNEL_BIAS = ((r"(^|/)weights(?=/|$)", r"\1kernel"),
                (r"(^|/)biases(?=/|$)", r"\1bias"))
PRESETS: Dict[str, Sequence[Tuple[str, str]]] = collections.OrderedDict([
    ("kernel_bias", _KERNEL_BIAS),
    ("slim_to_layers", _KERNEL_BIAS + (
        (r"(^|/)depthwise_weights(?=/|$)", r"\1depthwise_kernel"),
        (r"(^|/)pointwise_weights(?=/|$)", r"\1pointwise_kernel"),
        (r"(^|/)BatchNorm(?=/|_\d)", r"\1batch_normalization"),
        (r"(^|/)LayerNorm(?=/|_\d)", r"\1layer_normalization"),
        (r"(^|/)fully_connected(?=/|_\d)", r"\1dense"),
        (r"(^|/)SeparableConv2d(?=/|_\d)", r"\1separable_conv2d"),
        (r"(^|/)Conv2d_transpose(?=/|_\d)", r"\1conv2d_transpose"),
        (r"(^|/)Conv(?=/|_\d)", r"\1conv2d"))),
    ("merge_partitions", ()),
    ("averages_to_variables", ()),
    ("drop_slots", ()),
])


# Says where a rule was stated: its kind, such as "rule", and its number or
# preset.
Place = Callable[[str, object], str]


class RenamingError(Exception):
  """Rules that are none, or that do not fit a checkpoint."""


class Rules(NamedTuple):
  """How to rename.

  Attributes:
    rules: Pairs of a regular expression and its replacement, each applied to
      every name in turn.
    names: New names by old ones.
    ignore: Regular expressions; what one of them matches keeps its name.
    drop: Regular expressions; what one of them matches is left out.
    presets: Names out of `PRESETS`.
    strip_scope: Scope that names lose; "" for none.
    add_scope: Scope that names gain; "" for none.
    groups: Scopes by variable group: state of optimizers goes to
      `optimizer/<group>/`; empty: it stays where it is.
  """
  rules: Sequence[Tuple[str, str]] = ()
  names: Mapping[str, str] = {}
  ignore: Sequence[str] = ()
  drop: Sequence[str] = ()
  presets: Collection[str] = ()
  strip_scope: str = ""
  add_scope: str = ""
  groups: Mapping[str, Sequence[str]] = {}


class Row(NamedTuple):
  """One variable of the new checkpoint, or one that is left out.

  Attributes:
    sources: Its names in the old one; several where parts are put together.
    target: Its new name; None if it is left out.
    axis: Along which parts are put together.
    note: What else to know of it.
  """
  sources: Tuple[str, ...]
  target: Optional[str]
  axis: int
  note: str


def parse_rule(text: str) -> Tuple[str, str]:
  """Returns the two sides of "regex=>replacement".

  Raises:
    RenamingError: If it is none.
  """
  pattern, arrow, replacement = text.partition("=>")
  problem = ("there is no 'regex=>replacement'" if not arrow or not pattern
             else field_checks.regex_problem(pattern, replacement))
  if problem:
    raise RenamingError(
        f"--rule: found '{text}', of which {problem}; allowed: "
        "regex=>replacement, as '^model/(.*)=>\\1'")
  return pattern, replacement


def parse_pattern(pattern: str, flag: str) -> None:
  """Raises a RenamingError if a regular expression of a flag is none."""
  problem = field_checks.regex_problem(pattern)
  if problem:
    raise RenamingError(f"--{flag}: found '{pattern}', of which {problem}; "
                        "allowed: a regular expression")


def parse_map(text: str, path: str) -> Dict[str, str]:
  """Reads a map file: an old and a new name a line, # for remarks.

  Raises:
    RenamingError: If a line is none, or an old name has two new ones.
  """
  found = {}
  for number, line in enumerate(text.splitlines(), 1):
    words = line.split("#")[0].replace("=>", " ").split()
    if not words:
      continue
    if len(words) != 2 or words[0] in found:
      raise RenamingError(
          f"{path}:{number}: found '{line.strip()}'; allowed: one old name and "
          "its new one, each old name once")
    found[words[0]] = words[1]
  return found


def _flag(kind, which):
  return f"--{kind}={which}" if kind == "preset" else f"--{kind}"


def plan(shapes: Mapping[str, Sequence[int]], rules: Rules,
         place: Place = _flag) -> List[Row]:
  """Says what becomes of every variable of a checkpoint.

  In this order: what is dropped; parts are put together; averages take their
  variables' places; slots are dropped; names of the map, else rules, then
  presets; scopes; groups of optimizers' state.

  Args:
    shapes: Shapes by name.
    rules: The rules.
    place: Says in errors where a rule was stated; unset: by which flag.

  Returns:
    A row per variable, in the order of the old names.

  Raises:
    RenamingError: If a rule or a name matches nothing, two variables would get
      one name, or parts do not fit.
  """
  _check_used(shapes, rules, place)
  rows = [Row((name,), name, 0, "") for name in sorted(shapes)]
  rows = _drop(rows, lambda name: _any(rules.drop, name), "dropped")
  if "merge_partitions" in rules.presets:
    rows = _merge(rows, shapes, place)
  if "averages_to_variables" in rules.presets:
    rows = _averages(rows, place)
  kinds = _kinds(rows)
  if "drop_slots" in rules.presets:
    rows = _drop(rows, lambda name: kinds[name].kind in ("slot", "power"),
                 "an optimizer's state")
  pairs = list(rules.rules) + [pair for preset in rules.presets
                               for pair in PRESETS[preset]]
  before = [kinds.get(row.target) for row in rows]
  rows = [row if row.target is None else row._replace(target=_renamed(
      row.target, rules, pairs, kind)) for row, kind in zip(rows, before)]
  if rules.groups:
    rows = _to_groups(rows, before, rules.groups)
  _check_collisions(rows)
  return rows


def _any(patterns, name):
  return any(re.search(pattern, name) for pattern in patterns)


def _kinds(rows):
  names = {row.target for row in rows if row.target is not None}
  return {name: checkpoint_groups.kind_of(name, names) for name in names}


def _check_used(shapes, rules, place):
  """Raises where a rule matches nothing: it has a slip of the pen."""
  for kind, patterns in (("rule", [p for p, _ in rules.rules]),
                         ("ignore", rules.ignore), ("drop", rules.drop)):
    for i, pattern in enumerate(patterns):
      # A rule may match only what an earlier one made of a name.
      if not any(re.search(pattern, name) for name in _seen(shapes, rules)):
        raise RenamingError(
            f"{place(kind, i)}: found '{pattern}', which matches no variable; "
            f"allowed: a regular expression that does, of {_some(shapes)}")
  for name in rules.names:
    if name not in shapes:
      raise RenamingError(
          f"--map: found '{name}', which is not in the checkpoint; allowed: "
          f"{_some(shapes)}")
  if rules.strip_scope and not any(
      ownership.within(name, rules.strip_scope) for name in shapes):
    raise RenamingError(
        f"--strip_scope: found '{rules.strip_scope}', a scope without "
        f"variables; allowed: one of {_some(ownership.scopes_of(shapes))}")


def _seen(shapes, rules):
  """Returns every name that comes up between the rules."""
  names = set(shapes)
  for name in shapes:
    for pattern, replacement in rules.rules:
      name = re.sub(pattern, replacement, name)
      names.add(name)
  return names


def _some(names: Iterable[str]):
  names = sorted(names)
  return ", ".join(names[:5]) + (f" and {len(names) - 5} more"
                                 if len(names) > 5 else "")


def _drop(rows, test: Callable[[str], bool], note):
  return [row._replace(target=None, note=note)
          if row.target is not None and test(row.target) else row
          for row in rows]


def _merge(rows, shapes, place):
  """Puts parts together along the one axis in which they may differ."""
  parts = collections.defaultdict(dict)
  for row in rows:
    part = row.target and checkpoint_groups.partition_of(row.target)
    if part:
      parts[part[0]][int(part[1])] = row.target
  result, merged = [], {n for p in parts.values() for n in p.values()}
  for row in rows:
    if row.target not in merged:
      result.append(row)
  for whole, numbered in parts.items():
    names = [numbered[i] for i in sorted(numbered)]
    if sorted(numbered) != list(range(len(numbered))):
      raise RenamingError(
          f"{place('preset', 'merge_partitions')}: '{whole}' has parts "
          f"{sorted(numbered)}; allowed: all of them from 0 on")
    sizes = [list(shapes[name]) for name in names]
    axes = [axis for axis in range(len(sizes[0]))
            if len({size[axis] for size in sizes if len(size) == len(sizes[0])}
                   ) > 1]
    if any(len(size) != len(sizes[0]) for size in sizes) or len(axes) > 1 or (
        not sizes[0]):
      raise RenamingError(
          f"{place('preset', 'merge_partitions')}: the parts of '{whole}' have "
          f"shapes {sizes}; allowed: shapes that differ in one axis at most")
    axis = axes[0] if axes else 0
    result.append(Row(tuple(names), whole, axis,
                      f"{len(names)} parts along axis {axis}"))
  return sorted(result, key=lambda row: row.sources)


def _averages(rows, place):
  kinds = _kinds(rows)
  averaged = {kind.owner for kind in kinds.values()
              if kind.kind == "moving average"}
  if not averaged:
    raise RenamingError(
        f"{place('preset', 'averages_to_variables')}: found no moving average; "
        "allowed: a checkpoint with names that end in "
        "/ExponentialMovingAverage")
  result = []
  for row in rows:
    kind = kinds.get(row.target)
    if kind is not None and kind.kind == "moving average":
      row = row._replace(target=kind.owner, note="its moving average")
    elif row.target in averaged:
      row = row._replace(target=None, note="its average takes its place")
    result.append(row)
  return result


def _renamed(name, rules, pairs, kind):
  if _any(rules.ignore, name):
    return name
  if name in rules.names:
    return rules.names[name]
  if kind.owner in rules.names and kind.kind == "slot" and not kind.group:
    name = rules.names[kind.owner] + name[len(kind.owner):]
  else:
    for pattern, replacement in pairs:
      name = re.sub(pattern, replacement, name)
  if rules.strip_scope and name.startswith(rules.strip_scope + "/"):
    name = name[len(rules.strip_scope) + 1:]
  if rules.add_scope and kind.kind not in ("counter", "power"):
    name = f"{rules.add_scope}/{name}"
  return name


def _to_groups(rows, kinds, groups):
  """Moves optimizers' state to where the groups keep theirs."""
  powers = collections.defaultdict(list)
  result = []
  for row, kind in zip(rows, kinds):
    if row.target is None or kind is None or kind.group or (
        kind.kind not in ("slot", "power")):
      result.append(row)
    elif kind.kind == "power":
      last = row.target.rpartition("/")[2]
      match = re.fullmatch(r"(beta[12]_power)(?:_(\d+))?", last)
      powers[match[1]].append((int(match[2] or 0), row))
    else:
      group = _group_of(row.target, groups)
      result.append(row._replace(
          target=f"optimizer/{group}/{row.target}"))
  for power, numbered in powers.items():
    numbered.sort(key=lambda pair: pair[0])
    if len(numbered) not in (1, len(groups)):
      raise RenamingError(
          f"--group: found {len(numbered)} variables {power} for "
          f"{len(groups)} groups; allowed: one, or one per group; --drop the "
          "others")
    for i, group in enumerate(groups):
      _, row = numbered[i if len(numbered) > 1 else 0]
      result.append(row._replace(
          target=f"optimizer/{group}/{power}",
          note="by the order of the groups" if len(numbered) > 1
          else row.note))
  return sorted(result, key=lambda row: row.sources)


def _group_of(slot, groups):
  owners = [group for group, scopes in groups.items()
            if any(ownership.within(slot, scope) for scope in scopes)]
  if len(owners) != 1:
    raise RenamingError(
        f"--group: '{slot}' is in {len(owners)} groups"
        f"{': ' + ', '.join(owners) if owners else ''}; allowed: one group per "
        "variable")
  return owners[0]


def _check_collisions(rows):
  by_target = collections.defaultdict(list)
  for row in rows:
    if row.target is not None:
      by_target[row.target].append(row.sources[0])
  clashes = {target: names for target, names in by_target.items()
             if len(names) > 1}
  if clashes:
    target, names = sorted(clashes.items())[0]
    raise RenamingError(
        f"'{target}' would be the new name of {', '.join(names)}"
        + (f", and {len(clashes) - 1} more names are taken twice"
           if len(clashes) > 1 else "")
        + "; allowed: one variable per name; drop the others")
  for target in by_target:
    if not re.fullmatch(r"[A-Za-z0-9_.\\/>-]+", target):
      raise RenamingError(
          f"'{target}', the new name of {by_target[target][0]}, is no name of "
          "a variable; allowed: letters, digits, '_', '.', '-' and '/'")


def as_text(rows: Sequence[Row]) -> str:
  """Returns the plan as a table, old names beside new ones."""
  olds = [row.sources[0] + (f" + {len(row.sources) - 1}"
                            if len(row.sources) > 1 else "") for row in rows]
  width = max(map(len, olds), default=0)
  lines, same = [], 0
  for row, old in zip(rows, olds):
    note = f"  ({row.note})" if row.note else ""
    if row.target is None:
      lines.append(f"{old:<{width}}  is left out{note}")
    elif row.sources == (row.target,):
      same += 1
    else:
      lines.append(f"{old:<{width}}  -> {row.target}{note}")
  kept = sum(row.target is not None for row in rows)
  return "\n".join(lines + [
      f"{kept - same} renamed, {same} as they were, {len(rows) - kept} left "
      "out"])

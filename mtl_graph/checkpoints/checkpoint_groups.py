"""Tells by their names what the variables of a checkpoint are."""

import collections
import re
from typing import Dict, Iterable, List, NamedTuple, Optional

# What optimizers of TensorFlow 1 call their slots.
SLOTS = {
    "Adam": "Adam", "Adam_1": "Adam", "Momentum": "Momentum",
    "RMSProp": "RMSProp", "RMSProp_1": "RMSProp", "Adagrad": "Adagrad",
    "Adadelta": "Adadelta", "Adadelta_1": "Adadelta", "Ftrl": "Ftrl",
    "Ftrl_1": "Ftrl", "AdaMax": "AdaMax", "AdaMax_1": "AdaMax",
    "LazyAdam": "LazyAdam", "LazyAdam_1": "LazyAdam", "Nadam": "Nadam",
    "adam_m": "AdamWeightDecay", "adam_v": "AdamWeightDecay",
    "Adafactor": "Adafactor", "ProximalAdagrad": "ProximalAdagrad",
    "gradient_accumulator": "AdagradDA",
    "gradient_squared_accumulator": "AdagradDA",
}
_POWER = re.compile(r"^(?:.*/)?beta[12]_power(?:_\d+)?$")
_AVERAGE = re.compile(r"^(.+)/ExponentialMovingAverage(?:_\d+)?$")
_PART = re.compile(r"^(.+)/part_(\d+)((?:/.+)?)$")
_STATISTIC = re.compile(r"(?:^|/)moving_(?:mean|variance|var)$")
_COUNTER = re.compile(r"(?:^|/)(?:global_step|eval_step|save_counter|"
                      r"iterations?)(?:$|/)|^run_state$")
_OBJECT_SLOT = re.compile(r"/\.OPTIMIZER_SLOT/")
_GROUP = re.compile(r"^optimizer/([^/]+)/(.+)$")
_TWICE = re.compile(r"^(.+/(?:Adam|RMSProp|Ftrl|Adadelta|Momentum|Adagrad))"
                    r"_(\d+)$")


class Kind(NamedTuple):
  """What a variable is.

  Attributes:
    kind: "model", "batch norm statistics", "moving average", "slot", "power"
      of an optimizer, or "counter".
    owner: Of a slot and of an average, the name of its variable; else "".
    optimizer: Of a slot, what kind of optimizer has it; else "".
    slot: Of a slot, its own name.
    group: Of an optimizer's state within `optimizer/<group>/`, the group.
  """
  kind: str
  owner: str = ""
  optimizer: str = ""
  slot: str = ""
  group: str = ""

  @property
  def label(self) -> str:
    """What a table calls it."""
    of = f", group {self.group}" if self.group else ""
    if self.kind == "slot":
      return f"slots of {self.optimizer}{of}"
    if self.kind == "power":
      return f"powers of Adam{of}"
    return self.kind


def kind_of(name: str, names: Iterable[str]) -> Kind:
  """Returns what a variable is.

  Args:
    name: Its name.
    names: A container with the names of all variables of the checkpoint: a
      slot is one only if its variable is there.

  Returns:
    A `Kind`.
  """
  grouped = _GROUP.match(name)
  group, inner = grouped.groups() if grouped else ("", name)
  if _POWER.match(inner):
    return Kind("power", group=group)
  slot = _slot(inner, names, bool(group))
  if slot is not None:
    return slot._replace(group=group)
  average = _AVERAGE.match(name)
  if average:
    return Kind("moving average", average[1])
  if _OBJECT_SLOT.search(name):
    return Kind("slot", name.split("/.OPTIMIZER_SLOT/")[0], "a Keras optimizer",
                name)
  if _COUNTER.search(name) or name == "_CHECKPOINTABLE_OBJECT_GRAPH":
    return Kind("counter")
  if _STATISTIC.search(name):
    return Kind("batch norm statistics")
  return Kind("model")


def _slot(inner, names, sure) -> Optional[Kind]:
  owner, _, last = inner.rpartition("/")
  if not owner:
    return None
  if last in SLOTS and (sure or owner in names or _joined(owner, names)):
    return Kind("slot", owner, SLOTS[last], last)
  # A second optimizer over the same variables numbers its slots on.
  again = _TWICE.match(inner)
  if again and again[1].rpartition("/")[0] in names:
    return Kind("slot", owner, SLOTS[again[1].rpartition("/")[2]], last)
  return None


def _joined(owner, names):
  part = _PART.match(owner)
  return part is not None and not part[3] and f"{part[1]}/part_0" in names


def partition_of(name: str) -> Optional[List[str]]:
  """Returns the whole's name and the number of a part, or None.

  Args:
    name: Name of a variable, as "w/part_1" or its slot "w/part_1/Adam".

  Returns:
    Name of the whole, as "w" or "w/Adam", and the number.
  """
  match = _PART.match(name)
  return [match[1] + match[3], match[2]] if match else None


def by_label(names: Iterable[str]) -> Dict[str, List[str]]:
  """Returns names by what they are, the model first."""
  every = set(names)
  groups = collections.defaultdict(list)
  for name in sorted(every):
    groups[kind_of(name, every).label].append(name)
  order = ["model", "batch norm statistics", "moving average"]
  return {label: groups[label] for label in sorted(
      groups, key=lambda g: (order.index(g) if g in order else len(order), g))}

"""Checks that fields of any message have in common.

Each takes a message, where it sits, and `report(field_path, problem)`.
"""

import collections
import math
import os
import re
from typing import Callable, Optional

from mtl_graph import config
from mtl_graph import vocabularies

RESERVED_NAMES = ("shared", "total", "serving_default", "predict_examples")
_FLOAT32_MAX = 3.4028234e38
_FLOAT32_MIN = 2.0 ** -126  # Below it, TensorFlow's kernels flush to zero.
_FLOAT32_BELOW_1 = 1 - 2 ** -25  # What lies between this and 1 becomes 1.
_NAME = re.compile(r"[a-z][a-z0-9_]*")

Report = Callable[[str, str], None]


def at_least(message, field, low, path, report) -> None:
  value = getattr(message, field)
  if value < low:
    found = value if message.HasField(field) else "nothing"
    report(f"{path}.{field}", f"found {found}; allowed: at least {low}")


def share(message, field, path, report) -> None:
  value = getattr(message, field)
  if not 0 <= value < 1:
    report(f"{path}.{field}", f"found {value:g}; allowed: at least 0 and below "
           "1")


def above_zero(message, field, path, report) -> None:
  value = getattr(message, field)
  if not value > 0:
    found = value if message.HasField(field) else "nothing"
    report(f"{path}.{field}", f"found {found}; allowed: above 0")


def kind_of(message, oneof, path, report):
  """Returns which member of a required oneof is set; reports if none is."""
  kind = message.WhichOneof(oneof)
  if kind is None:
    names = [f.name for f in message.DESCRIPTOR.oneofs_by_name[oneof].fields]
    report(path, f"found no {oneof}; allowed: one of {', '.join(names)}")
  return kind


def a_task(head: str) -> str:
  """Returns "a binary task" and the like."""
  return f"{'an' if head[0] in 'aeiou' else 'a'} {head} task"


def finite(message, path, report) -> None:
  """Reports every number of the experiment that 32 bits cannot stand for.

  Beside NaN and what is infinite, what they take for 0 or for 1: an epsilon
  that is none, a rate of dropout that leaves nothing.
  """
  for field, value in message.ListFields():
    name = f"{path}.{field.name}" if path else field.name
    elements = ([(f"{name}[{i}]", element) for i, element in enumerate(value)]
                if field.is_repeated else [(name, value)])
    for where, element in elements:
      if field.message_type is not None:
        finite(element, where, report)
      elif isinstance(element, float) and not math.isfinite(element):
        report(where, f"found {element}; allowed: a finite number")
      elif isinstance(element, float) and abs(element) > _FLOAT32_MAX:
        report(where, f"found {element}; allowed: what fits 32-bit floating "
               "point")
      elif isinstance(element, float) and 0 < abs(element) < _FLOAT32_MIN:
        report(where, f"found {element}, which 32-bit floating point takes for "
               "0; allowed: what it tells from 0")
      elif isinstance(element, float) and _FLOAT32_BELOW_1 <= element < 1:
        report(where, f"found {element}, which 32-bit floating point takes for "
               "1; allowed: what it tells from 1")


def name(value, where, report, reserved=()) -> bool:
  """Checks that a name is well formed and not reserved; returns whether."""
  if not _NAME.fullmatch(value):
    report(where, f"found '{value}'; allowed: a lower-case letter, then "
           "lower-case letters, digits and '_'")
    return False
  if value in reserved:
    report(where, f"found '{value}', which is reserved; allowed: any name but "
           + ", ".join(reserved))
    return False
  return True


def names(messages, path, report, reserved=RESERVED_NAMES) -> None:
  """Checks that names are well formed, not reserved and unique."""
  seen = set()
  for i, message in enumerate(messages):
    where = f"{path}[{i}].name"
    if name(message.name, where, report, reserved) and message.name in seen:
      report(where, f"found '{message.name}' a second time; allowed: each name "
             "once")
    seen.add(message.name)


def regex_problem(pattern: str, replacement: str = "") -> Optional[str]:
  """Returns why a regular expression and its replacement are none, or None."""
  try:
    re.compile(pattern).sub(replacement, "")
  except (re.error, IndexError) as error:
    return str(error)
  return None


def known_once(names_, known, path, what, report) -> None:
  """Checks that each of several names is known, and is there once.

  Args:
    names_: The names.
    known: Names that are allowed.
    path: Where they sit, without an index.
    what: What they are names of, with {} for a name: "task '{}'".
    report: Takes a field's path and its problem.
  """
  for i, one in enumerate(names_):
    where = f"{path}[{i}]"
    if one not in known:
      report(where, f"no {what.format(one)}; allowed: {', '.join(known)}"
             f"{config.nearest(one, known)}")
    elif one in names_[:i]:
      report(where, f"found '{one}' a second time; allowed: each once")


def file_exists(message, field, path, report) -> None:
  name = getattr(message, field)
  if not os.path.isfile(name):
    report(f"{path}.{field}", f"no file '{name}'; allowed: an existing file"
           + nearest_file(name))


def nearest_file(name: str) -> str:
  folder = os.path.dirname(name) or "."
  if not os.path.isdir(folder):
    return ""
  own = os.path.basename(name)
  return config.nearest(own, sorted(set(os.listdir(folder)) - {own}))


def domain(message, counts, least, path, report, stated=(), others=()) -> None:
  """Checks the fields of which exactly one says which values there are.

  Args:
    message: The message, with `vocabulary` and `vocabulary_file`.
    counts: Its fields that state a number of values.
    least: How many values there must be by field, "" standing for the rest; 1
      where it says nothing.
    path: Where the message sits in the experiment.
    report: Takes a field's path and its problem.
    stated: Further fields that say which values there are and are set; their
      caller checks what they hold.
    others: Further fields that could.
  """
  fields = counts + ("vocabulary", "vocabulary_file")
  present = [f for f in fields if (len(message.vocabulary) if f == "vocabulary"
                                   else message.HasField(f))] + list(stated)
  fields += tuple(others)
  if len(present) == 1 and present[0] in stated:
    return
  if len(present) != 1:
    report(path, f"found {' and '.join(present) or 'none'} of "
           f"{', '.join(fields)}; allowed: exactly one")
    return
  low = least.get(present[0], least.get("", 1))
  if present[0] in counts:
    at_least(message, present[0], low, path, report)
    return
  if present[0] == "vocabulary_file":
    file_exists(message, "vocabulary_file", path, report)
  try:
    entries = vocabularies.entries(message)
  except (OSError, UnicodeDecodeError):
    if os.path.isfile(message.vocabulary_file):
      report(f"{path}.vocabulary_file",
             f"'{message.vocabulary_file}' cannot be read; allowed: UTF-8 text")
    return
  if len(entries) < low:
    report(f"{path}.{present[0]}",
           f"found {len(entries)} entries; allowed: at least {low}")
  each_once(entries, f"{path}.{present[0]}", report)


def each_once(entries, path, report) -> None:
  """Reports entries of a vocabulary that are empty, or there twice."""
  if "" in entries:
    report(path, "found ''; allowed: any entry but '', which stands for a "
           "missing value")
  repeated = [e for e, count in collections.Counter(entries).items()
              if count > 1]
  if repeated:
    report(path, f"found '{min(repeated)}' more than once; allowed: each entry "
           "once")

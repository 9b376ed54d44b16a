"""Checks that fields of any message have in common.

Each takes a message, where it sits, and `report(field_path, problem)`.
"""

import collections
import math
import os
import re
from typing import Callable

from mtl_graph import config
from mtl_graph import outline

RESERVED_NAMES = ("shared", "total", "serving_default", "predict_examples")
NOT_BUILT = "parses, but this version does not build it"
_FLOAT32_MAX = 3.4028234e38
_NAME = re.compile(r"[a-z][a-z0-9_]*")

Report = Callable[[str, str], None]


def at_least(message, field, low, path, report) -> None:
  value = getattr(message, field)
  if value < low:
    found = value if message.HasField(field) else "nothing"
    report(f"{path}.{field}", f"found {found}; allowed: at least {low}")


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


def finite(message, path, report) -> None:
  """Reports every number of the experiment that is NaN or infinite."""
  for field, value in message.ListFields():
    where = f"{path}.{field.name}" if path else field.name
    if field.message_type is not None:
      elements = (enumerate(value) if field.is_repeated else [(None, value)])
      for i, element in elements:
        finite(element, where if i is None else f"{where}[{i}]", report)
    elif isinstance(value, float) and not math.isfinite(value):
      report(where, f"found {value}; allowed: a finite number")
    elif isinstance(value, float) and abs(value) > _FLOAT32_MAX:
      report(where, f"found {value}; allowed: what fits 32-bit floating point")


def names(messages, path, report, reserved=RESERVED_NAMES) -> None:
  """Checks that names are well formed, not reserved and unique."""
  seen = set()
  for i, message in enumerate(messages):
    where, name = f"{path}[{i}].name", message.name
    if not _NAME.fullmatch(name):
      report(where, f"found '{name}'; allowed: a lower-case letter, then "
             "lower-case letters, digits and '_'")
    elif name in reserved:
      report(where, f"found '{name}', which is reserved; allowed: any name but "
             + ", ".join(reserved))
    elif name in seen:
      report(where, f"found '{name}' a second time; allowed: each name once")
    seen.add(name)


def file_exists(message, field, path, report) -> None:
  name = getattr(message, field)
  if not os.path.isfile(name):
    report(f"{path}.{field}", f"no file '{name}'; allowed: an existing file"
           + nearest_file(name))


def nearest_file(name: str) -> str:
  folder = os.path.dirname(name) or "."
  if not os.path.isdir(folder):
    return ""
  return config.nearest(os.path.basename(name), sorted(os.listdir(folder)))


def domain(message, counts, least, path, report) -> None:
  """Checks the fields of which exactly one says which values there are."""
  fields = counts + ("vocabulary", "vocabulary_file")
  present = [f for f in fields if (len(message.vocabulary) if f == "vocabulary"
                                   else message.HasField(f))]
  if len(present) != 1:
    report(path, f"found {' and '.join(present) or 'none'} of "
           f"{', '.join(fields)}; allowed: exactly one")
    return
  if present[0] in counts:
    at_least(message, present[0], least, path, report)
    return
  if present[0] == "vocabulary_file":
    file_exists(message, "vocabulary_file", path, report)
  try:
    entries = outline.vocabulary(message)
  except (OSError, UnicodeDecodeError):
    if os.path.isfile(message.vocabulary_file):
      report(f"{path}.vocabulary_file",
             f"'{message.vocabulary_file}' cannot be read; allowed: UTF-8 text")
    return
  if len(entries) < least:
    report(f"{path}.{present[0]}",
           f"found {len(entries)} entries; allowed: at least {least}")
  if "" in entries:
    report(f"{path}.{present[0]}", "found ''; allowed: any entry but '', which "
           "stands for a missing value")
  repeated = [e for e, count in collections.Counter(entries).items()
              if count > 1]
  if repeated:
    report(f"{path}.{present[0]}",
           f"found '{min(repeated)}' more than once; allowed: each entry once")

"""Names the files that a path with a number of shards stands for."""

import re
from typing import List

_SHARDS = re.compile(r"(.+)@([1-9]\d{0,4})(\.[^/@]*)?")


def names(path: str) -> List[str]:
  """Returns the files that a path stands for.

  "rows@2" is rows-00000-of-00002 and rows-00001-of-00002, and "rows@2.csv.gz"
  the same with ".csv.gz" behind each.

  Args:
    path: A path of the experiment.

  Returns:
    The names, in order; none if the path does not end in "@" and a number of
    shards from 1 to 99999, with or without an ending.
  """
  match = _SHARDS.fullmatch(path)
  if not match:
    return []
  name, count, ending = match[1], int(match[2]), match[3] or ""
  return [f"{name}-{i:05d}-of-{count:05d}{ending}" for i in range(count)]

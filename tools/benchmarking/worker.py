"""Runs one contestant of the benchmark, in the process that this file is."""

import importlib
import json
import os
import sys

import numpy as np

from tools.benchmarking import cases
from tools.benchmarking import pipe


def load(folder: str, case: cases.Case) -> cases.Arrays:
  """Reads the rows that `benchmark.py` has written."""
  return cases.Arrays(*[
      np.load(os.path.join(folder, f"{case.name}.{field}.npy"))
      for field in cases.Arrays._fields])


def save(folder: str, case: cases.Case,
         arrays: cases.Arrays) -> None:
  """Writes rows for `load`."""
  for field, array in arrays._asdict().items():
    np.save(os.path.join(folder, f"{case.name}.{field}.npy"), array)


def main(argv) -> None:
  """Runs a contestant.

  Args:
    argv: Program name, and as JSON: "case", "kind", "options", "threads",
      "folder" and "started".
  """
  request = json.loads(argv[1])
  # Frameworks print as they please; replies go where nothing else does.
  replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
  os.dup2(2, 1)
  conversation = pipe.Conversation(sys.stdin, replies,
                                             request["started"])
  case = cases.CASES[request["case"]]
  # Only this one, so that the others' frameworks are not imported.
  contestant = importlib.import_module(
      f"tools.benchmarking.{request['kind']}")
  conversation.imported()
  if request["kind"] == "engine":
    contestant.run(case, request["options"], request["threads"],
                   request["folder"], conversation)
    return
  arrays = load(request["folder"], case)
  pipe.serve(conversation, contestant.build(
      case, arrays, cases.initial_values(case), request["threads"],
      **request["options"]))


if __name__ == "__main__":
  main(sys.argv)

"""Finds everything wrong with an experiment before anything is built."""

import re
from typing import Collection, List, Optional

from mtl_graph import config
from mtl_graph import data_checks
from mtl_graph import evaluation_checks
from mtl_graph import field_checks
from mtl_graph import model_checks
from mtl_graph import outline as outline_lib
from mtl_graph import publishing_checks
from mtl_graph import serving_checks
from mtl_graph import training_checks
from mtl_graph.protos import experiment_pb2


def check(experiment: experiment_pb2.Experiment,
          arrays: Optional[Collection[str]] = None) -> None:
  """Raises all problems of an experiment at once.

  Args:
    experiment: The experiment.
    arrays: Keys of the arrays handed over in Python, as `api.by_split` returns
      them; None: rows come from the sources that the experiment names.

  Raises:
    ConfigErrors: If there is any problem, with a line for each.
  """
  errors, no_numbers = [], set()

  def report(path: str, problem: str) -> None:
    # What is no number lies outside of every range, too.
    if path not in no_numbers:
      errors.append(config.ConfigError(path, problem))

  for field in ("data", "model", "training"):
    if not experiment.HasField(field):
      report(field, "found nothing; required")
  if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", experiment.name):
    report("name", f"found '{experiment.name}'; allowed: letters, digits, '_', "
           "'-' and '.', at least one")
  if not 0 <= experiment.seed < 2 ** 31:
    report("seed", f"found {experiment.seed}; allowed: 0 to 2147483647")
  before = len(errors)
  field_checks.finite(experiment, "", report)
  no_numbers.update(error.field_path for error in errors[before:])
  data_checks.check(experiment, arrays is None, report)
  model_checks.check(experiment.model, experiment.training, report)
  outline = outline_lib.build(experiment, report)
  model_checks.check_held(experiment.model, outline.tensors, report)
  training_checks.check(experiment, _variables(experiment, outline), report,
                        outline.penalties)
  evaluation_checks.check(experiment, arrays, report)
  serving_checks.check(experiment, report)
  publishing_checks.check(experiment, arrays, report)
  if errors:
    raise config.ConfigErrors(errors)


def _variables(experiment, outline) -> List[str]:
  """Returns the names of the variables, as far as they are known.

  What lies in a scope that a Python function fills is known to the graph alone:
  here it is the scopes in it that the experiment names, or the scope itself.
  """
  training = experiment.training
  named = [scope for group in training.group for scope in group.scope]
  for warm_start in training.warm_start:
    named += [*warm_start.scope, *(r.here for r in warm_start.rename)]
  named.append(training.joint.loss.grad_norm.kernel)
  found = list(outline.variables)
  for scope in outline.functions:
    inner = dict.fromkeys(n for n in named if n.startswith(f"{scope}/"))
    found += inner or [scope]
  return found

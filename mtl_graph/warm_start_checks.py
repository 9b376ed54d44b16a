"""Finds what is wrong with the checkpoints that a run is to start from."""

from typing import Sequence

from mtl_graph import field_checks
from mtl_graph import ownership
from mtl_graph.protos import training_pb2


def check(warm_start: training_pb2.WarmStart, path: str,
          variables: Sequence[str], report: field_checks.Report) -> None:
  """Reports what is wrong with one `WarmStart`.

  Args:
    warm_start: The message.
    path: Where it sits in the experiment.
    variables: Names of the trainable variables.
    report: Takes a field's path and its problem.
  """
  if not warm_start.checkpoint:
    report(f"{path}.checkpoint", "found nothing; required")
  for i, scope in enumerate(warm_start.scope):
    if not any(ownership.within(v, scope) for v in variables):
      ownership.report_scope(scope, variables, f"{path}.scope[{i}]", report)
  for i, rename in enumerate(warm_start.rename):
    _check_rename(rename, f"{path}.rename[{i}]", warm_start.scope,
                  [r.here for r in warm_start.rename[:i]], variables, report)
  for i, rule in enumerate(warm_start.rule):
    _check_regex(rule.regex, f"{path}.rule[{i}].regex", report)
    problem = field_checks.regex_problem(rule.regex, rule.replacement)
    if problem and not field_checks.regex_problem(rule.regex):
      report(f"{path}.rule[{i}].replacement", f"found '{rule.replacement}', of "
             f"which {problem}; allowed: text, with \\1 and so on for the "
             "groups of the regex")
  for field in ("ignore", "drop"):
    for i, regex in enumerate(getattr(warm_start, field)):
      _check_regex(regex, f"{path}.{field}[{i}]", report)
  for i, preset in enumerate(warm_start.preset):
    if preset in warm_start.preset[:i]:
      name = training_pb2.WarmStart.Preset.Name(preset)
      report(f"{path}.preset[{i}]", f"found {name} a second time; allowed: "
             "each once")


def _check_regex(regex, path, report) -> None:
  problem = field_checks.regex_problem(regex)
  if not regex:
    report(path, "found nothing; required")
  elif problem:
    report(path, f"found '{regex}', of which {problem}; allowed: a regular "
           "expression")


def _check_rename(rename, path, scopes, earlier, variables, report) -> None:
  if not rename.saved:
    report(f"{path}.saved", "found nothing; required")
  here = rename.here
  if not here:
    report(f"{path}.here", "found nothing; required")
  elif here in earlier:
    report(f"{path}.here", f"found '{here}' a second time; allowed: each once")
  elif not any(ownership.within(v, here) for v in variables):
    ownership.report_scope(here, variables, f"{path}.here", report)
  elif scopes and not any(ownership.within(here, s)
                          or ownership.within(s, here) for s in scopes):
    report(f"{path}.here", f"found '{here}', of which nothing is taken; "
           f"allowed: what lies in `scope`: {', '.join(scopes)}")

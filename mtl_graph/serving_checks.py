"""Finds what is wrong with what an experiment exports."""

from mtl_graph import field_checks
from mtl_graph import vocabularies
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import joint_pb2

_AFTER_LOOKUPS = "after_lookups"
# What a task answers that no field of `Outputs` can leave out.
_ALWAYS = ("regression", "count", "quantiles")


def check(experiment: experiment_pb2.Experiment,
          report: field_checks.Report) -> None:
  """Reports what is wrong with `serving`."""
  serving = experiment.serving
  field_checks.known_once(
      serving.task, [task.name for task in experiment.model.task],
      "serving.task", "task '{}'", report)
  tasks = [task for task in experiment.model.task
           if not serving.task or task.name in serving.task]
  _check_outputs(experiment, tasks, report)
  signature = serving.signature
  if signature.multi_head_aliases and not signature.examples:
    report("serving.signature.multi_head_aliases", "found true beside "
           "serving.signature.examples: false; allowed: with examples")
  if signature.after_lookups and any(
      task.name == _AFTER_LOOKUPS for task in tasks):
    report("serving.signature.after_lookups", "found true beside the task "
           f"'{_AFTER_LOOKUPS}'; allowed: where no task is called like the "
           "signature")


def _check_outputs(experiment, tasks, report) -> None:
  output = experiment.serving.output
  path = "serving.output"
  field_checks.at_least(output, "top_k", 0, path, report)
  heads = {task.WhichOneof("head") for task in tasks}
  for field in ("class_names", "top_k"):
    value = getattr(output, field)
    if value and heads.isdisjoint(vocabularies.HEADS_WITH_CLASSES):
      report(f"{path}.{field}", f"found {_shown(value)} without a task that "
             "has several classes or labels; allowed: with one among the tasks "
             "exported")
  for task in tasks:
    head, switched = task.WhichOneof("head"), ["probabilities", "logits"]
    if head is None or head in _ALWAYS:
      continue
    if head in vocabularies.HEADS_WITH_CLASSES:
      switched += ["classes", "class_names", "top_k"]
    if not any(getattr(output, field) for field in switched):
      report(path, f"found nothing of task '{task.name}'; allowed: one of "
             f"{', '.join(switched)}")
  loss = experiment.training.joint.loss
  kind = loss.WhichOneof("kind")
  form = loss.uncertainty.form
  if output.sigma and form != joint_pb2.Uncertainty.LIKELIHOOD:
    name = joint_pb2.Uncertainty.Form.Name(form)
    report(f"{path}.sigma", "found true under training.joint.loss.uncertainty."
           f"form: {name}, whose log variances are not those of noise; allowed: "
           "under LIKELIHOOD")
  elif output.sigma and (kind != "uncertainty" or not any(
      task.WhichOneof("head") == "regression" and not task.no_loss
      for task in tasks)):
    report(f"{path}.sigma", "found true without a regression that learns its "
           "uncertainty; allowed: with one among the tasks exported, under "
           "training.joint.loss.uncertainty")
  sharing = experiment.model.WhichOneof("sharing")
  if output.gates and sharing not in (
      "mixture_of_experts", "customized_gate_control",
      "progressive_layered_extraction", None):
    report(f"{path}.gates", f"found true beside model.{sharing}; allowed: with "
           "mixture_of_experts, customized_gate_control or "
           "progressive_layered_extraction")
  if output.representation and not any(
      not task.HasField("product") for task in tasks):
    report(f"{path}.representation", "found true where every task exported is a "
           "product; allowed: with a task that has layers")


def _shown(value) -> str:
  return "true" if value is True else str(value)

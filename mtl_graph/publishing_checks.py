"""Finds what is wrong with how an experiment is to be published."""

from typing import Collection, Optional

from mtl_graph import config
from mtl_graph import field_checks
from mtl_graph import outline
from mtl_graph import row_sets
from mtl_graph.protos import evaluation_pb2
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import serving_pb2

# What a server takes of warm-up requests.
MAX_WARMUP_REQUESTS = 1000
_AT_LEAST = (("max_batch_size", 1), ("batch_timeout_micros", 0),
             ("max_enqueued_batches", 1), ("num_batch_threads", 1))


def check(experiment: experiment_pb2.Experiment,
          arrays: Optional[Collection[str]],
          report: field_checks.Report) -> None:
  """Reports what is wrong with publishing; `arrays` as `validation.check`."""
  serving = experiment.serving
  if not 0 <= serving.warmup_requests <= MAX_WARMUP_REQUESTS:
    report("serving.warmup_requests", f"found {serving.warmup_requests}; "
           f"allowed: 0 to {MAX_WARMUP_REQUESTS}")
  publishing, path = serving.publishing, "serving.publishing"
  field_checks.at_least(publishing, "keep", 0, path, report)
  measured = bool(row_sets.of(experiment.data, "validation", arrays))
  rows = row_sets.path(experiment.data, "validation")
  when = publishing.WhichOneof("during_training")
  if when == "every_steps":
    field_checks.at_least(publishing, "every_steps", 1, path, report)
  elif when == "every_evaluation":
    if not measured or not experiment.evaluation.every_steps:
      report(f"{path}.every_evaluation", f"found it without {rows} or with "
             "evaluation.every_steps: 0; allowed: where there are evaluations")
  elif when == "every_best" and not experiment.evaluation.HasField("best"):
    report(f"{path}.every_best", "found it without evaluation.best; allowed: "
           "with it")
  if publishing.version == serving_pb2.Publishing.STEP and when in (
      "every_evaluation", "every_steps") and (
          experiment.evaluation.HasField("best")):
    report(f"{path}.version", f"found STEP with {when} and evaluation.best, "
           "whose step may lie below one that is published; allowed: TIME, or "
           "every_best")
  if publishing.HasField("gate"):
    _check_gate(experiment, publishing.gate, f"{path}.gate", report)
    if not measured:
      report(f"{path}.gate", f"found it without {rows}; allowed: with "
             "validation rows only")
  if serving.HasField("batching"):
    _check_batching(serving.batching, "serving.batching", report)


def _check_gate(experiment, gate, path, report):
  """Reports what is wrong with a `PublishingGate`."""
  metrics = outline.metric_names(experiment)
  if gate.metric not in metrics:
    report(f"{path}.metric", f"no metric '{gate.metric}'; allowed: "
           f"{', '.join(metrics)}{config.nearest(gate.metric, metrics)}")
  if gate.goal == evaluation_pb2.GOAL_UNSPECIFIED:
    report(f"{path}.goal", "found nothing; allowed: MAXIMIZE or MINIMIZE")
  field_checks.at_least(gate, "margin", 0, path, report)


def _check_batching(batching, path, report):
  """Reports what is wrong with a `Batching`."""
  for field, low in _AT_LEAST:
    if batching.HasField(field):
      field_checks.at_least(batching, field, low, path, report)
  sizes = list(batching.allowed_batch_sizes)
  if not sizes:
    return
  field = f"{path}.allowed_batch_sizes"
  if sizes[0] < 1 or any(a >= b for a, b in zip(sizes, sizes[1:])):
    report(field, f"found {', '.join(map(str, sizes))}; allowed: rising "
           "numbers of at least 1")
  elif not batching.HasField("max_batch_size"):
    report(f"{path}.max_batch_size", "found nothing; allowed: the last of "
           "allowed_batch_sizes")
  elif sizes[-1] != batching.max_batch_size:
    report(field, f"found {sizes[-1]} as the last; allowed: max_batch_size, "
           f"which is {batching.max_batch_size}")

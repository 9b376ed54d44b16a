"""What a run knows beside its variables, saved in every checkpoint."""

import math
from typing import Any, Dict, Mapping, NamedTuple, Optional

from mtl_graph.protos import training_pb2


class Course(NamedTuple):
  """How one task's validation loss has gone.

  Attributes:
    first: The loss at the first evaluation.
    first_step: Step of the first evaluation.
    best: The lowest.
    best_step: Step of the lowest.
    last: The loss at the last evaluation.
    last_step: Step of the last.
  """
  first: float
  first_step: int
  best: float
  best_step: int
  last: float
  last_step: int


class RunState:
  """Best value, early stopping's counters, and the course of each task.

  Attributes:
    digest: Fingerprint of the training rows.
    courses: A `Course` by task.
    best_value: Best value of `evaluation.best.metric` so far, or None.
    best_step: Its step.
    stopping_value: Best value of early stopping's metric so far, or None.
    evaluations_without_best: Evaluations in a row since then.
    evaluated_step: Step of the last evaluation, or None.
  """

  def __init__(self, digest: str):
    self.digest = digest
    self.courses: Dict[str, Course] = {}
    self.best_value: Optional[float] = None
    self.best_step: Optional[int] = None
    self.stopping_value: Optional[float] = None
    self.evaluations_without_best = 0
    self.evaluated_step: Optional[int] = None

  def to_json(self) -> Dict[str, Any]:
    """Returns the state as values that JSON has."""
    return {**vars(self), "courses": {
        task: course._asdict() for task, course in self.courses.items()}}

  @classmethod
  def from_json(cls, saved: Mapping[str, Any]) -> "RunState":
    """Returns the state that `to_json` returned."""
    state = cls(saved["digest"])
    for key, value in saved.items():
      setattr(state, key, value)
    state.courses = {task: Course(**course)
                     for task, course in saved["courses"].items()}
    return state

  def record(self, step: int, metrics: Mapping[str, Mapping[str, float]],
             evaluation: training_pb2.Evaluation) -> bool:
    """Takes note of an evaluation.

    Args:
      step: Its step.
      metrics: Validation metrics by task and name.
      evaluation: The `Evaluation` message.

    Returns:
      Whether this is the best checkpoint so far.
    """
    self.evaluated_step = step
    for task, values in metrics.items():
      loss, old = values["loss"], self.courses.get(task)
      if old is None:
        self.courses[task] = Course(loss, step, loss, step, loss, step)
      else:
        better = loss < old.best
        self.courses[task] = Course(
            old.first, old.first_step, loss if better else old.best,
            step if better else old.best_step, loss, step)
    if evaluation.HasField("early_stopping"):
      rule = evaluation.early_stopping
      value = value_of(metrics, rule.metric)
      if _better(value, self.stopping_value, rule.goal, rule.min_delta):
        self.stopping_value = value
        self.evaluations_without_best = 0
      else:
        self.evaluations_without_best += 1
    if not evaluation.HasField("best"):
      return False
    value = value_of(metrics, evaluation.best.metric)
    if not _better(value, self.best_value, evaluation.best.goal):
      return False
    self.best_value, self.best_step = value, step
    return True

  def should_stop(self, evaluation: training_pb2.Evaluation) -> bool:
    """Returns whether early stopping ends the run here."""
    return (evaluation.HasField("early_stopping")
            and self.evaluations_without_best
            >= evaluation.early_stopping.patience)


def value_of(metrics: Mapping[str, Mapping[str, float]], name: str) -> float:
  """Returns the metric called `<task>/<metric>`."""
  task, _, metric = name.partition("/")
  return metrics[task][metric]


def _better(value: float, best: Optional[float], goal: int,
            min_delta: float = 0.0) -> bool:
  if math.isnan(value):
    return False
  if best is None:
    return True
  if goal == training_pb2.MAXIMIZE:
    return value > best + min_delta
  return value < best - min_delta


def verdict(course: Course) -> str:
  """Says of a task whether it has converged, is still learning or over-fits.

  It over-fits if the last validation loss is more than 1 % above the best; it
  is still learning if the last is the best, and the loss has fallen since the
  first evaluation by more than 1 %; else it has converged. One evaluation says
  nothing.

  Args:
    course: The course of its validation loss.

  Returns:
    "over-fits", "still learning", "converged" or "evaluated once".
  """
  if course.last_step == course.first_step:
    return "evaluated once"
  if course.last > course.best + 0.01 * abs(course.best):
    return "over-fits"
  if course.last_step == course.best_step and (
      course.best < course.first - 0.01 * abs(course.first)):
    return "still learning"
  return "converged"

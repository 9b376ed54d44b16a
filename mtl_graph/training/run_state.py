"""What a run knows beside its variables, saved in every checkpoint."""

import math
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence

from mtl_graph.protos import evaluation_pb2


# Rules of early stopping by task.
TaskRules = Mapping[str, evaluation_pb2.EarlyStopping]


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


class Best:
  """The best value of one validation metric so far.

  A value says nothing of another metric or of other rows: what it is a value of
  goes along with it, and where that changes it starts anew.

  Attributes:
    measured: What it is a value of: metric, goal and fingerprint of the rows.
    value: The best value, or None.
    step: Its step, or None.
    evaluations_since: Evaluations in a row that were no better.
  """

  def __init__(self, measured: Optional[Sequence[str]] = None,
               value: Optional[float] = None, step: Optional[int] = None,
               evaluations_since: int = 0):
    self.measured = measured
    self.value = value
    self.step = step
    self.evaluations_since = evaluations_since

  def take(self, value: float, step: int, goal: int,
           min_delta: float = 0.0) -> bool:
    """Takes note of a value; returns whether it is the best so far."""
    if not _better(value, self.value, goal, min_delta):
      self.evaluations_since += 1
      return False
    self.value, self.step, self.evaluations_since = value, step, 0
    return True


class RunState:
  """What the run has seen: best values and the course of each task.

  Attributes:
    experiment: Text of the experiment, its vocabularies in line.
    digest: Fingerprint of the training rows.
    courses: A `Course` by task.
    best: `Best` of `evaluation.best`.
    stopping: `Best` of `evaluation.early_stopping`.
    task_stopping: `Best` of each task's own early stopping, by task.
    schedule: Where the run's schedule stands, as its `to_json` returns it.
    execution: The mode of execution that AUTO has chosen, or None.
    batches: How many batches a step is made of, those of all workers.
    claimed: How many batches were claimed, where some may have been dropped.
  """

  def __init__(self, experiment: str, digest: str, batches: int = 1):
    self.experiment = experiment
    self.digest = digest
    self.batches = batches
    self.claimed = 0
    self.courses: Dict[str, Course] = {}
    self.best = Best()
    self.stopping = Best()
    self.task_stopping: Dict[str, Best] = {}
    self.schedule: Dict[str, Any] = {}
    self.execution: Optional[str] = None

  def to_json(self) -> Dict[str, Any]:
    """Returns the state as values that JSON has."""
    return {"experiment": self.experiment, "digest": self.digest,
            "courses": {task: course._asdict()
                        for task, course in self.courses.items()},
            "best": vars(self.best), "stopping": vars(self.stopping),
            "task_stopping": {task: vars(best) for task, best in
                              self.task_stopping.items()},
            "schedule": self.schedule, "execution": self.execution,
            "batches": self.batches, "claimed": self.claimed}

  def take_up(self, saved: Mapping[str, Any]) -> None:
    """Takes up what an earlier process had seen, as `to_json` returned it."""
    self.courses = {task: Course(**course)
                    for task, course in saved["courses"].items()}
    self.best = Best(**saved["best"])
    self.stopping = Best(**saved["stopping"])
    self.task_stopping = {task: Best(**best) for task, best
                          in saved.get("task_stopping", {}).items()}
    self.claimed = saved.get("claimed", 0)

  def start_evaluating(self, evaluation: evaluation_pb2.Evaluation,
                       rows_digest: str,
                       task_rules: Optional[TaskRules] = None) -> bool:
    """Says by what and on which rows the run is going to be measured.

    Args:
      evaluation: The `Evaluation` message.
      rows_digest: Fingerprint of the validation rows.
      task_rules: Tasks' own rules of early stopping; None: there are none.

    Returns:
      Whether an earlier best checkpoint is no longer the best by this measure.
    """
    def measure(rule, present):
      return ([rule.metric, evaluation_pb2.Goal.Name(rule.goal), rows_digest]
              if present else None)
    stale = self.best.value is not None
    best = measure(evaluation.best, evaluation.HasField("best"))
    if self.best.measured != best:
      self.best = Best(best)
    stopping = measure(evaluation.early_stopping,
                       evaluation.HasField("early_stopping"))
    if self.stopping.measured != stopping:
      self.stopping = Best(stopping)
    for task, rule in (task_rules or {}).items():
      if self.task_stopping.get(task, Best()).measured != measure(rule, True):
        self.task_stopping[task] = Best(measure(rule, True))
    return stale and self.best.value is None

  def record(self, step: int, metrics: Mapping[str, Mapping[str, float]],
             evaluation: evaluation_pb2.Evaluation,
             task_rules: Optional[TaskRules] = None) -> bool:
    """Takes note of an evaluation.

    Args:
      step: Its step.
      metrics: Validation metrics by task and name.
      evaluation: The `Evaluation` message.
      task_rules: Tasks' own rules of early stopping, of those that go on;
        None: there are none.

    Returns:
      Whether this is the best checkpoint so far.
    """
    for task, values in metrics.items():
      loss, old = values["loss"], self.courses.get(task)
      if old is None:
        self.courses[task] = Course(loss, step, loss, step, loss, step)
      else:
        better = loss < old.best or math.isnan(old.best)
        self.courses[task] = Course(
            old.first, old.first_step, loss if better else old.best,
            step if better else old.best_step, loss, step)
    rules = [(self.task_stopping[task], rule)
             for task, rule in (task_rules or {}).items()]
    if evaluation.HasField("early_stopping"):
      rules.append((self.stopping, evaluation.early_stopping))
    for best, rule in rules:
      best.take(value_of(metrics, rule.metric), step, rule.goal, rule.min_delta)
    if not evaluation.HasField("best"):
      return False
    return self.best.take(value_of(metrics, evaluation.best.metric), step,
                          evaluation.best.goal)

  def should_stop(self, evaluation: evaluation_pb2.Evaluation) -> bool:
    """Returns whether early stopping ends the run here."""
    return (evaluation.HasField("early_stopping")
            and self.stopping.evaluations_since
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
  if goal == evaluation_pb2.MAXIMIZE:
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
    "over-fits", "still learning", "converged", "evaluated once", or "not a
    number" where there was nothing to measure.
  """
  if not math.isfinite(course.last):
    return "not a number"
  if course.last_step == course.first_step:
    return "evaluated once"
  if course.last > course.best + 0.01 * abs(course.best):
    return "over-fits"
  if course.last_step == course.best_step and (
      course.best < course.first - 0.01 * abs(course.first)):
    return "still learning"
  return "converged"

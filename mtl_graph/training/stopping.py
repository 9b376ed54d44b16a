"""When a run, or a task's share of it, ends before its last step, and why."""

from typing import Dict, List, Mapping, Optional

from mtl_graph.evaluation import tables
from mtl_graph.protos import evaluation_pb2
from mtl_graph.protos import experiment_pb2
from mtl_graph.training import preparation
from mtl_graph.training import run_state
from mtl_graph.training import schedule as schedule_lib


def task_rules(experiment: experiment_pb2.Experiment
               ) -> Dict[str, evaluation_pb2.EarlyStopping]:
  """Returns tasks' own rules of early stopping, in independent training."""
  return {task.name: task.early_stopping
          for task in experiment.training.independent.task
          if task.HasField("early_stopping")}


def stop_tasks(rules: Mapping[str, evaluation_pb2.EarlyStopping],
               state: run_state.RunState, schedule: schedule_lib.Schedule,
               step: int) -> List[str]:
  """Takes the tasks out of a schedule whose own metric has got no better.

  Args:
    rules: Rules of the tasks that go on so far.
    state: What the run has seen.
    schedule: The run's schedule.
    step: The global step.

  Returns:
    A line for the log for each task that has stopped now.
  """
  lines = []
  for task, rule in rules.items():
    best = state.task_stopping[task]
    if best.evaluations_since >= rule.patience:
      schedule.stop(task)
      lines.append(f"task '{task}' stopped early at step {step}: "
                   + _no_better(rule, best))
  return lines


def why(experiment: experiment_pb2.Experiment, step: int, num_steps: int,
        stopped_by: Optional[str], best: run_state.Best) -> str:
  """Says why no step is left to run, and what would change that.

  Args:
    experiment: The experiment.
    step: The global step.
    num_steps: Steps in all.
    stopped_by: The hook that has asked for it, or None.
    best: The best value of early stopping's metric.
  """
  if step >= num_steps:
    return (f"step {step} of {num_steps} reached; raise "
            f"{preparation.length_field(experiment)} to go on")
  if stopped_by:
    return (f"stopped by {stopped_by} at step {step} of {num_steps}; the same "
            "call goes on")
  return (f"stopped early at step {step} of {num_steps}: "
          + _no_better(experiment.evaluation.early_stopping, best)
          + "; raise evaluation.early_stopping.patience to go on")


def _no_better(rule, best) -> str:
  return (f"{rule.metric} has not been better than {tables.number(best.value)} "
          f"(step {best.step}) for {best.evaluations_since} evaluations")


def next_border(experiment: experiment_pb2.Experiment, step: int,
                num_steps: int) -> int:
  """Returns the next step at which something other than a step happens.

  Args:
    experiment: The experiment.
    step: The global step.
    num_steps: Steps in all.

  Returns:
    The next multiple of the intervals of the log, of checkpoints, of
    evaluations and of exports, or the last step.
  """
  training = experiment.training
  every = (training.log_every_steps, training.checkpoint.every_steps,
           experiment.evaluation.every_steps,
           experiment.serving.publishing.every_steps)
  return min([num_steps, *((step // n + 1) * n for n in every if n)])


def passes(before: int, step: int, every: int) -> bool:
  """Returns whether a step that is a multiple of `every` has just been passed.

  Args:
    before: The global step before.
    step: The global step.
    every: Steps between two of them; 0: there are none.
  """
  return bool(every) and step // every > before // every

"""The methods that compare_methods.py compares, as text of a `Joint` message."""

from typing import List, NamedTuple

from google.protobuf import text_format
import numpy as np

from mtl_graph.protos import experiment_pb2


class Method(NamedTuple):
  """A method.

  Attributes:
    group: "weighting" or "balancing".
    text: The fields of `training.joint`.
    draws_weights: Whether a trial is a draw of task weights rather than another
      learning rate.
  """
  group: str
  text: str
  draws_weights: bool = False


def _weighting(text: str, draws_weights: bool = False) -> Method:
  return Method("weighting", f"loss {{ {text} }}", draws_weights)


def _balancing(text: str, loss: str = "sum {}") -> Method:
  return Method("balancing",
                f"loss {{ {loss} }} gradient_balancing {{ {text} }}")


SUM, TUNED, SCHEDULE = "sum", "tuned weights", "weight schedule"

METHODS = {
    SUM: _weighting("sum {}"),
    TUNED: _weighting("weighted_sum {}", True),
    # Every other task's factor stays 1; `of_trial` names the last task.
    SCHEDULE: _weighting("weighted_sum { schedule { factor { "
                         "exponential_decay { initial: 1 decay_steps: 1 "
                         "decay_rate: 0.998 } } } }"),
    "uncertainty": _weighting("uncertainty {}"),
    "uncertainty, not below 0": _weighting(
        "uncertainty { form: NON_NEGATIVE }"),
    "IMTL-L": _weighting("uncertainty { form: IMPARTIAL }"),
    "DWA": _weighting("dynamic_weight_average { window_steps: 25 }"),
    "GLS": _weighting("geometric_mean {}"),
    "log sum": _weighting("log_sum {}"),
    "RLW": _weighting("random_weights {}"),
    "GradNorm": _weighting("grad_norm {}"),
    "FAMO": _weighting("famo {}"),
    "STCH": _weighting("smooth_chebyshev { warm_up_steps: 50 }"),
    "PCGrad": _balancing("pcgrad {}"),
    "GradVac": _balancing("gradvac {}"),
    "MGDA": _balancing("mgda {}"),
    "MGDA-UB": _balancing("mgda {} at: REPRESENTATION"),
    "CAGrad": _balancing("cagrad {}"),
    "IMTL-G": _balancing("imtl_g {}"),
    "GradDrop": _balancing("graddrop {} at: REPRESENTATION"),
    "Nash-MTL": _balancing("nash_mtl {}"),
    "FairGrad": _balancing("fairgrad { alpha: 2 }"),
    "Aligned-MTL": _balancing("aligned_mtl {}"),
    "Aligned-MTL-UB": _balancing("aligned_mtl {} at: REPRESENTATION"),
    "UPGrad": _balancing("upgrad {}"),
    "DualProj": _balancing("dual_proj {}"),
    "ConFIG": _balancing("config {}"),
    "MoCo": _balancing("moco {}"),
    "ExcessMTL": _balancing("excess_mtl {}"),
    "SDMGrad": _balancing("sdmgrad {}"),
    "DB-MTL": _balancing("db_mtl {}", "log_sum {}"),
}

# Those compared where training takes long.
FEW = (SUM, TUNED, "uncertainty", "PCGrad", "CAGrad", "Nash-MTL")

# Learning rates that are tried: factors on the data set's own.
FACTORS = (1 / 3, 1.0, 3.0)


def of_trial(base: experiment_pb2.Experiment, name: str, trial: int,
             rate: float, kernel: str) -> experiment_pb2.Experiment:
  """Returns a method's experiment of one trial.

  Args:
    base: The experiment without method.
    name: The method, one of `METHODS`.
    trial: Number of the trial, from 0 and below `len(FACTORS)`.
    rate: The learning rate that factors are on.
    kernel: The kernel by which GradNorm measures gradients.

  Returns:
    The experiment.
  """
  experiment = experiment_pb2.Experiment.FromString(base.SerializeToString())
  method, joint = METHODS[name], experiment.training.joint
  joint.Clear()
  text_format.Parse(method.text, joint)
  for schedule in joint.loss.weighted_sum.schedule:
    schedule.task = experiment.model.task[-1].name
  if joint.loss.HasField("grad_norm"):
    joint.loss.grad_norm.kernel = kernel
  if method.draws_weights:
    set_rate(experiment, rate)
    tasks = experiment.model.task
    for task, weight in zip(tasks, draw_weights(len(tasks), trial)):
      task.weight = weight
  else:
    set_rate(experiment, rates(rate)[trial])
  return experiment


def alone(base: experiment_pb2.Experiment, task: str, trial: int, rate: float
          ) -> experiment_pb2.Experiment:
  """Returns the experiment of one task by itself, on the same network."""
  experiment = of_trial(base, SUM, trial, rate, "")
  kept = [each for each in experiment.model.task if each.name == task]
  del experiment.model.task[:]
  experiment.model.task.extend(kept)
  return experiment


def described(experiment: experiment_pb2.Experiment) -> str:
  """Says what is particular to a trial's experiment."""
  rate = experiment.training.default_optimizer.adam.learning_rate
  weights = [f"{task.weight:.2f}" for task in experiment.model.task
             if task.HasField("weight")]
  return f"rate {rate.cosine_decay.initial:g}" + (
      f", weights {' '.join(weights)}" if weights else "")


def draw_weights(num_tasks: int, trial: int) -> np.ndarray:
  """Draws weights evenly of all that add up to the number of tasks."""
  random = np.random.RandomState(trial)
  return num_tasks * random.dirichlet(np.ones(num_tasks))


def rates(rate: float) -> List[float]:
  """Returns the learning rates that are tried around one."""
  return [float(f"{factor * rate:.3g}") for factor in FACTORS]


def set_rate(experiment: experiment_pb2.Experiment, rate: float) -> None:
  """Has the learning rate fall to 0 by a cosine, from `rate`."""
  learning_rate = experiment.training.default_optimizer.adam.learning_rate
  learning_rate.Clear()
  learning_rate.cosine_decay.initial = rate
  learning_rate.cosine_decay.decay_steps = experiment.training.num_steps

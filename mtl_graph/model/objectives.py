"""What a step minimizes: all losses jointly, or the loss of one task."""

from typing import Dict, List, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from mtl_graph import task_graph
from mtl_graph.model import graphs
from mtl_graph.protos import balancing_pb2
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import joint_pb2
from mtl_graph.protos import training_pb2


class Objective(NamedTuple):
  """What a step minimizes, and over which variables.

  Attributes:
    tasks: Names of the tasks whose losses it is made of.
    loss: How they become one, a `LossIntegration`.
    groups: The `VariableGroup` messages that are trained.
    variables: Trainable variables by group.
    counter: Counts the steps of this objective; schedules, dropout and batches
      go by it.
    batch_size: Rows per batch.
    source: Name of the source that batches are drawn from; "" for all rows.
    balancing: How the tasks' gradients of what they share become one; None:
      they add up.
  """
  tasks: List[str]
  loss: joint_pb2.LossIntegration
  groups: List[training_pb2.VariableGroup]
  variables: Dict[str, List[tf.Variable]]
  counter: tf.Variable
  batch_size: int
  source: str = ""
  balancing: Optional[balancing_pb2.GradientBalancing] = None


def build(experiment: experiment_pb2.Experiment, model: graphs.Graph
          ) -> List[Objective]:
  """Returns what a run minimizes.

  Args:
    experiment: The experiment, valid.
    model: What `graphs.build` returned.

  Returns:
    One objective in joint training, else one for each task that has iterations,
    in the order of `training.independent.task`.
  """
  training = experiment.training
  if training.WhichOneof("mode") != "independent":
    trained = [g for g in model.groups if not g.frozen]
    return [Objective(
        task_graph.with_loss(experiment.model.task), training.joint.loss,
        trained, {g.name: model.variables[g.name] for g in trained},
        model.global_step, experiment.data.batch_size,
        balancing=training.joint.gradient_balancing
        if training.joint.HasField("gradient_balancing") else None)]
  groups = {group.name: group for group in model.groups}
  alone = joint_pb2.LossIntegration(sum=joint_pb2.Sum())
  return [Objective(
      [task.name], alone, [groups[task.name]],
      {task.name: model.variables[task.name]}, model.counters[task.name],
      task.batch_size or experiment.data.batch_size, task.source)
          for task in training.independent.task if task.iterations]

"""How far tasks agree on where shared variables should go."""

from typing import Dict, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.data import batches
from mtl_graph.data import features as features_lib
from mtl_graph.model import graphs
from mtl_graph.model import losses
from mtl_graph.model import variable_groups
from mtl_graph.ops import task_losses as task_losses_ops
from mtl_graph.protos import experiment_pb2


def build(experiment: experiment_pb2.Experiment, model: graphs.Graph,
          batch: batches.Batch, number: tf.Tensor
          ) -> Dict[Tuple[str, str], tf.Tensor]:
  """Measures how far tasks agree on where shared variables should go.

  ```
    cos_ij = <g_i, g_j> / (|g_i| |g_j|)
  ```

  with `g_i` the gradient of task i's loss in the shared variables that are
  trained. Below zero, a step for one task is a step against the other.

  Args:
    experiment: The experiment, valid.
    model: What `graphs.build` returned.
    batch: Rows.
    number: Number of the batch, which keys dropout.

  Returns:
    A dict from pairs of tasks to scalars; empty where nothing is shared.
  """
  tasks = experiment.model.task
  logits = graphs.forward(experiment, features_lib.Transformed(
      batch.numbers, batch.ids), number, partitioner=model.partitioner).logits
  task_losses = losses.build(tasks, logits, batch.labels, batch.weights)
  trained = {v.op.name: v for group in model.groups if not group.frozen
             for v in model.variables[group.name]}
  shared = [trained[name] for name in variable_groups.shared_names(
      [task.name for task in tasks], list(trained))]
  if not shared:
    return {}
  flat = {}
  for task, loss in task_losses.items():
    gradients = tf.gradients(task_losses_ops.mean(loss), shared,
                             unconnected_gradients="zero")
    flat[task] = tf.concat(
        [tf.reshape(tf.convert_to_tensor(g), [-1]) for g in gradients], 0)
  names = list(flat)
  return {
      (a, b): tf.math.divide_no_nan(
          tf.reduce_sum(flat[a] * flat[b]),
          tf.norm(flat[a]) * tf.norm(flat[b]))
      for i, a in enumerate(names) for b in names[i + 1:]}

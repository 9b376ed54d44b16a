"""What a step measures of how gates use experts."""

from typing import List, Mapping, Sequence, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.model import stacks
from mtl_graph.ops import expert_mixing


def measure(of_batches: Sequence[Mapping[str, stacks.Gate]]
            ) -> Tuple[List[str], List[tf.Tensor]]:
  """Returns the names of what measures how gates use experts, and vectors of it.

  Of each gate the mean weight of each expert, `<gate>/<expert>`, and the mean
  entropy of the weights, `<gate>/entropy`.

  Args:
    of_batches: The gates by scope, for each batch of a step.
  """
  values, names = [], []
  with tf.name_scope("gate_use"):
    for scope, gate in of_batches[0].items():
      prefix = scope.partition("gate/")[0]
      weights = gate.weights
      if len(of_batches) > 1 and weights.shape.rank == 2:
        weights = tf.concat([gates[scope].weights for gates in of_batches], 0)
      use = expert_mixing.gate_use(tf.stop_gradient(weights))
      values += [use.mean, tf.reshape(use.entropy, [1])]
      names += [f"{scope}/{expert[len(prefix):]}" for expert in gate.experts]
      names.append(f"{scope}/entropy")
  return names, values

"""Random and degenerate gradients of several tasks, and a way to try ops."""

from typing import Callable, Dict, List, Sequence

import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf


def gramians(num_tasks: int, number: int = 8,
             seed: int = 0) -> List[np.ndarray]:
  """Draws Gramians in float32: alike, unlike and conflicting gradients.

  Every other case has lengths that differ by up to a factor of a million.
  """
  random = np.random.default_rng([seed, num_tasks])
  found = []
  for i in range(number):
    jacobian = random.normal(size=[num_tasks, 2 * num_tasks + 4])
    # From tasks that mostly agree to tasks that mostly disagree.
    jacobian += random.uniform(-1, 1) * jacobian.mean(0) * num_tasks ** 0.5
    if i % 2:
      scales = 10 ** random.uniform(-3, 3, [num_tasks, 1])
      jacobian *= scales / np.linalg.norm(jacobian, axis=1, keepdims=True)
    found.append((jacobian @ jacobian.T).astype(np.float32))
  return found


def jacobian_of(gramian: np.ndarray) -> np.ndarray:
  """Returns gradients, float64, that have exactly the products given."""
  return np.linalg.cholesky(np.asarray(gramian, np.float64))


def degenerate(num_tasks: int) -> Dict[str, np.ndarray]:
  """Returns Gramians, float32, of gradients that are parallel, zero and so."""
  random = np.random.default_rng(num_tasks)
  plain = random.normal(size=[num_tasks, 20])
  one_zero, all_equal, opposed, spread = (plain.copy() for _ in range(4))
  one_zero[0] = 0
  all_equal[:] = plain[0]
  opposed[-1] = -3 * plain[0]
  spread *= np.geomspace(1e-3, 1e3, num_tasks)[:, np.newaxis]
  cases = {
      "plain": plain, "one_zero": one_zero, "all_zero": 0 * plain,
      "all_equal": all_equal, "opposed": opposed, "spread": spread,
      "cancelling": plain - plain.mean(0), "plane": plain[:, :2],
  }
  return {name: (each.astype(np.float32) @ each.astype(np.float32).T)
          for name, each in cases.items()}


def evaluate(op: Callable, cases: Sequence[Sequence[np.ndarray]]) -> List:
  """Runs an op on several cases of the same shapes, in one graph.

  Args:
    op: Takes tensors, returns a tensor or several in a structure.
    cases: Arguments of each case.

  Returns:
    What the op returns for each case, as arrays.
  """
  cases = [[np.asarray(each) for each in case] for case in cases]
  with tf.Graph().as_default(), tf.Session() as session:
    arguments = [tf.placeholder(each.dtype, each.shape) for each in cases[0]]
    output = op(*arguments)
    return [session.run(output, dict(zip(arguments, case))) for case in cases]


def compiled(op: Callable) -> Callable:
  """Returns an op that XLA compiles."""
  return tf2.function(op, jit_compile=True)

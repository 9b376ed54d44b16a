"""The surface of two tasks on which CAGrad's paper compares methods.

What two_valleys.pbtxt names. From "Conflict-Averse Gradient Descent for
Multi-task Learning" by Liu et al., appendix; also in "Multi-Task Learning as a
Bargaining Game" by Navon et al., section 6.1.
"""

import numpy as np
import tensorflow.compat.v1 as tf

# Where each task's loss is least.
OPTIMA = {"right": (7.0, -8.0), "left": (-7.0, -8.0)}
# What stands in place of a distance of zero, whose logarithm is taken.
_LEAST_DISTANCE = 5e-6


def rows():
  """Returns the one row that there is: nothing is learned from data."""
  labels = {task: np.array([place], np.float32)
            for task, place in OPTIMA.items()}
  return {"nothing": np.zeros([1], np.float32)}, labels


def place(inputs, units, x, y):
  """Stands somewhere on the plane, whatever is put in.

  Args:
    inputs: Features, shape `[B, D]`.
    units: 2.
    x: Where it starts.
    y: The same.

  Returns:
    The place, once per row, shape `[B, 2]`.
  """
  found = tf.get_variable("place", [units],
                          initializer=tf.constant_initializer([x, y]))
  return tf.tile(found[tf.newaxis], [tf.shape(inputs)[0], 1])


def as_it_is(inputs):
  """Takes the place itself for a task's estimate."""
  return inputs


def height(labels, logits, above=0.0):
  """Computes a task's loss.

  With the optimum at (p, -8), the loss at (x, y) is

  ```
    max(tanh(y / 2), 0) valley + max(tanh(-y / 2), 0) bowl
    valley = ln max(|-(x + p) / 2 + tanh y|, 5e-6) + 6
    bowl = ((x - p)^2 + (y + 8)^2 / 10) / 10 - 20
  ```

  Args:
    labels: The task's optimum, shape `[..., 2]`.
    logits: The place, shape `[..., 2]`.
    above: Is added: most weightings need losses above 0.

  Returns:
    The loss for each of both numbers, the same, shape `[..., 2]`.
  """
  x, y = tf.unstack(logits, axis=-1)
  away_x, away_y = tf.unstack(logits - labels, axis=-1)
  distance = tf.abs(-(x + labels[..., 0]) / 2 + tf.tanh(y))
  valley = tf.math.log(tf.maximum(distance, _LEAST_DISTANCE)) + 6
  bowl = (away_x ** 2 + 0.1 * away_y ** 2) / 10 - 20
  found = above + (tf.maximum(tf.tanh(y / 2), 0.0) * valley
                   + tf.maximum(tf.tanh(-y / 2), 0.0) * bowl)
  return tf.stack([found, found], -1)

"""Gradients by central differences, for what tests compute in numpy."""

from typing import Callable

import numpy as np


def of(function: Callable[[np.ndarray], float], at: np.ndarray,
       delta: float = 1e-6) -> np.ndarray:
  """Measures how a scalar function changes with each number of its argument.

  Args:
    function: The function.
    at: Where the gradient is taken.
    delta: How far each number is moved, up and down.

  Returns:
    The gradient, float64, of the shape of `at`.
  """
  at = np.array(at, np.float64)
  gradient = np.zeros_like(at)
  for index in np.ndindex(at.shape):
    ends = []
    for moved in (at[index] + delta, at[index] - delta):
      point = at.copy()
      point[index] = moved
      ends.append(function(point))
    gradient[index] = (ends[0] - ends[1]) / (2 * delta)
  return gradient

"""Ways to weigh experts, to mix them, and to see how they are used."""

import collections
from typing import List, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes

# weights: the weight of each expert, shape `[..., n]`.
# selectors: what each selector gives to each expert, shape `[..., k, n]`.
DSelectKOutput = collections.namedtuple("DSelectKOutput",
                                        ["weights", "selectors"])

# mean: the mean weight of each expert, shape `[n]`.
# entropy: the mean entropy of a row's weights, shape `[]`.
GateUse = collections.namedtuple("GateUse", ["mean", "entropy"])

# Keeps the logarithm of `selector_entropy` finite.
_LOG_OFFSET = 1e-6
# Below this `reachability` goes on along its tangent.
_LEAST_REACHED = 1e-3


def smooth_step(inputs: tf.Tensor, gamma: float = 1.0,
                name: str = "smooth_step") -> tf.Tensor:
  """Rises smoothly from 0 to 1, and is exactly 0 and 1 beyond its width.

  ```
    S(x) = 0                                          x <= -gamma / 2
           -2 x^3 / gamma^3 + 3 x / (2 gamma) + 1/2   in between
           1                                          x >= gamma / 2
  ```

  With `u = x / gamma + 1/2` the middle line is `u^2 (3 - 2 u)`, which is what
  is computed: unlike the sum, rounding never makes it negative.

  See "DSelect-k: Differentiable Selection in the Mixture of Experts with
  Applications to Multi-Task Learning" by Hazimeh, Zhao, Chowdhery,
  Sathiamoorthy, Chen, Mazumder, Hong and Chi, section 3
  (https://arxiv.org/abs/2106.03760), and for more of this function "The Tree
  Ensemble Layer: Differentiability meets Conditional Computation"
  (https://arxiv.org/abs/2002.07772).

  Args:
    inputs: Tensor of `x`, any shape.
    gamma: Width of the step, above 0.
    name: Name scope of the op.

  Returns:
    `S(x)`, the shape of `inputs`. Its gradient is 0 where it is 0 or 1.

  Raises:
    ValueError: If `gamma` is not above 0.
  """
  if not gamma > 0:
    raise ValueError(f"{name}: `gamma` must be above 0, found {gamma}.")
  with tf.name_scope(name):
    u = tf.clip_by_value(inputs / gamma + 0.5, 0.0, 1.0)
    return u * u * (3 - 2 * u)


def num_digits(num_experts: int) -> int:
  """Counts the binary digits that number the experts: `ceil(log2(n))`.

  Args:
    num_experts: The number of experts `n`, 1 or more.

  Returns:
    The number of digits; 0 for one expert.

  Raises:
    ValueError: If there is no expert.
  """
  if num_experts < 1:
    raise ValueError("num_digits: `num_experts` must be 1 or more, found "
                     f"{num_experts}.")
  return (num_experts - 1).bit_length()


def dselect_k(digit_logits: tf.Tensor, selector_logits: tf.Tensor,
              num_experts: int, gamma: float = 1.0,
              name: str = "dselect_k") -> DSelectKOutput:
  """Weighs experts by `k` selectors, each of which settles on one of them.

  A selector writes the number of its expert in binary, most significant digit
  first; each digit is a step of a logit, so that it ends up exactly 0 or 1.
  With `S` the `smooth_step`, `z_jd` the logits of digit `d` of selector `j`,
  `a_j` those of the selectors, and `bit_d(i)` the digits of `i`, from 0:

  ```
    r_ji = prod_d  S(z_jd) if bit_d(i) = 1 else 1 - S(z_jd)
    w_i  = sum_j softmax(a)_j r_ji
  ```

  Where `n` is no power of two a selector may write a number without an expert,
  wholly or in part; then the weights sum to less than 1, and `reachability` is
  what keeps it from doing so. One expert has no digits and the weight 1; then
  no gradient reaches `digit_logits`, which are empty.

  See "DSelect-k: Differentiable Selection in the Mixture of Experts with
  Applications to Multi-Task Learning" by Hazimeh et al., section 3
  (https://arxiv.org/abs/2106.03760). Leading rows are its gates per example;
  without them it is the static gate. `1 - S(z)` is computed as `S(-z)`, its
  equal, so that rounding makes no `r_ji` negative.

  Args:
    digit_logits: Tensor of `z`, shape `[k, m]` or `[B, k, m]` with `m` the
      `num_digits` of `n`.
    selector_logits: Tensor of `a`, shape `[k]` or `[B, k]`.
    num_experts: The number of experts `n`, 1 or more.
    gamma: Width of the step, above 0.
    name: Name scope of the op.

  Returns:
    A `DSelectKOutput`.

  Raises:
    ValueError: If the shapes do not fit, there is no expert, or `gamma` is not
      above 0.
  """
  size = _check_rows(digit_logits, [None, num_digits(num_experts)],
                     "digit_logits", name)
  if size is None:
    _check_rows(selector_logits, [None], "selector_logits", name)
  else:
    shapes.check(selector_logits, size[:-1], "selector_logits", name)
  with tf.name_scope(name):
    ones = smooth_step(digit_logits, gamma)
    zeros = smooth_step(-digit_logits, gamma)
    # From the least digit up, each one puts the numbers that have it after
    # those that have not. A product over digits would need a gradient of its
    # own at zeros; this one does not.
    selectors = tf.ones_like(selector_logits)[..., tf.newaxis]
    for d in reversed(range(num_digits(num_experts))):
      selectors = tf.concat([zeros[..., d:d + 1] * selectors,
                             ones[..., d:d + 1] * selectors], -1)
    selectors = selectors[..., :num_experts]
    shares = tf.nn.softmax(selector_logits)[..., tf.newaxis]
    return DSelectKOutput(tf.reduce_sum(shares * selectors, -2), selectors)


def selector_entropy(selectors: tf.Tensor,
                     name: str = "selector_entropy") -> tf.Tensor:
  """Measures how far selectors are from having settled on one expert each.

  ```
    mean over rows and selectors of  -sum_i r_i log(r_i + 1e-6)
  ```

  See "DSelect-k: Differentiable Selection in the Mixture of Experts with
  Applications to Multi-Task Learning" by Hazimeh et al., section 3
  (https://arxiv.org/abs/2106.03760), which adds it to the loss. The 1e-6, for a
  finite gradient at 0, is that of the authors' code. That takes the sum, and
  this the mean, so that a weight on it holds for any size of batch.

  Args:
    selectors: Tensor of `r`, shape `[k, n]` or `[B, k, n]`.
    name: Name scope of the op.

  Returns:
    The mean entropy, shape `[]`; 0 without rows.

  Raises:
    ValueError: If the shape does not fit.
  """
  _check_rows(selectors, [None, None], "selectors", name)
  with tf.name_scope(name):
    entropies = -tf.reduce_sum(
        selectors * tf.log(selectors + _LOG_OFFSET), -1)
    return _mean(tf.reshape(entropies, [-1]))


def reachability(selectors: tf.Tensor, name: str = "reachability") -> tf.Tensor:
  """Grows as selectors write numbers that no expert has.

  ```
    mean over rows and selectors of  1 / s      s = sum_i r_i
  ```

  It is 1 where every selector stays on experts. To be added to the loss where
  the number of experts is no power of two; else `s` is always 1.

  See "DSelect-k: Differentiable Selection in the Mixture of Experts with
  Applications to Multi-Task Learning" by Hazimeh et al., section 3
  (https://arxiv.org/abs/2106.03760), whose authors' code takes the sum where
  this takes the mean. Added here: below `c = 1e-3` the tangent `2/c - s/c^2`
  stands for `1 / s`, so that neither value nor gradient goes beyond 2e3 and
  1e6. A selector that has wholly settled off the experts (`s` is 0) still
  learns nothing, as the steps of its digits are flat there.

  Args:
    selectors: Tensor of `r`, shape `[k, n]` or `[B, k, n]`.
    name: Name scope of the op.

  Returns:
    The mean, shape `[]`; 0 without rows.

  Raises:
    ValueError: If the shape does not fit.
  """
  _check_rows(selectors, [None, None], "selectors", name)
  with tf.name_scope(name):
    total = tf.reshape(tf.reduce_sum(selectors, -1), [-1])
    touching = tf.maximum(total, _LEAST_REACHED)
    return _mean((2 * touching - total) / tf.square(touching))


def mix(experts: Sequence[tf.Tensor], weights: tf.Tensor,
        name: str = "mix") -> tf.Tensor:
  """Adds up experts, each times its weight.

  ```
    sum_i  w_i f_i
  ```

  See "Modeling Task Relationships in Multi-task Learning with Multi-gate
  Mixture-of-Experts" by Ma, Zhao, Yi, Chen, Hong and Chi, section 4
  (https://doi.org/10.1145/3219819.3220007).

  Args:
    experts: The `n` tensors `f_i`, each of shape `[B, ...]`.
    weights: Tensor of `w`, shape `[B, n]`, or `[n]` for the same in all rows.
    name: Name scope of the op.

  Returns:
    The mixture, shape `[B, ...]`.

  Raises:
    ValueError: If there is no expert, or the shapes do not fit.
  """
  size = shapes.check_alike(experts, "experts", name, least_rank=1)
  _check_rows(weights, [len(experts)], "weights", name, size[0])
  with tf.name_scope(name):
    weights = tf.reshape(weights, [-1] + [1] * (len(size) - 1) + [len(experts)])
    return tf.add_n([weight * expert for weight, expert in zip(
        tf.unstack(weights, len(experts), -1), experts)])


def gate_use(weights: tf.Tensor, name: str = "gate_use") -> GateUse:
  """Sums up how a gate uses its experts.

  ```
    mean_i  = mean over rows of  w_i
    entropy = mean over rows of  -sum_i w_i log(w_i)      0 log 0 = 0
  ```

  Args:
    weights: Tensor of `w`, at least 0, shape `[B, n]` or `[n]`.
    name: Name scope of the op.

  Returns:
    A `GateUse`; zeros without rows.

  Raises:
    ValueError: If the shape does not fit, or `n` is unknown.
  """
  size = _check_rows(weights, [None], "weights", name)
  if size is None or size[-1] is None:
    raise ValueError(f"{name}: `weights` must have a known last dimension, "
                     f"found {weights.shape}.")
  with tf.name_scope(name):
    weights = tf.reshape(weights, [-1, size[-1]])
    return GateUse(_mean(weights), _mean(-tf.reduce_sum(
        tf.math.xlogy(weights, weights), -1)))


def _check_rows(tensor: tf.Tensor, expected: List[Optional[int]], argument: str,
                op: str, rows: Optional[int] = None
                ) -> Optional[List[Optional[int]]]:
  """Raises unless a tensor has a shape, or is rows that have it.

  Returns its static shape, None where not even its rank is known.
  """
  if tensor.shape.rank is None:
    return None
  if tensor.shape.rank == len(expected) + 1:
    return shapes.check(tensor, [rows, *expected], argument, op)
  if tensor.shape.rank == len(expected):
    return shapes.check(tensor, expected, argument, op)
  allowed = ", ".join("any" if size is None else str(size) for size in expected)
  batch = "any" if rows is None else rows
  raise ValueError(f"{op}: `{argument}` must have shape [{allowed}] or "
                   f"[{batch}, {allowed}], found {tensor.shape}.")


def _mean(values):
  """Averages over the first axis; 0 of none."""
  count = tf.cast(tf.shape(values)[0], values.dtype)
  return tf.math.divide_no_nan(tf.reduce_sum(values, 0), count)

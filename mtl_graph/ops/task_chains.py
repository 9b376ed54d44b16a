"""Estimates and features handed from one task to the next in a chain."""

import math
from typing import Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.ops import expert_mixing
from mtl_graph.ops import shapes


def product_logit(logits: Sequence[tf.Tensor],
                  name: str = "product_logit") -> tf.Tensor:
  """Computes the logit of a product of probabilities given by their logits.

  ```
    p     = prod_t sigmoid(z_t)
    logit = log p - log(1 - p)
  ```

  without ever forming `p`, which a float would round to 0 or to 1:

  ```
    log p               = sum_t log_sigmoid(z_t)
    log(1 - p_1)        = log_sigmoid(-z_1)
    log(1 - p_1 .. p_t) = logaddexp(log(1 - p_1 .. p_(t-1)),
                                    log(p_1 .. p_(t-1)) + log_sigmoid(-z_t))
  ```

  With the click and the conversion after a click for tasks, `p` is that of
  both.

  See "Entire Space Multi-Task Model: An Effective Approach for Estimating
  Post-Click Conversion Rate" by Ma, Zhao, Huang, Wang, Hu, Zhu and Gai, section
  2.2 (https://arxiv.org/abs/1804.07931).

  Args:
    logits: The `T` tensors `z_t`, two or more, all of one shape such as
      `[B, 1]`.
    name: Name scope of the op.

  Returns:
    The logit of the product, the shape of each of them.

  Raises:
    ValueError: If there are fewer than two tensors or their shapes differ.
  """
  shapes.check_alike(logits, "logits", name, least=2)
  with tf.name_scope(name):
    log_p = tf.log_sigmoid(logits[0])
    log_rest = tf.log_sigmoid(-logits[0])
    for logit in logits[1:]:
      log_rest = tf.reduce_logsumexp(
          tf.stack([log_rest, log_p + tf.log_sigmoid(-logit)]), 0)
      log_p += tf.log_sigmoid(logit)
    return log_p - log_rest


def transfer(values: Sequence[tf.Tensor], keys: Sequence[tf.Tensor],
             queries: Sequence[tf.Tensor], name: str = "transfer") -> tf.Tensor:
  """Mixes what earlier tasks hand on with what a task has found itself.

  ```
    w_u = softmax over u of  <key_u, query_u> / sqrt(D)
    sum_u  w_u value_u
  ```

  See "Modeling the Sequential Dependence among Audience Multi-step Conversions
  with Multi-task Learning in Targeted Display Advertising" by Xi et al.,
  section 3.3 (https://arxiv.org/abs/2105.08489).

  Args:
    values: The `U` tensors `value_u`, each of shape `[B, D]`.
    keys: The `U` tensors `key_u`, each of shape `[B, D]`.
    queries: The `U` tensors `query_u`, each of shape `[B, D]`.
    name: Name scope of the op.

  Returns:
    The mixture, shape `[B, D]`.

  Raises:
    ValueError: If the lists differ in length or are empty, the shapes do not
      fit, or `D` is unknown.
  """
  size = shapes.check_alike(values, "values", name, least_rank=2)
  shapes.check(values[0], [None, None], "values[0]", name)
  for tensors, argument in ((keys, "keys"), (queries, "queries")):
    if len(tensors) != len(values):
      raise ValueError(f"{name}: `{argument}` must hold {len(values)} tensors "
                       f"as `values` does, found {len(tensors)}.")
    for u, tensor in enumerate(tensors):
      shapes.check(tensor, size, f"{argument}[{u}]", name)
  if size[1] is None:
    raise ValueError(f"{name}: `values` must have a known last dimension, "
                     f"found {values[0].shape}.")
  with tf.name_scope(name):
    scores = tf.stack([tf.reduce_sum(key * query, -1)
                       for key, query in zip(keys, queries)], -1)
    weights = tf.nn.softmax(scores / math.sqrt(size[1]))
    return expert_mixing.mix(values, weights)

"""Adam that moves only the rows of a table that a batch reads."""

import tensorflow.compat.v1 as tf

from mtl_graph.ops import row_sums


class LazyAdamOptimizer(tf.train.AdamOptimizer):
  """Adam whose sparse update touches the rows of the gradient, and no others.

  For each row that the gradient holds, with g the sum of its entries there and
  t the number of updates so far, those that did not touch the row included:

  ```
    m <- beta1 m + (1 - beta1) g
    v <- beta2 v + (1 - beta2) g^2
    row <- row - rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)
  ```

  `tf.train.AdamOptimizer` decays m and v of every row at every step, and moves
  every row by its m. Here a row that is not read keeps its value, m and v to
  the bit. Dense gradients are applied as Adam applies them, and slots have
  Adam's names.

  See "Adam: A Method for Stochastic Optimization" by Kingma and Ba, the end of
  section 2 (https://arxiv.org/abs/1412.6980), from whose Algorithm 1 this
  departs in the rows that it leaves out.
  """

  # The class above would add up duplicates by tf.unique, whose rows have no
  # static shape: compiled by XLA, a loop of such updates comes out wrong.

  def _resource_apply_sparse_duplicate_indices(self, grad, handle, indices):
    return self._update_rows(handle, indices, grad)

  def _apply_sparse_duplicate_indices(self, grad, var):
    return self._update_rows(var, grad.indices, grad.values)

  def _update_rows(self, variable, indices, values):
    beta1_power, beta2_power, rate, beta1, beta2, epsilon = (
        tf.cast(t, values.dtype) for t in (
            *self._get_beta_accumulators(), self._lr_t, self._beta1_t,
            self._beta2_t, self._epsilon_t))
    m, v = self.get_slot(variable, "m"), self.get_slot(variable, "v")
    rows, gradient, _ = row_sums.row_sums(indices, values)
    m_rows = beta1 * tf.gather(m, rows) + (1 - beta1) * gradient
    v_rows = beta2 * tf.gather(v, rows) + (1 - beta2) * tf.square(gradient)
    rate *= tf.sqrt(1 - beta2_power) / (1 - beta1_power)
    moved = tf.gather(variable, rows) - rate * m_rows / (
        tf.sqrt(v_rows) + epsilon)
    # Set, not added: all slots of a row hold the same.
    return tf.group(tf.scatter_update(m, rows, m_rows).op,
                    tf.scatter_update(v, rows, v_rows).op,
                    tf.scatter_update(variable, rows, moved).op)

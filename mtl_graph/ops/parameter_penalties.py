"""Penalties on what several tasks learn: parameters and probabilities."""

from typing import Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.ops import shapes


def pairwise_distance(parameters: Sequence[tf.Tensor],
                      name: str = "pairwise_distance") -> tf.Tensor:
  """Adds up the squared distances between the parameters of every two tasks.

  ```
    sum_(i<j) |theta_i - theta_j|^2  =  T sum_i |theta_i - mean|^2
  ```

  The right-hand side is what is computed. Equal parameters give exactly 0, and
  so do their gradients.

  See "Low Resource Dependency Parsing: Cross-lingual Parameter Sharing in a
  Neural Network Parser" by Duong, Cohn, Bird and Cook
  (https://aclanthology.org/P15-2139), which has two.

  Args:
    parameters: The `T` tensors `theta_i`, all of one shape.
    name: Name scope of the op.

  Returns:
    The penalty, shape `[]`; 0 for one task.

  Raises:
    ValueError: If there is no tensor, or the shapes differ.
  """
  shapes.check_alike(parameters, "parameters", name)
  with tf.name_scope(name):
    return len(parameters) * _spread(parameters)


def distance_to_mean(parameters: Sequence[tf.Tensor],
                     name: str = "distance_to_mean") -> tf.Tensor:
  """Adds up the squared distances of the tasks' parameters to their mean.

  ```
    sum_i |theta_i - mean|^2
  ```

  This is `pairwise_distance` over the number of tasks. Equal parameters give
  exactly 0, and so do their gradients.

  See "Regularized Multi-Task Learning" by Evgeniou and Pontil
  (https://doi.org/10.1145/1014052.1014067).

  Args:
    parameters: The `T` tensors `theta_i`, all of one shape.
    name: Name scope of the op.

  Returns:
    The penalty, shape `[]`; 0 for one task.

  Raises:
    ValueError: If there is no tensor, or the shapes differ.
  """
  shapes.check_alike(parameters, "parameters", name)
  with tf.name_scope(name):
    return _spread(parameters)


def last_axis_trace_norm(kernels: Sequence[tf.Tensor], epsilon: float,
                         name: str = "last_axis_trace_norm") -> tf.Tensor:
  """Computes the trace norm of the tasks' kernels, one column per task.

  With `W` the kernels stacked on a new last axis, flattened to `[-1, T]`:

  ```
    sum_i sqrt(lambda_i + epsilon)      lambda_i the eigenvalues of A A^T or
                                        A^T A, the smaller of the two
  ```

  where `A` is that matrix; for `epsilon` 0 the sum of its singular values. It
  is smallest, for kernels of a given length, where they are all alike.

  See "Trace Norm Regularised Deep Multi-Task Learning" by Yang and Hospedales
  (https://arxiv.org/abs/1606.04038), where this is "LAF", last axis flattening.
  Added here: `epsilon`, which keeps the gradient finite where the rank is not
  full, as for kernels that are all alike. Its root should be well above the
  rounding of the kernels, which is else what the gradient there is made of.

  Args:
    kernels: The `T` kernels, all of one known shape of one axis or more.
    epsilon: Added to the squared singular values, above 0.
    name: Name scope of the op.

  Returns:
    The norm, shape `[]`.

  Raises:
    ValueError: If there is no kernel, the shapes differ or are not wholly
      known, or `epsilon` is not above 0.
  """
  _check_kernels(kernels, epsilon, name)
  with tf.name_scope(name):
    stacked = tf.stack(kernels, -1)
    return _trace_norm(tf.reshape(stacked, [-1, len(kernels)]), epsilon)


def tucker_trace_norm(kernels: Sequence[tf.Tensor], epsilon: float,
                      name: str = "tucker_trace_norm") -> tf.Tensor:
  """Adds up the trace norms of the kernels flattened along each axis.

  With `W` the kernels stacked on a new last axis, of `N` axes in all:

  ```
    sum_(k=1..N)  |W_(k)|_*
  ```

  where `W_(k)` has the indices of axis `k` for rows and all others for columns,
  and `|A|_*` is as in `last_axis_trace_norm`.

  See "Trace Norm Regularised Deep Multi-Task Learning" by Yang and Hospedales
  (https://arxiv.org/abs/1606.04038).

  Args:
    kernels: The `T` kernels, all of one known shape of one axis or more.
    epsilon: Added to the squared singular values, above 0.
    name: Name scope of the op.

  Returns:
    The norm, shape `[]`.

  Raises:
    ValueError: If there is no kernel, the shapes differ or are not wholly
      known, or `epsilon` is not above 0.
  """
  sizes = _check_kernels(kernels, epsilon, name)
  with tf.name_scope(name):
    stacked = tf.stack(kernels, -1)
    norms = []
    for k, size in enumerate(sizes):
      order = [k] + [axis for axis in range(len(sizes)) if axis != k]
      flat = tf.reshape(tf.transpose(stacked, order), [size, -1])
      norms.append(_trace_norm(flat, epsilon))
    return tf.add_n(norms)


def tensor_train_trace_norm(kernels: Sequence[tf.Tensor], epsilon: float,
                            name: str = "tensor_train_trace_norm"
                            ) -> tf.Tensor:
  """Adds up the trace norms of the kernels cut in two after each axis.

  With `W` the kernels stacked on a new last axis, of `N` axes in all:

  ```
    sum_(k=1..N-1)  |W_[k]|_*
  ```

  where `W_[k]` has the indices of the first `k` axes for rows and the others
  for columns, and `|A|_*` is as in `last_axis_trace_norm`.

  See "Trace Norm Regularised Deep Multi-Task Learning" by Yang and Hospedales
  (https://arxiv.org/abs/1606.04038).

  Args:
    kernels: The `T` kernels, all of one known shape of one axis or more.
    epsilon: Added to the squared singular values, above 0.
    name: Name scope of the op.

  Returns:
    The norm, shape `[]`.

  Raises:
    ValueError: If there is no kernel, the shapes differ or are not wholly
      known, or `epsilon` is not above 0.
  """
  sizes = _check_kernels(kernels, epsilon, name)
  with tf.name_scope(name):
    stacked = tf.stack(kernels, -1)
    norms, rows = [], 1
    for size in sizes[:-1]:
      rows *= size
      norms.append(_trace_norm(tf.reshape(stacked, [rows, -1]), epsilon))
    return tf.add_n(norms)


def orthogonality(kernel: tf.Tensor, subspaces: int,
                  name: str = "orthogonality") -> tf.Tensor:
  """Measures how much the subspaces of a layer compute the same.

  The kernel is split on its last axis into `S` equal parts `G_k`, each
  flattened to `[-1, D / S]`.

  ```
    sum_(k<l) |G_k^T G_l|_F^2
  ```

  See "Latent Multi-task Architecture Learning" by Ruder, Bingel, Augenstein and
  Sogaard (https://arxiv.org/abs/1705.08142).

  Args:
    kernel: The kernel of a layer, shape `[..., D]`.
    subspaces: The number of parts `S`; `D` is a multiple of it.
    name: Name scope of the op.

  Returns:
    The penalty, shape `[]`; 0 for one subspace.

  Raises:
    ValueError: If the kernel has no axis or does not split.
  """
  size = shapes.check_alike([kernel], "kernel", name, least_rank=1)[-1]
  width = shapes.check_split(size, subspaces, "kernel", name)
  with tf.name_scope(name):
    flat = tf.reshape(kernel, [-1, size])
    total = tf.zeros([], kernel.dtype)
    for start in range(0, size - width, width):
      # One product of a part with all the parts after it.
      end = start + width
      total += tf.reduce_sum(tf.square(
          tf.matmul(flat[:, start:end], flat[:, end:], transpose_a=True)))
    return total


def calibration(later: tf.Tensor, earlier: tf.Tensor,
                name: str = "calibration") -> tf.Tensor:
  """Measures by how much a later step is held likelier than an earlier one.

  ```
    mean over rows of  max(later - earlier, 0)
  ```

  Who converts has clicked before: the probability of the later step is at most
  that of the earlier one.

  See "Modeling the Sequential Dependence among Audience Multi-step Conversions
  with Multi-task Learning in Targeted Display Advertising" by Xi et al.,
  section 3.4 (https://arxiv.org/abs/2105.08489).

  Args:
    later: Probabilities of the later step, shape `[B]`.
    earlier: Probabilities of the earlier step, shape `[B]`.
    name: Name scope of the op.

  Returns:
    The mean excess, shape `[]`; 0 without rows.

  Raises:
    ValueError: If the arguments are not vectors of one length.
  """
  size = shapes.check(later, [None], "later", name)
  shapes.check(earlier, size, "earlier", name)
  with tf.name_scope(name):
    excess = tf.nn.relu(later - earlier)
    return tf.math.divide_no_nan(tf.reduce_sum(excess),
                                 tf.cast(tf.size(excess), excess.dtype))


def _check_kernels(kernels, epsilon, op):
  """Returns the shape of the kernels stacked on a last axis."""
  size = shapes.check_alike(kernels, "kernels", op, least_rank=1)
  if None in size:
    raise ValueError(f"{op}: `kernels` must have a wholly known shape, found "
                     f"{kernels[0].shape}.")
  if not epsilon > 0:
    raise ValueError(f"{op}: `epsilon` must be above 0, found {epsilon}.")
  return size + [len(kernels)]


def _spread(parameters):
  """Returns `sum_i |theta_i - mean|^2`."""
  # Apart from the first, and not from zero: differences of equal numbers are 0,
  # while a mean of equal numbers may be rounded to another one. What is left
  # sums to nothing, so neither the first one nor the mean needs a gradient as
  # such; for second derivatives they would.
  first = tf.stop_gradient(parameters[0])
  moved = [parameter - first for parameter in parameters]
  mean = tf.stop_gradient(tf.add_n(moved) / len(moved))
  return tf.add_n([tf.reduce_sum(tf.square(each - mean)) for each in moved])


def _trace_norm(matrix, epsilon):
  """Returns the sum of `sqrt(s_i^2 + epsilon)` over singular values `s_i`.

  With `v_i` the eigenvectors of `A A^T`, the eigenvalues are `|v_i^T A|^2`. So
  computed they are not negative and keep the digits that the small ones lose in
  `A A^T`; and with `v_i` held fixed their gradients are right all the same, for
  an eigenvalue does not change as its eigenvector turns by a little. Equal
  eigenvalues, whose eigenvectors have no gradient, need none.
  """
  rows, columns = matrix.shape.as_list()
  if rows > columns:
    matrix = tf.transpose(matrix)
  fixed = tf.stop_gradient(matrix)
  products = tf.matmul(fixed, fixed, transpose_b=True)
  # What is not finite would end in an error of the solver's. Without it the
  # norm is what it ought to be, not finite, and so is the loss.
  products = tf.where(tf.math.is_finite(products), products,
                      tf.zeros_like(products))
  _, vectors = tf.linalg.eigh(products)
  eigenvalues = tf.reduce_sum(
      tf.square(tf.matmul(vectors, matrix, transpose_a=True)), 1)
  return tf.reduce_sum(tf.sqrt(eigenvalues + epsilon))

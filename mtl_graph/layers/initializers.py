"""Initial values that are a function of a seed and the variable's name.

Every initializer is made of a seed and the variable's full name and is called
as `tf.get_variable` calls it, with a shape and a type. The draws are stateless:
another variable more or less in the graph changes nothing here, and a part of a
variable that is cut by rows starts as those rows of the whole do.

fan_in and fan_out, the numbers of inputs and of outputs that an entry's unit
has, are the last two dimensions, each times the dimensions before those: a
convolution's window.
"""

import math
from typing import Callable, List, Sequence, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.ops import random_bits

# The standard deviation of a standard normal variable cut off at -2 and 2:
# sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
_CUT_STDDEV = 0.87962566103423978

# TensorFlow's generator on processors, and how many counts of it four numbers of
# a distribution that draws again may take.
_PHILOX, _RESERVED = 1, 256


def glorot_uniform(seed: int, variable_name: str) -> Callable:
  """Returns an initializer that draws Glorot's uniform distribution.

  Uniform in `[-limit, limit]` with `limit = sqrt(6 / (fan_in + fan_out))`.

  See "Understanding the Difficulty of Training Deep Feedforward Neural
  Networks" by Glorot and Bengio, 2010, section 4.2.1.

  Args:
    seed: Seed of the experiment.
    variable_name: Full name of the variable.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  def initialize(shape: Sequence[int], dtype=tf.float32, partition_info=None):
    fan_in, fan_out = _fans(variable_name, shape, partition_info)
    limit = (6.0 / (fan_in + fan_out)) ** 0.5
    return _uniform(seed, variable_name, shape, limit, dtype, partition_info)
  return initialize


def glorot_normal(seed: int, variable_name: str) -> Callable:
  """Returns an initializer that draws Glorot's normal distribution.

  Normal, cut off at two standard deviations, with a variance after the cut of
  `2 / (fan_in + fan_out)`. See `glorot_uniform` for the paper.

  Args:
    seed: Seed of the experiment.
    variable_name: Full name of the variable.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  return _cut_normal(seed, variable_name,
                     lambda fan_in, fan_out: 2.0 / (fan_in + fan_out))


def he_uniform(seed: int, variable_name: str) -> Callable:
  """Returns an initializer that draws He's uniform distribution.

  Uniform in `[-limit, limit]` with `limit = sqrt(6 / fan_in)`.

  See "Delving Deep into Rectifiers: Surpassing Human-Level Performance on
  ImageNet Classification" by He et al., 2015, section 2.2
  (https://arxiv.org/abs/1502.01852).

  Args:
    seed: Seed of the experiment.
    variable_name: Full name of the variable.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  return _fan_in_uniform(seed, variable_name, 6.0)


def he_normal(seed: int, variable_name: str) -> Callable:
  """Returns an initializer that draws He's normal distribution.

  Normal, cut off at two standard deviations, with a variance after the cut of
  `2 / fan_in`. See `he_uniform` for the paper.

  Args:
    seed: Seed of the experiment.
    variable_name: Full name of the variable.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  return _cut_normal(seed, variable_name, lambda fan_in, _: 2.0 / fan_in)


def lecun_uniform(seed: int, variable_name: str) -> Callable:
  """Returns an initializer that draws LeCun's uniform distribution.

  Uniform in `[-limit, limit]` with `limit = sqrt(3 / fan_in)`.

  See "Efficient BackProp" by LeCun et al., 1998, section 4.6.

  Args:
    seed: Seed of the experiment.
    variable_name: Full name of the variable.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  return _fan_in_uniform(seed, variable_name, 3.0)


def lecun_normal(seed: int, variable_name: str) -> Callable:
  """Returns an initializer that draws LeCun's normal distribution.

  Normal, cut off at two standard deviations, with a variance after the cut of
  `1 / fan_in`. See `lecun_uniform` for the paper.

  Args:
    seed: Seed of the experiment.
    variable_name: Full name of the variable.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  return _cut_normal(seed, variable_name, lambda fan_in, _: 1.0 / fan_in)


def uniform(seed: int, variable_name: str, limit: float) -> Callable:
  """Returns an initializer that draws uniformly from `[-limit, limit]`.

  Args:
    seed: Seed of the experiment.
    variable_name: Full name of the variable.
    limit: Half the width of the interval.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  def initialize(shape: Sequence[int], dtype=tf.float32, partition_info=None):
    return _uniform(seed, variable_name, shape, limit, dtype, partition_info)
  return initialize


def normal(seed: int, variable_name: str, stddev: float) -> Callable:
  """Returns an initializer that draws normally around zero.

  Args:
    seed: Seed of the experiment.
    variable_name: Full name of the variable.
    stddev: Standard deviation.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  def initialize(shape: Sequence[int], dtype=tf.float32, partition_info=None):
    if partition_info is None:
      return tf.random.stateless_normal(shape, _stateless_seed(
          seed, variable_name), stddev=stddev, dtype=dtype)
    return stddev * _part(tf.raw_ops.StatelessRandomNormalV2, 1, seed,
                          variable_name, shape, dtype, partition_info)
  return initialize


def truncated_normal(seed: int, variable_name: str, stddev: float) -> Callable:
  """Returns an initializer that draws normally, up to two deviations from zero.

  Draws beyond are drawn again, hence the values' own standard deviation is
  0.8796 times `stddev`.

  Args:
    seed: Seed of the experiment.
    variable_name: Full name of the variable.
    stddev: Standard deviation before the cut.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  def initialize(shape: Sequence[int], dtype=tf.float32, partition_info=None):
    if partition_info is None:
      return tf.random.stateless_truncated_normal(shape, _stateless_seed(
          seed, variable_name), stddev=stddev, dtype=dtype)
    return stddev * _part(tf.raw_ops.StatelessTruncatedNormalV2, _RESERVED,
                          seed, variable_name, shape, dtype, partition_info)
  return initialize


def constant(seed: int, variable_name: str, value: float) -> Callable:
  """Returns an initializer of one number throughout.

  Args:
    seed: Seed of the experiment; of no effect.
    variable_name: Full name of the variable; of no effect.
    value: The number.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  del seed, variable_name  # Taken so that all initializers are made alike.
  def initialize(shape: Sequence[int], dtype=tf.float32, partition_info=None):
    return tf.fill(shape, tf.constant(value, dtype))
  return initialize


def orthogonal(seed: int, variable_name: str, gain: float) -> Callable:
  """Returns an initializer that draws orthonormal rows or columns.

  All dimensions but the last are rows of one matrix, the last its columns. The
  fewer of the two are orthonormal, times `gain`, every such matrix being as
  probable as any other: Q of the QR decomposition of a normal matrix, with the
  signs that make the diagonal of R positive.

  See "Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear
  Neural Networks" by Saxe, McClelland and Ganguli, 2014, section 3
  (https://arxiv.org/abs/1312.6120).

  Args:
    seed: Seed of the experiment.
    variable_name: Full name of the variable.
    gain: Length of each row or column.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  def initialize(shape: Sequence[int], dtype=tf.float32, partition_info=None):
    if partition_info is not None:
      return _slice(initialize, dtype, shape, partition_info)
    _fans(variable_name, shape)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = tf.linalg.qr(tf.random.stateless_normal(
        [max(rows, columns), min(rows, columns)],
        _stateless_seed(seed, variable_name), dtype=dtype))
    q *= tf.sign(tf.linalg.diag_part(r))
    if rows < columns:
      q = tf.transpose(q)
    return tf.constant(gain, dtype) * tf.reshape(q, shape)
  return initialize


def identity(seed: int, variable_name: str, gain: float) -> Callable:
  """Returns an initializer that lets each input pass to its own output.

  The identity matrix times `gain`, cut off or continued with zeros where it is
  not square. Of a convolution, the matrix in the middle of the window, zeros
  around it: each pixel passes to its own.

  Args:
    seed: Seed of the experiment; of no effect.
    variable_name: Full name of the variable.
    gain: The number on the diagonal.

  Returns:
    A function of `shape` and `dtype`, as `tf.get_variable` takes it.
  """
  del seed  # Taken so that all initializers are made alike.

  def initialize(shape: Sequence[int], dtype=tf.float32, partition_info=None):
    if partition_info is not None:
      return _slice(initialize, dtype, shape, partition_info)
    _fans(variable_name, shape)
    values = gain * tf.eye(shape[-2], shape[-1], dtype=dtype)
    # An even window reaches one pixel further after the middle than before it.
    before = [(size - 1) // 2 for size in shape[:-2]]
    after = [size - 1 - b for size, b in zip(shape, before)]
    values = tf.reshape(values, [1] * len(before) + list(shape[-2:]))
    return tf.pad(values, list(zip(before, after)) + [(0, 0), (0, 0)])
  return initialize


def _fans(variable_name, shape, partition_info=None) -> Tuple[int, int]:
  """Returns fan_in and fan_out, of a part those of the whole."""
  if partition_info is not None:
    shape = partition_info.full_shape
  if len(shape) < 2:
    raise ValueError(f"{variable_name}: `shape` must have at least two "
                     f"dimensions, found {list(shape)}.")
  window = math.prod(shape[:-2])
  return window * shape[-2], window * shape[-1]


def _stateless_seed(seed, variable_name) -> List[int]:
  key = random_bits.key_of(seed, variable_name)
  return [seed & 0x7fffffff, key & 0x7fffffff]


def _part(op, counts, seed, variable_name, shape, dtype, partition_info):
  """Draws rows out of the middle of what the whole would be drawn as.

  Four numbers come of one count of the generator's, or of `counts`: it begins
  with that of the part's first number.
  """
  first = math.prod([partition_info.var_offset[0],
                     *partition_info.full_shape[1:]])
  size = math.prod(shape)
  drawn = tf.raw_ops.StatelessRandomGetKeyCounter(
      seed=_stateless_seed(seed, variable_name))
  before = tf.constant(first // 4 * counts, tf.uint64)
  low, high = tf.unstack(drawn.counter)
  carry = tf.cast(low + before < low, tf.uint64)
  numbers = op(shape=[first % 4 + size], key=drawn.key, counter=tf.stack(
      [low + before, high + carry]), alg=_PHILOX, dtype=dtype)
  return tf.reshape(numbers[first % 4:], shape)


def _slice(initialize, dtype, shape, partition_info):
  """Returns rows of what the whole would be."""
  return tf.slice(initialize(partition_info.full_shape, dtype),
                  partition_info.var_offset, shape)


def _uniform(seed, variable_name, shape, limit, dtype, partition_info):
  if partition_info is not None:
    return 2 * limit * _part(
        tf.raw_ops.StatelessRandomUniformV2, 1, seed, variable_name, shape,
        dtype, partition_info) - limit
  return tf.random.stateless_uniform(
      shape, seed=_stateless_seed(seed, variable_name), minval=-limit,
      maxval=limit, dtype=dtype)


def _fan_in_uniform(seed, variable_name, scale):
  def initialize(shape: Sequence[int], dtype=tf.float32, partition_info=None):
    fan_in, _ = _fans(variable_name, shape, partition_info)
    return _uniform(seed, variable_name, shape, (scale / fan_in) ** 0.5, dtype,
                    partition_info)
  return initialize


def _cut_normal(seed, variable_name, variance):
  def initialize(shape: Sequence[int], dtype=tf.float32, partition_info=None):
    stddev = variance(*_fans(variable_name, shape, partition_info)
                      ) ** 0.5 / _CUT_STDDEV
    return truncated_normal(seed, variable_name, stddev)(
        shape, dtype, partition_info)
  return initialize

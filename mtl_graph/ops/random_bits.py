"""Random bits that are a function of a key, the same in every execution."""

import hashlib
import math
from typing import Sequence, Union

import tensorflow.compat.v1 as tf


def key_of(seed: int, name: str) -> int:
  """Returns a 32-bit key for what is called `name` under a seed."""
  digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
  return int.from_bytes(digest[:4], "little")


def _mix(bits: tf.Tensor) -> tf.Tensor:
  # The constants are those of a two-round xor-shift-multiply hash whose every
  # input bit flips every output bit with probability near one half
  # (C. Wellons, "Prospecting for Hash Functions", the function lowbias32).
  def fold(x, shift):
    return tf.bitwise.bitwise_xor(
        x, tf.bitwise.right_shift(x, tf.constant(shift, tf.uint32)))
  bits = fold(bits, 16) * tf.constant(0x7feb352d, tf.uint32)
  bits = fold(bits, 15) * tf.constant(0x846ca68b, tf.uint32)
  return fold(bits, 16)


def hash_counter(counter: tf.Tensor, key: Union[int, Sequence[int]],
                 name: str = "hash_counter") -> tf.Tensor:
  """Hashes 64-bit counters under a key, or under each of several.

  ```
    mix(mix(low 32 bits of counter + key) + high 32 bits of counter)
  ```

  Args:
    counter: Counters of at least 0, int64, of any shape.
    key: A number that tells this use from others, such as `key_of(...)`; or K
      of them.
    name: Name scope of the op.

  Returns:
    A uint32 Tensor of the shape of `counter`, followed by K if there are
    several keys.
  """
  with tf.name_scope(name):
    if isinstance(key, int):
      keys = key & 0xffffffff
    else:
      keys = [k & 0xffffffff for k in key]
      counter = tf.expand_dims(counter, -1)
    low = tf.cast(counter % 2 ** 32, tf.uint32)
    high = tf.cast(counter // 2 ** 32, tf.uint32)
    return _mix(_mix(low + tf.constant(keys, tf.uint32)) + high)


def random_bits(
    count: tf.Tensor,
    key: int,
    step: tf.Tensor,
    name: str = "random_bits") -> tf.Tensor:
  """Hashes counters into uniform 32-bit numbers.

  ```
    bits_i = mix(i + mix(key + mix(step)))
  ```

  Integer arithmetic only, so that the numbers are equal under XLA and outside
  it; TensorFlow's own stateless generators draw others under XLA.

  Args:
    count: How many numbers, an int32 scalar, or a Python int.
    key: A number that tells this draw from others, such as `key_of(...)`.
    step: Step at which the numbers are drawn, integer scalar.
    name: Name scope of the op.

  Returns:
    A uint32 Tensor of shape `[count]`.

  Raises:
    ValueError: If `step` is not a scalar.
  """
  step = tf.convert_to_tensor(step)
  if step.shape.rank != 0:
    raise ValueError(f"{name}: `step` must have shape [], found {step.shape}.")
  with tf.name_scope(name):
    start = _mix(tf.cast(step, tf.uint32))
    start = _mix(start + tf.constant(key & 0xffffffff, tf.uint32))
    return _mix(tf.cast(tf.range(count), tf.uint32) + start)


def standard_normal(
    count: int,
    key: int,
    step: tf.Tensor,
    name: str = "standard_normal") -> tf.Tensor:
  """Draws numbers of the standard normal distribution.

  ```
    z_i = sqrt(-2 log u_i) cos(2 pi v_i)
  ```

  with `u` and `v` uniform (Box and Muller 1958); `u` is at least 2^-25, so that
  no number lies beyond 5.9.

  Args:
    count: How many numbers.
    key: A number that tells this draw from others, such as `key_of(...)`.
    step: Step at which the numbers are drawn, integer scalar.
    name: Name scope of the op.

  Returns:
    A float32 Tensor of shape `[count]`.

  Raises:
    ValueError: If `step` is not a scalar.
  """
  with tf.name_scope(name):
    bits = random_bits(2 * count, key, step)
    # 24 bits, as many as a float32 holds, in the middles of their intervals.
    high = tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32))
    uniform = (tf.cast(high, tf.float32) + 0.5) * 2.0 ** -24
    u, v = uniform[:count], uniform[count:]
    return tf.sqrt(-2.0 * tf.math.log(u)) * tf.cos(2.0 * math.pi * v)


def keep_mask(
    like: tf.Tensor,
    rate: float,
    key: int,
    step: tf.Tensor,
    name: str = "keep_mask") -> tf.Tensor:
  """Draws a mask that is 0 with probability `rate`, 1 otherwise.

  Each number takes 16 of the random bits, so `rate` is met to 1 / 65,536.

  Args:
    like: Tensor whose shape and type the mask has, shape `[...]`.
    rate: Probability of 0, at least 0 and below 1.
    key: A number that tells this mask from others.
    step: Step at which the mask is drawn, integer scalar.
    name: Name scope of the op.

  Returns:
    A Tensor of zeros and ones, of the shape and type of `like`.

  Raises:
    ValueError: If `rate` is below 0, or 1 and above.
  """
  if not 0 <= rate < 1:
    raise ValueError(
        f"{name}: `rate` must be at least 0 and below 1, found {rate}.")
  with tf.name_scope(name):
    size = like.shape.num_elements()
    if size is None:
      size = tf.size(like)
    bits = random_bits((size + 1) // 2, key, step)
    # One uint32 is two uint16: half the hashing for the same mask.
    halves = tf.reshape(tf.bitcast(bits, tf.uint16), [-1])[:size]
    # A rate next to 1 must not wrap around to 0.
    threshold = min(round(rate * 65536), 65535)
    keep = halves >= tf.constant(threshold, tf.uint16)
    return tf.reshape(tf.cast(keep, like.dtype), tf.shape(like)
                      if like.shape.num_elements() is None else like.shape)

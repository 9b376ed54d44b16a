"""Strings that stood for an activation, an initializer or a regularizer."""

import functools
from typing import Callable, Optional, Union

import tensorflow.compat.v1 as tf

# As tf.keras of TensorFlow 1.15 read them; its random ones were narrow.
_ACTIVATIONS = {
    "elu": tf.nn.elu,
    "exponential": tf.exp,
    "hard_sigmoid": lambda x: tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0),
    "linear": tf.identity,
    "relu": tf.nn.relu,
    "selu": tf.nn.selu,
    "sigmoid": tf.nn.sigmoid,
    "softmax": tf.nn.softmax,
    "softplus": tf.nn.softplus,
    "softsign": tf.nn.softsign,
    "tanh": tf.nn.tanh,
}


def _scaling(scale, mode, distribution):
  return functools.partial(tf.variance_scaling_initializer, scale, mode,
                           distribution)


_INITIALIZERS = {
    "glorot_normal": tf.glorot_normal_initializer,
    "glorot_uniform": tf.glorot_uniform_initializer,
    "he_normal": _scaling(2.0, "fan_in", "truncated_normal"),
    "he_uniform": _scaling(2.0, "fan_in", "uniform"),
    "identity": tf.initializers.identity,
    "lecun_normal": _scaling(1.0, "fan_in", "truncated_normal"),
    "lecun_uniform": _scaling(1.0, "fan_in", "uniform"),
    "ones": tf.ones_initializer,
    "orthogonal": tf.orthogonal_initializer,
    "random_normal": functools.partial(tf.random_normal_initializer, 0.0, 0.05),
    "random_uniform": functools.partial(
        tf.random_uniform_initializer, -0.05, 0.05),
    "truncated_normal": functools.partial(
        tf.truncated_normal_initializer, 0.0, 0.05),
    "zeros": tf.zeros_initializer,
}


def _penalty(l1, l2):
  return lambda x: (l1 * tf.reduce_sum(tf.abs(x))
                    + l2 * tf.reduce_sum(tf.square(x)))


_REGULARIZERS = {
    "l1": _penalty(0.01, 0.0),
    "l2": _penalty(0.0, 0.01),
    "l1_l2": _penalty(0.01, 0.01),
}


def activation(choice: Union[None, str, Callable]) -> Optional[Callable]:
  """Returns an activation, which may be given by name; None is none."""
  return _choose("activation", choice, _ACTIVATIONS)


def initializer(choice: Union[None, str, Callable]) -> Optional[Callable]:
  """Returns an initializer, which may be given by name; None is the scope's."""
  found = _choose("initializer", choice, _INITIALIZERS)
  return found() if isinstance(choice, str) else found


def regularizer(choice: Union[None, str, Callable]) -> Optional[Callable]:
  """Returns a regularizer, which may be given by name; None is none."""
  return _choose("regularizer", choice, _REGULARIZERS)


def _choose(what, choice, named):
  if choice is None or callable(choice):
    return choice
  if choice not in named:
    raise ValueError(f"`{what}`: found {choice!r}; allowed: a callable, or one "
                     f"of {', '.join(named)}.")
  return named[choice]

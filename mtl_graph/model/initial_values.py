"""How variables start, as the experiment says."""

import functools
from typing import Callable, Optional

from mtl_graph import config
from mtl_graph.layers import initializers


def build(message) -> Optional[Callable[[int, str], Callable]]:
  """Returns how the main variable of a layer starts.

  Args:
    message: A message with a field `initializer`.

  Returns:
    A function from a seed and a variable's full name to an initializer; None
    where the layer's own is to be taken.

  Raises:
    ConfigError: If the distribution is not built.
  """
  if not message.HasField("initializer"):
    return None
  initializer = message.initializer
  kind = initializer.WhichOneof("kind")
  without_parameters = {
      "glorot_uniform": initializers.glorot_uniform,
      "glorot_normal": initializers.glorot_normal,
      "he_uniform": initializers.he_uniform,
      "he_normal": initializers.he_normal,
      "lecun_uniform": initializers.lecun_uniform,
      "lecun_normal": initializers.lecun_normal,
  }
  if kind in without_parameters:
    return without_parameters[kind]
  if kind == "uniform":
    return functools.partial(initializers.uniform, limit=initializer.uniform)
  if kind == "normal":
    return functools.partial(initializers.normal, stddev=initializer.normal)
  if kind == "truncated_normal":
    return functools.partial(initializers.truncated_normal,
                             stddev=initializer.truncated_normal)
  if kind == "constant":
    return functools.partial(initializers.constant, value=initializer.constant)
  if kind == "orthogonal":
    return functools.partial(initializers.orthogonal,
                             gain=initializer.orthogonal)
  if kind == "identity":
    return functools.partial(initializers.identity, gain=initializer.identity)
  raise config.ConfigError("initializer", f"found '{kind}'; allowed: one that "
                           "this version builds")

"""Reads and sets variables through a session, the parts of a table as one."""

from typing import Dict, Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model import partitions


def read(session: tf.Session, variables: Mapping[str, Sequence[tf.Variable]]
         ) -> Dict[str, np.ndarray]:
  """Reads variables, whole.

  Args:
    session: The session.
    variables: What `partitions.together` returned.

  Returns:
    A value by name.
  """
  found = session.run({name: list(parts) for name, parts in variables.items()})
  return {name: parts[0] if len(parts) == 1 else np.concatenate(parts)
          for name, parts in found.items()}


def load(session: tf.Session, variables: Mapping[str, Sequence[tf.Variable]],
         values: Mapping[str, np.ndarray]) -> None:
  """Gives variables values, whole ones.

  Args:
    session: The session.
    variables: What `partitions.together` returned.
    values: A value by name, of the variable's type.
  """
  feeds = {}
  for name, parts in variables.items():
    for part in parts:
      value, start = values[name], partitions.first_row(part)
      if partitions.is_part(part):
        value = value[start:start + part.shape.as_list()[0]]
      feeds[part.initializer.inputs[1]] = value
  session.run([p.initializer for parts in variables.values() for p in parts],
              feeds)

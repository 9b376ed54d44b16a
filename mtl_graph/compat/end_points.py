"""Outputs of slim's layers under their names, in collections."""

import collections
from typing import Any, Dict, List

import tensorflow.compat.v1 as tf


def collect_named_outputs(collections_wanted: Any, alias: str,
                          outputs: tf.Tensor) -> tf.Tensor:
  """Gives outputs a name and puts them into collections.

  Args:
    collections_wanted: A collection, several, or None.
    alias: The name, as `resnet/conv1`.
    outputs: The outputs.

  Returns:
    The outputs.
  """
  if collections_wanted:
    known = getattr(outputs, "aliases", [])
    outputs.aliases = [*known, alias.removesuffix("/")]
    tf.add_to_collections(collections_wanted, outputs)
  return outputs


def convert_collection_to_dict(collection: str, clear_collection: bool = False
                               ) -> Dict[str, tf.Tensor]:
  """Returns the outputs in a collection by their names.

  Args:
    collection: The collection.
    clear_collection: Whether to empty it.
  """
  found = collections.OrderedDict(
      (alias, tensor) for tensor in tf.get_collection(collection)
      for alias in get_tensor_aliases(tensor))
  if clear_collection:
    tf.get_default_graph().clear_collection(collection)
  return found


def get_tensor_aliases(tensor: tf.Tensor) -> List[str]:
  """Returns the names that layers gave a tensor, or its own."""
  return getattr(tensor, "aliases", None) or [
      tensor.name.removesuffix(":0")]


def last_dimension(shape: tf.TensorShape, min_rank: int = 1) -> int:
  """Returns the last size of a shape, which must be known."""
  if shape.rank is None or shape.rank < min_rank or (
      shape.as_list()[-1] is None):
    raise ValueError(f"the shape must have rank {min_rank} or more and a known "
                     f"last axis, found {shape}.")
  return shape.as_list()[-1]

"""Asks any signature of an export about rows, as a server would."""

from typing import Dict, Mapping, Optional

from google.protobuf import message
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import sessions
from mtl_graph.serving import example_rows
from mtl_graph.serving import signature_reader


class LoadError(Exception):
  """An export that cannot be loaded."""


class Calls:
  """An export, loaded, with all its signatures; usable as a context.

  Attributes:
    signatures: A `signature_reader.Signature` by name.
  """

  def __init__(self, path: str):
    """Loads an export.

    Args:
      path: Path of a version.

    Raises:
      LoadError: If it cannot be loaded.
    """
    try:
      with tf.Graph().as_default() as graph:
        self._session = sessions.open_session(graph)
        meta_graph = tf.saved_model.load(
            self._session, [tf.saved_model.tag_constants.SERVING], path)
    except (OSError, RuntimeError, tf.errors.OpError, ValueError, KeyError,
            message.DecodeError) as error:
      raise LoadError(f"{path}: cannot be loaded: "
                      f"{checkpoints.reason_of(error)}") from error
    self.signatures = signature_reader.of(meta_graph.signature_def)
    self._columns = example_rows.columns_of(path)

  def __enter__(self) -> "Calls":
    return self

  def __exit__(self, *unused_exception) -> None:
    self.close()

  def close(self) -> None:
    """Closes the session."""
    self._session.close()

  def feed(self, name: str, raw: Mapping[str, np.ndarray]
           ) -> Optional[Dict[str, np.ndarray]]:
    """Returns what a signature is asked about rows.

    Args:
      name: Name of the signature.
      raw: Raw values of the rows, as `serving_default` takes them.

    Returns:
      Arrays of one entry per row by key: raw values, serialized tf.Example, or
      what the graph makes of raw values where the signature starts behind that;
      None if it takes something else.
    """
    signature = self.signatures[name]
    if signature.takes_examples():
      (key, tensor), = signature.inputs.items()
      return {key: np.array(example_rows.serialize(
          raw, self._columns, self._session.graph.get_tensor_by_name(
              tensor.name)), object)}
    default = self.signatures.get(signature_reader.DEFAULT, signature)
    inputs = {tensor.name: key for key, tensor in default.inputs.items()}
    if not set(inputs.values()) <= set(raw):
      return None
    found, fetched = {}, []
    for key, tensor in signature.inputs.items():
      if tensor.name in inputs:
        found[key] = raw[inputs[tensor.name]]
      else:
        fetched.append((key, tensor.name))
    if not fetched:
      return found
    try:
      found.update(self._run(fetched, {name: raw[key]
                                       for name, key in inputs.items()}))
    except tf.errors.InvalidArgumentError:
      return None  # A placeholder of its own, which raw values do not reach.
    return found

  def ask(self, name: str, feed: Mapping[str, np.ndarray]
          ) -> Dict[str, np.ndarray]:
    """Runs one signature.

    Args:
      name: Name of the signature.
      feed: Arrays by key, as `feed` returns them.

    Returns:
      Arrays by key.
    """
    return self.ask_several({name: feed})[name]

  def ask_several(self, feeds: Mapping[str, Mapping[str, np.ndarray]]
                  ) -> Dict[str, Dict[str, np.ndarray]]:
    """Runs several signatures in one run of the model.

    Args:
      feeds: What each is asked, by its name; what two take from one tensor is
        the same.

    Returns:
      Arrays by key, by name.
    """
    inputs = {self.signatures[name].inputs[key].name: values
              for name, feed in feeds.items() for key, values in feed.items()}
    found = self._run(
        [((name, key), tensor.name) for name in feeds
         for key, tensor in self.signatures[name].outputs.items()], inputs)
    return {name: {key: value for (of, key), value in found.items()
                   if of == name} for name in feeds}

  def _run(self, fetches, feeds):
    values = self._session.run([name for _, name in fetches], feeds)
    return {key: value for (key, _), value in zip(fetches, values)}

"""Runs a graph of old and writes it as a SavedModel, value for value."""

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
# Only from there is a resource variable made of its definition.
from tensorflow.python.ops import resource_variable_ops

from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import sessions
from mtl_graph.porting import graph_checks
from mtl_graph.porting import graph_needs
from mtl_graph.porting import graph_source
from mtl_graph.porting import ported_graph
from mtl_graph.porting import python_files
from mtl_graph.porting import signature_text

_ERRORS = (tf.errors.OpError, ValueError, TypeError, KeyError, RuntimeError,
           MemoryError)


class Model:
  """A graph of old, built, with its values; usable as a context."""

  def __init__(self, source: graph_source.Source, needs: graph_needs.Needs,
               values: Mapping[str, np.ndarray]):
    """Builds what is needed of a graph, as it was, and gives it its values.

    Args:
      source: The graph.
      needs: What is needed of it, reviewed.
      values: Values of its variables by name.

    Raises:
      PortingError: If TensorFlow cannot build it, a tensor would be too large,
        or tables cannot be filled.
    """
    self._source, self._needs, self._values = source, needs, values
    self.graph = tf.Graph()
    try:
      with self.graph.as_default():
        tf.import_graph_def(ported_graph.original(
            needs, source.meta_graph.graph_def), name="")
      _check_sizes(self.graph, source.path)
      self._session = sessions.open_session(self.graph)
      self._initialize()
    except _ERRORS as error:
      raise _failed(source.path, "built", error) from error

  def __enter__(self) -> "Model":
    return self

  def __exit__(self, *unused_exception) -> None:
    self._session.close()

  def _initialize(self):
    with self.graph.as_default():
      for name, value in self._values.items():
        variable = self.graph.get_tensor_by_name(f"{name}:0")
        fed = tf.placeholder(value.dtype if value.dtype != object
                             else tf.string, value.shape)
        assign = (tf.raw_ops.AssignVariableOp(resource=variable, value=fed)
                  if variable.dtype == tf.resource else
                  tf.raw_ops.Assign(ref=variable, value=fed,
                                    validate_shape=False).op)
        self._session.run(assign, {fed: value})
    self._session.run([self.graph.get_operation_by_name(name)
                       for name in self._needs.initializers])

  def tensor(self, name: str) -> tf.Tensor:
    """Returns a tensor of the graph by name."""
    return self.graph.get_tensor_by_name(name)

  def run(self, signature: signature_text.Signature,
          rows: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Answers what a signature of the export is asked.

    Args:
      signature: The signature, with the names of the graph's own tensors.
      rows: What is fed, by key.

    Returns:
      Arrays by key.

    Raises:
      PortingError: If the graph cannot run on these rows.
    """
    feed = {signature.inputs[key]: value for key, value in rows.items()}
    try:
      found = self._session.run(list(signature.outputs.values()),
                                {**self._needs.constants, **feed})
    except _ERRORS as error:
      raise _failed(f"{self._source.path}: signature '{signature.name}'",
                    "run on these rows", error, "rows that it takes, --rows, "
                    "and a graph") from error
    return dict(zip(signature.outputs, found))

  def write(self, signatures: Sequence[signature_text.Signature],
            path: str) -> None:
    """Writes the SavedModel, with initial values and all.

    Args:
      signatures: The signatures, with the names of the graph's own tensors.
      path: Folder to write into; must not exist or be empty.

    Raises:
      PortingError: If that cannot be done.
    """
    shapes = {name: list(value.shape) for name, value in self._values.items()}
    ported = ported_graph.rewrite(self._needs, self._source.meta_graph.graph_def,
                                  self.graph, shapes)
    try:
      with tf.Graph().as_default() as graph:
        tf.import_graph_def(ported.graph, name="")
        _save(graph, ported, self._needs, self._values, signatures, path)
    except _ERRORS as error:
      raise _failed(self._source.path, "written", error) from error


def _save(graph, ported, needs, values, signatures, path) -> None:
  variables = {}
  for name, variable in ported.variables.items():
    made = resource_variable_ops.ResourceVariable.from_proto(
        variable.definition)
    tf.add_to_collection(tf.GraphKeys.GLOBAL_VARIABLES, made)
    shared = needs.nodes[name].attr["shared_name"].s.decode() or name
    variables.setdefault(shared, made)
  for name in needs.assets:
    tf.add_to_collection(tf.GraphKeys.ASSET_FILEPATHS,
                         graph.get_tensor_by_name(f"{name}:0"))
  # Added to the graph in the order in which the tables were found.
  main_op = tf.group(*map(graph.get_operation_by_name, needs.initializers),
                     name="ported_main_op")
  saver = tf.train.Saver(variables, sharded=True,
                         write_version=tf.train.SaverDef.V2) if (
                             variables) else None
  with sessions.open_session(graph) as session:
    session.run([v.definition.initializer_name
                 for v in ported.variables.values()],
                {v.value: values[name]
                 for name, v in ported.variables.items()})
    builder = tf.saved_model.Builder(path)
    builder.add_meta_graph_and_variables(
        session, [tf.saved_model.tag_constants.SERVING],
        {one.name: _definition(one, graph, ported.tensors)
         for one in signatures},
        tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS), main_op=main_op,
        clear_devices=True, strip_default_attrs=True, saver=saver)
    builder.save()


def _definition(signature, graph, tensors):
  return tf.saved_model.build_signature_def(*(
      {key: tf.saved_model.build_tensor_info(
          graph.get_tensor_by_name(tensors.get(tensor, tensor)))
       for key, tensor in side.items()}
      for side in (signature.inputs, signature.outputs)),
      signature_text.METHODS[signature.method])


def _check_sizes(graph, path) -> None:
  """Raises if a tensor of known shape is larger than a message can be."""
  for op in graph.get_operations():
    for tensor in op.outputs:
      if tensor.shape.is_fully_defined():
        try:
          width = tensor.dtype.base_dtype.size
        except TypeError:
          continue  # A handle of something.
        size = tensor.shape.num_elements() * width
        if size > graph_checks.LARGEST:
          raise python_files.PortingError(
              f"{path}: tensor '{tensor.name}': found shape {tensor.shape}, "
              f"{size / 2 ** 30:,.1f} GiB; allowed: at most "
              f"{graph_checks.LARGEST >> 30} GiB")


def _failed(what, done, error, allowed="a graph"):
  return python_files.PortingError(
      f"{what}: cannot be {done}: "
      f"{' '.join(checkpoints.reason_of(error).split())[:300]}; allowed: "
      f"{allowed} that this TensorFlow can run")

"""Reads graphs of old: .meta, frozen .pb and .pbtxt, SavedModels.

Nothing here gives TensorFlow's runtime a graph: files are parsed as messages.
"""

import os
from typing import Dict, List, NamedTuple, Optional, Sequence

from google.protobuf import message as message_lib
from google.protobuf import text_format
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

from mtl_graph.porting import python_files

_ASSETS = "saved_model_assets"
_LARGEST = 2 ** 31 - 1  # What a message can have.


class Source(NamedTuple):
  """A graph of old.

  Attributes:
    path: Where it was read.
    meta_graph: The graph, and what else is stored beside it.
    checkpoint: Path of its variables' values, or None.
    assets: Paths of files, by the name of the tensor that holds the path.
  """
  path: str
  meta_graph: meta_graph_pb2.MetaGraphDef
  checkpoint: Optional[str]
  assets: Dict[str, str]


def read(path: str, checkpoint: Optional[str] = None,
         tags: Optional[Sequence[str]] = None) -> Source:
  """Reads a graph.

  Args:
    path: Path of a .meta, .pb or .pbtxt file, or of a SavedModel's folder.
    checkpoint: Path of a checkpoint; None: what lies beside a .meta, and what
      is in a SavedModel.
    tags: Tags of the graph of a SavedModel; None: its only one, or `serve`.

  Returns:
    A `Source`.

  Raises:
    PortingError: If there is no graph there, or none with these tags.
  """
  if os.path.isdir(path) or os.path.basename(path) in (
      "saved_model.pb", "saved_model.pbtxt"):
    return _saved_model(path, checkpoint, tags)
  if tags:
    raise python_files.PortingError(
        f"--tags: found them with {path}; allowed: with a SavedModel")
  content = _content(path)
  meta_graph = meta_graph_pb2.MetaGraphDef()
  if path.endswith(".meta"):
    _parse(content, meta_graph, path)
    beside = path.removesuffix(".meta")
    if checkpoint is None and os.path.exists(beside + ".index"):
      checkpoint = beside
  elif path.endswith((".pb", ".pbtxt")):
    try:
      _parse(content, meta_graph.graph_def, path)
    except python_files.PortingError:
      # Some wrote a MetaGraphDef under such a name.
      whole = meta_graph_pb2.MetaGraphDef()
      try:
        _parse(content, whole, path)
      except python_files.PortingError:
        whole.Clear()
      if not whole.graph_def.node:
        raise
      meta_graph = whole
  else:
    raise python_files.PortingError(
        f"{path}: found neither .meta, .pb nor .pbtxt; allowed: one of them, or"
        " the folder of a SavedModel")
  _check_some(meta_graph.graph_def, path)
  return Source(path, meta_graph, checkpoint, {})


def _content(path) -> bytes:
  try:
    if os.path.getsize(path) > _LARGEST:
      raise python_files.PortingError(
          f"{path}: found {os.path.getsize(path):,} bytes; allowed: at most "
          f"{_LARGEST:,}")
    with open(path, "rb") as file:
      return file.read()
  except OSError as error:
    raise python_files.PortingError(
        f"{path}: cannot be read: {error.strerror or error}; allowed: a .meta, "
        ".pb or .pbtxt file, or the folder of a SavedModel") from error


def _parse(content, message, path) -> None:
  """Parses a message, as text where the file is called so."""
  try:
    if path.endswith(".pbtxt"):
      text_format.Parse(content.decode("utf-8"), message)
    else:
      message.ParseFromString(content)
  except (message_lib.DecodeError, text_format.ParseError, UnicodeDecodeError,
          RecursionError, ValueError, OverflowError) as error:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    raise python_files.PortingError(
        f"{path}: cannot be read as {message.DESCRIPTOR.name}: {reason}; "
        "allowed: what TensorFlow has written") from error


def _check_some(graph: graph_pb2.GraphDef, path) -> None:
  if not graph.node:
    raise python_files.PortingError(
        f"{path}: found a graph without nodes; allowed: one with some")


def _saved_model(path, checkpoint, tags) -> Source:
  folder = path if os.path.isdir(path) else os.path.dirname(path) or "."
  file = next((file for file in (
      os.path.join(folder, name) for name in
      ("saved_model.pb", "saved_model.pbtxt")) if os.path.isfile(file)), None)
  if file is None:
    raise python_files.PortingError(
        f"{path}: found a folder without saved_model.pb; allowed: a SavedModel,"
        " or a .meta, .pb or .pbtxt file")
  model = saved_model_pb2.SavedModel()
  _parse(_content(file), model, file)
  meta_graph = _with_tags(model.meta_graphs, tags, file)
  _check_some(meta_graph.graph_def, file)
  prefix = os.path.join(folder, "variables", "variables")
  if checkpoint is None and os.path.exists(prefix + ".index"):
    checkpoint = prefix
  return Source(path, meta_graph, checkpoint, {
      asset.tensor_info.name: _asset(folder, asset.filename, file)
      for asset in _assets(meta_graph, file)})


def _with_tags(meta_graphs, tags, file):
  found = [sorted(m.meta_info_def.tags) for m in meta_graphs]
  if tags is None and len(found) != 1:
    tags = ["serve"]
  if tags is None:
    return meta_graphs[0]
  if sorted(tags) not in found:
    raise python_files.PortingError(
        f"--tags: found {','.join(tags)}, which no graph of {file} has; "
        "allowed: " + (" or ".join(map(",".join, found)) or "nothing, as it has"
                       " none"))
  return meta_graphs[found.index(sorted(tags))]


def _assets(meta_graph, file) -> List[meta_graph_pb2.AssetFileDef]:
  """Returns the assets of a graph, from either place where they may be."""
  found = list(meta_graph.asset_file_def)
  if not found and _ASSETS in meta_graph.collection_def:
    for value in meta_graph.collection_def[_ASSETS].any_list.value:
      found.append(meta_graph_pb2.AssetFileDef())
      try:
        value.Unpack(found[-1])
      except message_lib.DecodeError as error:
        raise python_files.PortingError(
            f"{file}: an asset cannot be read: {error}; allowed: what "
            "TensorFlow has written") from error
  return found


def _asset(folder, name, file) -> str:
  """Returns the path of an asset, which may not lead elsewhere."""
  assets = os.path.join(os.path.realpath(folder), "assets")
  path = os.path.realpath(os.path.join(assets, name))
  if os.path.isabs(name) or os.path.commonpath([assets, path]) != assets or (
      "\0" in name or path == assets):
    raise python_files.PortingError(
        f"{file}: found asset '{name}', which is not in its folder; allowed: "
        "the name of a file in assets/")
  if not os.path.isfile(path):
    raise python_files.PortingError(
        f"{file}: found no asset 'assets/{name}'; allowed: the file")
  return path

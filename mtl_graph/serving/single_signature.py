"""Makes an export of one signature alone, for runtimes that know no other."""

import os
import shutil

import tensorflow.compat.v1 as tf

from mtl_graph.serving import lean_graph
from mtl_graph.serving import signatures


def extract(path: str, signature: str, output_path: str) -> None:
  """Writes a SavedModel whose `serving_default` is a signature of another one.

  Its inputs become placeholders, `inputs/<key>`, so that what comes before
  them, such as looking strings up, is not in the graph; tables and assets that
  it does not need go, too. OpenVINO reads `serving_default` only, LiteRT takes
  no assets, and ONNX has neither log1p nor expm1, in place of which stand
  ln(1 + x) and exp(x) - 1.

  Args:
    path: Folder of the version.
    signature: Name of the signature, such as "after_lookups".
    output_path: Folder that is made; it must not exist.

  Raises:
    ValueError: If there is no such signature.
  """
  saved_model = lean_graph.read(path)
  meta_graph, = saved_model.meta_graphs
  if signature not in meta_graph.signature_def:
    raise ValueError(f"extract: `signature` must be one of "
                     f"{', '.join(sorted(meta_graph.signature_def))}, found "
                     f"{signature}.")
  chosen = meta_graph.signature_def[signature]
  places = {}
  for key in sorted(chosen.inputs):
    info = chosen.inputs[key]
    node = meta_graph.graph_def.node.add(
        op="Placeholder", name=f"inputs/{key}")
    node.attr["dtype"].type = info.dtype
    node.attr["shape"].shape.CopyFrom(info.tensor_shape)
    places[info.name] = node.name
    info.name = f"{node.name}:0"
  for node in meta_graph.graph_def.node:
    for i, name in enumerate(node.input):
      node.input[i] = places.get(name if ":" in name else f"{name}:0", name)
  for info in chosen.outputs.values():
    if info.name in places:
      info.name = f"{places[info.name]}:0"
  kept = type(chosen).FromString(chosen.SerializeToString())
  for name in list(meta_graph.signature_def):
    if not name.startswith("__"):
      del meta_graph.signature_def[name]
  meta_graph.signature_def[signatures.DEFAULT].CopyFrom(kept)
  graph = meta_graph.graph_def
  needed = lean_graph.reached(graph, {
      lean_graph.node_of(info.name) for info in kept.outputs.values()})
  folders = ["variables", "assets"]
  if not any(node.op.startswith("HashTable") and node.name in needed
             for node in graph.node):
    for key in (lean_graph.MAIN_OP, lean_graph.ASSETS):
      meta_graph.collection_def.pop(key, None)
    meta_graph.signature_def.pop("__saved_model_init_op", None)
    meta_graph.ClearField("asset_file_def")
    folders.remove("assets")
  _replace_logarithms(graph)
  os.makedirs(output_path)
  for folder in folders:
    if os.path.isdir(os.path.join(path, folder)):
      shutil.copytree(os.path.join(path, folder),
                      os.path.join(output_path, folder))
  lean_graph.write(saved_model, output_path)
  lean_graph.prune(output_path)


def _replace_logarithms(graph: tf.GraphDef) -> None:
  """Writes log1p and expm1 by what every runtime has."""
  for node in [n for n in graph.node if n.op in ("Log1p", "Expm1")]:
    one = graph.node.add(op="Const", name=f"{node.name}/one")
    one.attr["dtype"].CopyFrom(node.attr["T"])
    one.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(
        1, tf.as_dtype(node.attr["T"].type)))
    inner = graph.node.add(name=f"{node.name}/inner")
    inner.attr["T"].CopyFrom(node.attr["T"])
    inner.input.extend(node.input)
    if node.op == "Log1p":
      inner.op, node.op = "AddV2", "Log"
      inner.input.append(one.name)
      node.input[:] = [inner.name]
    else:
      inner.op, node.op = "Exp", "Sub"
      node.input[:] = [inner.name, one.name]

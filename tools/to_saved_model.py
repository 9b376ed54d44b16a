"""Makes a SavedModel for serving of a TensorFlow 1 graph of old.

  python tools/to_saved_model.py GRAPH [--checkpoint=PATH] [--tags=a,b]
      [--signature='serving_default: x=input:0 -> score=out:0' ...]
      [--signature_file=FILE] [--constant=is_training=false ...]
      [--export_dir=DIR] [--rows=FILE.npz] [--allow_op=Name ...]

GRAPH is a .meta file, a frozen .pb or .pbtxt, or the folder of a SavedModel
whose signatures are wrong. Without a signature some are proposed, and nothing
is written. A signature may state its method: 'late (classify): inputs=...'.

Ops that reach beyond the graph, and those that are not known, are listed before
anything runs, and refused unless allowed. The export is compared with the graph
on the rows given, or on made-up ones, and published as the next version.
"""

import sys

from absl import flags

from mtl_graph import importing
from mtl_graph import launching
from mtl_graph.porting import own_process

_FLAGS = flags.FlagValues()
flags.DEFINE_string("checkpoint", None, "Checkpoint of the variables; unset: "
                    "what lies beside the graph.", flag_values=_FLAGS)
flags.DEFINE_list("tags", None, "Tags of the graph of a SavedModel.",
                  flag_values=_FLAGS)
flags.DEFINE_multi_string("signature", [], "NAME [(METHOD)]: key=tensor, ... -> "
                          "key=tensor, ...", flag_values=_FLAGS)
flags.DEFINE_string("signature_file", None, "File with a signature a line.",
                    flag_values=_FLAGS)
flags.DEFINE_multi_string("constant", [], "PLACEHOLDER=VALUE, which it has from "
                          "now on.", flag_values=_FLAGS)
flags.DEFINE_string("asset_dir", None, "Folder of the files that tables are "
                    "filled from, where they are not in their places.",
                    flag_values=_FLAGS)
flags.DEFINE_string("export_dir", None, "Folder of the versions.",
                    flag_values=_FLAGS)
flags.DEFINE_string("rows", None, "Rows to compare on, .npz or .csv, by the "
                    "keys of the inputs; unset: made-up ones.",
                    flag_values=_FLAGS)
flags.DEFINE_float("tolerance", 1e-6, "By how much an output may differ.", 0,
                   flag_values=_FLAGS)
flags.DEFINE_float("run_seconds", 120.0, "How long both graphs may take to "
                   "answer the rows of a signature.", 0.001, flag_values=_FLAGS)
flags.DEFINE_multi_string("allow_op", [], "An op that is allowed although it "
                          "reaches beyond the graph.", flag_values=_FLAGS)
flags.DEFINE_multi_string("op_library", [], "Library (.so) with ops that "
                          "TensorFlow does not know. It is run.",
                          flag_values=_FLAGS)


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  words, rest = launching.split_words(argv)
  return launching.run(rest, _FLAGS, lambda: _port(words), __doc__)


def _port(words):
  if len(words) != 1:
    raise flags.Error(f"found '{' '.join(words)}'; allowed: one graph, before "
                      "the flags")
  if _FLAGS.signature and _FLAGS.signature_file:
    raise flags.Error("--signature: found beside --signature_file; allowed: one"
                      " of them")
  constants = {}
  for text in _FLAGS.constant:
    name, equals, value = text.partition("=")
    if not equals or not name or name in constants:
      raise flags.Error(f"--constant: found '{text}'; allowed: "
                        "PLACEHOLDER=VALUE, each once")
    constants[name.removesuffix(":0")] = value
  importing.start_tensorflow()
  from mtl_graph.porting import graph_checks
  from mtl_graph.porting import graph_needs
  from mtl_graph.porting import graph_source
  from mtl_graph.porting import op_libraries
  from mtl_graph.porting import op_review
  from mtl_graph.porting import signature_text
  from mtl_graph.porting import variable_values
  op_libraries.load(_FLAGS.op_library)
  signatures = signature_text.stated(_FLAGS.signature, _FLAGS.signature_file)
  path = words[0]
  source = graph_source.read(path, _FLAGS.checkpoint, _FLAGS.tags)
  graph = source.meta_graph.graph_def
  graph_checks.check(graph, path)
  if not signatures:
    found = signature_text.stored(source.meta_graph) or (
        signature_text.propose(
            graph, signature_text.collected(source.meta_graph)))
    print("no signature is stated, and nothing is written; "
          + ("it could be" if found else "found no output that is fed"))
    for signature in found:
      print(f"  --signature='{signature}'")
    return
  if not _FLAGS.export_dir:
    raise flags.Error("--export_dir: found nothing; required with a signature")
  signature_text.check_tensors(signatures, graph, path)
  needs = graph_needs.find(source, signatures, constants, _FLAGS.asset_dir)
  findings = op_review.review(graph, needs.nodes, needs.assets)
  for finding in findings:
    print(finding)
  op_review.refuse(findings, _FLAGS.allow_op)
  values = variable_values.read(needs, source.meta_graph, source.checkpoint)
  _write(source, needs, values, signatures)


def _write(source, needs, values, signatures):
  """Writes, compares and publishes the export."""
  from mtl_graph.porting import parity
  from mtl_graph.porting import ported_model
  from mtl_graph.porting import python_files
  from mtl_graph.serving import contract
  from mtl_graph.serving import lean_graph
  from mtl_graph.serving import signature_calls
  from mtl_graph.serving import versions
  try:
    with versions.writing(_FLAGS.export_dir) as aside, (
        ported_model.Model(source, needs, values)) as model:
      model.write(signatures, aside)
      lean_graph.prune(aside)
      found = contract.problems(aside, False, False, _FLAGS.allow_op)
      if found:
        raise python_files.PortingError(f"{found[0]}; not published" + (
            f" ({len(found)} problems)" if len(found) > 1 else ""))
      for line in contract.advice(aside):
        print(f"warning: {line}")
      differences = []
      with signature_calls.Calls(aside) as calls:
        for signature in signatures:
          inputs = {key: model.tensor(tensor)
                    for key, tensor in signature.inputs.items()}
          rows = (parity.read_rows(_FLAGS.rows, inputs) if _FLAGS.rows
                  else parity.random_rows(inputs))
          with own_process.limit(_FLAGS.run_seconds):
            differences += parity.compare(
                signature.name, model.run(signature, rows),
                calls.ask(signature.name, rows))
      for difference in differences:
        print(f"{difference.signature}: {difference.output} differs by at most "
              f"{difference.largest:.3g}")
      parity.refuse(differences, _FLAGS.tolerance)
      print(f"written: {versions.publish(aside, _FLAGS.export_dir)}")
  except OSError as error:
    raise python_files.PortingError(
        f"--export_dir: '{_FLAGS.export_dir}' cannot be written: "
        f"{error.strerror or error}; allowed: a folder of your own") from error


if __name__ == "__main__":
  sys.exit(own_process.run(lambda: main(sys.argv)))

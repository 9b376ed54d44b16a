"""Writes docs/fields.md, the page of all fields, from the comments of protos/.

`--check` writes nothing and fails if the page is not what it would write.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

from absl import flags
from google.protobuf import descriptor_pb2

from mtl_graph import launching

_FLAGS = flags.FlagValues()
flags.DEFINE_string("protos", "protos", "Folder of the .proto files.",
                    flag_values=_FLAGS)
flags.DEFINE_string("output", "docs/fields.md", "Path of the page.",
                    flag_values=_FLAGS)
flags.DEFINE_boolean("check", False, "Compare only.", flag_values=_FLAGS)

# The order in which a reader meets them.
_FILES = ("experiment", "data", "features", "layers", "model", "sharing",
          "training", "cluster", "joint", "balancing", "optimizers",
          "evaluation", "serving")
_TYPES = {
    descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE: "number",
    descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT: "number",
    descriptor_pb2.FieldDescriptorProto.TYPE_INT32: "integer",
    descriptor_pb2.FieldDescriptorProto.TYPE_INT64: "integer",
    descriptor_pb2.FieldDescriptorProto.TYPE_BOOL: "true or false",
    descriptor_pb2.FieldDescriptorProto.TYPE_STRING: "string",
}


def describe(protos: str) -> descriptor_pb2.FileDescriptorSet:
  """Compiles the protos of a folder into descriptors with their comments.

  Args:
    protos: Path of the folder.

  Returns:
    The descriptors.

  Raises:
    flags.Error: If they do not compile.
  """
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "descriptors")
    # In a process of its own: protoc and TensorFlow do not get on in one.
    result = subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc",
         f"-Imtl_graph/protos={protos}", "--include_source_info",
         f"--descriptor_set_out={path}"]
        + [os.path.join(protos, f"{name}.proto") for name in _FILES],
        capture_output=True, text=True, check=False)
    if result.returncode:
      raise flags.Error(f"--protos: '{protos}' does not compile: "
                        + " ".join(result.stderr.split()))
    return descriptor_pb2.FileDescriptorSet.FromString(
        pathlib.Path(path).read_bytes())


def write_page(descriptors: descriptor_pb2.FileDescriptorSet) -> str:
  """Writes the page.

  Args:
    descriptors: What `describe` returned.

  Returns:
    The page, as Markdown.

  Raises:
    flags.Error: If a message, a field or an enum value has no comment.
  """
  lines = ["# Fields of an experiment", "",
           "Generated from the comments in `protos/` by "
           "`python tools/make_field_reference.py`; do not edit. The root is "
           "[Experiment](#experiment).", ""]
  for file in descriptors.file:
    comments = {tuple(location.path): " ".join(
        location.leading_comments.split("\n  ")[0].split())
                for location in file.source_code_info.location}
    raw = {tuple(location.path): location.leading_comments
           for location in file.source_code_info.location}
    for i, enum in enumerate(file.enum_type):
      lines += _enum(enum, (5, i), comments)
    for i, message in enumerate(file.message_type):
      lines += _message(message, (4, i), comments, raw)
  return "\n".join(lines).rstrip() + "\n"


def _message(message, path, comments, raw):
  lines = [f"## {message.name}", "", _prose(_comment(raw, path, message.name)),
           ""]
  if message.field:
    lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
  for j, field in enumerate(message.field):
    place = f"{message.name}.{field.name}"
    meaning = _whole(_comment(raw, path + (2, j), place))
    if field.HasField("oneof_index"):
      oneof = message.oneof_decl[field.oneof_index].name
      meaning = f"(one {oneof}) {meaning}"
    lines.append(f"| `{field.name}` | {_type(field)} | {_default(field)} | "
                 f"{meaning} |")
  if message.field:
    lines.append("")
  for j, enum in enumerate(message.enum_type):
    lines += _enum(enum, path + (4, j), comments, f"{message.name}.")
  return lines


def _enum(enum, path, comments, prefix=""):
  lines = [f"## {prefix}{enum.name}", "",
           _whole(_comment(comments, path, enum.name)), "",
           "| value | meaning |", "|---|---|"]
  for j, value in enumerate(enum.value):
    comment = _comment(comments, path + (2, j), f"{enum.name}.{value.name}")
    lines.append(f"| `{value.name}` | {_whole(comment)} |")
  return lines + [""]


def _comment(comments, path, place):
  found = comments.get(path, "").strip()
  if not found:
    raise flags.Error(f"--protos: {place} has no comment; allowed: a comment "
                      "on every message, field and enum value")
  return found


def _prose(comment):
  """Keeps paragraphs, drops the note on field numbers."""
  paragraphs = comment.split("\n\n")
  return "\n\n".join(_whole(p) for p in paragraphs
                     if not p.strip().startswith("Next ID"))


def _whole(comment):
  return " ".join(comment.split()).replace("|", "\\|")


def _type(field):
  if field.type_name:
    name = field.type_name.removeprefix(".mtl_graph.")
    anchor = name.lower().replace(".", "")
    text = f"[{name}](#{anchor})"
  else:
    text = _TYPES[field.type]
  repeated = field.label == descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
  return f"list of {text}" if repeated else text


def _default(field):
  return f"`{field.default_value}`" if field.default_value else ""


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _make, __doc__)


def _make():
  page = write_page(describe(_FLAGS.protos))
  path = pathlib.Path(_FLAGS.output)
  if not _FLAGS.check:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
  elif not path.exists() or path.read_text(encoding="utf-8") != page:
    raise flags.Error(f"--output: '{path}' is out of date; run python "
                      "tools/make_field_reference.py")


if __name__ == "__main__":
  sys.exit(main(sys.argv))

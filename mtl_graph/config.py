"""Loads an experiment: a text file, overrides, and one line per problem."""

import difflib
import os
import re
from typing import Iterable, List, Sequence, Tuple

from google.protobuf import descriptor
from google.protobuf import message as message_lib
from google.protobuf import text_format

from mtl_graph.protos import experiment_pb2


# What is allowed where the parser of the text format says this.
_ALLOWED = (
    ("Couldn't parse integer", "a whole number"),
    ("Value out of range", "a whole number that fits the field's type"),
    ("Couldn't parse float", "a number"),
    ("Expected \"true\" or \"false\"", "true or false"),
    ("Expected string", "text in quotes"),
    ("String missing ending quote", "text in quotes, ended on its line"),
    ("codec can't", "UTF-8 text"),
    ("should not have multiple", "it once"),
    ("another member of oneof", "one of the two"),
    ("Expected identifier", "the name of a field, or the end of a message"),
    ("Expected \":\"", "field: value"),
    ("Expected \"{\"", "a message in braces"),
    ("Expected \"}\"", "the end of the message"),
    ("", "what protos/*.proto defines"),
)


class ConfigError(Exception):
  """One thing wrong with an experiment.

  Attributes:
    field_path: Where, such as `training.group[0].scope[1]`.
    problem: What was found, and what is allowed.
  """

  def __init__(self, field_path: str, problem: str):
    super().__init__(one_line(f"{field_path}: {problem}"))
    self.field_path = field_path
    self.problem = problem


class ConfigErrors(Exception):
  """Everything wrong with an experiment; its text has a line per problem.

  Attributes:
    errors: The `ConfigError`s, in the order of the experiment.
  """

  def __init__(self, errors: Sequence[ConfigError]):
    super().__init__("\n".join(str(error) for error in errors))
    self.errors = list(errors)


def one_line(text: str) -> str:
  """Escapes what does not print, so that a problem stays on its line."""
  return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def nearest(name: str, names: Iterable[str], count: int = 3) -> str:
  """Returns "; nearest: ..." naming the names most alike, or nothing."""
  found = difflib.get_close_matches(name, list(names), n=count, cutoff=0.5)
  return "; nearest: " + ", ".join(f"'{n}'" for n in found) if found else ""


def load(path: str, overrides: Sequence[str] = ()
         ) -> experiment_pb2.Experiment:
  """Reads an experiment file and applies overrides to it.

  Args:
    path: Path of a text-format `mtl_graph.Experiment`.
    overrides: Strings `field.path=value`; see `override`.

  Returns:
    The experiment, not validated yet.

  Raises:
    ConfigErrors: If the file cannot be read or parsed, or an override names no
      field or holds no value of its type.
  """
  try:
    with open(path, encoding="utf-8-sig") as file:
      text = file.read()
  except (OSError, UnicodeDecodeError) as error:
    reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
    raise ConfigErrors([ConfigError(
        "--config", f"'{path}' cannot be read: {reason}; "
        "give the path of an experiment file")]) from error
  experiment = parse(text, path)
  errors = []
  for assignment in overrides:
    try:
      override(experiment, assignment)
    except ConfigError as error:
      errors.append(error)
  if errors:
    raise ConfigErrors(errors)
  return experiment


def parse(text: str, source: str = "experiment"
          ) -> experiment_pb2.Experiment:
  """Parses the text of an experiment, reporting every unknown field at once.

  Args:
    text: A text-format `mtl_graph.Experiment`.
    source: What the text is called in errors, such as its path.

  Returns:
    The experiment, not validated yet.

  Raises:
    ConfigErrors: If the text is not an experiment.
  """
  errors = []
  while True:
    experiment = experiment_pb2.Experiment()
    try:
      text_format.Parse(text, experiment)
    except text_format.ParseError as error:
      line, column = error.GetLine() or 1, error.GetColumn() or 1
      errors.append(ConfigError(f"{source}:{line}:{column}",
                                _explain(str(error))))
      shorter = _without_mistake(text, line, column, str(error))
      if shorter is not None and len(errors) < 100:
        text = shorter
        continue
    if errors:
      raise ConfigErrors(errors)
    return experiment


def to_text(message: message_lib.Message) -> str:
  """Returns a message as text that `parse` reads back."""
  return text_format.MessageToString(message, as_utf8=True)


def write(experiment: experiment_pb2.Experiment, path: str) -> None:
  """Writes an experiment so that no reader ever sees half of it."""
  with open(path + ".tmp", "w", encoding="utf-8") as file:
    file.write("# proto-file: protos/experiment.proto\n"
               "# proto-message: mtl_graph.Experiment\n" + to_text(experiment))
  os.replace(path + ".tmp", path)


def override(experiment: experiment_pb2.Experiment, assignment: str) -> None:
  """Sets one field of an experiment, in place.

  Args:
    experiment: The experiment.
    assignment: `path=value`. The path is dotted; an element of a repeated field
      is chosen by `[index]` or by `[field=value]`, such as
      `model.task[name=late].tower.layer[0].dense.units=64`. The value is as in
      the text format; a string needs no quotes, a message has braces, and a
      list, in brackets, replaces all elements.

  Raises:
    ConfigError: If the path names no field, or the value does not fit it.
  """
  match = re.match(r"((?:[^=\[\]]|\[[^\]]*\])+)=(.*)", assignment, re.DOTALL)
  if not match:
    raise ConfigError("--set", f"found '{assignment}'; "
                      "allowed: field.path=value")
  path, value = match.group(1).strip(), match.group(2).strip()
  steps = _split_path(path)
  message, walked = experiment, ""
  for name, selector in steps[:-1]:
    field = _field(message, name, walked)
    walked = f"{walked}.{name}" if walked else name
    if field.message_type is None:
      raise ConfigError(f"--set {walked}", "holds a plain value; allowed: "
                        f"{walked}=value")
    if field.is_repeated:
      message = _select(getattr(message, name), field, selector, walked)
      walked += f"[{selector}]"
    elif selector is None:
      message = getattr(message, name)
      message.SetInParent()
    else:
      raise ConfigError(f"--set {walked}", f"found [{selector}]; it is a "
                        "single message, which takes no selector")
  name, selector = steps[-1]
  field = _field(message, name, walked)
  path = f"{walked}.{name}" if walked else name
  if selector is not None:
    _set_element(message, field, selector, value, path)
    return
  parsed = _parse_value(message, field, value, path)
  message.ClearField(name)
  message.MergeFrom(parsed)


def _set_element(message, field, selector, value, path):
  """Replaces one element of a repeated field."""
  elements = getattr(message, field.name)
  if not field.is_repeated:
    raise ConfigError(f"--set {path}",
                      f"found [{selector}]; it is a single value")
  parsed = getattr(_parse_value(message, field, value, path), field.name)
  if len(parsed) != 1:
    raise ConfigError(f"--set {path}", f"found '{value}'; allowed: one value")
  if field.message_type is not None:
    _select(elements, field, selector, path).CopyFrom(parsed[0])
  elif not _is_index(selector) or int(selector) >= len(elements):
    raise ConfigError(f"--set {path}", f"found [{selector}]; "
                      "allowed: "
                      + _indices(elements))
  else:
    elements[int(selector)] = parsed[0]


def _split_path(path: str) -> List[Tuple[str, str]]:
  """Splits `a.b[name=x].c` into [("a", None), ("b", "name=x"), ("c", None)]."""
  steps = []
  for part in re.findall(r"(?:[^.\[]|\[[^\]]*\])+", path):
    match = re.fullmatch(r"([^\[]+)(?:\[([^\]]*)\])?", part)
    if not match:
      raise ConfigError("--set", f"found '{path}'; allowed: names separated by "
                        "dots, each with at most one [selector]")
    steps.append((match.group(1), match.group(2)))
  if not steps:
    raise ConfigError("--set", "found no field path before '='; "
                      "allowed: field.path=value")
  return steps


def _field(message, name, walked) -> descriptor.FieldDescriptor:
  field = message.DESCRIPTOR.fields_by_name.get(name)
  if field is None:
    names = list(message.DESCRIPTOR.fields_by_name)
    path = f"{walked}.{name}" if walked else name
    raise ConfigError(f"--set {path}", f"no field '{name}'; allowed: "
                      f"{', '.join(names) or 'none'}{nearest(name, names)}")
  return field


def _select(elements, field, selector, path):
  """Returns the element of a repeated message field that a selector means."""
  if selector is None:
    raise ConfigError(f"--set {path}", "is repeated; allowed: "
                      f"{path}[index] or {path}[name=value]")
  if _is_index(selector):
    if int(selector) < len(elements):
      return elements[int(selector)]
    raise ConfigError(f"--set {path}", f"found [{selector}]; allowed: "
                      + _indices(elements))
  key, equals, wanted = selector.partition("=")
  names = list(field.message_type.fields_by_name)
  if not equals or key not in names:
    raise ConfigError(f"--set {path}", f"found [{selector}]; allowed: [index] "
                      f"or [field=value] with a field of {', '.join(names)}")
  matches = [e for e in elements if str(getattr(e, key)) == wanted]
  if len(matches) != 1:
    values = [str(getattr(e, key)) for e in elements]
    raise ConfigError(f"--set {path}[{selector}]", f"matches {len(matches)} "
                      f"elements; allowed: one of {', '.join(values)}"
                      f"{nearest(wanted, values)}")
  return matches[0]


def _is_index(selector: str) -> bool:
  return re.fullmatch("[0-9]{1,9}", selector) is not None


def _indices(elements) -> str:
  return (f"0 to {len(elements) - 1}" if len(elements)
          else "none, it has no elements")


def _parse_value(message, field, value, path):
  """Parses `value` as `field` into a new message of the type of `message`."""
  parsed = type(message)()
  plain_string = (field.type == field.TYPE_STRING
                  and not value.startswith(("\"", "'", "[")))
  if field.message_type is not None and value.startswith("{"):
    text = f"{field.name} {value}"
  elif plain_string:
    escaped = value.replace("\\", "\\\\").replace("\"", "\\\"")
    text = f"{field.name}: \"{escaped}\""
  else:
    text = f"{field.name}: {value}"
  try:
    text_format.Parse(text, parsed)
  except text_format.ParseError as error:
    raise ConfigError(f"--set {path}",
                      f"found '{value}'; {_explain(str(error))}") from error
  if any(other.name != field.name for other, _ in parsed.ListFields()):
    raise ConfigError(f"--set {path}", f"found '{value}'; allowed: the value "
                      "of one field")
  return parsed


def _explain(error: str) -> str:
  """Turns a parser's error into what was found and what is allowed."""
  error = re.sub(r"^\d+:\d+ : ", "", error).replace("\n", " ").strip()
  unknown = re.search(r'Message type "([\w.]+)" has no field named "([^"]+)"',
                      error)
  if unknown:
    names = list(_message_descriptor(unknown.group(1)).fields_by_name)
    return (f"no field '{unknown.group(2)}' in {unknown.group(1)}; allowed: "
            f"{', '.join(names) or 'none'}{nearest(unknown.group(2), names)}")
  value = re.search(r'Enum type "([\w.]+)" has no value (?:named|with number) '
                    r"([^\s.]*)", error)
  if value:
    names = [name for name in _enum_descriptor(value.group(1)).values_by_name
             if not name.endswith("_UNSPECIFIED")]
    return (f"no value '{value.group(2)}' in {value.group(1)}; allowed: "
            f"{', '.join(names)}{nearest(value.group(2), names)}")
  allowed = next(a for said, a in _ALLOWED if said in error)
  return f"{error.rstrip('.')}; allowed: {allowed}"


def _message_descriptor(full_name):
  return experiment_pb2.DESCRIPTOR.pool.FindMessageTypeByName(full_name)


def _enum_descriptor(full_name):
  return experiment_pb2.DESCRIPTOR.pool.FindEnumTypeByName(full_name)


def _without_mistake(text, line, column, error):
  """Takes out an unknown field or value, so that parsing can go on behind it.

  Everything else stays where it is, so that positions still hold. Returns None
  where the error is of another kind: then parsing ends there.
  """
  unknown = re.search(r'has no (field|value) named "?([^".]+)', error)
  if not unknown:
    return None
  kind, name = unknown.groups()
  lines = text.split("\n")
  at = lines[line - 1].find(name, max(column - 1, 0))
  if at < 0:
    return None
  start = sum(len(l) + 1 for l in lines[:line - 1]) + at
  end = start + len(name)
  if kind == "value":
    # Any enum takes its first value by number.
    return text[:start] + "0".ljust(len(name)) + text[end:]
  end = _end_of_value(text, end)
  if end is None:
    return None
  return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def _end_of_value(text, start):
  """Returns where the value of a field ends, given where its name does."""
  tokens = re.compile(r"#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"
                      r"|[{}\[\]<>:,;]|[^\s{}\[\]<>:,;#\"']+")
  depth, end = 0, None
  for token in tokens.finditer(text, start):
    word = token.group()
    if word[0] == "#" or (word == ":" and end is None):
      continue
    if end is not None:
      # Strings side by side are one value; a separator belongs to it.
      if word in ",;":
        return token.end()
      if not (word[0] in "\"'" and text[end - 1] in "\"'"):
        return end
    depth += (word in "{[<") - (word in "}]>")
    if depth < 0:
      return None
    if depth == 0:
      end = token.end()
  return end

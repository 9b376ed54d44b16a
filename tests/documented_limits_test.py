"""Tests that validation enforces what the comments of protos/ demand.

The comments are read, not repeated here: a limit that is documented and not
checked fails, and so does a message that no experiment here uses.
"""

import contextlib
import os
import re
import tempfile

from absl.testing import absltest
from google.protobuf import descriptor

from mtl_graph import config
from mtl_graph import python_functions
from mtl_graph import validation
from tests import every_message
from tools import make_field_reference

_PROTOS = os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "protos")
_FIELD = descriptor.FieldDescriptor
_WHOLE = (_FIELD.TYPE_INT32, _FIELD.TYPE_INT64)

_NUMBER = r"(-?\d+(?:\.\d+)?)"
# What a comment says; by how much a number beyond it is off; the sign.
_LIMITS = (
    (rf"\bat least {_NUMBER}", True, -1), (rf"\bat most {_NUMBER}", True, 1),
    # "above 1 from text only" is about more than a number.
    (rf"\babove {_NUMBER}(?! from)", False, -1),
    (rf"\bbelow {_NUMBER}", False, 1),
    (rf"\bfrom {_NUMBER} to \d", True, -1), (rf"\bfrom \d+ to {_NUMBER}",
                                             True, 1))


def _comments():
  """Returns the comments of fields and oneofs, by `Message.field`."""
  found = {}
  for file in make_field_reference.describe(_PROTOS).file:
    by_path = {tuple(location.path): " ".join(
        location.leading_comments.split())
               for location in file.source_code_info.location}
    for i, message in enumerate(file.message_type):
      for number, members in ((2, message.field), (8, message.oneof_decl)):
        for j, member in enumerate(members):
          found[f"{message.name}.{member.name}"] = by_path.get(
              (4, i, number, j), "")
  return found


def _messages(message, path=""):
  """Yields a message and all within it, each with its path."""
  yield path, message
  for field, value in message.ListFields():
    if field.message_type is None:
      continue
    where = f"{path}.{field.name}" if path else field.name
    if field.is_repeated:
      for i, element in enumerate(value):
        yield from _messages(element, f"{where}[{i}]")
    else:
      yield from _messages(value, where)


def _types(descriptor_, seen):
  """Returns the names of all messages that a message may hold."""
  if descriptor_.name not in seen:
    seen.add(descriptor_.name)
    for field in descriptor_.fields:
      if field.message_type is not None:
        _types(field.message_type, seen)
  return seen


def _paths(experiment):
  """Returns the field paths of all problems."""
  try:
    validation.check(experiment)
    return []
  except config.ConfigErrors as errors:
    return [error.field_path for error in errors.errors]


class DocumentedLimitsTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._comments = _comments()
    cls.enterClassContext(contextlib.chdir(
        cls.enterClassContext(tempfile.TemporaryDirectory())))
    every_message.write_files(".")
    cls.enterClassContext(python_functions.allowing(["tests"]))
    cls._experiments = []
    for overrides in ((), *every_message.VARIANTS):
      experiment = config.parse(every_message.TEXT)
      for assignment in overrides:
        config.override(experiment, assignment)
      cls._experiments.append(experiment)

  def _places(self):
    """Yields each kind of message once, valid, with its experiment and path."""
    seen = set()
    for experiment in self._experiments:
      for path, message in _messages(experiment):
        # Where a field is set matters: it is what makes it count.
        key = (message.DESCRIPTOR.name,
               tuple(field.name for field, _ in message.ListFields()))
        if key not in seen:
          seen.add(key)
          yield experiment, path, message

  def test_experiments_are_valid(self):
    for experiment in self._experiments:
      self.assertEqual(_paths(experiment), [])

  def test_every_message_is_used(self):
    used = {message.DESCRIPTOR.name for experiment in self._experiments
            for _, message in _messages(experiment)}
    self.assertCountEqual(
        used, _types(self._experiments[0].DESCRIPTOR, set()))

  def test_limits_of_numbers(self):
    found, enforced = set(), set()
    for experiment, path, message in self._places():
      for field in message.DESCRIPTOR.fields:
        name = f"{message.DESCRIPTOR.name}.{field.name}"
        for pattern, inclusive, sign in _LIMITS:
          match = re.search(pattern, self._comments[name], re.IGNORECASE)
          if match is None or field.type not in (*_WHOLE, _FIELD.TYPE_DOUBLE):
            continue
          found.add((name, match[0]))
          limit = float(match[1])
          if self._enforces(experiment, path, message, field, limit, inclusive,
                            sign):
            enforced.add((name, match[0]))
    self.assertGreater(len(found), 160)
    self.assertEmpty(sorted(found - enforced))

  def _enforces(self, experiment, path, message, field, limit, inclusive, sign):
    """Asserts that a limit holds; returns False if the field is not in use."""
    where = f"{path}.{field.name}" if path else field.name
    before = type(message)()
    before.CopyFrom(message)
    try:
      if field.is_repeated:
        if not getattr(message, field.name):
          return False
        where += "[0]"
      elif not message.HasField(field.name):
        if field.containing_oneof is not None:
          return False
        setattr(message, field.name, getattr(message, field.name))
        if _paths(experiment):
          return False  # It counts elsewhere only, or is required elsewhere.

      def put(value):
        value = int(value) if field.type in _WHOLE else value
        if field.is_repeated:
          getattr(message, field.name)[0] = value
        else:
          setattr(message, field.name, value)
        return _paths(experiment)

      beyond = 1 if field.type in _WHOLE else 1e-3
      self.assertIn(where, put(limit + sign * beyond if inclusive else limit))
      self.assertNotIn(where, put(limit if inclusive else limit - sign * beyond)
                       )
      return True
    finally:
      message.CopyFrom(before)

  def test_what_is_required(self):
    found, enforced = set(), set()
    for experiment, path, message in self._places():
      names = [(f.name, [f]) for f in message.DESCRIPTOR.fields]
      names += [(o.name, o.fields) for o in message.DESCRIPTOR.oneofs]
      for name, fields in names:
        full = f"{message.DESCRIPTOR.name}.{name}"
        wanted = r"\bRequired\b|\b[Aa]t least (one|two)\b"
        if not re.search(wanted, self._comments[full]):
          continue
        found.add(full)
        if any(field in fields for field, _ in message.ListFields()):
          self._assert_required(experiment, path, message, fields)
          enforced.add(full)
    self.assertGreater(len(found), 100)
    self.assertEmpty(sorted(found - enforced))

  def _assert_required(self, experiment, path, message, fields):
    before = type(message)()
    before.CopyFrom(message)
    try:
      for field in fields:
        message.ClearField(field.name)
      wanted = (f"{path}.{fields[0].name}" if path else fields[0].name)
      self.assertTrue([p for p in _paths(experiment)
                       if p == path or p.startswith(wanted)
                       or p.startswith(path) and len(fields) > 1], wanted)
    finally:
      message.CopyFrom(before)


if __name__ == "__main__":
  absltest.main()

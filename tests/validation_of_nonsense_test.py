"""Tests that validation takes whatever parses, and names places that exist."""

import contextlib
import random
import re
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import descriptor

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.protos import experiment_pb2
from tests import every_message

_FIELD = descriptor.FieldDescriptor
_VALUES = {
    _FIELD.CPPTYPE_INT32: (0, -1, 1, 7, 2 ** 31 - 1),
    _FIELD.CPPTYPE_INT64: (0, -1, 1, 7, 2 ** 31 - 1),
    _FIELD.CPPTYPE_DOUBLE: (0.0, -1.0, 0.5, 1e300, float("nan"), float("-inf")),
    _FIELD.CPPTYPE_BOOL: (False, True),
    _FIELD.CPPTYPE_STRING: ("", "x", "yes", "id", "a/b", "rows", "\n", "photo"),
}


def _messages(message):
  yield message
  for field, value in message.ListFields():
    if field.message_type is not None:
      for element in (value if field.is_repeated else [value]):
        yield from _messages(element)


def _change(experiment, choose):
  """Clears, sets, adds or copies one field somewhere, in place."""
  message = choose.choice([m for m in _messages(experiment)
                           if m.DESCRIPTOR.fields])
  field = choose.choice(message.DESCRIPTOR.fields)
  value = getattr(message, field.name)
  if choose.random() < 0.3:
    message.ClearField(field.name)
  elif field.message_type is not None and not field.is_repeated:
    value.SetInParent()
  elif field.message_type is not None:
    element = value.add()
    if choose.random() < 0.5:
      element.CopyFrom(value[0])  # Or else it stays empty.
  else:
    new = choose.choice(_VALUES.get(field.cpp_type) or [
        v.number for v in field.enum_type.values])
    if not field.is_repeated:
      setattr(message, field.name, new)
    elif len(value) and choose.random() < 0.5:
      value[choose.randrange(len(value))] = new
    else:
      value.append(new)


def _exists(path, message):
  """Returns whether a field path leads to something of a message."""
  for step in path.split("."):
    match = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", step)
    field = message and message.DESCRIPTOR.fields_by_name.get(
        match[1] if match else "")
    if field is None:
      return False
    value = getattr(message, field.name)
    if match[2] is not None:
      if not field.is_repeated or int(match[2]) >= len(value):
        return False
      value = value[int(match[2])]
    elif field.is_repeated and field.message_type is not None:
      value = value[0] if len(value) else None  # Of any element, as of all.
    message = value if field.message_type is not None else None
  return True


class NonsenseTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self.enter_context(contextlib.chdir(folder))
    every_message.write_files(".")

  @parameterized.parameters(range(6))
  def test_every_problem_is_a_line_about_a_place_that_exists(self, seed):
    choose, found = random.Random(seed), 0
    for _ in range(60):
      experiment = config.parse(every_message.TEXT)
      for assignment in choose.choice(every_message.VARIANTS):
        config.override(experiment, assignment)
      for _ in range(choose.randint(1, 5)):
        _change(experiment, choose)
      try:
        validation.check(experiment)
      except config.ConfigErrors as errors:
        for error in errors.errors:
          found += 1
          self.assertTrue(_exists(error.field_path, experiment), error)
          self.assertNotRegex(str(error), r"[\n\r]")
          self.assertRegex(error.problem, "; (allowed|required|nearest|there "
                           "are)")
    self.assertGreater(found, 60)

  @parameterized.parameters(
      ("data.feature[0].numeric.size", True), ("data.feature", True),
      ("data.feature[1]", False), ("data.feature[0].size", False),
      ("data.feature.numeric", True), ("data.feature.size", False),
      ("data.drop_rows", True), ("data.batch_size", True),
      ("data.batch_size.x", False), ("data.batch_size[0]", False),
      ("", False), ("dat", False))
  def test_places(self, path, expected):
    experiment = experiment_pb2.Experiment()
    experiment.data.feature.add()
    self.assertEqual(_exists(path, experiment), expected)


if __name__ == "__main__":
  absltest.main()

"""Tests that docs/recipes.md leaves no field and no choice out."""

import re

from absl.testing import absltest

from mtl_graph import config
from mtl_graph.protos import cluster_pb2
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import layers_pb2
from mtl_graph.protos import model_pb2
from mtl_graph.protos import optimizers_pb2
from tests import recipes_page as page

# Fields that no recipe and no example sets.
EXCEPTIONS = {
    # Named in a sentence, beside `Mixing.stated` and `Mixing.temperature`.
    "Mixing.proportional", "Mixing.uniform",
    # As `Categorical.vocabulary_file`.
    "Multiclass.vocabulary_file", "Multilabel.vocabulary_file",
    "Ordinal.vocabulary_file",
}
# Values of enums that the page does not name.
UNNAMED = {
    # Errors.
    "FORM_UNSPECIFIED", "GOAL_UNSPECIFIED",
}


class EveryFieldTest(absltest.TestCase):

  def test_tables_are_whole(self):
    for name, oneof in (
        ("optimizer",
         optimizers_pb2.Optimizer.DESCRIPTOR.oneofs_by_name["kind"]),
        ("learning_rate",
         optimizers_pb2.LearningRate.DESCRIPTOR.oneofs_by_name["kind"]),
        ("initializer",
         layers_pb2.Initializer.DESCRIPTOR.oneofs_by_name["kind"]),
        ("strategy", cluster_pb2.Cluster.DESCRIPTOR.oneofs_by_name["strategy"]),
        ("sharing", model_pb2.Model.DESCRIPTOR.oneofs_by_name["sharing"]),
        ("head", experiment_pb2.Experiment.DESCRIPTOR.fields_by_name["model"]
         .message_type.fields_by_name["task"].message_type
         .oneofs_by_name["head"])):
      self.assertCountEqual(
          [re.match(r"\w+", cell)[0] for cell in page.table(name)],
          [field.name for field in oneof.fields])

  def test_every_field_is_in_a_recipe_or_an_example(self):
    experiments = [page.merged(), *map(page.merged, page.FRAGMENTS)]
    experiments += [config.load(str(path)) for path in
                    (page.ROOT / "protos" / "examples").glob("*.pbtxt")]
    # Its own test runs them.
    experiments += [
        config.parse(f"training {{ joint {{ {fragment} }} }}") for fragment in
        re.findall(r"^```pbtxt\n(.*?)^```", page.METHODS,
                   re.MULTILINE | re.DOTALL)]
    experiments += [
        config.parse(f"data {{ train {{ {cell} }} }}")
        for cell in page.table("source")]
    experiments += [
        config.parse(f"training {{ default_optimizer {{ {cell} }} }}")
        for cell in page.table("optimizer")]
    experiments += [
        config.parse(f"training {{ cluster {{ {cell} }} }}")
        for cell in page.table("strategy")]
    experiments += [
        config.parse("training { default_optimizer { adam { learning_rate { "
                     f"{cell} }} }} }} }}")
        for cell in page.table("learning_rate")]
    experiments += [
        config.parse("model { hard_sharing { trunk { layer { dense { "
                     f"initializer {{ {cell} }} }} }} }} }} }}")
        for cell in page.table("initializer")]
    used = set().union(*map(_fields_used, experiments))
    there = {f"{message.name}.{field.name}" for message in _messages()
             for field in message.fields}
    self.assertCountEqual(there - used, EXCEPTIONS)

  def test_every_value_is_named(self):
    values = {value.name for message in _messages() for field in message.fields
              if field.enum_type for value in field.enum_type.values}
    named = set(re.findall(r"\w+", page.PAGE + page.METHODS))
    self.assertCountEqual(values - named, UNNAMED)


def _fields_used(message):
  used = set()
  for field, value in message.ListFields():
    used.add(f"{message.DESCRIPTOR.name}.{field.name}")
    if field.message_type is not None:
      for element in value if field.is_repeated else [value]:
        used |= _fields_used(element)
  return used


def _messages():
  """Returns the descriptors of every message an experiment may hold."""
  found, left = {}, [experiment_pb2.Experiment.DESCRIPTOR]
  while left:
    message = left.pop()
    if message.full_name not in found:
      found[message.full_name] = message
      left += [f.message_type for f in message.fields if f.message_type]
  return list(found.values())


if __name__ == "__main__":
  absltest.main()

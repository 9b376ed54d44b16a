"""Tests of which group owns a variable and which task reaches it."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import variable_groups
from mtl_graph.protos import training_pb2

_NAMES = ["embedding/carrier/embeddings", "trunk/dense/kernel",
          "trunk/dense/bias", "tower/a/dense/kernel", "head/a/kernel",
          "head/a/bias", "head/ab/kernel", "head/ab/bias",
          "log_variance/a", "log_variance/ab", "wide/a/x/weights",
          "wide/ab/x/weights", "encoder/a/dense/kernel"]

_OF_EXPERTS = [
    "level_0/expert/0/dense/kernel", "level_0/expert/a/0/dense/kernel",
    "level_0/gate/a/kernel", "level_0/expert/ab/0/dense/kernel",
    "level_0/gate/ab/kernel", "level_0/gate/shared/kernel",
    "level_1/gate/a/kernel", "level_1/gate/ab/kernel", "tower/a/dense/kernel",
    "transfer/a/value/kernel", "head/a/bias", "attention/ab/block_0/mask/bias"]


def _groups(text):
  return text_format.Parse(text, training_pb2.Training()).group


def _variables(names):
  return [tf.get_variable(name, [2]) for name in names]


def _names_of(assigned):
  return {group: [v.op.name for v in variables]
          for group, variables in assigned.items()}


class OwnScopesTest(parameterized.TestCase):

  @parameterized.parameters("tower", "head", "wide", "log_variance", "column",
                            "expert", "gate", "attention", "transfer")
  def test_what_lies_under_a_task(self, kind):
    for prefix in ("", "level_0/", "level_12/"):
      names = [f"{prefix}{kind}/a/x/kernel", f"{prefix}{kind}/a/x/bias",
               f"{prefix}{kind}/ab/x", f"{prefix}{kind}/0/a/x",
               f"{prefix}{kind}/shared/x"]
      self.assertEqual(variable_groups.own_scopes("a", names),
                       [f"{prefix}{kind}/a"])
      self.assertEqual(variable_groups.own_scopes("b", names), [])
      self.assertEqual(variable_groups.shared_names(["a", "ab"], names),
                       names[3:])

  def test_in_the_order_of_variables(self):
    self.assertEqual(variable_groups.own_scopes("a", _OF_EXPERTS), [
        "level_0/expert/a", "level_0/gate/a", "level_1/gate/a", "tower/a",
        "transfer/a", "head/a"])

  @parameterized.parameters(
      "embedding/a/embeddings", "encoder/a/dense/kernel", "branch/a/kernel",
      "cross_stitch/a/alpha", "sluice/a/beta", "block_0/a/kernel",
      "level/gate/a/kernel", "level_0/level_1/gate/a/kernel",
      "trunk/gate/a/kernel", "head", "level_0/head")
  def test_what_is_called_alike_is_shared(self, name):
    self.assertEqual(variable_groups.own_scopes("a", [name]), [])
    self.assertEqual(variable_groups.shared_names(["a"], [name]), [name])


class DefaultGroupsTest(parameterized.TestCase):

  def test_one_shared_then_one_per_task(self):
    groups = variable_groups.default_groups(["a", "ab"], _NAMES)
    self.assertEqual([group.name for group in groups], ["shared", "a", "ab"])
    with tf.Graph().as_default():
      assigned = variable_groups.assign(groups, _variables(_NAMES))
    self.assertEqual(_names_of(assigned), {
        # A feature may be called like a task.
        "shared": _NAMES[:3] + ["encoder/a/dense/kernel"],
        "a": ["tower/a/dense/kernel", "head/a/kernel", "head/a/bias",
              "log_variance/a", "wide/a/x/weights"],
        "ab": ["head/ab/kernel", "head/ab/bias", "log_variance/ab",
               "wide/ab/x/weights"]})

  def test_nothing_shared_gives_no_shared_group(self):
    groups = variable_groups.default_groups(
        ["a"], ["head/a/kernel", "head/a/bias"])
    self.assertEqual([(g.name, list(g.scope)) for g in groups],
                     [("a", ["head/a"])])

  def test_nothing_of_its_own_gives_no_group_of_the_task(self):
    # A product has neither tower nor head.
    groups = variable_groups.default_groups(
        ["a", "product", "b"], ["trunk/kernel", "head/a/bias", "gate/b/kernel"])
    self.assertEqual([(g.name, list(g.scope)) for g in groups], [
        ("shared", ["trunk/kernel"]), ("a", ["head/a"]), ("b", ["gate/b"])])

  def test_every_variable_of_experts_is_in_one_group(self):
    groups = variable_groups.default_groups(["a", "ab"], _OF_EXPERTS)
    with tf.Graph().as_default():
      assigned = _names_of(variable_groups.assign(
          groups, _variables(_OF_EXPERTS)))
    self.assertEqual(assigned, {
        "shared": [n for n in _OF_EXPERTS if "/a/" not in n
                   and "/ab/" not in n],
        "a": [n for n in _OF_EXPERTS if "/a/" in n],
        "ab": [n for n in _OF_EXPERTS if "/ab/" in n]})

  def test_states_no_optimizer(self):
    for group in variable_groups.default_groups(["a", "ab"], _NAMES):
      self.assertFalse(group.HasField("optimizer"))


class AssignTest(parameterized.TestCase):

  @parameterized.parameters(True, False)
  def test_scopes_claim_by_whole_parts_of_the_name(self, use_resource):
    with tf.Graph().as_default():
      variables = [tf.get_variable(name, [2], use_resource=use_resource)
                   for name in _NAMES]
      assigned = variable_groups.assign(_groups("""
          group { name: "heads" scope: "head" scope: "wide" }
          group { name: "rest" scope: "trunk" scope: "embedding"
                  scope: "encoder" scope: "tower/a/dense/kernel" }
          group { name: "s" scope: "log_variance" }"""), variables)
    self.assertEqual(list(assigned), ["heads", "rest", "s"])
    self.assertEqual(_names_of(assigned), {
        "heads": _NAMES[4:8] + _NAMES[10:12],
        "rest": _NAMES[:4] + _NAMES[12:], "s": _NAMES[8:10]})

  def test_all_problems_at_once(self):
    with tf.Graph().as_default():
      with self.assertRaises(config.ConfigErrors) as caught:
        variable_groups.assign(_groups("""
            group { name: "x" scope: "head/a" scope: "hed" }
            group { name: "y" scope: "head/a/bias" }"""), _variables(_NAMES))
    self.assertEqual(
        [error.field_path for error in caught.exception.errors],
        ["training.group[0].scope[1]", "training.group[1].scope[0]",
         "training.group"])


class IndependentGroupsTest(parameterized.TestCase):

  def _build(self, text):
    """Returns groups and the names of their variables, of two tasks."""
    training = text_format.Parse(text, training_pb2.Training())
    names = ["trunk/kernel", "trunk/bias", "head/a/kernel", "head/b/kernel"]
    with tf.Graph().as_default():
      groups, owned = variable_groups.independent_groups(
          training, _variables(names), {
              "a": {*names[:3]}, "b": {*names[:2], names[3]}})
    return groups, _names_of(owned)

  def test_of_a_task_is_what_its_loss_reaches(self):
    groups, owned = self._build("""
        independent { task { name: "b" } task { name: "a" } }""")
    self.assertEqual([group.name for group in groups], ["b", "a"])
    self.assertEqual(owned, {
        "b": ["trunk/kernel", "trunk/bias", "head/b/kernel"],
        "a": ["trunk/kernel", "trunk/bias", "head/a/kernel"]})

  def test_what_is_frozen_is_in_no_task(self):
    groups, owned = self._build("""
        independent { task { name: "a" } task { name: "b" } }
        group { name: "held" frozen: true scope: "trunk/bias" }""")
    self.assertEqual([(g.name, g.frozen) for g in groups],
                     [("a", False), ("b", False), ("held", True)])
    self.assertEqual(owned, {"a": ["trunk/kernel", "head/a/kernel"],
                             "b": ["trunk/kernel", "head/b/kernel"],
                             "held": ["trunk/bias"]})

  def test_a_task_has_an_optimizer_and_clipping_of_its_own(self):
    groups, _ = self._build("""
        independent { task { name: "a" weight_decay: 0.5
            optimizer { momentum { momentum: 0.25 } }
            clipping { global_norm: 2 } } task { name: "b" } }""")
    self.assertEqual(groups[0].optimizer.momentum.momentum, 0.25)
    self.assertEqual(groups[0].clipping.global_norm, 2)
    self.assertEqual(groups[0].weight_decay, 0.5)
    for field in ("optimizer", "clipping"):
      self.assertFalse(groups[1].HasField(field))

  def test_a_task_that_has_nothing_left_is_refused(self):
    text = """independent {{ task {{ name: "a" }}
                            task {{ name: "b" iterations: {} }} }}
              group {{ name: "held" frozen: true
                      scope: "trunk" scope: "head/b" }}"""
    with self.assertRaises(config.ConfigErrors) as caught:
      self._build(text.format(1))
    self.assertEqual([str(error) for error in caught.exception.errors], [
        "training.independent.task[1]: task 'b' reaches no variable that is not"
        " frozen; allowed: iterations: 0, or less that is frozen"])
    self.assertEmpty(self._build(text.format(0))[1]["b"])


if __name__ == "__main__":
  absltest.main()

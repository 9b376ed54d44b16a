"""Tests of the network from features to logits."""

import collections

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import stacks
from mtl_graph.model.sharing import architectures
from mtl_graph.protos import model_pb2

_FEATURES = collections.OrderedDict(
    x=np.random.default_rng(0).normal(size=[5, 2]),
    c=np.random.default_rng(1).normal(size=[5, 3]))

# A text proto per architecture; None: parsed, not built yet.
_ARCHITECTURES = {
    "hard_sharing":
        "hard_sharing { trunk { layer { dense { units: 4 } } } }",
    "mixture_of_experts": None,
}
_TRUNK = _ARCHITECTURES["hard_sharing"]
_TOWER = "tower { layer { dense { units: 3 activation: TANH } } }"


def _model(text):
  return text_format.Parse(text, model_pb2.Model())


def _build(model, features=None):
  """Builds a model in the current graph; returns features and logits."""
  features = features or collections.OrderedDict(
      (name, tf.constant(array, tf.float32))
      for name, array in _FEATURES.items())
  return features, architectures.build(
      model, features,
      stacks.Mode(False, 1, None, frozenset(model.stop_gradient)))


def _reached(logits, others=()):
  """Returns the names of variables and positions of tensors with gradient."""
  variables = tf.trainable_variables()
  gradients = tf.gradients(logits, variables + list(others))
  names = [v.op.name for v in variables] + list(range(len(others)))
  return {name for name, g in zip(names, gradients) if g is not None}


def _scopes(names):
  return {name.rsplit("/", 1)[0] for name in names}


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_architecture_is_tested(self):
    kinds = model_pb2.Model.DESCRIPTOR.oneofs_by_name["sharing"].fields
    self.assertCountEqual([kind.name for kind in kinds], _ARCHITECTURES)

  @parameterized.parameters(*_ARCHITECTURES)
  def test_builds_every_architecture_or_says_that_it_does_not(self, kind):
    text = _ARCHITECTURES[kind]
    model = _model('task { name: "a" binary {} } ' + (text or f"{kind} {{}}"))
    with tf.Graph().as_default(), tf.Session() as session:
      if text is None:
        with self.assertRaisesRegex(
            config.ConfigError, f"^model.{kind}: parses, but this version does "
            "not build it; allowed: hard_sharing"):
          _build(model)
        return
      _, logits = _build(model)
      session.run(tf.global_variables_initializer())
      self.assertEqual(session.run(logits["a"]).shape, (5, 1))

  def test_no_architecture_is_refused(self):
    with tf.Graph().as_default(), self.assertRaises(config.ConfigError):
      _build(_model('task { name: "a" binary {} }'))

  def test_matches_formula(self):
    model = _model(_TRUNK + f"""
        task {{ name: "a" regression {{}} {_TOWER} }}
        task {{ name: "b" multiclass {{ num_classes: 3 }} }}""")
    with tf.Graph().as_default(), tf.Session() as session:
      _, logits = _build(model)
      session.run(tf.global_variables_initializer())
      found, v = session.run(
          [dict(logits), {v.op.name: v for v in tf.trainable_variables()}])
    inputs = np.concatenate(list(_FEATURES.values()), 1)
    trunk = inputs @ v["trunk/dense/kernel"]
    tower = np.tanh(trunk @ v["tower/a/dense/kernel"])
    self.assertAllClose(found["a"], tower @ v["head/a/kernel"], rtol=1e-5)
    self.assertAllClose(found["b"], trunk @ v["head/b/kernel"], rtol=1e-5)

  def test_logits_are_in_the_order_of_the_experiment(self):
    model = _model(_TRUNK + """
        task { name: "b" binary {} estimate { task: "a" form: LOGIT } }
        task { name: "a" binary {} }""")
    with tf.Graph().as_default():
      _, logits = _build(model)
      self.assertEqual(list(logits), ["b", "a"])

  def test_unknown_batch_size(self):
    model = _model(_TRUNK + 'task { name: "a" binary {} }')
    with tf.Graph().as_default():
      _, logits = _build(model, {"x": tf.placeholder(tf.float32, [None, 2])})
      self.assertEqual(logits["a"].shape.as_list(), [None, 1])


class EstimateTest(parameterized.TestCase, tf.test.TestCase):

  def _model(self, estimate="", tower=_TOWER, extra="", a="binary {}"):
    return _model(_TRUNK + f"""
        task {{ name: "b" regression {{}} {tower}
               estimate {{ task: "a" form: PROBABILITY {estimate} }} }}
        task {{ name: "a" {a} {_TOWER} }} {extra}""")

  @parameterized.parameters(
      ("binary {}", 1), ("multiclass { num_classes: 3 }", 3))
  def test_joins_the_input_of_the_tower_after_the_trunk(self, a, width):
    with tf.Graph().as_default(), tf.Session() as session:
      _, logits = _build(self._model(a=a))
      session.run(tf.global_variables_initializer())
      found, v = session.run(
          [dict(logits), {v.op.name: v for v in tf.trainable_variables()}])
    trunk = np.concatenate(list(_FEATURES.values()), 1) @ v[
        "trunk/dense/kernel"]
    z = np.tanh(trunk @ v["tower/a/dense/kernel"]) @ v["head/a/kernel"]
    probability = 1 / (1 + np.exp(-z)) if width == 1 else (
        np.exp(z) / np.exp(z).sum(1, keepdims=True))
    self.assertEqual(v["tower/b/dense/kernel"].shape, (4 + width, 3))
    tower = np.tanh(np.concatenate([trunk, probability], 1)
                    @ v["tower/b/dense/kernel"])
    self.assertAllClose(found["b"], tower @ v["head/b/kernel"], rtol=1e-4)

  def test_joins_the_input_of_the_head_where_there_is_no_tower(self):
    with tf.Graph().as_default():
      _build(self._model(tower=""))
      shapes = {v.op.name: v.shape.as_list() for v in tf.trainable_variables()}
      self.assertEqual(shapes["head/b/kernel"], [5, 1])

  @parameterized.parameters(
      ("", {"tower/b/dense", "head/b", "trunk/dense"}),
      ("stop_gradient: true", {"tower/b/dense", "head/b", "trunk/dense"}),
      ("stop_gradient: false", {"tower/b/dense", "head/b", "trunk/dense",
                                "tower/a/dense", "head/a"}))
  def test_gradient_flows_into_the_other_task_only_if_told_to(
      self, estimate, expected):
    with tf.Graph().as_default():
      _, logits = _build(self._model(estimate))
      self.assertEqual(_scopes(_reached(logits["b"])), expected)
      # The cut is at the edge: A's own gradient is whole in either case.
      self.assertEqual(_scopes(_reached(logits["a"])),
                       {"tower/a/dense", "head/a", "trunk/dense"})

  def test_two_readers_may_differ(self):
    extra = """task { name: "c" binary {}
                      estimate { task: "a" form: LOGIT stop_gradient: false } }
               """
    with tf.Graph().as_default():
      _, logits = _build(self._model(extra=extra))
      self.assertNotIn("head/a/kernel", _reached(logits["b"]))
      self.assertIn("head/a/kernel", _reached(logits["c"]))

  def test_chain_is_built_from_its_end(self):
    model = _model(_TRUNK + """
        task { name: "c" binary {} estimate { task: "b" form: VALUE
                                              stop_gradient: false } }
        task { name: "b" regression {} estimate { task: "a" form: LOGIT
                                                  stop_gradient: false } }
        task { name: "a" binary {} }""")
    with tf.Graph().as_default():
      _, logits = _build(model)
      self.assertContainsSubset(["head/a/kernel", "head/b/kernel"],
                                _reached(logits["c"]))

  def test_several_estimates_join_in_order(self):
    model = _model("hard_sharing {}" + """
        task { name: "a" binary {} }
        task { name: "m" multiclass { num_classes: 4 } }
        task { name: "b" regression {}
               estimate { task: "m" form: PROBABILITY }
               estimate { task: "a" form: LOGIT }
               estimate { task: "m" form: LOGIT } }""")
    with tf.Graph().as_default(), tf.Session() as session:
      _, logits = _build(model)
      kernel = tf.trainable_variables("head/b/kernel")[0]
      self.assertEqual(kernel.shape.as_list(), [5 + 4 + 1 + 4, 1])
      session.run(tf.global_variables_initializer())
      kernel.load(np.eye(14)[:, [9]], session)  # The logit of a.
      found = session.run(dict(logits))
    self.assertAllClose(found["b"], found["a"])


class StopGradientTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(
      ("embedding/x", {"trunk/dense", "tower/a/dense", "head/a"}, {1}),
      ("embedding/c", {"trunk/dense", "tower/a/dense", "head/a"}, {0}),
      ("trunk/dense", {"tower/a/dense", "head/a"}, set()),
      ("tower/a/dense", {"head/a"}, set()),
      ("head/a", set(), set()),
      ("tower/b/dense", {"trunk/dense", "tower/a/dense", "head/a"}, {0, 1}))
  def test_holds_the_named_tensor(self, held, variables, features):
    model = _model(_TRUNK + f"""
        task {{ name: "a" binary {{}} {_TOWER} }}
        task {{ name: "b" binary {{}} {_TOWER} }} stop_gradient: "{held}" """)
    with tf.Graph().as_default():
      inputs, logits = _build(model)
      reached = _reached(logits["a"], inputs.values())
      self.assertEqual({r for r in reached if isinstance(r, int)}, features)
      self.assertEqual(_scopes(r for r in reached if isinstance(r, str)),
                       variables)

  def test_held_head_is_held_for_readers_of_its_estimate_too(self):
    model = _model(_TRUNK + """
        task { name: "a" binary {} }
        task { name: "b" regression {} estimate {
                 task: "a" form: LOGIT stop_gradient: false } }
        stop_gradient: "head/a" """)
    with tf.Graph().as_default():
      _, logits = _build(model)
      self.assertNotIn("head/a/kernel", _reached(logits["b"]))


if __name__ == "__main__":
  absltest.main()

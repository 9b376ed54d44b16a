"""Tests of the network from features to logits."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.data import features
from mtl_graph.model import stacks
from mtl_graph.model.sharing import architectures
from mtl_graph.protos import data_pb2
from mtl_graph.protos import model_pb2

_DATA = text_format.Parse("""
  feature { name: "x" categorical { num_buckets: 6 embedding_dimension: 2
                                    initializer { normal: 1 } } }
  feature { name: "c" categorical { num_buckets: 7 embedding_dimension: 3
                                    initializer { normal: 1 } } }""",
                          data_pb2.Data())
_IDS = np.array([[0, 7], [3, 1], [6, 1], [2, 5], [4, 0]])

_LAYER = "layer { dense { units: 4 } }"
# A text proto per architecture.
_ARCHITECTURES = {
    "hard_sharing": f"hard_sharing {{ trunk {{ {_LAYER} }} }}",
    "soft_sharing": f"soft_sharing {{ column {{ {_LAYER} }} }}",
    "mixture_of_experts":
        f"mixture_of_experts {{ num_experts: 2 expert {{ {_LAYER} }} }}",
    "customized_gate_control":
        f"customized_gate_control {{ expert {{ {_LAYER} }} }}",
    "progressive_layered_extraction":
        f"progressive_layered_extraction {{ level {{ expert {{ {_LAYER} }} }} "
        f"level {{ expert {{ {_LAYER} }} }} }}",
    "task_attention":
        f"task_attention {{ block {{ first {{ {_LAYER} }} "
        "attention_units: 2 } }",
}
# The variables of a first task, but for those of the features and the head.
_OF_A_TASK = {
    "hard_sharing": {"trunk/dense"},
    "soft_sharing": {"column/a/dense"},
    "mixture_of_experts": {"expert/0/dense", "expert/1/dense", "gate/a"},
    "customized_gate_control": {"expert/0/dense", "expert/a/0/dense", "gate/a"},
    "progressive_layered_extraction": {
        "level_0/expert/0/dense", "level_0/expert/a/0/dense",
        "level_0/expert/b/0/dense", "level_0/gate/a", "level_0/gate/shared",
        "level_1/expert/0/dense", "level_1/expert/a/0/dense", "level_1/gate/a"},
    "task_attention": {"block_0/first/dense", "attention/a/block_0/hidden",
                       "attention/a/block_0/mask"},
}
_GATES = {
    "mixture_of_experts": ["gate/a", "gate/b"],
    "customized_gate_control": ["gate/a", "gate/b"],
    "progressive_layered_extraction": [
        "level_0/gate/a", "level_0/gate/b", "level_0/gate/shared",
        "level_1/gate/a", "level_1/gate/b"],
}
_TRUNK = _ARCHITECTURES["hard_sharing"]
_SHARED = ("embedding/x", "embedding/c", "trunk/dense")
_TOWER = "tower { layer { dense { units: 3 activation: TANH } } }"


def _model(text):
  return text_format.Parse(text, model_pb2.Model())


def _build(model, ids=None, data=_DATA, wanted=None, mode=None):
  """Builds a model in the current graph; returns its logits."""
  ids = tf.constant(_IDS, tf.int32) if ids is None else ids
  parts = features.take_apart(data.feature, features.Transformed(
      tf.zeros([tf.shape(ids)[0], 0]), ids))
  return architectures.build(
      model, data, parts,
      mode or stacks.Mode(1, None, frozenset(model.stop_gradient), []), wanted)


def _training():
  return stacks.Mode(1, tf.constant(0, tf.int64), frozenset(), [])


def _run(logits, session):
  """Returns the logits, and every trainable variable by name."""
  session.run(tf.global_variables_initializer())
  return session.run([dict(logits),
                      {v.op.name: v for v in tf.trainable_variables()}])


def _build_again(model):
  """Returns logits of another pass over the variables that there are."""
  with tf.variable_scope("", reuse=True):
    return _build(model)


def _inputs(v):
  """Returns what the trunk reads, made of the variables."""
  return np.concatenate([v["embedding/x/embeddings"][_IDS[:, 0]],
                         v["embedding/c/embeddings"][_IDS[:, 1]]], 1)


def _reached(logits):
  """Returns the names of the variables that get a gradient."""
  variables = tf.trainable_variables()
  return {v.op.name for v, g in zip(variables, tf.gradients(logits, variables))
          if g is not None}


def _scopes(names):
  return {name.rsplit("/", 1)[0] for name in names}


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  def test_every_architecture_is_tested(self):
    kinds = model_pb2.Model.DESCRIPTOR.oneofs_by_name["sharing"].fields
    self.assertCountEqual([kind.name for kind in kinds], _ARCHITECTURES)

  @parameterized.parameters(*_ARCHITECTURES)
  def test_builds_every_architecture(self, kind):
    model = _model(_ARCHITECTURES[kind] + """
        task { name: "a" binary {} } task { name: "b" binary {} }""")
    with tf.Graph().as_default(), tf.Session() as session:
      mode = _training()
      found, v = _run(_build(model, mode=mode), session)
      reached = _scopes(_reached(_build_again(model)["a"]))
    self.assertEqual({task: logits.shape for task, logits in found.items()},
                     {"a": (5, 1), "b": (5, 1)})
    self.assertEqual(list(mode.gates), _GATES.get(kind, []))
    self.assertEmpty(mode.penalties)
    expected = _OF_A_TASK[kind] | {"head/a", "embedding/x", "embedding/c"}
    self.assertEqual(reached, expected)
    self.assertContainsSubset(expected, _scopes(v))
    with tf.Graph().as_default():
      self.assertEqual(list(_build(model, wanted=["a"])), ["a"])
      self.assertEqual(
          _scopes(v.op.name for v in tf.trainable_variables()), expected)

  def test_no_architecture_is_refused(self):
    with tf.Graph().as_default(), self.assertRaises(config.ConfigError):
      _build(_model('task { name: "a" binary {} }'))

  def test_matches_formula(self):
    model = _model(_TRUNK + f"""
        task {{ name: "a" regression {{}} {_TOWER} }}
        task {{ name: "b" multiclass {{ num_classes: 3 }} }}""")
    with tf.Graph().as_default(), tf.Session() as session:
      found, v = _run(_build(model), session)
    trunk = _inputs(v) @ v["trunk/dense/kernel"]
    tower = np.tanh(trunk @ v["tower/a/dense/kernel"])
    self.assertAllClose(found["a"], tower @ v["head/a/kernel"], rtol=1e-5)
    self.assertAllClose(found["b"], trunk @ v["head/b/kernel"], rtol=1e-5)

  def test_logits_are_in_the_order_of_the_experiment(self):
    model = _model(_TRUNK + """
        task { name: "b" binary {} estimate { task: "a" form: LOGIT } }
        task { name: "a" binary {} }""")
    with tf.Graph().as_default():
      logits = _build(model)
      self.assertEqual(list(logits), ["b", "a"])

  def test_unknown_batch_size(self):
    model = _model(_TRUNK + 'task { name: "a" binary {} }')
    with tf.Graph().as_default():
      logits = _build(model, tf.placeholder(tf.int32, [None, 2]))
      self.assertEqual(logits["a"].shape.as_list(), [None, 1])


class WantedTest(parameterized.TestCase, tf.test.TestCase):

  _MODEL = _TRUNK + f"""
      task {{ name: "late" binary {{}} {_TOWER}
             transfer {{ task: "early" calibration_weight: 0.5 }} }}
      task {{ name: "early" binary {{}} {_TOWER} }}
      task {{ name: "read" binary {{}} {_TOWER} }}
      task {{ name: "reader" regression {{}}
             estimate {{ task: "read" form: LOGIT }} }}
      task {{ name: "both" binary {{}}
             product {{ task: "reader_too" task: "read" }} }}
      task {{ name: "reader_too" binary {{}}
             estimate {{ task: "late" form: LOGIT }} }}"""
  _EARLY = {"tower/early/dense"}
  _LATE = {"tower/late/dense", "head/late", *(
      f"transfer/late/{name}" for name in ("information", "value", "key",
                                           "query"))}
  _READ = {"tower/read/dense", "head/read"}

  @parameterized.parameters(
      (["early"], _EARLY | {"head/early"}),
      # What is taken over is not the logits of the earlier task.
      (["late"], _LATE | _EARLY),
      (["reader"], _READ | {"head/reader"}),
      (["both"], _READ | _LATE | _EARLY | {"head/reader_too"}),
      (["read", "early"], _READ | _EARLY | {"head/early"}))
  def test_only_what_they_need_is_built(self, wanted, expected):
    with tf.Graph().as_default():
      logits = _build(_model(self._MODEL), wanted=wanted)
      self.assertCountEqual(logits, wanted)
      self.assertEqual(_scopes(v.op.name for v in tf.trainable_variables()),
                       expected | set(_SHARED))

  @parameterized.parameters(
      (["early"], []), (["late"], ["late"]), (["both"], ["late"]),
      (["reader"], []))
  def test_calibration_takes_both_heads_in_training(self, wanted, owners):
    with tf.Graph().as_default():
      mode = _training()
      _build(_model(self._MODEL), wanted=wanted, mode=mode)
      self.assertEqual([p.owner for p in mode.penalties], owners)
      self.assertEqual(bool(owners or wanted == ["early"]),
                       bool(tf.trainable_variables("head/early")))

  def test_logits_are_in_the_order_of_the_experiment(self):
    with tf.Graph().as_default():
      logits = _build(_model(self._MODEL), wanted=["both", "read", "late"])
      self.assertEqual(list(logits), ["late", "read", "both"])


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
      found, v = _run(_build(self._model(a=a)), session)
    trunk = _inputs(v) @ v["trunk/dense/kernel"]
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
      ("", {"tower/b/dense", "head/b", *_SHARED}),
      ("stop_gradient: true", {"tower/b/dense", "head/b", *_SHARED}),
      ("stop_gradient: false", {"tower/b/dense", "head/b", *_SHARED,
                                "tower/a/dense", "head/a"}))
  def test_gradient_flows_into_the_other_task_only_if_told_to(
      self, estimate, expected):
    with tf.Graph().as_default():
      logits = _build(self._model(estimate))
      self.assertEqual(_scopes(_reached(logits["b"])), expected)
      # The cut is at the edge: A's own gradient is whole in either case.
      self.assertEqual(_scopes(_reached(logits["a"])),
                       {"tower/a/dense", "head/a", *_SHARED})

  def test_two_readers_may_differ(self):
    extra = """task { name: "c" binary {}
                      estimate { task: "a" form: LOGIT stop_gradient: false } }
               """
    with tf.Graph().as_default():
      logits = _build(self._model(extra=extra))
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
      logits = _build(model)
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
      logits = _build(model)
      kernel = tf.trainable_variables("head/b/kernel")[0]
      self.assertEqual(kernel.shape.as_list(), [5 + 4 + 1 + 4, 1])
      session.run(tf.global_variables_initializer())
      kernel.load(np.eye(14)[:, [9]], session)  # The logit of a.
      found = session.run(dict(logits))
    self.assertAllClose(found["b"], found["a"])


class WideTest(parameterized.TestCase, tf.test.TestCase):

  _WIDE = text_format.Parse("""
    feature { name: "x" categorical { num_buckets: 6 embedding_dimension: 2
                                      initializer { normal: 1 } } }
    feature { name: "c" categorical { num_buckets: 7 } use: WIDE }""",
                            data_pb2.Data())

  def _logits(self, model):
    """Returns logits without and with wide weights, and these."""
    with tf.Graph().as_default(), tf.Session() as session:
      logits = _build(model, data=self._WIDE)
      before, _ = _run(logits, session)
      weights = {}
      for v in tf.trainable_variables("wide/"):
        weights[v.op.name] = np.random.default_rng(1).normal(size=v.shape)
        v.load(weights[v.op.name], session)
      return before, session.run(dict(logits)), weights

  @parameterized.parameters(
      ("binary {}", 1), ("multiclass { num_classes: 3 }", 3),
      ("multilabel { num_labels: 3 }", 3), ("regression { size: 2 }", 2),
      ("count {}", 1), ("quantiles { level: [0.1, 0.9] }", 2))
  def test_its_logits_are_added_to_those_of_the_head(self, head, width):
    model = _model(_TRUNK + f'task {{ name: "a" {head} }}')
    before, after, weights = self._logits(model)
    self.assertEqual({n: w.shape for n, w in weights.items()},
                     {"wide/a/c/weights": (8, width)})
    self.assertAllClose(
        after["a"] - before["a"],
        np.eye(8)[_IDS[:, 1]] @ weights["wide/a/c/weights"], rtol=1e-4,
        atol=1e-5)

  def test_it_moves_the_score_of_an_ordinal_task(self):
    model = _model(_TRUNK + 'task { name: "a" ordinal { num_classes: 4 } }')
    before, after, weights = self._logits(model)
    self.assertEqual(weights["wide/a/c/weights"].shape, (8, 1))
    # All logits of a row alike, against the score.
    self.assertAllClose(
        before["a"] - after["a"],
        np.eye(8)[_IDS[:, 1]] @ weights["wide/a/c/weights"] * [1, 1, 1],
        rtol=1e-4, atol=1e-5)

  def test_every_task_has_its_own_and_estimates_hold_them(self):
    model = _model("hard_sharing {}" + """
        task { name: "a" regression {} }
        task { name: "b" regression {} estimate { task: "a" form: VALUE } }""")
    before, after, weights = self._logits(model)
    self.assertCountEqual(weights, ["wide/a/c/weights", "wide/b/c/weights"])
    self.assertNotAllClose(before["a"], after["a"])
    self.assertNotAllClose(after["b"] - before["b"],
                           np.eye(8)[_IDS[:, 1]] @ weights["wide/b/c/weights"])

  def test_a_held_head_holds_its_wide_part(self):
    model = _model(_TRUNK + 'task { name: "a" binary {} } '
                   'stop_gradient: "head/a"')
    with tf.Graph().as_default():
      logits = _build(model, data=self._WIDE)
      self.assertEmpty(_reached(logits["a"]))


class StopGradientTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(
      ("embedding/x", {"embedding/c", "trunk/dense", "tower/a/dense",
                       "head/a"}),
      ("embedding/c", {"embedding/x", "trunk/dense", "tower/a/dense",
                       "head/a"}),
      ("trunk/dense", {"tower/a/dense", "head/a"}),
      ("tower/a/dense", {"head/a"}),
      ("head/a", set()),
      ("tower/b/dense", {*_SHARED, "tower/a/dense", "head/a"}))
  def test_holds_the_named_tensor(self, held, variables):
    model = _model(_TRUNK + f"""
        task {{ name: "a" binary {{}} {_TOWER} }}
        task {{ name: "b" binary {{}} {_TOWER} }} stop_gradient: "{held}" """)
    with tf.Graph().as_default():
      logits = _build(model)
      self.assertEqual(_scopes(_reached(logits["a"])), variables)

  def test_held_head_is_held_for_readers_of_its_estimate_too(self):
    model = _model(_TRUNK + """
        task { name: "a" binary {} }
        task { name: "b" regression {} estimate {
                 task: "a" form: LOGIT stop_gradient: false } }
        stop_gradient: "head/a" """)
    with tf.Graph().as_default():
      logits = _build(model)
      self.assertNotIn("head/a/kernel", _reached(logits["b"]))


if __name__ == "__main__":
  absltest.main()

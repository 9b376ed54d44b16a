"""Tests of experts, mixed by gates in one level or several."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model.sharing import experts
from tests.model.sharing import every_sharing
from tests.model.sharing import shared_part

_TASKS = ["a", "b", "c"]
_EXPERT = "expert { layer { dense { units: %d activation: TANH } } }"


def _part(text, wanted=None, shape=(3,), training=False):
  """Returns the part of a model; `text` is one of its members of `sharing`."""
  model, wanted = shared_part.parse(text), wanted or _TASKS

  def build(inputs, mode):
    kind = model.WhichOneof("sharing")
    function, message = getattr(experts, kind), getattr(model, kind)
    if kind == "progressive_layered_extraction":
      return function(message, inputs, _TASKS, wanted, mode)
    return function(message, inputs, wanted, mode)

  return shared_part.SharedPart(build, shape, training)


def _mixed(v, prefix, owner, scopes, read):
  """Returns what a gate makes of experts.

  Args:
    v: The variables.
    prefix: Scope of the level.
    owner: Whose gate.
    scopes: Whose input each expert reads, by scope within the level.
    read: What each owner reads.
  """
  weights = shared_part.softmax(
      shared_part.dense(v, f"{prefix}gate/{owner}", read[owner], None))
  return sum(weights[:, i:i + 1] * shared_part.dense(
      v, f"{prefix}{scope}/dense", read[of]) for i, (scope, of) in enumerate(
          scopes.items()))


def _scopes(owner, shared, own):
  """Returns the experts that a task, or "shared", mixes, with their owners."""
  by_number = {f"expert/{i}": "shared" for i in range(shared)}
  of_tasks = {task: {f"expert/{task}/{i}": task for i in range(own)}
              for task in _TASKS}
  if owner == "shared":
    return by_number | of_tasks["a"] | of_tasks["b"] | of_tasks["c"]
  return of_tasks[owner] | by_number


def _levels(v, x, levels):
  """Returns what tasks read of levels, pairs of numbers of experts."""
  read = {owner: x for owner in (*_TASKS, "shared")}
  for i, (shared, own) in enumerate(levels):
    owners = _TASKS + ["shared"] * (i + 1 < len(levels))
    read = {owner: _mixed(v, f"level_{i}/", owner, _scopes(owner, shared, own),
                          read) for owner in owners}
  return read


def _ple(*levels):
  """Returns the text of levels, pairs of numbers of experts."""
  return "progressive_layered_extraction { " + "".join(
      f"level {{ shared_experts: {shared} task_experts: {own} {_EXPERT % 4} }}"
      for shared, own in levels) + "}"


class MixtureOfExpertsTest(parameterized.TestCase, tf.test.TestCase):

  def test_matches_formula(self):
    part = _part(f"mixture_of_experts {{ num_experts: 3 {_EXPERT % 4} }}")
    v, x = part.values(), part.rows
    scopes = {f"expert/{i}": "x" for i in range(3)}
    self.assertAllClose(part.run(), {
        task: _mixed(v, "", task, scopes, {"x": x, task: x})
        for task in _TASKS}, rtol=1e-5)
    self.assertEqual(part.outputs["a"].shape.as_list(), [None, 4])
    self.assertEqual(list(part.mode.gates), ["gate/a", "gate/b", "gate/c"])
    self.assertEqual(shared_part.scopes(part.reached(part.outputs["b"])), {
        "gate/b", *(f"expert/{i}/dense" for i in range(3))})

  def test_with_one_gate_all_tasks_read_the_same(self):
    part = _part(f"""mixture_of_experts {{ num_experts: 3 {_EXPERT % 4}
                                          one_gate: true }}""")
    self.assertIs(part.outputs["a"], part.outputs["b"])
    self.assertIs(part.outputs["a"], part.outputs["c"])
    v, x = part.values(), part.rows
    self.assertAllClose(part.run()["a"], _mixed(
        v, "", "shared", {f"expert/{i}": "x" for i in range(3)},
        {"x": x, "shared": x}), rtol=1e-5)
    self.assertEqual(list(part.mode.gates), ["gate/shared"])

  def test_only_wanted_gates_are_built(self):
    part = _part(f"mixture_of_experts {{ num_experts: 2 {_EXPERT % 4} }}",
                 ["c"])
    self.assertEqual(shared_part.scopes(part.trainable), {
        "gate/c", "expert/0/dense", "expert/1/dense"})

  @parameterized.parameters(True, False)
  def test_penalties_of_a_gate_belong_to_its_task(self, one_gate):
    text = f"""mixture_of_experts {{ num_experts: 3 {_EXPERT % 4}
        one_gate: {str(one_gate).lower()}
        gate {{ dselect_k {{ num_selected: 2 }} }} }}"""
    self.assertEqual([p.owner for p in _part(text, training=True
                                             ).mode.penalties],
                     ["shared"] if one_gate else _TASKS)
    self.assertEmpty(_part(text).mode.penalties)

  def test_one_expert_is_a_trunk(self):
    layers = """layer { dense { units: 4 activation: TANH } }
                layer { dense { units: 3 } }"""
    trunk = every_sharing.run((every_sharing.VECTORS, f"""
        hard_sharing {{ trunk {{ {layers} }} }} {every_sharing.TWO_TASKS}"""))
    one = every_sharing.run((every_sharing.VECTORS, f"""
        mixture_of_experts {{ num_experts: 1 expert {{ {layers} }} }}
        {every_sharing.TWO_TASKS}"""))
    for steps in (0, 20):
      trunk.train(steps)
      one.train(steps)
      if not steps:
        one.load({name.replace("trunk", "expert/0"): value
                  for name, value in trunk.values().items()})
      rows = range(10)
      # The softmax of one number may be 0.99999994.
      self.assertAllClose(
          *(run.session.run(run.model.predictions, run.feed(rows))
            for run in (one, trunk)), rtol=1e-5 if steps else 1e-6, atol=1e-6)


class CustomizedGateControlTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters((1, 1), (2, 1), (0, 2), (3, 0))
  def test_matches_formula(self, shared, own):
    part = _part(f"""customized_gate_control {{ shared_experts: {shared}
        task_experts: {own} {_EXPERT % 4} }}""")
    v, x = part.values(), part.rows
    self.assertAllClose(part.run(), {
        task: _mixed(v, "", task, _scopes(task, shared, own),
                     {"shared": x, task: x}) for task in _TASKS}, rtol=1e-5)
    for task in _TASKS:
      self.assertEqual(part.mode.gates[f"gate/{task}"].experts,
                       list(_scopes(task, shared, own)))
      self.assertEqual(
          shared_part.scopes(part.reached(part.outputs[task])),
          {f"gate/{task}", *(f"{scope}/dense"
                             for scope in _scopes(task, shared, own))})

  def test_all_experts_start_apart(self):
    initial = _part(f"""customized_gate_control {{ shared_experts: 2
        task_experts: 2 {_EXPERT % 4} }}""").initial
    kernels = [v for n, v in initial.items() if n.endswith("dense/kernel")]
    self.assertLen(kernels, 8)
    for i, kernel in enumerate(kernels):
      for other in kernels[:i]:
        self.assertGreater(np.abs(kernel - other).min(), 1e-5)

  def test_only_experts_that_wanted_tasks_read_are_built(self):
    part = _part(f"customized_gate_control {{ {_EXPERT % 4} }}", ["a", "c"])
    self.assertEqual(shared_part.scopes(part.trainable), {
        "expert/0/dense", "expert/a/0/dense", "expert/c/0/dense", "gate/a",
        "gate/c"})


class ProgressiveLayeredExtractionTest(parameterized.TestCase,
                                       tf.test.TestCase):

  @parameterized.parameters(
      ((2, 1),), ((1, 1), (2, 2)), ((2, 2), (1, 1), (1, 2)),
      ((1, 1), (2, 0), (1, 1)), ((1, 0), (1, 1)))
  def test_matches_formula(self, *levels):
    part = _part(_ple(*levels))
    self.assertAllClose(part.run(), _levels(part.values(), part.rows, levels),
                        rtol=1e-4)
    with_shared = [f"level_{i}/gate/shared" in part.mode.gates
                   for i in range(len(levels))]
    self.assertEqual(with_shared, [True] * (len(levels) - 1) + [False])
    self.assertEqual(set.union(*map(part.reached, part.outputs.values())),
                     set(part.trainable))

  def test_one_level_is_customized_gate_control(self):
    for own, shared in ((2, 1), (1, 2)):
      text = f"task_experts: {own} shared_experts: {shared} {_EXPERT % 4}"
      level = _part(f"progressive_layered_extraction {{ level {{ {text} }} }}")
      control = _part(f"customized_gate_control {{ {text} }}")
      level.load({f"level_0/{name}": value
                  for name, value in control.values().items()})
      self.assertEqual(level.trainable.keys(), {
          f"level_0/{name}" for name in control.trainable})
      found, expected = level.run(), control.run()
      for task in _TASKS:
        self.assertAllEqual(found[task], expected[task])

  @parameterized.parameters(
      # In two levels others count by their experts of the first.
      (((1, 1), (1, 1)), {"level_0/gate/b", "level_0/gate/c",
                          "level_1/expert/b/0/dense", "level_1/gate/b",
                          "level_1/expert/c/0/dense", "level_1/gate/c"}),
      # In three also by what these of the second read.
      (((1, 1), (1, 1), (1, 1)), {
          "level_1/gate/b", "level_1/gate/c", "level_2/expert/b/0/dense",
          "level_2/gate/b", "level_2/expert/c/0/dense", "level_2/gate/c"}),
      # Unless there are none.
      (((1, 1), (1, 0), (1, 1)), {
          "level_0/gate/b", "level_0/gate/c", "level_1/gate/b",
          "level_1/gate/c", "level_2/expert/b/0/dense", "level_2/gate/b",
          "level_2/expert/c/0/dense", "level_2/gate/c"}))
  def test_of_a_wanted_task_only_what_it_reads_is_built(self, levels, missing):
    whole, part = _part(_ple(*levels)), _part(_ple(*levels), ["a"])
    self.assertEqual(list(part.outputs), ["a"])
    self.assertEqual(shared_part.scopes(part.trainable),
                     shared_part.scopes(whole.trainable) - missing)
    self.assertEqual(part.reached(part.outputs["a"]), set(part.trainable))
    self.assertEqual(whole.reached(whole.outputs["a"]), set(part.trainable))
    part.load({n: v for n, v in whole.values().items() if n in part.trainable})
    self.assertAllClose(part.run()["a"], whole.run()["a"])

  def test_images(self):
    part = _part("""progressive_layered_extraction {
        level { expert { layer { conv2d { filters: 2 kernel_size: 3
                                          activation: RELU } } } }
        level { expert { layer { flatten {} } } }
        gate { layer { global_average_pooling {} } } }""", shape=(4, 2, 3))
    v, x = part.values(), part.rows

    def weights(scope, read):
      found = shared_part.softmax(
          shared_part.dense(v, scope, read.mean((1, 2)), None))
      return [found[:, i].reshape(-1, 1, 1, 1) for i in range(found.shape[1])]

    first = {owner: shared_part.conv2d(v, f"level_0/expert/{name}/conv2d", x)
             for owner, name in (("shared", "0"), ("a", "a/0"), ("b", "b/0"),
                                 ("c", "c/0"))}
    shared = sum(w * expert for w, expert in zip(
        weights("level_0/gate/shared", x), first.values()))
    own = sum(w * first[owner] for w, owner in zip(
        weights("level_0/gate/b", x), ("b", "shared")))
    second = sum(w * image for w, image in zip(
        weights("level_1/gate/b", own), (own, shared)))
    self.assertAllClose(part.run()["b"], second.reshape(len(x), -1), rtol=1e-5)


if __name__ == "__main__":
  absltest.main()

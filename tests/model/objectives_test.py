"""Tests of what steps minimize: the laws of independent training."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.checkpoints import sessions
from mtl_graph.data import batches
from mtl_graph.data import features
from mtl_graph.model import graphs
from mtl_graph.model import objectives
from tests.model import resident_run

_ROWS, _BATCH = 30, 8
_TOWER = "tower { layer { dense { units: 3 activation: TANH } } }"
_A = f'task {{ name: "a" label {{}} regression {{}} {_TOWER} }}'
_B = f'task {{ name: "b" label {{}} binary {{}} {_TOWER} }}'
_TEXT = """
name: "small" seed: 5
data { batch_size: 8 feature { name: "x" numeric { size: 3 } } }
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  %s
}
training { %s }
"""
_ADAM_A = "adam { learning_rate { constant: 0.02 } }"
_RATE_B = ("exponential_decay { initial: 0.1 decay_steps: 2 decay_rate: 0.5 "
           "staircase: true }")
_SHARES = f"""
  task {{ name: "a" iterations: 100 optimizer {{ {_ADAM_A} }} }}
  task {{ name: "b" iterations: 10 batch_size: 5
         optimizer {{ adam {{ learning_rate {{ {_RATE_B} }} }} }} }}"""
_BOTH = _TEXT % (_A + _B, f"num_rounds: 3 independent {{ {_SHARES} }}")
_ALONE = _TEXT % (_A, f"""num_rounds: 3 independent {{
    task {{ name: "a" iterations: 100 optimizer {{ {_ADAM_A} }} }} }}""")
_JOINT = _TEXT % (_A, "num_steps: 9 joint { loss { sum {} } } "
                  f"default_optimizer {{ {_ADAM_A} }}")


def _data(tasks=2):
  random = np.random.default_rng(0)
  x = random.normal(size=[_ROWS, 3]).astype(np.float32)
  labels = np.stack([x.sum(1), x[:, 0] > 0], 1).astype(np.float32)[:, :tasks]
  return batches.Batch(x, np.zeros([_ROWS, 0], np.int32), labels,
                       np.ones([_ROWS, tasks], np.float32))


def _changed(before, after):
  return {name for name in after
          if before[name].tobytes() != after[name].tobytes()}


class ObjectivesTest(parameterized.TestCase, tf.test.TestCase):

  def _run(self, text=_BOTH, *overrides, tasks=2):
    experiment = config.parse(text)
    for assignment in overrides:
      config.override(experiment, assignment)
    return resident_run.ResidentRun(experiment, _data(tasks))

  def test_joint_training_has_one_objective(self):
    experiment = config.parse(_JOINT)
    model = graphs.build(experiment)
    found, = objectives.build(experiment, model)
    self.assertEqual(found.tasks, ["a"])
    self.assertIs(found.counter, model.global_step)
    self.assertEqual(found.variables, model.variables)

  def test_every_task_has_its_own(self):
    experiment = config.parse(_BOTH)
    model = graphs.build(experiment)
    a, b = objectives.build(experiment, model)
    self.assertEqual([a.tasks, b.tasks], [["a"], ["b"]])
    self.assertEqual([a.batch_size, b.batch_size], [8, 5])
    self.assertEqual(a.counter.op.name, "iterations/a")
    self.assertEqual(
        [v.op.name for v in b.variables["b"]],
        [f"{scope}/{name}" for scope in ("trunk/dense", "tower/b/dense",
                                         "head/b")
         for name in ("kernel", "bias")])

  def test_a_task_of_no_iterations_is_left_out(self):
    experiment = config.parse(_BOTH)
    config.override(experiment, "training.independent.task[0].iterations=0")
    found, = objectives.build(experiment, graphs.build(experiment))
    self.assertEqual(found.tasks, ["b"])

  def test_a_step_of_one_leaves_what_is_the_others_to_the_bit(self):
    run = self._run()
    run.run("b")
    before = run.values()
    for _ in range(3):
      run.run("a")
    changed = _changed(before, run.values())
    own = {name for name in before
           if name.startswith(("trunk/", "tower/a/", "head/a/"))
           or name.startswith("optimizer/a/")}
    self.assertEqual(changed, own | {"iterations/a", "global_step"})
    self.assertNotEmpty([n for n in before if n.startswith("optimizer/b/")])

  def test_shared_layers_have_slots_of_each_task(self):
    names = self._run().values()
    for task in ("a", "b"):
      self.assertIn(f"optimizer/{task}/trunk/dense/kernel/Adam", names)
      self.assertIn(f"optimizer/{task}/beta1_power", names)
    self.assertNotIn("optimizer/b/tower/a/dense/kernel/Adam", names)

  @parameterized.named_parameters(("independent", _ALONE), ("joint", _JOINT))
  def test_a_task_trained_alone_equals_an_experiment_of_its_own(self, text):
    both, alone = self._run(), self._run(text, tasks=1)
    for _ in range(20):
      both.run("a")
      alone.run()
    found, expected = both.values(), alone.values()
    for name, value in expected.items():
      if not name.startswith("optimizer/"):
        self.assertEqual(found[name].tobytes(), value.tobytes(), name)
    if text == _ALONE:
      self.assertContainsSubset(expected, found)
      for name, value in expected.items():
        self.assertEqual(found[name].tobytes(), value.tobytes(), name)

  def test_equals_minimize_by_hand(self):
    run, steps = self._run(), 20
    experiment = config.parse(_BOTH)
    model, data = graphs.build(experiment), _data()
    with model.graph.as_default(), sessions.open_session(
        model.graph) as session:
      rows = tf.placeholder(tf.int64, [_BATCH])
      logits = graphs.forward(experiment, features.Transformed(
          tf.gather(data.numbers, rows), tf.gather(data.ids, rows))).logits
      loss = tf.reduce_mean(tf.square(
          tf.gather(data.labels[:, 0], rows) - logits["a"][:, 0]))
      train_op = tf.train.AdamOptimizer(0.02).minimize(loss)
      sessions.initialize(session)
      for step in range(steps):
        run.run("a")
        session.run(train_op, {rows: run.rows(step)})
      variables = tf.global_variables()
      expected = {v.op.name: value
                  for v, value in zip(variables, session.run(variables))}
    found = run.values()
    for name, value in expected.items():
      if name.startswith(("trunk/", "tower/a/", "head/a/")):
        ours = name
        if "/Adam" in name:
          ours = f"optimizer/a/{name}"
        self.assertEqual(found[ours].tobytes(), value.tobytes(), name)

  def test_rates_and_counters_go_by_the_tasks_own_iterations(self):
    run, rates = self._run(), []
    for task in "abaababab":
      report = run.run(task)
      if task == "b":
        rates.append(float(report.learning_rates[0]))
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.05, 0.05], rtol=1e-6)
    values = run.values()
    self.assertEqual([int(values[f"iterations/{t}"]) for t in "ab"], [5, 4])
    self.assertEqual(int(values["global_step"]), 9)

  def test_what_is_frozen_stays(self):
    run = self._run(_BOTH, "training.group=[{ name: 'still' scope: 'trunk' "
                    "frozen: true }]")
    before = run.values()
    run.run("a")
    changed = _changed(before, run.values())
    self.assertFalse([name for name in changed if "trunk" in name])
    self.assertContainsSubset(["tower/a/dense/kernel", "head/a/bias"], changed)

  def test_nothing_that_is_not_frozen_is_an_error(self):
    with self.assertRaisesRegex(
        config.ConfigErrors, r"training.independent.task\[1\]: task 'b' reaches"
        " no variable that is not frozen"):
      self._run(_BOTH, "training.group=[{ name: 'still' scope: ['trunk', "
                "'tower/b', 'head/b'] frozen: true }]")

  @parameterized.parameters(("", False), ("stop_gradient: false", True))
  def test_an_estimate_trains_the_other_task_only_if_told_to(self, text, moves):
    estimate = f'estimate {{ task: "a" form: VALUE {text} }}'
    run = self._run(_BOTH.replace('binary {}', f"binary {{}} {estimate}"))
    before = run.values()
    run.run("b")
    changed = _changed(before, run.values())
    self.assertEqual("head/a/kernel" in changed, moves)
    self.assertIn("trunk/dense/kernel", changed)
    self.assertNotIn("iterations/a", changed)

  def test_a_distance_between_columns_pulls_one_of_them(self):
    text = _BOTH.replace(
        "hard_sharing { trunk { layer {", "soft_sharing { parameter_distance "
        "{ weight: 10 } column { layer {")
    run = self._run(text)
    before = run.values()
    report = run.run("a")
    self.assertGreater(report.total - report.task_losses[0], 1)
    changed = _changed(before, run.values())
    self.assertIn("column/a/dense/kernel", changed)
    self.assertNotIn("column/b/dense/kernel", changed)

  def test_batches_are_accumulated(self):
    run = self._run(_BOTH, "training.accumulate_batches=2",
                    "training.independent.task[0].optimizer={ "
                    "gradient_descent { learning_rate { constant: 0.1 } } }",
                    "data.batch_size=8")
    twice = self._run(_BOTH, "training.independent.task[0].optimizer={ "
                      "gradient_descent { learning_rate { constant: 0.1 } } }",
                      "data.batch_size=16")
    run.run("a")
    twice.run("a")
    self.assertAllClose(run.values()["head/a/kernel"],
                        twice.values()["head/a/kernel"], rtol=1e-5, atol=1e-6)

  def test_averages_follow_what_the_step_has_moved(self):
    run = self._run(_BOTH, "training.moving_average.decay=0.5")
    before = run.values()
    run.run("a")
    changed = _changed(before, run.values())
    suffix = "/ExponentialMovingAverage"
    self.assertIn("trunk/dense/kernel" + suffix, changed)
    self.assertNotIn("head/b/kernel" + suffix, changed)


if __name__ == "__main__":
  absltest.main()

"""Tests of the step of joint training, over rows resident in the graph."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.checkpoints import sessions
from mtl_graph.data import batches
from mtl_graph.data import features
from mtl_graph.model import graphs
from mtl_graph.model import train_step
from tests.model import resident_run

_ROWS, _BATCH = 22, 8
_EXPERIMENT = """
name: "small" seed: 5
data {
  batch_size: 8
  feature { name: "x" numeric { size: 3 } }
  feature { name: "c" categorical { num_buckets: 5 embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" binary {} label {}
         tower { layer { dense { units: 3 activation: TANH } } } }
  task { name: "b" regression {} label {}
         estimate { task: "a" form: PROBABILITY } }
}
training {
  num_steps: 10
  joint { loss { sum {} } }
  group { name: "shared" scope: "trunk" scope: "embedding" }
  group { name: "a" scope: "tower/a" scope: "head/a"
          optimizer { adam { learning_rate { constant: 0.02 } } } }
  group { name: "b" scope: "head/b" optimizer { adam { learning_rate {
            exponential_decay { initial: 0.1 decay_steps: 2 decay_rate: 0.5 }
          } } } }
  default_optimizer { adam { learning_rate { constant: 0.001 } } }
}
"""
_UNCERTAINTY = "training.joint.loss.uncertainty={}"
_DROPOUT = ("model.hard_sharing.trunk.layer=[{ dense { units: 4 } }, "
            "{ dropout { rate: 0.5 } }]")
_changed = resident_run.changed
_starting = resident_run.starting


def _data(weights=None):
  random = np.random.default_rng(0)
  labels = np.stack([random.integers(0, 2, _ROWS), random.normal(size=_ROWS)],
                    1)
  weights = np.ones([_ROWS, 2]) if weights is None else weights
  return batches.Batch(
      random.normal(size=[_ROWS, 3]).astype(np.float32),
      random.integers(0, 6, [_ROWS, 1]).astype(np.int32),
      np.where(weights > 0, labels, 0).astype(np.float32),
      weights.astype(np.float32))


def _run(*overrides, weights=None, lacking=None):
  return resident_run.ResidentRun(
      resident_run.parse(_EXPERIMENT, *overrides), _data(weights), lacking)


class JointStepTest(parameterized.TestCase, tf.test.TestCase):

  def test_report_says_what_the_step_found(self):
    run = _run()
    for n in range(4):
      expected = run.evaluate(run.rows(n))
      report = run.run()
      self.assertAllClose(report.task_losses, expected, rtol=1e-5)
      self.assertAllEqual(report.label_weights, [_BATCH, _BATCH])
      self.assertAllEqual(report.task_weights, [1, 1])
      self.assertAllClose(report.total, expected.sum(), rtol=1e-5)
      self.assertAllClose(report.learning_rates,
                          [0.001, 0.02, 0.1 * 0.5 ** (n / 2)])
      self.assertEqual(report.gradient_norms.shape, (3,))
      self.assertAllGreater(report.gradient_norms, 0)
      self.assertEqual(run.values()["global_step"], n + 1)

  def test_report_under_uncertainty(self):
    run = _run(_UNCERTAINTY)
    for _ in range(3):
      values = run.values()
      s = np.array([values["log_variance/a"], values["log_variance/b"]])
      report = run.run()
      weights = np.array([1.0, 0.5]) * np.exp(-s)
      self.assertAllClose(report.task_weights, weights)
      self.assertAllClose(report.total, np.sum(
          weights * report.task_losses + 0.5 * s), rtol=1e-5)
    self.assertNotEqual(s[0], 0)

  def test_unpack_report_of_many_steps(self):
    report = np.arange(3 * 13.0).reshape([3, 13])
    found = train_step.unpack_report(
        report, train_step.Report(2, 2, 2, 3, 3, 1))
    self.assertAllEqual(found.task_losses, report[:, :2])
    self.assertAllEqual(found.label_weights, report[:, 2:4])
    self.assertAllEqual(found.task_weights, report[:, 4:6])
    self.assertAllEqual(found.gradient_norms, report[:, 6:9])
    self.assertAllEqual(found.learning_rates, report[:, 9:12])
    self.assertAllEqual(found.total, report[:, 12])

  def test_rows_cover_every_epoch_once_in_another_order(self):
    run = _run()
    rows = np.concatenate([run.rows(n) for n in range(_ROWS)])
    epochs = rows.reshape([-1, _ROWS])
    for epoch in epochs:
      self.assertAllEqual(np.sort(epoch), np.arange(_ROWS))
    self.assertLen({tuple(epoch) for epoch in epochs}, len(epochs))

  def test_equals_the_pattern_by_hand_to_the_bit(self):
    run = _run()
    by_hand = self._by_hand(run.experiment, 6)
    found = run.train(6)
    for name, value in by_hand.items():
      if "Adam" not in name and "power" not in name:
        self.assertAllEqual(found[name], value)

  def _by_hand(self, experiment, steps):
    model = graphs.build(experiment)
    with model.graph.as_default():
      step, batch = model.global_step, model.batch
      logits = graphs.forward(experiment, features.Transformed(
          batch.numbers, batch.ids)).logits
      loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(
          labels=batch.labels[:, 0], logits=logits["a"][:, 0]))
      loss += tf.reduce_mean(tf.square(logits["b"][:, 0] - batch.labels[:, 1]))
      shared, a, b = model.variables.values()
      gradients = tf.gradients(loss, shared + a + b)
      slices = (gradients[:len(shared)],
                gradients[len(shared):len(shared) + len(a)],
                gradients[len(shared) + len(a):])
      rates = (0.001, 0.02, tf.train.exponential_decay(0.1, step, 2, 0.5))
      with tf.control_dependencies(
          [tf.convert_to_tensor(g) for g in gradients]):
        updates = [tf.train.AdamOptimizer(rate).apply_gradients(
            [(tf.convert_to_tensor(g), v) for g, v in zip(some, variables)])
                   for rate, some, variables in zip(rates, slices,
                                                    (shared, a, b))]
      with tf.control_dependencies(updates):
        train_op = step.assign_add(1, read_value=False)
      rows_of_step = batches.rows_of_batch(step.read_value(), _ROWS, _BATCH,
                                           experiment.seed)
      with sessions.open_session(model.graph) as session:
        session.run(tf.global_variables_initializer())
        for _ in range(steps):
          rows = session.run(rows_of_step)
          session.run(train_op, {placeholder: array[rows] for placeholder, array
                                 in zip(batch, _data())})
        return {v.op.name: session.run(v) for v in tf.global_variables()}

  def test_slots_are_scoped_by_group(self):
    run = _run()
    names = _starting(run.values(), "optimizer/")
    expected = {f"optimizer/{group}/{power}" for group in ("shared", "a", "b")
                for power in ("beta1_power", "beta2_power")}
    for group, variables in run.model.variables.items():
      expected.update(f"optimizer/{group}/{v.op.name}/{slot}"
                      for v in variables for slot in ("Adam", "Adam_1"))
    self.assertEqual(names, expected)

  def test_names_do_not_depend_on_whether_labels_may_lack(self):
    self.assertEqual(list(_run().values()),
                     list(_run(lacking=(True, True)).values()))

  def test_same_seed_is_the_same_run_to_the_bit(self):
    first, second = _run(_DROPOUT).train(5), _run(_DROPOUT).train(5)
    for name, value in first.items():
      self.assertAllEqual(second[name], value)

  def test_dropout_is_for_training_only(self):
    run = _run(_DROPOUT)
    expected = run.evaluate(run.rows(0))
    self.assertAllEqual(run.evaluate(run.rows(0)), expected)
    self.assertNotAllClose(run.run().task_losses, expected)

  def test_training_makes_the_loss_fall(self):
    run = _run()
    before = run.evaluate(np.arange(_ROWS))
    run.train(150)
    self.assertAllLess(run.evaluate(np.arange(_ROWS)) - before, -0.05)


class GroupTest(parameterized.TestCase, tf.test.TestCase):

  def test_frozen_group_is_untouched_and_has_no_slots(self):
    run = _run("training.group[name=b].optimizer={adam { learning_rate { "
               "constant: 0.1 } } }", "training.group[name=shared].frozen=true")
    before, after = run.values(), run.train(3)
    self.assertEmpty(_starting(_changed(before, after), "trunk", "embedding"))
    self.assertContainsSubset({"head/b/kernel", "head/a/kernel"},
                              _changed(before, after))
    self.assertEmpty(_starting(after, "optimizer/shared"))
    report = run.run()
    self.assertLen(report.gradient_norms, 2)
    self.assertAllClose(report.learning_rates, [0.02, 0.1])

  def test_rate_zero_freezes_to_the_bit(self):
    run = _run("training.group[name=a].optimizer.adam.learning_rate.constant=0")
    before, after = run.values(), run.train(3)
    self.assertEmpty(_starting(_changed(before, after), "tower/a", "head/a"))
    self.assertNotEmpty(_starting(_changed(before, after), "trunk"))

  def test_first_step_moves_by_each_groups_rate(self):
    run = _run()
    before, after = run.values(), run.train(1)
    for name, rate in (("trunk/dense/bias", 0.001), ("head/a/kernel", 0.02),
                       ("head/b/kernel", 0.1)):
      self.assertAllClose(np.abs(after[name] - before[name]),
                          np.full(before[name].shape, rate), rtol=1e-2)

  @parameterized.parameters(
      ("global_norm: 1e-3", [1e-3]), ("norm: 1e-3", None), ("value: 1e-3", None)
  )
  def test_clipping_reaches_the_optimizer_and_not_the_report(self, rule, norm):
    run = _run(f"training.group[name=b].clipping={{ {rule} }}")
    free = _run()
    report = run.run()
    self.assertAllEqual(report.gradient_norms, free.run().gradient_norms)
    # After one step Adam's first slot is a tenth of the gradient.
    values, others = run.values(), free.values()
    clipped = [10 * values[f"optimizer/b/head/b/{part}/Adam"].ravel()
               for part in ("kernel", "bias")]
    if norm:
      self.assertAllClose(np.linalg.norm(np.concatenate(clipped)), 1e-3)
    elif rule.startswith("norm"):
      self.assertAllClose([np.linalg.norm(c) for c in clipped], [1e-3, 1e-3])
    else:
      self.assertAllClose(np.abs(np.concatenate(clipped)), np.full(6, 1e-3))
    slot = "optimizer/a/head/a/kernel/Adam"
    self.assertAllEqual(values[slot], others[slot])

  def test_unreached_group_is_refused_by_path_and_name(self):
    with self.assertRaisesRegex(
        config.ConfigErrors, r"^training.group\[1\]: no task's loss reaches "
        "group 'a'; allowed: groups that get a gradient, or frozen: true$"):
      _run('model.stop_gradient=["head/a"]')

  def test_unreached_frozen_group_is_fine(self):
    run = _run('model.stop_gradient=["head/a"]',
               "training.group[name=a]={name: 'a' scope: ['tower/a', 'head/a'] "
               "frozen: true}")
    self.assertNotEmpty(_changed(run.values(), run.train(2)))

  def test_estimate_trains_the_other_task_only_if_told_to(self):
    # Task a bears no label at all: what moves it comes through its estimate.
    weights = np.ones([_ROWS, 2]) * [0, 1]
    for flag, moves in (("true", False), ("false", True)):
      run = _run(f"model.task[name=b].estimate[0].stop_gradient={flag}",
                 weights=weights)
      changed = _changed(run.values(), run.train(2))
      self.assertEqual(bool(_starting(changed, "tower/a", "head/a")), moves)


class LackingLabelsTest(parameterized.TestCase, tf.test.TestCase):

  def _weights(self, seed=5, first_step=2):
    """Labels task a in all rows but those of one step."""
    with tf.Graph().as_default(), tf.Session() as session:
      rows = session.run(batches.rows_of_batch(
          tf.constant(first_step, tf.int64), _ROWS, _BATCH, seed))
    weights = np.ones([_ROWS, 2])
    weights[rows, 0] = 0
    return weights

  @parameterized.parameters("training.joint.loss.sum={}", _UNCERTAINTY)
  def test_group_without_labels_stays_to_the_bit(self, loss):
    run = _run(loss, weights=self._weights(), lacking=(True, False))
    run.train(2)
    before = run.values()
    report = run.run()
    self.assertAllEqual(run.data.weights[run.rows(2), 0], np.zeros(_BATCH))
    self.assertEqual(report.label_weights[0], 0)
    self.assertEqual(report.task_losses[0], 0)
    changed = _changed(before, run.values())
    self.assertEmpty(_starting(changed, "tower/a", "head/a", "log_variance/a",
                               "optimizer/a"))
    self.assertContainsSubset(
        _starting(before, "head/b", "trunk", "optimizer/b", "global_step",
                  "log_variance/b", "optimizer/shared"), changed)
    # And it moves again once labels are back.
    before = run.values()
    report = run.run()
    self.assertGreater(report.label_weights[0], 0)
    changed = _changed(before, run.values())
    self.assertContainsSubset(_starting(before, "head/a", "optimizer/a",
                                        "log_variance/a"), changed)

  def test_condition_changes_no_bit_where_labels_are(self):
    first, second = _run(), _run(lacking=(True, True))
    found = second.train(5)
    for name, value in first.train(5).items():
      self.assertAllEqual(found[name], value)

  def test_group_of_two_tasks_is_updated_for_either(self):
    overrides = ["training.group=[{name: 'all' scope: ['trunk', 'embedding', "
                 "'tower', 'head']}]"]
    run = _run(*overrides, weights=self._weights(), lacking=(True, True))
    run.train(2)
    before = run.values()
    run.run()
    # Task a has no label, yet its variables are moved by Adam's momentum.
    self.assertIn("head/a/kernel", _changed(before, run.values()))

  def test_no_label_at_all_moves_nothing_but_the_step(self):
    weights = np.ones([_ROWS, 2])
    run = _run(_UNCERTAINTY, weights=0 * weights, lacking=(True, True))
    before = run.values()
    report = run.run()
    self.assertEqual(_changed(before, run.values()), {"global_step"})
    self.assertEqual(report.total, 0)
    self.assertAllEqual(report.gradient_norms, [0, 0, 0])

  def test_estimate_that_sends_gradient_keeps_its_task_awake(self):
    run = _run("model.task[name=b].estimate[0].stop_gradient=false",
               weights=self._weights(), lacking=(True, False))
    run.train(2)
    before = run.values()
    run.run()
    self.assertIn("head/a/kernel", _changed(before, run.values()))

  def test_log_variances_in_a_group_of_their_own(self):
    run = _run(_UNCERTAINTY, "training.group=[{name: 's' scope: 'log_variance'"
               " optimizer { adam { learning_rate { constant: 0.1 } } } }, {"
               "name: 'rest' scope: ['trunk', 'embedding', 'tower', 'head']}]",
               weights=np.ones([_ROWS, 2]) * [1, 0], lacking=(False, True))
    before, after = run.values(), run.train(3)
    self.assertEqual(_starting(_changed(before, after), "log_variance"),
                     {"log_variance/a"})


if __name__ == "__main__":
  absltest.main()

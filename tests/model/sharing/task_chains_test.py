"""Tests of tasks made of others, and of what a task takes over."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model.sharing import task_chains
from tests.model import resident_run
from tests.model.sharing import every_sharing
from tests.model.sharing import shared_part

_TOWER = "tower { layer { dense { units: 3 activation: TANH } } }"
_TRUNK = """hard_sharing {
  trunk { layer { dense { units: 4 activation: TANH } } } }"""


def _cross_entropy(logit, label):
  return np.mean(np.log1p(np.exp(logit)) - label * logit)


class ProductTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters("product", "product_of_columns")
  def test_its_probability_is_the_product_of_those_of_its_factors(self, name):
    run = every_sharing.run(every_sharing.TABLE[name])
    run.train(20)
    found = run.session.run(run.model.predictions, run.feed(range(22)))
    self.assertAllClose(
        found["ab"]["probability"],
        found["a"]["probability"] * found["b"]["probability"], rtol=1e-5)

  def test_logit_of_three(self):
    with tf.Graph().as_default(), tf.Session() as session:
      logits = [tf.constant([[z], [-z]]) for z in (0.5, 40.0, -3.0)]
      found = session.run(task_chains.product(logits))
    p = np.prod([shared_part.sigmoid(np.array([[z], [-z]]))
                 for z in (0.5, 40.0, -3.0)], 0)
    self.assertAllClose(found, np.log(p) - np.log1p(-p))

  def test_only_losses_that_can_be_observed_are_in_the_total(self):
    run = every_sharing.run(every_sharing.TABLE["product"])
    self.assertEqual(list(run.step.tasks), ["a", "ab"])
    for n in range(3):
      rows = run.rows(n)
      found = run.session.run(run.model.predictions, run.feed(rows))
      labels = run.data.labels[rows]  # Of a, of b and of ab.
      expected = [_cross_entropy(found[task]["logit"].astype(np.float64), label)
                  for task, label in (("a", labels[:, 0]), ("ab", labels[:, 2]))
                  ]
      report = run.run()
      self.assertAllClose(report.task_losses, expected, rtol=1e-5)
      self.assertAllClose(report.total, sum(expected), rtol=1e-5)

  def test_a_factor_without_a_loss_is_trained_by_way_of_the_product(self):
    run = every_sharing.run(every_sharing.TABLE["product"])
    own = ("gate/b", "tower/b", "head/b")
    reached = run.model.reached
    self.assertEqual(reached.keys(), {"a", "ab"})
    self.assertEmpty(resident_run.starting(reached["a"], *own))
    self.assertContainsSubset(
        resident_run.starting(run.model.trainable, *own), reached["ab"])
    before = run.values()
    changed = resident_run.changed(before, run.train(20))
    self.assertContainsSubset(
        resident_run.starting(run.model.trainable, *own), changed)

  def test_a_label_without_a_loss_has_no_say_in_training(self):
    experiment = every_sharing.experiment(every_sharing.TABLE["product"])
    found = []
    for label in (0, 1):
      data = every_sharing.data(experiment)
      data.labels[:, 1] = label  # Of b.
      run = resident_run.ResidentRun(experiment, data)
      found.append({n: v.tobytes() for n, v in run.train(20).items()})
    self.assertEqual(*found)


def _taken_over(v, task, tower, earlier):
  """Returns what a task's head reads."""
  scope = f"transfer/{task}"
  information = shared_part.dense(v, f"{scope}/information", earlier,
                                  shared_part.relu)
  scores, values = [], []
  for u in (information, tower):
    value, key, query = (shared_part.dense(v, f"{scope}/{name}", u, None)
                         for name in ("value", "key", "query"))
    scores.append((key * query).sum(1) / np.sqrt(tower.shape[1]))
    values.append(value)
  weights = shared_part.softmax(np.stack(scores, 1))
  return weights[:, :1] * values[0] + weights[:, 1:] * values[1]


class TransferTest(parameterized.TestCase, tf.test.TestCase):

  def _entry(self, transfer):
    return (every_sharing.VECTORS, f"""{_TRUNK}
        task {{ name: "early" binary {{}} label {{}}
               tower {{ layer {{ dense {{ units: 5 activation: TANH }} }} }} }}
        task {{ name: "late" binary {{}} label {{}} {_TOWER}
               transfer {{ task: "early" {transfer} }} }}""")

  @parameterized.parameters("", "stop_gradient: true")
  def test_matches_formula(self, transfer):
    run = every_sharing.run(self._entry(transfer))
    random = np.random.default_rng(1)
    run.load({name: random.normal(size=value.shape)
              for name, value in run.values().items()
              if name in run.model.trainable})
    v = {n: value.astype(np.float64) for n, value in run.values().items()}
    trunk = shared_part.dense(v, "trunk/dense", run.data.numbers[:9])
    early, late = (shared_part.dense(v, f"tower/{task}/dense", trunk)
                   for task in ("early", "late"))
    read = {"early": early, "late": _taken_over(v, "late", late, early)}
    found = run.session.run(run.model.predictions, run.feed(range(9)))
    for task, tensor in read.items():
      self.assertAllClose(found[task]["logit"], shared_part.dense(
          v, f"head/{task}", tensor, None)[:, 0], rtol=1e-4)

  def test_a_chain_hands_on_what_has_been_taken_over(self):
    run = every_sharing.run(every_sharing.TABLE["transfer"])
    v = {n: value.astype(np.float64) for n, value in run.values().items()}
    trunk = shared_part.dense(v, "trunk/dense", run.data.numbers[:9])
    towers = {task: shared_part.dense(v, f"tower/{task}/dense", trunk)
              for task in "abc"}
    a = _taken_over(v, "a", towers["a"], towers["b"])
    c = _taken_over(v, "c", towers["c"], a)
    found = run.session.run(run.model.predictions, run.feed(range(9)))
    self.assertAllClose(found["c"]["logit"], shared_part.dense(
        v, "head/c", c, None)[:, 0], rtol=1e-4, atol=1e-6)

  @parameterized.parameters(("", True), ("stop_gradient: true", False))
  def test_gradient_flows_into_the_earlier_task_unless_it_is_cut_off(
      self, transfer, flows):
    reached = every_sharing.run(self._entry(transfer)).model.reached
    late = shared_part.scopes(reached["late"])
    self.assertContainsSubset(
        {"tower/late/dense", "head/late", "trunk/dense",
         *(f"transfer/late/{name}"
           for name in ("information", "value", "key", "query"))}, late)
    self.assertEqual("tower/early/dense" in late, flows)
    self.assertNotIn("head/early", late)
    self.assertEqual(shared_part.scopes(reached["early"]),
                     {"trunk/dense", "tower/early/dense", "head/early"})

  def test_a_held_tower_is_held_for_what_is_taken_over(self):
    run = every_sharing.run(self._entry(""),
                            "model.stop_gradient=tower/early/dense")
    self.assertNotIn("tower/early/dense/kernel", run.model.reached["late"])

  def test_calibration_is_in_the_total_loss(self):
    run = every_sharing.run(self._entry("calibration_weight: 0.6"))
    for n in range(20):
      found = run.session.run(run.model.predictions, run.feed(run.rows(n)))
      early, late = (found[task]["probability"].astype(np.float64)
                     for task in ("early", "late"))
      report = run.run()
      self.assertAllClose(report.total - report.task_losses.sum(),
                          0.6 * np.maximum(late - early, 0).mean(), rtol=1e-3,
                          atol=1e-6)
    self.assertGreater(np.maximum(late - early, 0).mean(), 0.01)

  def test_without_a_weight_there_is_no_calibration(self):
    report = every_sharing.run(self._entry("")).run()
    self.assertAllClose(report.total, report.task_losses.sum())


if __name__ == "__main__":
  absltest.main()

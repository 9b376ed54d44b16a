"""Tests of batch normalization's moving statistics over steps of training."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import batches
from mtl_graph.model import gradient_cosines
from tests.model import resident_run

_ROWS = 22
_EXPERIMENT = """
name: "small" seed: 5
data { batch_size: 8 feature { name: "x" numeric { size: 3 } } }
model {
  hard_sharing { trunk {
    layer { batch_normalization { momentum: 0.8 epsilon: 0.01 } }
    layer { dense { units: 4 activation: TANH } }
  } }
  task { name: "a" binary {} label {}
         tower { layer { batch_normalization { scale: false } } } }
  task { name: "b" regression {} label {} }
}
training {
  num_steps: 10
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.02 } } }
}
"""
_SCOPE = "trunk/batch_normalization"
_KEPT = ("model.hard_sharing.trunk.layer[0].batch_normalization."
         "use_moving_statistics=true")
_changed = resident_run.changed


def _run(*overrides, weights=1, lacking=None):
  random = np.random.default_rng(0)
  return resident_run.ResidentRun(
      resident_run.parse(_EXPERIMENT, *overrides), batches.Batch(
          random.normal(3, 2, [_ROWS, 3]).astype(np.float32),
          np.zeros([_ROWS, 0], np.int32),
          random.integers(0, 2, [_ROWS, 2]).astype(np.float32),
          (np.ones([_ROWS, 2]) * weights).astype(np.float32)), lacking)


class MovingStatisticsTest(parameterized.TestCase, tf.test.TestCase):

  def _expected(self, run, steps):
    """Returns the moving mean and variance after some steps, in float64."""
    mean, variance = np.zeros(3), np.ones(3)
    for step in range(steps):
      rows = run.data.numbers[run.rows(step)].astype(np.float64)
      mean = 0.8 * mean + 0.2 * rows.mean(0)
      variance = 0.8 * variance + 0.2 * rows.var(0)
    return mean, variance

  def test_follow_every_batch_once(self):
    run = _run()
    for step in range(1, 6):
      values = run.train(1)
      mean, variance = self._expected(run, step)
      self.assertAllClose(values[f"{_SCOPE}/moving_mean"], mean, rtol=1e-5)
      self.assertAllClose(values[f"{_SCOPE}/moving_variance"], variance,
                          rtol=1e-5)

  def test_evaluation_uses_them_and_leaves_them(self):
    run = _run()
    values = run.train(3)
    run.evaluate(np.arange(_ROWS))
    self.assertEmpty(_changed(values, run.values()))
    found = run.session.run(run.model.predictions["b"]["value"],
                            run.feed(np.arange(_ROWS)))
    exact = run.data.numbers.astype(np.float64)
    normal = (exact - values[f"{_SCOPE}/moving_mean"]) / np.sqrt(
        values[f"{_SCOPE}/moving_variance"] + 0.01) * values[
            f"{_SCOPE}/gamma"] + values[f"{_SCOPE}/beta"]
    trunk = np.tanh(normal @ values["trunk/dense/kernel"]
                    + values["trunk/dense/bias"])
    self.assertAllClose(found, (trunk @ values["head/b/kernel"])[:, 0]
                        + values["head/b/bias"], rtol=1e-4, atol=1e-5)

  def test_a_row_is_evaluated_alike_in_whatever_company(self):
    run = _run()
    run.train(3)
    whole = run.session.run(run.model.row_losses, run.feed(np.arange(_ROWS)))
    alone = run.session.run(run.model.row_losses, run.feed([7]))
    self.assertAllClose(alone, whole[7:8], rtol=1e-5)

  def test_training_uses_the_batchs_own(self):
    # They may hold anything: the losses of a step are the same.
    run, other = _run(), _run()
    other.load({f"{_SCOPE}/moving_mean": np.full(3, 50.0)})
    self.assertAllEqual(run.run().task_losses, other.run().task_losses)

  def test_are_used_and_kept_in_training_where_asked_for(self):
    run = _run(_KEPT)
    run.load({f"{_SCOPE}/moving_mean": np.full(3, 3.0),
              f"{_SCOPE}/moving_variance": np.full(3, 4.0)})
    before = run.values()
    expected = run.evaluate(run.rows(0))
    # Task a has batch normalization in its tower, task b has none but this.
    self.assertAllClose(run.run().task_losses[1], expected[1], rtol=1e-5)
    changed = _changed(before, run.train(2))
    self.assertEmpty(resident_run.starting(changed, f"{_SCOPE}/moving"))
    self.assertContainsSubset(
        {f"{_SCOPE}/gamma", f"{_SCOPE}/beta",
         "tower/a/batch_normalization/moving_mean"}, changed)

  def test_follow_where_no_label_is_too(self):
    run = _run(weights=0, lacking=[True, True])
    before = run.values()
    changed = _changed(before, run.train(1))
    self.assertEqual(changed, {"global_step"} | {
        f"{scope}/moving_{name}" for name in ("mean", "variance")
        for scope in (_SCOPE, "tower/a/batch_normalization")})

  def test_measuring_cosines_leaves_them(self):
    run = _run()
    with run.model.graph.as_default():
      cosines = gradient_cosines.build(
          run.experiment, run.model, run.model.batch, tf.constant(0, tf.int64))
    before = run.values()
    found = run.session.run(cosines, run.feed(np.arange(8)))
    self.assertAllInRange(found["a", "b"], -1.000001, 1.000001)
    self.assertEmpty(_changed(before, run.values()))


if __name__ == "__main__":
  absltest.main()

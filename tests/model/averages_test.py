"""Tests of moving averages of the trainable variables."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import batches
from mtl_graph.model import averages
from mtl_graph.model import graphs
from tests.model import resident_run

_ROWS, _STEPS = 22, 20
_EXPERIMENT = """
name: "small" seed: 5
data {
  batch_size: 8
  feature { name: "x" numeric { size: 3 } }
  feature { name: "c" categorical { num_buckets: 5 embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } }
                         layer { batch_normalization {} } } }
  task { name: "a" binary {} label {} }
  task { name: "b" ordinal { num_classes: 3 } label {} }
}
training {
  num_steps: 20
  joint { loss { uncertainty {} } }
  default_optimizer { adam { learning_rate { constant: 0.05 } } }
}
"""
_AVERAGED = "training.moving_average.decay={}"


def _data(weights=1):
  random = np.random.default_rng(0)
  return batches.Batch(
      random.normal(size=[_ROWS, 3]).astype(np.float32),
      random.integers(0, 6, [_ROWS, 1]).astype(np.int32),
      random.integers(0, 2, [_ROWS, 2]).astype(np.float32),
      np.full([_ROWS, 2], weights, np.float32))


def _run(*overrides, **kwargs):
  return resident_run.ResidentRun(
      resident_run.parse(_EXPERIMENT, *overrides), _data(), **kwargs)


def _by_tensorflow(course, decay):
  """Returns what TensorFlow's average of a course of values comes to."""
  with tf.Graph().as_default(), tf.Session() as session:
    variable = tf.get_variable("v", initializer=course[0])
    step = tf.placeholder(tf.int64, [])
    average = tf.train.ExponentialMovingAverage(decay, num_updates=step)
    update = average.apply([variable])
    session.run(tf.global_variables_initializer())
    found = []
    for n, value in enumerate(course[1:]):
      variable.load(value, session)
      session.run(update, {step: n})
      found.append(session.run(average.average(variable)))
  return found


class AveragesTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(0.9, 0.05)
  def test_equal_tensorflows_own_to_the_bit(self, decay):
    run = _run(_AVERAGED.format(decay))
    course = [run.values()] + [run.train(1) for _ in range(_STEPS)]
    self.assertLen(run.model.averaged, 9)
    for average, variable in run.model.averaged:
      name = variable.op.name
      self.assertEqual(average.op.name, name + "/ExponentialMovingAverage")
      values = [values[name] for values in course]
      found = [values[average.op.name] for values in course]
      self.assertAllEqual(found[0], values[0])
      for expected, one in zip(_by_tensorflow(values, decay), found[1:]):
        self.assertAllEqual(one, expected)
      self.assertNotAllClose(found[-1], values[-1])

  def test_what_is_not_of_the_network_or_not_trained_has_none(self):
    names = [v.op.name for _, v in _run(_AVERAGED.format(0.9)).model.averaged]
    self.assertEqual(names, [
        "embedding/c/embeddings", "trunk/dense/kernel", "trunk/dense/bias",
        "trunk/batch_normalization/gamma", "trunk/batch_normalization/beta",
        "head/a/kernel", "head/a/bias", "head/b/kernel", "head/b/thresholds"])

  def test_change_nothing_in_training(self):
    plain = _run().train(5)
    values = _run(_AVERAGED.format(0.9)).train(5)
    self.assertEmpty(resident_run.changed(plain, values))

  def test_evaluation_reads_the_averages(self):
    run, plain = _run(_AVERAGED.format(0.9)), _run()
    rows = np.arange(_ROWS)
    values = run.train(5)
    plain.load(values)
    self.assertNotAllClose(run.evaluate(rows), plain.evaluate(rows))
    suffix = "/ExponentialMovingAverage"
    plain.load({name[:-len(suffix)]: value for name, value in values.items()
                if name.endswith(suffix)})
    self.assertAllEqual(run.evaluate(rows), plain.evaluate(rows))

  def test_a_step_reads_the_variables(self):
    run, plain = _run(_AVERAGED.format(0.9)), _run()
    plain.load(run.train(3))
    self.assertAllEqual(run.run().task_losses, plain.run().task_losses)

  def test_follow_groups_that_are_left_alone_too(self):
    # Neither task has a label: nothing moves, and averages come nearer.
    run = resident_run.ResidentRun(
        resident_run.parse(_EXPERIMENT, _AVERAGED.format(0.5)), _data(0),
        lacking=[True, True])
    before = run.values()
    kernel = "trunk/dense/kernel"
    average = averages.name_of(kernel)
    run.load({average: before[kernel] + 1})
    values = run.train(1)
    self.assertAllEqual(values[kernel], before[kernel])
    self.assertAllClose(values[average] - values[kernel],
                        np.full(values[kernel].shape, 0.1), rtol=1e-5)

  def test_start_anew(self):
    run = _run(_AVERAGED.format(0.9))
    run.train(3)
    some = run.model.averaged[:2]
    with run.model.graph.as_default():
      run.session.run(averages.start_anew(some))
    values = run.values()
    for i, (average, variable) in enumerate(run.model.averaged):
      equal = np.array_equal(values[average.op.name], values[variable.op.name])
      self.assertEqual(equal, i < 2, variable.op.name)

  def test_start_anew_of_nothing(self):
    with tf.Graph().as_default(), tf.Session() as session:
      self.assertIsNone(session.run(averages.start_anew([])))


class PairsTest(absltest.TestCase):

  def test_there_are_none_unless_asked_for(self):
    model = graphs.build(resident_run.parse(_EXPERIMENT))
    self.assertEqual(model.averaged, [])
    with model.graph.as_default():
      self.assertEqual(averages.pairs(), [])
      self.assertFalse([op.name for op in model.graph.get_operations()
                        if "Average" in op.name])


if __name__ == "__main__":
  absltest.main()

"""Tests of executing steps."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.model import train_step
from mtl_graph.protos import training_pb2
from mtl_graph.training import execution
from mtl_graph.training import schedule


def _message(mode):
  return training_pb2.Execution(
      mode=training_pb2.Execution.Mode.Value(mode))


class ExecutionTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(tf.Graph().as_default())
    self._counter = tf.get_variable("n", initializer=0.0)

  def _trace(self):
    """Adds a step whose report is (n, 1 / (4 - n)), n as it finds it."""
    before = tf.identity(self._counter.read_value())
    with tf.control_dependencies([before]):
      train_op = self._counter.assign_add(1.0, read_value=False)
    report = tf.stack([before, 1 / (4 - before)])
    return [train_step.Step(train_op, report, sizes=None, tasks_of_group={})]

  def _build(self, mode="SESSION"):
    start = execution.build(_message(mode), self._trace)
    self._session = self.enter_context(tf.Session())
    self._session.run(tf.global_variables_initializer())
    return start(schedule.Schedule.joint(0, 1000), self._session)

  def test_reports_every_step(self):
    built = self._build()
    ran = built.run(3, lambda steps: False)
    self.assertEqual([one.step for one in ran], [0, 0, 0])
    np.testing.assert_allclose([one.report for one in ran],
                               [[0, 1 / 4], [1, 1 / 3], [2, 1 / 2]])
    self.assertLen(built.run(1, lambda steps: False), 1)
    self.assertEqual(self._session.run(self._counter), 4)

  def test_leaves_when_asked_to_but_never_without_a_step(self):
    built = self._build()
    self.assertLen(built.run(5, lambda steps: True), 1)
    asked = []
    reports = built.run(5, lambda steps: asked.append(steps) or steps == 2)
    self.assertLen(reports, 2)
    self.assertEqual(asked, [1, 2])
    self.assertEqual(self._session.run(self._counter), 3)

  def test_leaves_at_the_first_report_that_is_not_finite(self):
    reports = np.array([one.report for one in self._build().run(
        100, lambda steps: False)])
    self.assertLen(reports, 5)
    self.assertTrue(np.isinf(reports[-1, 1]))
    self.assertTrue(np.isfinite(reports[:-1]).all())

  def test_the_schedule_says_which_step_comes_next(self):
    def trace():
      one, = self._trace()
      other = tf.get_variable("m", initializer=100.0)
      count = other.assign_add(1.0, read_value=False)
      with tf.control_dependencies([count]):
        report = tf.stack([other.read_value()])
      return [one, train_step.Step(count, report, None, {})]
    start = execution.build(_message("SESSION"), trace)
    session = self.enter_context(tf.Session())
    session.run(tf.global_variables_initializer())
    turns = schedule.Schedule(["a", "b"], [0, 1, 1], 2)
    built = start(turns, session)
    ran = built.run(2, lambda steps: False) + built.run(2, lambda steps: False)
    self.assertEqual([one.step for one in ran], [0, 1, 1, 0])
    self.assertEqual([one.report[0] for one in ran], [0, 101, 102, 1])
    self.assertEqual(turns.remaining(), 2)

  def test_a_step_is_traced_once(self):
    calls = []
    def trace():
      calls.append(1)
      return self._trace()
    start = execution.build(_message("AUTO"), trace)
    session = self.enter_context(tf.Session())
    session.run(tf.global_variables_initializer())
    count = len(tf.get_default_graph().get_operations())
    start(schedule.Schedule.joint(0, 9), session).run(3, lambda steps: False)
    self.assertLen(calls, 1)
    self.assertLen(tf.get_default_graph().get_operations(), count)

  def test_the_log_says_which(self):
    built = self._build()
    self.assertEqual(built.description, "SESSION")
    self.assertEqual(built.steps[0].tasks_of_group, {})

  def test_auto_says_what_it_took(self):
    self.assertStartsWith(self._build("AUTO").description, "SESSION (AUTO")

  def test_every_mode_is_built_or_refused(self):
    for mode in training_pb2.Execution.Mode.keys():
      if mode in ("AUTO", "SESSION"):
        self.assertTrue(callable(execution.build(_message(mode), self._trace)))
      else:
        with self.assertRaisesRegex(
            config.ConfigError, f"training.execution.mode: found {mode}; "
            "allowed: AUTO, SESSION"):
          execution.build(_message(mode), self.fail)


if __name__ == "__main__":
  absltest.main()

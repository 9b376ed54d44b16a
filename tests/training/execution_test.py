"""Tests of executing steps."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model import step_block
from mtl_graph.model import train_step
from mtl_graph.training import execution
from mtl_graph.training import hooks
from mtl_graph.training import schedule

_SIZE = 4
_SIZES = train_step.Report(1, 1, 0, 0, 0, 0, 0)


class _Rows:
  """An input of steps that read nothing."""

  def tensors(self, *unused):
    return []

  def arrays(self, *unused):
    return []


class _Asked(tf.train.SessionRunHook):
  """Notes what it sees, and asks for an end at a step."""

  def __init__(self, last=None):
    self.seen = []
    self._last = last

  def before_run(self, run_context):
    return tf.train.SessionRunArgs("n/read:0")

  def after_run(self, run_context, run_values):
    self.seen.append(run_context.session.run("n/read:0"))
    if self.seen[-1] == self._last:
      run_context.request_stop()


class ExecutionTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(tf.Graph().as_default())
    self._counter = tf.train.get_or_create_global_step()
    self._other = tf.get_variable("m", initializer=100.0)
    tf.identity(self._counter.read_value(), "n/read")

  def _step(self):
    """Adds a step whose report is (n, 1 / (9 - n)), n as it finds it."""
    before = tf.identity(self._counter.read_value())
    with tf.control_dependencies([before]):
      train_op = self._counter.assign_add(1, read_value=False)
    n = tf.cast(before, tf.float32)
    return train_step.Step(train_op, tf.stack([n, 1 / (9 - n)]), _SIZES, {})

  def _second_step(self):
    """Adds a step of another objective, whose report is shorter."""
    count = self._other.assign_add(1.0, read_value=False)
    with tf.control_dependencies([count]):
      report = tf.stack([self._other.read_value()])
    return train_step.Step(count, report,
                           train_step.Report(1, 0, 0, 0, 0, 0, 0), {})

  def _block(self, traces):
    """Makes a block in place of `step_block.build`, of a Python loop's ops."""
    count = tf.placeholder(tf.int32, [])
    turns = tf.placeholder(tf.int32, [_SIZE])
    steps = [None] * len(traces)

    def run(number):
      step = traces[number]()
      steps[number] = step
      with tf.control_dependencies([step.train_op]):
        return tf.pad(step.report, [[0, 2 - sum(step.sizes)]])

    def body(i, reports):
      report = run(0) if len(traces) == 1 else tf.switch_case(
          turns[i], [lambda: run(0), lambda: run(1)])
      with tf.control_dependencies([report]):
        return i + 1, reports.write(i, report)
    _, reports = tf.while_loop(
        lambda i, unused: i < count, body, [
            tf.constant(0), tf.TensorArray(
                tf.float32, _SIZE, element_shape=[2]).unstack(
                    tf.zeros([_SIZE, 2]))], parallel_iterations=1)
    return step_block.Block(steps, count, turns, reports.stack(), _SIZE)

  def _build(self, mode, traces=None, turns=None, with_hooks=()):
    traces = traces or [self._step]
    turns = turns or schedule.Schedule.joint(0, 1000)
    some = hooks.Hooks(with_hooks) if with_hooks else None
    if mode == "SESSION":
      traced = [trace() for trace in traces]
    else:
      traced = self._block(traces)
    if some:
      some.begin()
    self._session = self.enter_context(tf.Session())
    self._session.run(tf.global_variables_initializer())
    if some:
      some.start(self._session)
    if mode == "SESSION":
      return execution.SessionExecution(traced, turns, self._session, _Rows(),
                                        some)
    return execution.BlockExecution(traced, mode, turns, self._session, _Rows(),
                                    hooks=some)

  @parameterized.parameters("SESSION", "LOOP")
  def test_reports_every_step(self, mode):
    built = self._build(mode)
    self.assertEqual(built.mode, mode)
    ran = built.run(6, lambda steps: False)
    self.assertEqual([one.step for one in ran], [0] * 6)
    np.testing.assert_allclose([one.report for one in ran],
                               [[n, 1 / (9 - n)] for n in range(6)], rtol=1e-6)
    self.assertLen(built.run(1, lambda steps: False), 1)
    self.assertEqual(self._session.run(self._counter), 7)

  def test_leaves_when_asked_to_but_never_without_a_step(self):
    built = self._build("SESSION")
    self.assertLen(built.run(5, lambda steps: True), 1)
    asked = []
    reports = built.run(5, lambda steps: asked.append(steps) or steps == 2)
    self.assertLen(reports, 2)
    self.assertEqual(asked, [1, 2])
    self.assertEqual(self._session.run(self._counter), 3)

  def test_a_block_is_left_where_it_ends(self):
    built = self._build("LOOP")
    asked = []
    self.assertLen(built.run(9, lambda steps: asked.append(steps) or True),
                   1)
    asked.clear()
    self.assertLen(built.run(
        9, lambda steps: asked.append(steps) or steps == 6), 6)
    self.assertEqual(asked, [2, 6])
    self.assertEqual(self._session.run(self._counter), 7)

  @parameterized.parameters("SESSION", "LOOP")
  def test_leaves_at_the_first_report_that_is_not_finite(self, mode):
    reports = np.array([one.report for one in self._build(mode).run(
        100, lambda steps: False)])
    self.assertLen(reports, 10)
    self.assertTrue(np.isinf(reports[-1, 1]))
    self.assertTrue(np.isfinite(reports[:-1]).all())

  @parameterized.parameters("SESSION", "LOOP")
  def test_the_schedule_says_which_step_comes_next(self, mode):
    turns = schedule.Schedule(["a", "b"], [0, 1, 1], 3)
    built = self._build(mode, [self._step, self._second_step], turns)
    ran = built.run(2, lambda steps: False) + built.run(5, lambda steps: False)
    self.assertEqual([one.step for one in ran], [0, 1, 1, 0, 1, 1, 0])
    self.assertEqual([one.report[0] for one in ran],
                     [0, 101, 102, 1, 103, 104, 2])
    self.assertEqual([len(one.report) for one in ran], [2, 1, 1, 2, 1, 1, 2])
    self.assertEqual(turns.remaining(), 2)

  @parameterized.parameters("SESSION", "LOOP")
  def test_a_hook_sees_every_step_and_may_end_the_run(self, mode):
    hook = _Asked(last=6)
    built = self._build(mode, with_hooks=[hook])
    self.assertLen(built.run(20, lambda steps: False), 6)
    self.assertEqual(hook.seen, [1, 2, 3, 4, 5, 6])

  @parameterized.parameters("SESSION", "LOOP")
  def test_stops_at_the_step_that_tensorflows_hook_stops_at(self, mode):
    built = self._build(mode, with_hooks=[tf.train.StopAtStepHook(last_step=7)])
    calls = []
    self.assertLen(built.run(20, lambda steps: bool(calls.append(steps))), 7)
    self.assertEqual(self._session.run(self._counter), 7)
    self.assertEqual(calls, [1, 3, 6, 7] if mode == "LOOP" else
                     [1, 2, 3, 4, 5, 6, 7])

  def test_a_long_block_is_followed_by_shorter_ones(self):
    built = self._build("LOOP")
    self.enter_context(absltest.mock.patch.object(
        execution.time, "monotonic", side_effect=[0, 8, 8, 8.1, 8.1, 8.2, 9, 9]
    ))
    calls = []
    built.run(8, lambda steps: bool(calls.append(steps)))
    # A step took 8 s, so the next block is one again, and then twice as many.
    self.assertEqual(calls, [1, 2, 4, 8])


if __name__ == "__main__":
  absltest.main()

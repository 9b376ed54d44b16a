"""Tests of running SessionRunHooks; MonitoredSession is the reference."""

import glob
import tempfile
import threading

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model import train_step
from mtl_graph.training import execution
from mtl_graph.training import hooks as hooks_lib
from mtl_graph.training import schedule


def _build():
  """Adds a step: descent of (w - x)^2; its report is [loss, w before]."""
  step = tf.train.get_or_create_global_step()
  x = tf.placeholder_with_default(3.0, [], name="x")
  w = tf.get_variable("w", initializer=1.0)
  before = tf.identity(w.read_value(), name="w_now")
  tf.identity(step.read_value(), name="step_now")
  loss = tf.square(before - x, name="loss")
  gradient, = tf.gradients(loss, before)
  with tf.control_dependencies([gradient]):
    update = w.assign_sub(0.1 * gradient, read_value=False)
  with tf.control_dependencies([update]):
    train_op = step.assign_add(1, read_value=False)
  return train_step.Step(train_op, tf.stack([loss, before]), sizes=None,
                         tasks_of_group={})


def _reports(step, hooks, session, steps):
  """Runs steps; returns their reports, shape [K, R]."""
  built = execution.SessionExecution(
      [step], schedule.Schedule.joint(0, steps), session,
      absltest.mock.Mock(tensors=lambda *_: [], arrays=lambda *_: []), hooks)
  return np.stack([one.report for one in built.run(steps, lambda done: False)])


class _Recorder(tf.train.SessionRunHook):
  """Writes down what it is called with, and asks for what it is told to."""

  def __init__(self, name="", calls=None, fetches=None, feeds=None,
               options=None, stop_at=None):
    self.name = name
    self.calls = [] if calls is None else calls
    self._fetches = fetches
    self._feeds = feeds
    self._options = options
    self._stop_at = stop_at
    self._steps = 0

  def _note(self, event, *details):
    self.calls.append((self.name + event, *details))

  def begin(self):
    graph = tf.get_default_graph()
    self._note("begin", tf.train.get_global_step().graph is graph)

  def after_create_session(self, session, coord):
    self._note("session", session.run("w_now:0"), type(coord).__name__,
               tf.get_default_graph() is session.graph)

  def before_run(self, run_context):
    original = run_context.original_args
    self._note("before", [getattr(f, "name", f) for f in original.fetches],
               original.feed_dict, original.options,
               run_context.session.run("w_now:0"))
    if self._fetches is None and self._feeds is None and not self._options:
      return None
    graph = tf.get_default_graph()
    return tf.train.SessionRunArgs(self._fetches, {
        graph.get_tensor_by_name(name): value
        for name, value in (self._feeds or {}).items()}, self._options)

  def after_run(self, run_context, run_values):
    self._steps += 1
    self._note("after", run_values.results, run_values.options.trace_level,
               bool(run_values.run_metadata.step_stats.dev_stats),
               run_context.stop_requested)
    if self._steps == self._stop_at:
      run_context.request_stop()

  def end(self, session):
    self._note("end", session.run("w_now:0"))


_TRACE = tf.RunOptions(trace_level=tf.RunOptions.SOFTWARE_TRACE,
                       timeout_in_ms=70000)
_ASKS = {
    "nothing": {},
    "fetch": {"fetches": "loss:0"},
    "nested": {"fetches": {"a": ["loss:0", "x:0"], "b": "w_now:0"}},
    "feed": {"feeds": {"x:0": 5.0}},
    "fetch_and_feed": {"fetches": ["x:0"], "feeds": {"x:0": -1.0}},
    "trace": {"options": _TRACE, "fetches": "loss:0"},
    "stop": {"stop_at": 2},
}


class _TestCase(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(tf.Graph().as_default())
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _train(self, *hooks, steps=5, before=None):
    """Trains; returns the reports, the hooks, and the session, left open."""
    step = _build()
    hooks = hooks_lib.Hooks(hooks)
    hooks.begin()
    session = self.enter_context(tf.Session())
    session.run(tf.global_variables_initializer())
    if before is not None:
      before(session)
    hooks.start(session)
    return _reports(step, hooks, session, steps), hooks, session


class HooksTest(_TestCase):

  @parameterized.product(
      first=["nothing", "fetch", "nested", "feed", "trace", "stop"],
      second=["nothing", "fetch_and_feed", "trace"])
  def test_the_same_calls_as_in_a_monitored_session(self, first, second):
    if first == "feed" and second == "fetch_and_feed":
      self.skipTest("two feeds of one tensor")
    def recorders(calls):
      return [_Recorder("1 ", calls, **_ASKS[first]),
              _Recorder("2 ", calls, **_ASKS[second])]
    ours, theirs = [], []
    reports, hooks, _ = self._train(*recorders(ours))
    hooks.end()
    with tf.Graph().as_default():
      step = _build()
      expected = []
      with tf.train.MonitoredSession(hooks=recorders(theirs)) as session:
        while len(expected) < 5 and not session.should_stop():
          expected.append(session.run([step.report, step.train_op])[0])
    np.testing.assert_array_equal(reports, expected)
    self.assertEqual(ours, theirs)
    self.assertGreater(len(ours), 10)

  def test_without_hooks_a_step_is_one_prepared_call(self):
    calls = []
    self.enter_context(absltest.mock.patch.object(
        tf.Session, "run", lambda *unused: calls.append(1)))
    step = _build()
    session = self.enter_context(tf.Session())
    with absltest.mock.patch.object(
        session, "make_callable", return_value=lambda: [np.zeros(2)]) as made:
      reports = _reports(step, hooks_lib.Hooks(), session, 3)
    made.assert_called_once_with([step.report, step.train_op], [])
    self.assertLen(reports, 3)
    self.assertEmpty(calls)

  def test_no_hooks_add_nothing(self):
    _build()
    count = len(tf.get_default_graph().get_operations())
    hooks = hooks_lib.Hooks()
    hooks.begin()
    with tf.Session() as session, hooks:
      hooks.start(session)
      hooks.end()
    self.assertLen(tf.get_default_graph().get_operations(), count)
    self.assertEmpty(tf.get_collection(tf.GraphKeys.SAVERS))
    self.assertFalse(hooks)

  def test_hooks_that_only_look_change_no_bit(self):
    step = _build()
    session = self.enter_context(tf.Session())
    def weights(*hooks):
      session.run(tf.global_variables_initializer())
      hooks = hooks_lib.Hooks(hooks)
      hooks.begin()
      hooks.start(session)
      return _reports(step, hooks, session, 20).tobytes()
    looks = _Recorder(fetches=["loss:0", "w_now:0"])
    self.assertEqual(weights(looks), weights())

  def test_a_request_to_stop_ends_the_steps_behind_that_one(self):
    reports, hooks, session = self._train(_Recorder(), _Recorder(stop_at=3))
    self.assertLen(reports, 3)
    self.assertEqual(session.run("step_now:0"), 3)
    self.assertEqual(hooks.stopped_by, "_Recorder")
    class Impatient(tf.train.SessionRunHook):
      def before_run(self, run_context):
        run_context.request_stop()
    with tf.Graph().as_default():
      reports, hooks, _ = self._train(Impatient(), _Recorder())
    self.assertLen(reports, 1)
    self.assertEqual(hooks.stopped_by, "Impatient")

  def test_a_thread_may_ask_to_stop(self):
    class Thread(tf.train.SessionRunHook):
      def after_create_session(self, session, coord):
        self.ended = False
        def work():
          coord.wait_for_stop()
          self.ended = True
        thread = threading.Thread(target=work)
        thread.start()
        coord.register_thread(thread)
        self._coord = coord
      def after_run(self, run_context, run_values):
        self._coord.request_stop()
    thread = Thread()
    reports, hooks, _ = self._train(thread)
    self.assertLen(reports, 1)
    self.assertEqual(hooks.stopped_by, "Thread")
    hooks.__exit__()
    self.assertTrue(thread.ended)

  def test_what_a_thread_raises_is_raised(self):
    class Thread(tf.train.SessionRunHook):
      def after_create_session(self, session, coord):
        self._coord = coord
      def after_run(self, run_context, run_values):
        try:
          raise KeyError("of a thread")
        except KeyError as error:
          self._coord.request_stop(error)
    with self.assertRaisesRegex(KeyError, "of a thread"):
      self._train(Thread())

  @parameterized.parameters("begin", "after_create_session", "before_run",
                            "after_run")
  def test_what_a_hook_raises_goes_through(self, method):
    recorder = _Recorder()
    failing = tf.train.SessionRunHook()
    def fail(*unused):
      raise ZeroDivisionError(method)
    setattr(failing, method, fail)
    with self.assertRaisesRegex(ZeroDivisionError, method):
      self._train(recorder, failing)
    self.assertNotIn("end", [call[0] for call in recorder.calls])

  def test_two_feeds_of_one_tensor(self):
    with self.assertRaisesRegex(
        RuntimeError, "^hooks: found a feed of 'x:0' by _Recorder and by "
        "_Recorder; allowed: one$"):
      self._train(_Recorder(feeds={"x:0": 1.0}), _Recorder(feeds={"x:0": 1.0}))

  def test_what_is_no_hook(self):
    with self.assertRaisesRegex(TypeError, "^hooks: found 'stop'; allowed: "
                                "instances of tf.train.SessionRunHook"):
      hooks_lib.Hooks(["stop"])

  def test_variables_of_hooks_start_initialized(self):
    class Counter(tf.train.SessionRunHook):
      def begin(self):
        local = tf.get_variable("local", initializer=10, collections=[
            tf.GraphKeys.LOCAL_VARIABLES])
        self._add = [tf.get_variable(
            "global", initializer=0, trainable=False).assign_add(1),
                     local.assign_add(1)]
      def before_run(self, run_context):
        return tf.train.SessionRunArgs(self._add)
      def after_run(self, run_context, run_values):
        self.results = run_values.results
    counter = Counter()
    kept = tf.get_variable("rows", initializer=1, collections=[
        tf.GraphKeys.LOCAL_VARIABLES])
    _, _, session = self._train(
        counter, before=lambda session: session.run(kept.assign(7)))
    self.assertEqual(counter.results, [5, 15])
    # What was local before is not initialized again.
    self.assertEqual(session.run(kept), 7)

  def test_options_are_merged_as_tensorflow_merges_them(self):
    options = [
        tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE, timeout_in_ms=900,
                      report_tensor_allocations_upon_oom=True),
        tf.RunOptions(trace_level=tf.RunOptions.SOFTWARE_TRACE,
                      timeout_in_ms=100000, output_partition_graphs=True)]
    class Asks(_Recorder):
      def after_run(self, run_context, run_values):
        self.merged = run_values.options
    ours = [Asks(options=o) for o in options]
    self._train(*ours, steps=1)
    theirs = [Asks(options=o) for o in options]
    with tf.Graph().as_default():
      step = _build()
      with tf.train.MonitoredSession(hooks=theirs) as session:
        session.run([step.report, step.train_op])
    # TensorFlow leaves an empty message there.
    ours[0].merged.debug_options.SetInParent()
    self.assertEqual(ours[0].merged, theirs[0].merged)
    self.assertEqual(ours[0].merged.timeout_in_ms, 100000)
    self.assertEqual(ours[0].merged.trace_level, tf.RunOptions.FULL_TRACE)


class TensorFlowsHooksTest(_TestCase):
  """The hooks of TensorFlow itself."""

  def test_stop_at_step(self):
    reports, hooks, session = self._train(
        tf.train.StopAtStepHook(num_steps=3), steps=50,
        before=lambda session: session.run(
            tf.train.get_global_step().assign(40)))
    self.assertLen(reports, 3)
    self.assertEqual(hooks.stopped_by, "StopAtStepHook")
    self.assertEqual(session.run("step_now:0"), 43)

  def test_logging_tensor(self):
    with self.assertLogs("tensorflow", "INFO") as logs:
      reports, _, _ = self._train(tf.train.LoggingTensorHook(
          {"cost": "loss:0"}, every_n_iter=2))
    found = [line for line in logs.output if "cost = " in line]
    self.assertLen(found, 3)
    self.assertAlmostEqual(float(found[2].split("cost = ")[1].split()[0]),
                           float(reports[4, 0]), places=5)

  def test_nan_tensor(self):
    feed = _Recorder(feeds={"x:0": np.nan})
    reports, hooks, _ = self._train(
        tf.train.NanTensorHook("loss:0", fail_on_nan_loss=False), feed)
    self.assertLen(reports, 1)
    self.assertEqual(hooks.stopped_by, "NanTensorHook")
    with tf.Graph().as_default():
      with self.assertRaises(tf.train.NanLossDuringTrainingError):
        self._train(tf.train.NanTensorHook("loss:0"), feed)

  def test_final_ops(self):
    final = tf.train.FinalOpsHook({"w": "w_now:0", "step": "step_now:0"})
    _, hooks, session = self._train(final)
    self.assertIsNone(final.final_ops_values)
    hooks.end()
    self.assertEqual(final.final_ops_values,
                     {"w": session.run("w_now:0"), "step": 5})

  def test_checkpoint_saver(self):
    _, hooks, session = self._train(tf.train.CheckpointSaverHook(
        self._folder, save_steps=2))
    hooks.end()
    state = tf.train.get_checkpoint_state(self._folder)
    self.assertEqual([p.rpartition("-")[2]
                      for p in state.all_model_checkpoint_paths],
                     ["0", "2", "4", "5"])
    self.assertEqual(tf.train.load_variable(self._folder, "w"),
                     session.run("w_now:0"))

  def _scalars(self):
    """Returns the summaries written, by step."""
    return {event.step: value.simple_value
            for path in glob.glob(f"{self._folder}/events*")
            for event in tf.train.summary_iterator(path)
            for value in event.summary.value}

  def test_summary_saver(self):
    class Named(tf.train.SessionRunHook):
      def begin(self):
        loss = tf.get_default_graph().get_tensor_by_name("loss:0")
        tf.summary.scalar("cost", loss)
    reports, hooks, _ = self._train(Named(), tf.train.SummarySaverHook(
        save_steps=2, output_dir=self._folder, summary_op="cost:0"))
    hooks.end()
    costs = self._scalars()
    # When it next writes hangs on when, within a step, the step is read.
    self.assertEqual(costs, {step: reports[step - 1, 0] for step in costs})
    self.assertIn(1, costs)
    self.assertBetween(len(costs), 2, 3)

  def test_step_counter(self):
    _, hooks, _ = self._train(tf.train.StepCounterHook(
        every_n_steps=2, output_dir=self._folder))
    hooks.end()
    tf.summary.FileWriterCache.get(self._folder).flush()
    rates = self._scalars()
    self.assertEqual(list(rates), [3, 5])
    self.assertGreater(min(rates.values()), 0)

  def test_profiler(self):
    self._train(tf.train.ProfilerHook(save_steps=2, output_dir=self._folder))
    written = glob.glob(f"{self._folder}/timeline-*.json")
    self.assertBetween(len(written), 1, 2)
    with open(written[0], encoding="utf-8") as file:
      self.assertIn("AssignSubVariableOp", file.read())


if __name__ == "__main__":
  absltest.main()

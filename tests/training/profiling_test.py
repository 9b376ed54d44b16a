"""Tests of recording steps for TensorBoard's profiler."""

import collections
import glob
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from mtl_graph.model import train_step
from mtl_graph.training import execution
from mtl_graph.training import model_dir
from mtl_graph.training import profiling
from mtl_graph.training import schedule


class ProfilingTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(tf.Graph().as_default())
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self._lines = []

  def _execution(self, broken_at=None):
    """Returns an execution whose step reports (n, n), with n as it finds it."""
    counter = tf.get_variable("n", initializer=0.0)
    before = tf.identity(counter.read_value())
    with tf.control_dependencies([before]):
      train_op = tf.group(counter.assign_add(1.0, read_value=False),
                          name="count_steps")
    second = before if broken_at is None else tf.log(broken_at - before)
    step = train_step.Step(train_op, tf.stack([before, second]), None, {})
    self._session = self.enter_context(tf.Session())
    self._session.run(tf.global_variables_initializer())
    return execution.SessionExecution(
        [step], schedule.Schedule.joint(0, 1000), self._session,
        absltest.mock.Mock(tensors=lambda *_: [], arrays=lambda *_: []))

  def _profiled(self, steps, **kwargs):
    return profiling.ProfiledExecution(
        self._execution(**kwargs), self._folder, steps, self._lines.append)

  def _recorded(self):
    """Returns how often each event was recorded, by its name."""
    path, = glob.glob(f"{self._folder}/profile/plugins/profile/*/*.xplane.pb")
    with open(path, "rb") as file:
      space = xplane_pb2.XSpace.FromString(file.read())
    return collections.Counter(
        plane.event_metadata[event.metadata_id].name
        for plane in space.planes for line in plane.lines
        for event in line.events)

  @parameterized.named_parameters(
      ("in_one_go", [40], 20), ("in_pieces", [5, 4, 3, 20, 9], 20),
      ("exactly", [30], 20), ("border_at_the_first", [10, 20, 5], 20))
  def test_records_from_the_11th_step_to_the_30th(self, pieces, expected):
    with self._profiled(sum(pieces)) as profiled:
      reports = [one.report for steps in pieces
                 for one in profiled.run(steps, lambda done: False)]
    np.testing.assert_array_equal(np.array(reports)[:, 0],
                                  np.arange(sum(pieces)))
    recorded = self._recorded()
    self.assertEqual(recorded["AssignAddVariableOp:AssignAddVariableOp"],
                     expected)
    # The marks by which TensorBoard tells steps apart.
    self.assertEqual(recorded["train"], expected)
    line, = self._lines
    self.assertStartsWith(line, f"profile of 20 steps: {self._folder}/profile;")

  @parameterized.parameters((1, 1), (2, 2), (3, 2), (12, 8), (29, 20))
  def test_a_shorter_run_is_recorded_behind_its_first_third(self, steps,
                                                            expected):
    with self._profiled(steps) as profiled:
      profiled.run(steps, lambda done: False)
    self.assertEqual(self._recorded()["train"], expected)
    self.assertStartsWith(self._lines[0], f"profile of {expected} steps: ")

  def test_a_run_that_ends_before_it_says_so(self):
    with self._profiled(100) as profiled:
      profiled.run(8, lambda done: False)
    self.assertEqual(self._lines, ["profile: nothing recorded, as this process "
                                   "has run 8 steps"])
    self.assertEmpty(os.listdir(self._folder))

  def test_ends_the_recording_of_a_run_that_fails(self):
    with self.assertRaises(KeyError):
      with self._profiled(100) as profiled:
        profiled.run(15, lambda done: False)
        raise KeyError
    self.assertEqual(self._recorded()["train"], 5)

  @parameterized.named_parameters(
      ("before", 4, 4), ("at_the_border", 10, 10), ("within", 17, 17),
      ("behind", 33, 33))
  def test_leaves_when_asked_to(self, at, expected):
    asked = []
    with self._profiled(100) as profiled:
      reports = profiled.run(
          50, lambda done: asked.append(done) or done == at)
    self.assertLen(reports, expected)
    self.assertEqual(asked, list(range(1, expected + 1)))
    self.assertEqual(self._session.run("Identity:0"), expected)

  @parameterized.parameters(4, 10, 17, 33)
  def test_leaves_at_the_first_report_that_is_not_finite(self, at):
    with self._profiled(100, broken_at=float(at)) as profiled:
      reports = profiled.run(50, lambda done: False)
    self.assertLen(reports, at + 1)
    self.assertFalse(np.isfinite(reports[-1].report).all())

  def test_is_an_execution(self):
    inner = self._execution()
    profiled = profiling.ProfiledExecution(inner, self._folder, 9, print)
    self.assertIs(profiled.steps, inner.steps)
    self.assertEqual(profiled.mode, inner.mode)

  def test_another_profile_in_this_process(self):
    tf.compat.v2.profiler.experimental.start(self._folder)
    self.addCleanup(tf.compat.v2.profiler.experimental.stop, save=False)
    with self.assertRaisesRegex(
        profiling.ProfilingError, "^profile: this process is recording another "
        "one; allowed: one at a time$"):
      with self._profiled(3) as profiled:
        profiled.run(3, lambda done: False)

  def test_a_folder_that_cannot_be_written_to(self):
    with open(os.path.join(self._folder, "profile"), "w", encoding="utf-8"):
      pass
    with self.assertRaisesRegex(model_dir.ModelDirError,
                                "cannot be written to: .*not a directory"):
      with self._profiled(3) as profiled:
        profiled.run(3, lambda done: False)


if __name__ == "__main__":
  absltest.main()

"""Tests of choosing an execution, in whole runs."""

import pathlib
import re
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import api
from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.training import execution_choice
from tests.training import small_run

_MODES = ("SESSION", "LOOP", "XLA")


def _values(result):
  """Returns the bits of every variable of a run's checkpoint by name."""
  reader = tf.train.load_checkpoint(result.checkpoint)
  return {name: np.asarray(reader.get_tensor(name)).tobytes()
          for name in reader.get_variable_to_shape_map()
          if name != "run_state"}


class ExecutionChoiceTest(small_run.SmallRunTest):

  def _execution(self):
    """Returns what the log says of the execution."""
    return re.search("execution: (.*)", "\n".join(self.lines)).group(1)

  def _auto(self, seconds, *overrides):
    """Trains under AUTO, a step having taken so long by mode, or a default."""
    def timed(unused_choice, blocks, *unused):
      return {mode: seconds[mode] for mode in blocks}
    with absltest.mock.patch.object(execution_choice.Choice, "_time", timed):
      return self.train("training.execution.mode=AUTO", *overrides)

  @parameterized.parameters(*_MODES)
  def test_stops_and_goes_on_to_the_bit(self, mode):
    stated = f"training.execution.mode={mode}"
    blocks = "training.execution.steps_per_block=7"
    whole = _values(self.train(stated, blocks))
    self.assertStartsWith(self._execution(), mode)
    self.setUp()
    self.train(stated, blocks, "training.num_steps=9")
    self.assertEqual(_values(self.train(stated, blocks)), whole)

  def test_a_block_is_no_more_than_steps_together(self):
    found = {
        size: _values(self._fresh("training.execution.mode=LOOP",
                                  f"training.execution.steps_per_block={size}"))
        for size in (1, 6, 100)}
    self.assertEqual(found[6], found[1])
    self.assertEqual(found[100], found[1])

  def _fresh(self, *overrides):
    self.setUp()
    return self.train(*overrides)

  def test_auto_is_the_loop_where_the_run_is_short(self):
    self._auto({"LOOP": 0.001})
    self.assertEqual(self._execution(), "LOOP (AUTO: 1.00 ms a step; too short "
                     "a run to be worth compiling)")

  @parameterized.parameters((0.4, "XLA"), (0.97, "LOOP"), (2.0, "LOOP"))
  def test_auto_is_xla_where_that_is_faster_by_enough(self, compiled, wanted):
    self._auto({"LOOP": 1.0, "XLA": compiled})
    self.assertRegex(
        self._execution(), rf"{wanted} \(AUTO: 1000.00 ms a step in LOOP, "
        rf"{1000 * compiled:.2f} in XLA, compiled in [\d.]+ s\)")

  def test_what_is_tried_leaves_no_trace(self):
    stated = _values(self._fresh("training.execution.mode=LOOP"))
    with absltest.mock.patch.object(execution_choice, "_WORTH_COMPILING", 0.0):
      with absltest.mock.patch.object(execution_choice, "_FASTER", 0.0):
        self.assertEqual(_values(self._fresh("training.execution.mode=AUTO")),
                         stated)
    self.assertRegex(self._execution(), "LOOP .*ms a step in LOOP.* in XLA")

  def test_a_run_goes_on_as_it_began(self):
    first = self._auto({"LOOP": 2.0, "XLA": 0.4}, "training.num_steps=10")
    self.assertEqual(checkpoints.read_state(first.checkpoint)["execution"],
                     "XLA")
    del self.lines[:]
    self._auto({"LOOP": 0.0})
    self.assertRegex(self._execution(),
                     r"^XLA \(compiled in .* s; AUTO: as before\)$")

  def test_what_cannot_be_compiled_is_run_in_a_loop(self):
    expected = _values(self._fresh("training.execution.mode=LOOP"))
    error = tf.errors.InvalidArgumentError(
        None, None, "Graph execution error:\n\nDetected unsupported operations "
        "in w_3 on XLA_CPU_JIT: no kernel for X {{node x}}){{node x}}\nmore")
    with absltest.mock.patch.object(
        execution_choice.execution.BlockExecution, "compile",
        side_effect=error):
      found = _values(self._fresh("training.execution.mode=XLA"))
      self.assertEqual(self._execution(), "LOOP (XLA cannot: no kernel for X)")
      self.setUp()
      self._auto({"LOOP": 1.0})
      self.assertEqual(self._execution(), "LOOP (AUTO: 1000.00 ms a step; XLA "
                       "cannot: no kernel for X)")
    self.assertEqual(found, expected)

  def test_hooks_around_what_cannot_be_compiled_are_told(self):
    with absltest.mock.patch.object(
        execution_choice.execution.BlockExecution, "compile",
        side_effect=tf.errors.InvalidArgumentError(None, None, "no kernel")):
      with self.assertRaisesRegex(
          config.ConfigErrors, "training.execution.mode: XLA cannot compile the"
          " steps: no kernel; allowed: LOOP or SESSION, as hooks"):
        api.train(small_run.TEXT, small_run.ARRAYS, self.folder,
                  ["training.execution.mode=XLA"], log=self.lines.append,
                  hooks=[tf.train.SessionRunHook()])

  def test_only_what_auto_chose_is_kept(self):
    for overrides, hooks, kept in (
        (["training.execution.mode=SESSION", "training.num_steps=3"], [], None),
        (["training.num_steps=6"], [tf.train.SessionRunHook()], None),
        (["training.num_steps=9"], [], "LOOP")):
      result = api.train(small_run.TEXT, small_run.ARRAYS, self.folder,
                         overrides, hooks=hooks, log=self.lines.append)
      self.assertEqual(checkpoints.read_state(result.checkpoint)["execution"],
                       kept)

  def test_what_cannot_be_traced_is_run_in_a_loop(self):
    error = NotImplementedError("not under XLA")
    original = execution_choice.Choice.__init__
    def broken(choice, message, trace, *rest):
      def stubborn(mode):
        if mode == "XLA":
          raise error
        return trace(mode)
      original(choice, message, stubborn, *rest)
    with absltest.mock.patch.object(execution_choice.Choice, "__init__",
                                    broken):
      self.train("training.execution.mode=XLA")
    self.assertEqual(self._execution(), "LOOP (XLA cannot: not under XLA)")

  @parameterized.parameters("LOOP", "XLA")
  def test_hooks_see_every_step_of_a_block(self, mode):
    seen = []

    class Watch(tf.train.SessionRunHook):

      def before_run(self, run_context):
        return tf.train.SessionRunArgs("step/loss/total:0")

      def after_run(self, run_context, run_values):
        seen.append(float(run_values.results))

    def run(stated, *hooks):
      self.setUp()
      return api.train(
          small_run.TEXT, small_run.ARRAYS, self.folder,
          [f"training.execution.mode={stated}"], hooks=hooks,
          log=self.lines.append)
    result = run(mode, Watch())
    self.assertLen(seen, 20)
    self.assertStartsWith(self._execution(), mode)
    self.assertIn("within Watch", self._execution())
    self.assertEqual(_values(run(mode)), _values(result))
    blocks, seen = seen, []
    run("SESSION", Watch())
    np.testing.assert_allclose(seen, blocks, rtol=1e-5)

  @parameterized.parameters("SESSION", "LOOP")
  def test_a_hook_that_acts_every_so_many_steps_acts_at_them(self, mode):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    api.train(
        small_run.TEXT, small_run.ARRAYS, self.folder,
        [f"training.execution.mode={mode}"], log=self.lines.append,
        hooks=[tf.train.CheckpointSaverHook(folder, save_steps=6)])
    self.assertEqual(
        {path.name for path in pathlib.Path(folder).glob("*.index")},
        {f"model.ckpt-{step}.index" for step in (0, 6, 12, 18, 20)})

  def test_a_hook_that_stops_at_a_step_stops_there(self):
    result = api.train(
        small_run.TEXT, small_run.ARRAYS, self.folder,
        ["training.execution.mode=LOOP"],
        hooks=[tf.train.StopAtStepHook(last_step=13)], log=self.lines.append)
    self.assertEqual(result.step, 13)


if __name__ == "__main__":
  absltest.main()

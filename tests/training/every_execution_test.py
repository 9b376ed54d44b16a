"""Trains every example in every execution, from the same initial values."""

import contextlib
import pathlib
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import python_functions
from mtl_graph import vocabularies
from mtl_graph.checkpoints import sessions
from mtl_graph.data import batches
from mtl_graph.evaluation import evaluator
from mtl_graph.training import execution
from mtl_graph.training import hooks
from mtl_graph.training import preparation
from mtl_graph.training import rows
from mtl_graph.training import training_graph

ROOT = pathlib.Path(__file__).absolute().parent.parent.parent
EXAMPLES = sorted((ROOT / "protos" / "examples").glob("*.pbtxt"))
# Of LOOP, which is to equal SESSION to the bit; of XLA, which rounds otherwise.
_STEPS, _XLA_STEPS = 200, 20
_XLA_TOLERANCE, _SLOT_TOLERANCE = 1e-5, 1e-4


class Run:
  """A graph with the steps of a session in it."""

  def __init__(self, experiment, model_dir):
    parsed = rows.parse(vocabularies.in_line(experiment), model_dir,
                        log=lambda line: None)
    self.experiment = experiment = parsed.experiment
    self.split = split = parsed.splits["train"]
    epoch = preparation.rows_of_epoch(experiment, split.labels)
    self.graph = training_graph.build(
        experiment, split, parsed.statistics, epoch,
        preparation.plan(experiment, split), model_dir, hooks.Hooks(),
        "SESSION")
    self.session = sessions.open_session(self.graph.model.graph)
    sessions.initialize(self.session)
    found = rows.transform(parsed, evaluator.Evaluator(
        self.session, self.graph.model, experiment), self.session)
    self.graph.rows.load(
        self.session, batches.take(found.batches["train"], epoch),
        [0] * len(self.graph.objectives))
    self.start = self.graph.rows.position()
    with self.graph.model.graph.as_default():
      self.variables = {v.op.name: v for v in tf.global_variables()
                        if v.dtype.base_dtype != tf.string}
    self.initial = self.values()

  def values(self):
    return self.session.run(self.variables)

  def reset(self):
    # All at once: each run of its own would plan the whole graph anew.
    self.session.run(
        [v.initializer for v in self.variables.values()],
        {v.initializer.inputs[1]: self.initial[name]
         for name, v in self.variables.items()})

  def train(self, mode, steps):
    """Trains from the initial values; returns reports and all variables."""
    schedule = preparation.schedule(self.experiment, self.split, 0, steps)
    if mode == "SESSION":  # Which is traced already.
      runner, _ = self.graph.choice.start(schedule, self.session)
    else:
      with self.graph.model.graph.as_default():
        block = self.graph.trace(mode)
      runner = execution.BlockExecution(block, mode, schedule, self.session,
                                        self.graph.rows)
    with self.graph.model.graph.as_default():
      names = {v.op.name for v in tf.global_variables()
               if v.dtype.base_dtype != tf.string}
    self.reset()
    self.graph.rows.go_back(self.start)
    ran = runner.run(min(steps, schedule.remaining()), lambda done: False)
    return ran, self.values(), names


class EveryExecutionTest(parameterized.TestCase):

  @parameterized.named_parameters((path.stem, str(path)) for path in EXAMPLES)
  def test_loop_is_the_session_to_the_bit_and_xla_to_rounding(self, path):
    run = self._run(path)
    wanted, expected, names = run.train("SESSION", _STEPS)
    found, values, names_of_loop = run.train("LOOP", _STEPS)
    self.assertEqual(names_of_loop, names)
    self.assertLen(found, len(wanted))
    for one, other in zip(wanted, found):
      self.assertEqual(one.step, other.step)
      self.assertEqual(one.report.tobytes(), other.report.tobytes())
    self.assertTrue(any(expected[name].tobytes() != run.initial[name].tobytes()
                        for name in expected))
    for name in names:
      self.assertEqual(values[name].tobytes(), expected[name].tobytes(), name)
    self._check_xla(run)

  def _check_xla(self, run):
    _, expected, _ = run.train("SESSION", _XLA_STEPS)
    _, values, names = run.train("XLA", _XLA_STEPS)
    over = {}
    for name in names:
      norm = np.linalg.norm(np.float64(expected[name]))
      error = np.linalg.norm(np.float64(values[name]) - expected[name])
      # Moments of gradients that all but cancel have a norm of next to nothing.
      tolerance = (_SLOT_TOLERANCE if name.startswith("optimizer/")
                   else _XLA_TOLERANCE)
      if not error <= tolerance * norm:
        over[name] = error / max(norm, 1e-30)
    self.assertEmpty(over)

  def _run(self, path):
    """Builds an example's graph, with ELU for ReLU.

    For the sake of XLA: where the input of ReLU rounds to the other side of 0,
    which of some million inputs a few do, the gradients of a row differ as a
    whole.
    """
    self.enter_context(contextlib.chdir(ROOT))
    self.enter_context(python_functions.allowing(["protos.examples"]))
    text = pathlib.Path(path).read_text(encoding="utf-8")
    text = text.replace("activation: RELU", "activation: ELU")
    text = text.replace('"train.npz"', '"protos/examples/data/document.npz"')
    experiment = config.parse(text)
    experiment.training.execution.steps_per_block = 30
    experiment.training.ClearField("warm_start")
    if experiment.training.WhichOneof("mode") == "independent":
      experiment.training.num_rounds = _STEPS
    else:
      experiment.training.ClearField("num_epochs")
      experiment.training.num_steps = _STEPS
    return Run(experiment, self.enter_context(tempfile.TemporaryDirectory()))


if __name__ == "__main__":
  absltest.main()

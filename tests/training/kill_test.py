"""Tests that a run killed again and again ends as if never killed, to the bit.

The processes are real, as is SIGKILL: nothing can be tidied up before it.
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

import mtl_graph.train
from mtl_graph.checkpoints import checkpoints

_STEPS = 400
_TEXT = """
name: "killed" seed: 5
data {{
  train {{ npz {{ path: "{0}/train.npz" }} weight_column: "weight" }}
  validation {{ npz {{ path: "{0}/validation.npz" }} }}
  batch_size: 64
  feature {{ name: "x" numeric {{ size: 3 normalization: Z_SCORE
                                  missing_value: 0 }} }}
  # Large enough that a checkpoint takes a while to write.
  feature {{ name: "id" categorical {{ num_buckets: 40000
                                       embedding_dimension: 8 }} }}
  feature {{ name: "city" categorical {{ hash_buckets: 50
                                         embedding_dimension: 4 }} }}
}}
model {{
  hard_sharing {{ trunk {{
    layer {{ dense {{ units: 16 activation: RELU }} }}
    layer {{ dropout {{ rate: 0.3 }} }}
  }} }}
  task {{ name: "rare" binary {{}}
          tower {{ layer {{ dense {{ units: 8 activation: TANH }} }}
                   layer {{ dropout {{ rate: 0.1 }} }} }} }}
  task {{ name: "amount" label {{ log1p: true }} regression {{ loss: HUBER }}
          estimate {{ task: "rare" form: PROBABILITY }} }}
  task {{ name: "kind" multiclass {{ vocabulary: ["a", "b", "c"] }} }}
}}
training {{
  num_steps: {1}
  joint {{ loss {{ uncertainty {{}} }} }}
  default_optimizer {{ adam {{ learning_rate {{ exponential_decay {{
    initial: 0.01 decay_steps: 100 decay_rate: 0.5 }} }} }} }}
  checkpoint {{ every_steps: 20 keep: 2 }}
  log_every_steps: 10
}}
evaluation {{
  every_steps: 50
  best {{ metric: "amount/rmse" goal: MINIMIZE }}
  early_stopping {{ metric: "kind/loss" goal: MINIMIZE patience: 99 }}
}}
"""


def _rows(seed, count):
  rng = np.random.default_rng(seed)
  x = rng.normal(size=[count, 3])
  return {
      "x": np.where(rng.random([count, 3]) < 0.1, np.nan, x),
      "id": rng.integers(0, 40000, count),
      "city": rng.choice(["oslo", "bern", "rome", ""], count),
      # Few enough labels that some batches have none.
      "rare": np.where(rng.random(count) < 0.97, np.nan, x[:, 0] > 0),
      "amount": np.where(rng.random(count) < 0.4, np.nan, np.exp(x[:, 1])),
      "kind": rng.choice(["a", "b", "c", ""], count),
      "weight": rng.integers(1, 4, count).astype(float),
  }


class KillTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    for name, seed, count in (("train", 0, 3000), ("validation", 1, 500)):
      np.savez(os.path.join(self._folder, name + ".npz"), **_rows(seed, count))
    self._config = os.path.join(self._folder, "killed.pbtxt")
    with open(self._config, "w", encoding="utf-8") as file:
      file.write(_TEXT.format(self._folder, _STEPS))

  def _start(self, model_dir):
    """Starts the launcher as a user does."""
    path = os.pathsep.join(os.path.abspath(p or ".") for p in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-m", mtl_graph.train.__name__, "--config",
         self._config, "--model_dir", model_dir],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": path})
    self.addCleanup(process.stdout.close)
    self.addCleanup(process.wait)
    self.addCleanup(process.kill)
    return process

  def _finish(self, process):
    output = process.stdout.read()
    self.assertEqual(process.wait(), 0, output)
    return output

  def _wait_for_step(self, process, step):
    """Reads the log up to the first line at or beyond a step."""
    for line in process.stdout:
      match = re.match(r"step (\d+)/", line)
      if match and int(match.group(1)) >= step:
        return
    self.fail(f"The run ended before step {step}.")

  def _wait_for_write(self, model_dir):
    """Waits until a checkpoint is being written."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
      if any("tempstate" in name for name in os.listdir(model_dir)):
        return
    self.fail("No checkpoint was written.")

  def _values(self, model_dir):
    """Returns every variable of the last checkpoint, as bytes, by name."""
    reader = tf.train.load_checkpoint(checkpoints.latest(model_dir))
    return {name: np.asarray(reader.get_tensor(name)).tobytes()
            for name in reader.get_variable_to_shape_map()}

  def test_killed_at_random_moments(self):
    whole = os.path.join(self._folder, "whole")
    killed = os.path.join(self._folder, "killed")
    uninterrupted = self._start(whole)
    self._finish(uninterrupted)

    rng = random.Random(11)
    fifth = _STEPS // 5
    for kill in range(5):
      process = self._start(killed)
      self._wait_for_step(process, rng.randrange(kill * fifth + 1,
                                                 (kill + 1) * fifth - 20))
      if kill in (1, 3):
        self._wait_for_write(killed)
      else:
        time.sleep(rng.uniform(0, 0.05))
      process.send_signal(signal.SIGKILL)
      self.assertEqual(process.wait(), -signal.SIGKILL)
      step = checkpoints.step_of(checkpoints.newest(killed) or "-0")
      self.assertLess(step, _STEPS)
    output = self._finish(self._start(killed))
    self.assertIn(f"going on from step {step}\n", output)

    expected, found = self._values(whole), self._values(killed)
    self.assertContainsSubset(
        ["global_step", "run_state", "log_variance/rare",
         "optimizer/shared/embedding/id/embeddings/Adam_1"], expected)
    self.assertEqual([name for name in expected.keys() | found.keys()
                      if expected.get(name) != found.get(name)], [])
    self.assertEqual(
        os.path.basename(checkpoints.choose(whole, "best")),
        os.path.basename(checkpoints.choose(killed, "best")))
    # What the killed writes had begun is gone.
    self.assertEqual([name for name in os.listdir(killed)
                      if "tempstate" in name], [])


if __name__ == "__main__":
  absltest.main()

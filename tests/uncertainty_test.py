"""Learned uncertainty comes to the noise there is in the labels."""

import math
import tempfile

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import api

# Every batch is all 100 rows, and the rates fall: what is left at the end is
# the optimum itself.
EXPERIMENT = """
  name: "uncertainty" seed: 1
  data { batch_size: 100 feature { name: "x" numeric {} } }
  model {
    hard_sharing {}
    task { name: "first" regression {} }
    %s
  }
  training {
    num_steps: 5000
    joint { loss { uncertainty {} } }
    group { name: "heads" scope: "head"
            optimizer { adam { learning_rate { exponential_decay {
              initial: 0.1 decay_steps: 1000 decay_rate: 0.4 } } } } }
    group { name: "uncertainty" scope: "log_variance"
            optimizer { adam { learning_rate { exponential_decay {
              initial: 0.1 decay_steps: 1000 decay_rate: 0.4 } } } } }
    log_every_steps: 1000
    summaries { enabled: false }
  }
"""


def train(second, arrays):
  """Returns the log variances learned, and metrics on the training rows."""
  with tempfile.TemporaryDirectory() as model_dir:
    result = api.train(EXPERIMENT % second,
                       {"train": arrays, "validation": arrays}, model_dir,
                       log=lambda line: None)
    reader = tf.train.load_checkpoint(result.checkpoint)
    return ({task: float(reader.get_tensor(f"log_variance/{task}"))
             for task in result.metrics["validation"]},
            result.metrics["validation"])


class UncertaintyTest(absltest.TestCase):

  def test_two_regressions_learn_the_standard_deviation_of_their_noise(self):
    random = np.random.RandomState(0)
    x = random.uniform(-1, 1, 100)
    learned, metrics = train('task { name: "second" regression {} }', {
        "x": x, "first": 2 * x + 8 + random.normal(0, 10, 100),
        "second": 3 * x + 3 + random.normal(0, 1, 100)})
    for task, noise in (("first", 10), ("second", 1)):
      sigma = math.exp(learned[task] / 2)
      rmse = metrics[task]["rmse"]
      self.assertAlmostEqual(sigma / rmse, 1, delta=0.02)
      # The fit is the least-squares line: its RMSE is the noise of the sample.
      self.assertAlmostEqual(rmse / noise, 1, delta=0.2)

  def test_regression_and_classification_end_at_their_optima(self):
    random = np.random.RandomState(0)
    x = random.uniform(-1, 1, 100)
    learned, metrics = train('task { name: "second" binary {} }', {
        "x": x, "first": 2 * x + 8 + random.normal(0, 10, 100),
        "second": (3 * x + random.normal(0, 1, 100) > 0).astype(float)})
    expected = {"first": math.log(metrics["first"]["loss"]),
                "second": math.log(2 * metrics["second"]["loss"])}
    for task, optimum in expected.items():
      self.assertAlmostEqual(learned[task] / optimum, 1, delta=0.02)


if __name__ == "__main__":
  absltest.main()

"""Tests of the names under which hooks find what a step measures."""

from absl.testing import absltest
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model import train_step
from mtl_graph.training import hooks as hooks_lib


class NameReportTest(absltest.TestCase):

  def test_names(self):
    report = np.arange(1, 14, dtype=np.float32)
    sizes = train_step.Report(2, 2, 2, 3, 3, 1)
    names = {"loss/a": 1, "loss/b": 2, "task_weight/a": 5, "task_weight/b": 6,
             "gradient_norm/shared": 7, "gradient_norm/b": 9,
             "learning_rate/a": 11, "learning_rate/b": 12, "loss/total": 13}
    with tf.Graph().as_default(), tf.Session() as session:
      tf.constant(0, name="step/other")
      step = train_step.Step(None, tf.constant(report), sizes,
                             dict.fromkeys(["shared", "a", "b"]), ["a", "b"])
      hooks_lib.name_report(step)
      hooks_lib.name_report(step, "step/a")
      for name, expected in names.items():
        self.assertEqual(session.run(f"step/{name}:0"), expected, name)
        self.assertEqual(session.run(f"step/a/{name}:0"), expected, name)


if __name__ == "__main__":
  absltest.main()

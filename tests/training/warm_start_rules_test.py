"""Tests of starting from the checkpoint of another project, by rules."""

import glob
import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from tests.training import warm_runs
from tools import rename_checkpoint

_EXPERIMENT = """
name: "ported" seed: 3
data {
  batch_size: 30
  feature { name: "x" numeric { normalization: NONE } }
  feature { name: "z" numeric { normalization: NONE } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" binary {} }
  task { name: "b" regression {} }
}
training {
  num_steps: 20
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.05 } } }
  execution { mode: SESSION }
  log_every_steps: 1
}
"""
_RULES = (r"preset: SLIM_TO_LAYERS rule { regex: '^resnet/' replacement: 'trunk"
          r"/' } rule { regex: '^logits_(\\w)/' replacement: 'head/\\1/' }")


def rows():
  random = np.random.default_rng(0)
  x, z = random.normal(size=(2, 30)).astype(np.float32)
  return {"x": x, "z": z, "a": (x > z).astype(int), "b": 2 * x - z}


def script(num_optimizers):
  """The script of old: slim's names, its Adam as it comes."""
  data = rows()
  h = tf.constant(np.stack([data["x"], data["z"]], 1))
  for scope, width in (("resnet/fully_connected", 4), ("logits_a", 1),
                       ("logits_b", 1)):
    with tf.variable_scope(scope):
      initializer = tf.random_normal_initializer(seed=5)
      weights = tf.get_variable("weights", [h.shape[1], width],
                                initializer=initializer)
      biases = tf.get_variable("biases", [width], initializer=initializer)
    out = tf.matmul(h, weights) + biases
    if width == 4:
      h = tf.tanh(out)
    elif scope == "logits_a":
      loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(
          labels=tf.constant(data["a"][:, None], tf.float32), logits=out))
    else:
      loss += tf.reduce_mean(tf.square(out[:, 0] - data["b"]))
  variables = tf.trainable_variables()
  length = len(variables) // num_optimizers
  pairs = list(zip(tf.gradients(loss, variables), variables))
  with tf.control_dependencies([gradient for gradient, _ in pairs]):
    return loss, tf.group(*(
        tf.train.AdamOptimizer(0.05).apply_gradients(pairs[i:i + length])
        for i in range(0, len(pairs), length)))


def at_start(*overrides):
  return warm_runs.at_start(*overrides, text=_EXPERIMENT, rows=rows())


class RulesTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._paths, cls._losses = {}, {}
    for number in (1, 3):
      with tf.Graph().as_default(), tf.Session() as session:
        loss, train_op = script(number)
        session.run(tf.global_variables_initializer())
        for _ in range(10):
          session.run(train_op)
        folder = os.path.join(cls._folder, f"{number}")
        os.makedirs(folder)
        cls._paths[number] = tf.train.Saver().save(
            session, os.path.join(folder, "model.ckpt"))
        cls._losses[number] = [session.run([loss, train_op])[0]
                               for _ in range(20)]
    cls._values = warm_runs.values(cls._paths[1])

  def _saved(self, values):
    """Returns the path of a checkpoint with these values."""
    folder = tempfile.TemporaryDirectory(dir=self._folder)
    self.addCleanup(folder.cleanup)
    with tf.Graph().as_default(), tf.Session() as session:
      for name, value in values.items():
        tf.get_variable(name, initializer=value)
      session.run(tf.global_variables_initializer())
      return tf.train.Saver().save(session, os.path.join(folder.name, "model"))

  def _trained(self, start):
    """Returns the losses of a run's steps."""
    with tempfile.TemporaryDirectory() as folder:
      warm_runs.train(folder, start, "training.summaries.enabled=true",
                      text=_EXPERIMENT, rows=rows())
      path, = glob.glob(os.path.join(folder, "**", "events.*"),
                        recursive=True)
      return [value.simple_value for event in tf.train.summary_iterator(path)
              for value in event.summary.value if value.tag == "loss/total"]

  @parameterized.parameters(1, 3)
  def test_training_goes_on_as_the_script_would_have(self, number):
    """Slots and powers come along, of one Adam and of one per list."""
    found = self._trained(warm_runs.start_from(
        self._paths[number], more=_RULES + " optimizer_state: true missing: "
        "ERROR shape_mismatch: ERROR"))
    np.testing.assert_allclose(found, self._losses[number], atol=1e-5, rtol=0)

  def test_without_the_slots_it_does_not(self):
    found = self._trained(warm_runs.start_from(self._paths[1], more=_RULES))
    self.assertAlmostEqual(found[0], self._losses[1][0], places=6)
    self.assertGreater(np.abs(found - np.array(self._losses[1])).max(), 1e-3)

  def test_groups_without_slots_count_their_steps_anew(self):
    found, _, _ = at_start(warm_runs.start_from(
        self._paths[1], more=_RULES + " optimizer_state: true scope: 'trunk'"))
    powers = {group: found[f"optimizer/{group}/beta1_power"]
              for group in ("shared", "a", "b")}
    self.assertEqual(powers["shared"], self._values["beta1_power"])
    self.assertEqual(powers["a"], np.float32(0.9))
    self.assertEqual(powers["b"], np.float32(0.9))

  def test_so_it_does_from_what_one_command_renamed(self):
    path = os.path.join(self._folder, "renamed", "model.ckpt")
    self.assertEqual(rename_checkpoint.main([
        "rename_checkpoint.py", self._paths[1], f"--output={path}",
        "--preset=slim_to_layers", "--rule=^resnet/=>trunk/",
        r"--rule=^logits_(\w)/=>head/\1/", "--group=shared:trunk",
        "--group=a:head/a", "--group=b:head/b"]), 0)
    found = self._trained(warm_runs.start_from(
        os.path.dirname(path), more="optimizer_state: true missing: ERROR"))
    np.testing.assert_allclose(found, self._losses[1], atol=1e-5, rtol=0)

  def test_the_report(self):
    values = {name: value for name, value in self._values.items()
              if "/" in name and "Adam" not in name}
    values["resnet/fully_connected/weights"] = np.ones([3, 4], np.float32)
    values["logits_c/weights"] = np.ones([4, 1], np.float32)
    del values["logits_b/biases"]
    path = self._saved(values)
    found, _, lines = at_start(warm_runs.start_from(path, more=_RULES))
    first = lines.index(f"starting from {path}; not in it: head/b/bias, "
                        "trunk/dense/kernel")
    self.assertEqual(lines[first + 1:first + 7], [
        "  it is of another project: rows of embeddings and classes count as "
        "those of this experiment's vocabularies; inputs are normalized by "
        "these rows",
        "  restored: 4 variables; under another name: trunk/dense/bias from "
        "resnet/fully_connected/biases, head/a/kernel from logits_a/weights, "
        "head/a/bias from logits_a/biases, head/b/kernel from logits_b/weights",
        "  skipped: trunk/dense/kernel ([3, 4] there, [2, 4] here)",
        "  missing: head/b/bias", "  unused: logits_c/weights",
        "  initialized: trunk/dense/kernel, head/b/bias"])
    np.testing.assert_array_equal(found["head/a/kernel"],
                                  values["logits_a/weights"])

  def test_slices(self):
    values = {"trunk/dense/kernel": np.full([3, 2], 9, np.float32),
              "trunk/dense/bias": np.full([4], 7, np.float32)}
    start = warm_runs.start_from(self._saved(values),
                                 more="shape_mismatch: SLICE")
    found, _, lines = at_start(start)
    cold = at_start()[0]["trunk/dense/kernel"]
    np.testing.assert_array_equal(
        found["trunk/dense/kernel"],
        np.concatenate([np.full([2, 2], 9), cold[:, 2:]], 1))
    self.assertIn("  sliced: trunk/dense/kernel ([3, 2] there, [2, 4] here)",
                  lines)

  def test_parts_and_averages(self):
    kernel = np.arange(8, dtype=np.float32).reshape([2, 4])
    averages = "/ExponentialMovingAverage"
    path = self._saved({
        "trunk/dense/kernel/part_0": kernel[:, :3],
        "trunk/dense/kernel/part_1": kernel[:, 3:],
        "trunk/dense/bias": np.zeros([4], np.float32),
        "trunk/dense/bias" + averages: np.ones([4], np.float32),
        "head/a/bias": np.ones([1], np.float32)})
    found, _, lines = at_start(warm_runs.start_from(
        path, more="preset: [MERGE_PARTITIONS, AVERAGES_TO_VARIABLES] "
        "drop: '^head/'"))
    np.testing.assert_array_equal(found["trunk/dense/kernel"], kernel)
    np.testing.assert_array_equal(found["trunk/dense/bias"], np.ones([4]))
    np.testing.assert_array_equal(found["head/a/bias"], np.zeros([1]))
    self.assertIn("  restored: 2 variables; under another name: trunk/dense/"
                  "kernel from 2 parts", " ".join(lines))

  def test_a_warning_names_the_nearest(self):
    path = self._saved({"trunk/dense/kernel": np.ones([2, 4], np.float32),
                        "trunk/dense/bia": np.ones([4], np.float32)})
    _, _, lines = at_start(warm_runs.start_from(
        path, more="missing: WARN scope: 'trunk'"))
    self.assertIn(f"warning: training.warm_start[0]: {path} lacks trunk/dense/"
                  "bias; nearest: 'trunk/dense/bia'; it starts from its initial"
                  " value", lines)

  @parameterized.named_parameters(
      ("missing", "missing: ERROR", r"\.missing: found ERROR, where \S+ lacks "
       r"trunk/dense/kernel, .*; allowed: a checkpoint with all of them, "),
      ("slots", _RULES + " missing: ERROR optimizer_state: true drop: "
       "'Adam_1$'", r"\.missing: found ERROR, where \S+ lacks "
       "optimizer/shared/trunk/dense/kernel/Adam_1"),
      ("rule", "rule { regex: 'net2' }", r"\.rule\[0\]\.regex: found 'net2', "
       "which matches no variable; allowed: a regular expression that does"),
      ("ignored", "ignore: 'net2'", r"\.ignore\[0\]: found 'net2', which "),
      ("dropped", "drop: ['net', 'net2']", r"\.drop\[1\]: found 'net2', wh"),
      ("averages", "preset: [KERNEL_BIAS, AVERAGES_TO_VARIABLES]",
       r"\.preset\[1\]: found no moving average; allowed: "),
      ("two_of_one_name", "rule { regex: 'weights|biases' replacement: 'v' }",
       r": \S+: '\S+' would be the new name of .* allowed: one variable per"),
      ("nothing", "rule { regex: '^res' replacement: 'dis' }",
       r": \S+ has none of the variables wanted, such as trunk/dense/kernel"),
  )
  def test_refused(self, more, message):
    with self.assertRaisesRegex(checkpoints.CheckpointError,
                                r"\Atraining\.warm_start\[0\]" + message) as at:
      at_start(warm_runs.start_from(self._paths[1], more=more))
    self.assertNotIn("\n", str(at.exception))

  @parameterized.named_parameters(
      ("shape", "shape_mismatch: ERROR", r"found ERROR, where \S+ has other "
       r"shapes: trunk/dense/kernel \(\[8\] there, \[2, 4\] here\); allowed: "
       "the same, SKIP or SLICE"),
      ("rank", "shape_mismatch: SLICE", r"found SLICE, where \S+ has other "
       r"shapes: .*; allowed: as many dimensions, or SKIP"),
  )
  def test_shapes_refused(self, more, message):
    path = self._saved({"trunk/dense/kernel": np.ones([8], np.float32),
                        "trunk/dense/bias": np.ones([4], np.float32)})
    with self.assertRaisesRegex(
        checkpoints.CheckpointError,
        r"\Atraining\.warm_start\[0\]\.shape_mismatch: " + message):
      at_start(warm_runs.start_from(path, more=more))

  def test_what_an_experiment_may_say(self):
    with self.assertRaises(config.ConfigErrors) as at:
      at_start(warm_runs.start_from(
          "x", more="rule [{}, { regex: '(' }, { regex: 'a' replacement: "
          r"'\\1' }] ignore: '[' drop: '' preset: [KERNEL_BIAS, KERNEL_BIAS]"))
    where = "training.warm_start[0]."
    self.assertEqual(str(at.exception).split("\n"), [
        where + "rule[0].regex: found nothing; required",
        where + "rule[1].regex: found '(', of which missing ), unterminated "
        "subpattern at position 0; allowed: a regular expression",
        where + r"rule[2].replacement: found '\1', of which invalid group "
        r"reference 1 at position 1; allowed: text, with \1 and so on for the "
        "groups of the regex",
        where + "ignore[0]: found '[', of which unterminated character set at "
        "position 0; allowed: a regular expression",
        where + "drop[0]: found nothing; required",
        where + "preset[1]: found KERNEL_BIAS a second time; allowed: each "
        "once"])


if __name__ == "__main__":
  absltest.main()

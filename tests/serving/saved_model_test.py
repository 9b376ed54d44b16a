"""Tests of exporting a checkpoint as a SavedModel."""

import os
import subprocess
import sys
import tempfile
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.data import splits
from mtl_graph.evaluation import saved_run
from mtl_graph.serving import predictor
from mtl_graph.serving import saved_model
from mtl_graph.serving import versions
from mtl_graph.training import loop

_TEXT = """
name: "small" seed: 3
data {{
  train {{ npz {{ path: "{0}/train.npz" }} }}
  validation {{ npz {{ path: "{0}/validation.npz" }} }}
  batch_size: 8
  feature {{ name: "x" numeric {{ normalization: Z_SCORE missing_value: -1 }} }}
  feature {{ name: "pair" numeric {{ size: 2 }} }}
  feature {{ name: "amount" column: "Amount"
             numeric {{ normalization: LOG1P missing_value: 2 }} }}
  feature {{ name: "hour"
             categorical {{ num_buckets: 24 embedding_dimension: 2 }} }}
  feature {{ name: "city"
             categorical {{ vocabulary: ["oslo", "bern"]
                            embedding_dimension: 2 }} }}
  feature {{ name: "dest"
             categorical {{ hash_buckets: 9 embedding_dimension: 2 }} }}
}}
model {{
  hard_sharing {{ trunk {{ layer {{ dense {{ units: 6 activation: TANH }} }}
                           layer {{ dropout {{ rate: 0.5 }} }} }} }}
  task {{ name: "late" binary {{}} }}
  task {{ name: "delay" label {{ log1p: true scale: 0.5 }} regression {{}}
          estimate {{ task: "late" form: PROBABILITY }} }}
  task {{ name: "kind" multiclass {{ vocabulary: ["a", "b", "c"] }} }}
}}
training {{
  num_steps: 100
  joint {{ loss {{ uncertainty {{}} }} }}
  default_optimizer {{ adam {{ learning_rate {{ constant: 0.05 }} }} }}
  summaries {{ enabled: false }}
}}
"""
_OUTPUTS = {
    "late/probability": [-1], "late/logit": [-1], "delay/value": [-1],
    "kind/probabilities": [-1, 3], "kind/logits": [-1, 3], "kind/class": [-1],
}
# Loads an export in eager mode, as TensorFlow 2's own users do.
_EAGER = """
import sys
import numpy as np
import tensorflow as tf
path, rows, answers = sys.argv[1:]
serve = tf.saved_model.load(path).signatures["serving_default"]
raw = np.load(rows)
inputs = {name: tf.constant(raw[name].tolist(), spec.dtype) for name, spec
          in serve.structured_input_signature[1].items()}
np.savez(answers, **{k.replace("/", "__"): v.numpy()
                     for k, v in serve(**inputs).items()})
"""


def _rows(seed, count):
  random = np.random.default_rng(seed)
  x = random.normal(5, 3, count)
  return {
      "x": np.where(random.random(count) < 0.2, np.nan, x),
      "pair": random.normal(size=[count, 2]),
      "Amount": np.where(random.random(count) < 0.2, np.nan, np.abs(x)),
      "hour": random.integers(0, 24, count),
      "city": random.choice(["oslo", "bern", "rome", ""], count),
      "dest": random.choice(["JFK", "LGA", "Zürich", ""], count),
      "late": x > 5, "delay": np.abs(2 * x),
      "kind": random.choice(["a", "b", "c"], count),
  }


class SavedModelTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    for seed, split in enumerate(("train", "validation")):
      np.savez(os.path.join(cls._folder, split + ".npz"), **_rows(seed, 40))
    cls._experiment = config.parse(_TEXT.format(cls._folder))
    model_dir = os.path.join(cls._folder, "run")
    cls._checkpoint = loop.train(cls._experiment, model_dir,
                                 log=lambda line: None).checkpoint
    run = saved_run.open_run(cls._experiment, model_dir)
    with run.session:
      cls._raw, cls._expected = run.evaluator.sample(
          splits.read(cls._experiment, "validation"))


class AnswersTest(SavedModelTest):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._version = saved_model.export(
        cls._experiment, cls._checkpoint, os.path.join(cls._folder, "export"),
        cls._raw, cls._expected)
    cls._graph = tf.Graph()
    cls._session = cls.enterClassContext(tf.Session(graph=cls._graph))
    with cls._graph.as_default():
      cls._meta_graph = tf.saved_model.loader.load(
          cls._session, ["serve"], cls._version)
    cls._signature = cls._meta_graph.signature_def["serving_default"]

  def _run(self, raw):
    """Runs the export as a server does."""
    return self._session.run(
        {name: info.name for name, info in self._signature.outputs.items()},
        {self._signature.inputs[name].name: values
         for name, values in raw.items()})

  def _check(self, answers, expected, rows=slice(None)):
    self.assertEqual(set(answers), set(_OUTPUTS))
    for task, keyed in expected.items():
      for key, values in keyed.items():
        np.testing.assert_allclose(answers[f"{task}/{key}"], values[rows],
                                   rtol=1e-5, atol=1e-6)

  def test_answers_as_the_training_graph(self):
    self._check(self._run(self._raw), self._expected)
    # Not one answer for all.
    self.assertGreater(self._expected["late"]["probability"].std(), 0.1)

  def test_rows_do_not_depend_on_one_another(self):
    for i in range(5):
      self._check(self._run({name: values[i:i + 1]
                             for name, values in self._raw.items()}),
                  self._expected, slice(i, i + 1))

  def test_no_rows(self):
    answers = self._run({name: values[:0] for name, values in
                         self._raw.items()})
    self.assertEqual(
        {name: list(values.shape) for name, values in answers.items()},
        {name: [0, *shape[1:]] for name, shape in _OUTPUTS.items()})

  def test_signature(self):
    def described(infos):
      return {name: (tf.as_dtype(info.dtype).name,
                     [d.size for d in info.tensor_shape.dim])
              for name, info in infos.items()}
    self.assertEqual(described(self._signature.inputs), {
        "x": ("float32", [-1]), "pair": ("float32", [-1, 2]),
        "amount": ("float32", [-1]), "hour": ("int64", [-1]),
        "city": ("string", [-1]), "dest": ("string", [-1])})
    self.assertEqual(described(self._signature.outputs), {
        name: ("int64" if name == "kind/class" else "float32", shape)
        for name, shape in _OUTPUTS.items()})
    self.assertEqual(self._signature.method_name,
                     "tensorflow/serving/predict")

  def test_missing_and_unknown_values_stand_for_what_training_took(self):
    row = {name: values[:1] for name, values in self._raw.items()}
    answer = self._run(row)["delay/value"]
    def differs(**change):
      changed = {**row, **{name: np.array([value], row[name].dtype)
                           for name, value in change.items()}}
      return self._run(changed)["delay/value"]
    self.assertEqual(differs(x=np.nan), differs(x=-1))
    self.assertEqual(differs(amount=np.nan), differs(amount=2))
    self.assertEqual(differs(amount=-7), differs(amount=0))
    self.assertEqual(differs(hour=-1), differs(hour=24))
    self.assertEqual(differs(city="atlantis"), differs(city=""))
    self.assertNotEqual(differs(city="oslo"), differs(city="bern"))
    self.assertNotEqual(differs(dest="JFK"), differs(dest=""))
    self.assertEqual(differs(), answer)

  def test_class_is_that_of_the_highest_probability(self):
    answers = self._run(self._raw)
    np.testing.assert_array_equal(answers["kind/class"],
                                  answers["kind/probabilities"].argmax(1))
    np.testing.assert_allclose(answers["kind/probabilities"].sum(1), 1,
                               rtol=1e-6)
    np.testing.assert_allclose(
        answers["late/probability"], 1 / (1 + np.exp(-answers["late/logit"])),
        rtol=1e-5)

  def test_nothing_of_training_is_in_the_graph(self):
    names = [op.name for op in self._graph.get_operations()]
    for word in ("Adam", "adam", "beta1_power", "dropout", "global_step",
                 "gradient", "log_variance", "run_state", "resident",
                 "optimizer", "loss"):
      self.assertEqual([n for n in names if word in n], [], word)
    kinds = {op.type for op in self._graph.get_operations()}
    self.assertFalse([k for k in kinds if k.startswith("Random")
                      or "Apply" in k or k == "PyFunc"])

  def test_no_variable_of_training_is_in_the_file(self):
    names = [name for name, _ in tf.train.list_variables(
        os.path.join(self._version, "variables", "variables"))]
    trained = [name for name, _ in tf.train.list_variables(self._checkpoint)]
    self.assertContainsSubset(names, trained)
    self.assertContainsSubset(["statistics/x/mean", "head/late/kernel"], names)
    self.assertFalse([n for n in names if n.startswith(
        ("optimizer/", "log_variance/", "global_step", "run_state"))])

  def test_the_experiment_is_inside(self):
    self.assertEqual(config.load(os.path.join(
        self._version, "assets.extra", "experiment.pbtxt")), self._experiment)

  def test_eager_tensorflow_loads_it(self):
    rows = os.path.join(self._folder, "rows.npz")
    answers = os.path.join(self._folder, "answers.npz")
    np.savez(rows, **{name: np.array(values.tolist()) for name, values
                      in self._raw.items()})
    done = subprocess.run(
        [sys.executable, "-c", _EAGER, self._version, rows, answers],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False)
    self.assertEqual(done.returncode, 0, done.stdout)
    with np.load(answers) as found:
      self._check({k.replace("__", "/"): found[k] for k in found.files},
                  self._expected)


class MovingAverageTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    x = np.random.default_rng(0).normal(size=40)
    cls._rows = {"x": x, "late": x > 0, "level": np.digitize(x, [-1, 0, 1]),
                 "delay": np.stack([x, 2 * x], 1)}
    cls._experiment = config.parse("""
        name: "averaged" seed: 3
        data { batch_size: 8 feature { name: "x" numeric {
          normalization: MIN_MAX } use: WIDE_AND_DEEP } }
        model {
          hard_sharing { trunk { layer { dense { units: 4 } }
                                 layer { batch_normalization {} } } }
          task { name: "late" binary {} }
          task { name: "level" ordinal { num_classes: 4 } }
          task { name: "delay" regression { size: 2 } }
        }
        training {
          num_steps: 9 joint { loss { sum {} } }
          default_optimizer { adam { learning_rate { constant: 0.1 } } }
          moving_average { decay: 0.9 } summaries { enabled: false }
        }""")
    cls._plain = config.parse(config.to_text(cls._experiment))
    cls._plain.training.ClearField("moving_average")
    cls._checkpoint = cls._train(cls, cls._experiment, "run")
    run = saved_run.open_run(cls._experiment, os.path.dirname(cls._checkpoint))
    with run.session:
      cls._sample = run.evaluator.sample(splits.read(
          cls._experiment, "train", cls._rows))

  def _train(self, experiment, folder):
    return loop.train(experiment, os.path.join(self._folder, folder),
                      {"train": self._rows}, log=lambda line: None).checkpoint

  def _export(self, experiment, checkpoint):
    return saved_model.export(experiment, checkpoint, os.path.join(
        self._folder, "export"), *self._sample)

  def test_the_averages_are_exported_under_the_variables_names(self):
    path = self._export(self._experiment, self._checkpoint)
    exported = tf.train.load_checkpoint(os.path.join(path, "variables",
                                                     "variables"))
    trained = tf.train.load_checkpoint(self._checkpoint)
    names = exported.get_variable_to_shape_map()
    self.assertContainsSubset(["wide/level/x/weights", "head/level/thresholds",
                               "trunk/batch_normalization/moving_mean"], names)
    for name in names:
      average = name + "/ExponentialMovingAverage"
      self.assertEqual(trained.has_tensor(average), not name.startswith(
          ("statistics/", "trunk/batch_normalization/moving")), name)
      np.testing.assert_array_equal(
          exported.get_tensor(name), trained.get_tensor(
              average if trained.has_tensor(average) else name))

  def test_the_variables_would_not_be_published(self):
    with self.assertRaisesRegex(saved_model.ExportError,
                                "differs from the training graph"):
      self._export(self._plain, self._checkpoint)

  def test_a_checkpoint_without_averages_does_not_fit(self):
    with self.assertRaisesRegex(checkpoints.CheckpointError,
                                "ExponentialMovingAverage.* not found"):
      self._export(self._experiment, self._train(self._plain, "without"))


class VersionsTest(SavedModelTest):

  def setUp(self):
    super().setUp()
    self._export_dir = self.enter_context(tempfile.TemporaryDirectory())

  def _export(self, raw=None, expected=None, checkpoint=None):
    return saved_model.export(
        self._experiment, checkpoint or self._checkpoint, self._export_dir, raw,
        expected)

  def test_versions_increase(self):
    with mock.patch.object(versions.time, "time", return_value=1000.7):
      paths = [self._export() for _ in range(3)]
    self.assertEqual([os.path.basename(p) for p in paths],
                     ["1000", "1001", "1002"])
    # Even where the clock is behind, and beside what is no version.
    os.mkdir(os.path.join(self._export_dir, "notes"))
    with mock.patch.object(versions.time, "time", return_value=5.0):
      self.assertEndsWith(self._export(), "/1003")
    self.assertCountEqual(os.listdir(self._export_dir),
                          ["1000", "1001", "1002", "1003", "notes"])

  @parameterized.parameters("late/probability", "delay/value", "kind/logits")
  def test_a_wrong_answer_is_not_published(self, output):
    task, key = output.split("/")
    wrong = {name: dict(keyed) for name, keyed in self._expected.items()}
    wrong[task][key] = wrong[task][key].copy()
    wrong[task][key].flat[7] += 0.01 * (1 + abs(wrong[task][key].flat[7]))
    with self.assertRaisesRegex(
        saved_model.ExportError, f"output '{output}' differs from the training "
        "graph by .* allowed: 1e-05; not published") as caught:
      self._export(self._raw, wrong)
    self.assertNotIn("\n", str(caught.exception))
    self.assertEmpty(os.listdir(self._export_dir))

  def test_an_answer_that_is_no_number_is_not_published(self):
    wrong = {"delay": {"value": np.full(40, np.nan, np.float32)}}
    with self.assertRaisesRegex(saved_model.ExportError, "'delay/value'"):
      self._export(self._raw, wrong)
    self.assertEmpty(os.listdir(self._export_dir))

  def test_a_checkpoint_that_does_not_fit(self):
    path = os.path.join(self._export_dir, "model.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
      tf.get_variable("x", initializer=1.0)
      session.run(tf.global_variables_initializer())
      tf.train.Saver().save(session, path, write_meta_graph=False)
    before = os.listdir(self._export_dir)
    with self.assertRaises(checkpoints.CheckpointError):
      self._export(checkpoint=path)
    self.assertCountEqual(os.listdir(self._export_dir), before)

  def test_a_write_that_fails_leaves_nothing(self):
    with mock.patch.object(saved_model.config, "write",
                           side_effect=OSError(28, "No space left on device")):
      with self.assertRaisesRegex(
          saved_model.ExportError,
          f"^{self._export_dir}: cannot be written: .*No space left"):
        self._export(self._raw, self._expected)
    self.assertEmpty(os.listdir(self._export_dir))

  def test_a_file_in_the_way(self):
    path = os.path.join(self._export_dir, "file")
    with open(path, "wb"):
      pass
    with self.assertRaisesRegex(saved_model.ExportError, "cannot be written"):
      saved_model.export(self._experiment, self._checkpoint, path)

  def test_what_a_killed_export_left_is_removed(self):
    # Its name is no number, so no server looks at it.
    os.makedirs(os.path.join(self._export_dir, "writing-left", "variables"))
    path = self._export(self._raw, self._expected)
    self.assertEqual(os.listdir(self._export_dir), [os.path.basename(path)])
    with predictor.load(self._export_dir) as export:
      self.assertEqual(export.path, path)


if __name__ == "__main__":
  absltest.main()

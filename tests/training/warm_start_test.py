"""Tests of starting from another run's checkpoint."""

import os
import re
import shutil
import signal
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import validation
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import compatibility
from mtl_graph.training import loop

_TEXT = """
name: "small" seed: 3
data {
  batch_size: 8
  feature { name: "x" numeric { normalization: Z_SCORE } }
  feature { name: "city" categorical {
    counted_vocabulary { capacity: 5 } embedding_dimension: 2 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } }
                         layer { batch_normalization {} } } }
  task { name: "a" binary {} }
  task { name: "b" regression {}
         tower { layer { dense { units: 3 activation: RELU } } } }
}
training {
  num_steps: 6
  joint { loss { uncertainty {} } }
  default_optimizer { adam { learning_rate { constant: 0.05 } } }
  summaries { enabled: false }
}
"""
_NEW_TASK = ("model.task=[{ name: 'a' binary {} }, { name: 'b' regression {} "
             "tower { layer { dense { units: 3 activation: RELU } } } }, "
             "{ name: 'c' binary {} label { column: 'a' } }]")
_AVERAGED = "training.moving_average.decay=0.9"
_SUFFIX = "/ExponentialMovingAverage"


def _rows(seed, cities=("oslo", "bern", "rome"), mean=0):
  random = np.random.default_rng(seed)
  x = random.normal(mean, 1, 30)
  return {"x": x, "city": np.append(random.choice(cities, 27), cities[:3]),
          "a": (x > mean).astype(int), "b": 2 * x}


def _train(folder, *overrides, rows=None, log=lambda line: None):
  experiment = config.parse(_TEXT)
  for assignment in overrides:
    config.override(experiment, assignment)
  arrays = {"train": _rows(0) if rows is None else rows,
            "validation": _rows(1)}
  validation.check(experiment, arrays)
  return loop.train(experiment, folder, arrays, log=log)


def _values(path):
  """Returns every variable of a checkpoint by name."""
  reader = tf.train.load_checkpoint(path)
  return {name: np.asarray(reader.get_tensor(name))
          for name in reader.get_variable_to_shape_map()}


class WarmStartTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._source = os.path.join(cls._folder, "source")
    cls._path = _train(cls._source, _AVERAGED).checkpoint
    cls._trained = _values(cls._path)
    cls._cold = cls._values_at_start(cls, _AVERAGED, warm=False)

  def _values_at_start(self, *overrides, warm=True, rows=None):
    """Returns the values with which a run starts; its log is in `_lines`."""
    lines = self._lines = []

    def log(line):
      lines.append(line)
      if line.startswith("rows: "):
        os.kill(os.getpid(), signal.SIGTERM)

    with tempfile.TemporaryDirectory() as folder:
      try:
        _train(folder, *([f"training.warm_start.checkpoint={self._source}"]
                         if warm else []), *overrides, rows=rows, log=log)
      except loop.Interrupted:
        pass
      self._experiment = compatibility.experiment_of(checkpoints.newest(folder))
      return _values(checkpoints.newest(folder))

  def _check_taken(self, found, taken, anew=()):
    """Checks which variables are the other run's, to the bit."""
    def starting(prefixes):
      return {name for name in found if name.startswith(tuple(prefixes))
              and name in self._trained}
    for name in starting(taken) - starting(anew or ["none"]):
      self.assertEqual(found[name].tobytes(), self._trained[name].tobytes(),
                       name)
    for name in starting(anew):
      self.assertEqual(found[name].tobytes(), self._cold[name].tobytes(), name)

  def _not_in_it(self):
    """Returns the variables that the log says are not in the checkpoint."""
    line, = [l for l in self._lines if l.startswith("starting from ")]
    self.assertStartsWith(line, f"starting from {self._path}")
    return line.partition("; not in it: ")[2].split(", ")


class TakenTest(WarmStartTest):

  def test_the_run_is_one_worth_starting_from(self):
    differing = [name for name, value in self._trained.items()
                 if value.tobytes() != self._cold[name].tobytes()]
    self.assertContainsSubset(
        ["global_step", "trunk/dense/kernel", "log_variance/a",
         "embedding/city/embeddings", "trunk/dense/kernel" + _SUFFIX,
         "trunk/batch_normalization/moving_mean", "optimizer/a/beta1_power",
         "optimizer/shared/trunk/dense/kernel/Adam"], differing)

  def test_everything_but_the_step_and_the_optimizers(self):
    found = self._values_at_start(_AVERAGED)
    self._check_taken(found, ["embedding", "trunk", "tower", "head",
                              "log_variance", "statistics"],
                      ["optimizer", "global_step"])
    self.assertEqual(self._not_in_it(), [""])
    self.assertEqual(found["global_step"], 0)
    self.assertNotIn("going on", " ".join(self._lines))

  def test_the_optimizers_too_if_asked_for(self):
    found = self._values_at_start(
        _AVERAGED, "training.warm_start.optimizer_state=true")
    self._check_taken(found, ["embedding", "trunk", "tower", "head",
                              "optimizer"], ["global_step"])

  @parameterized.parameters(
      (["trunk"], ["trunk"], ["embedding", "tower", "head", "log_variance"]),
      (["head/b", "tower"], ["head/b", "tower"], ["head/a", "trunk"]),
      (["trunk/dense/bias", "embedding"], ["trunk/dense/bias", "embedding"],
       ["trunk/dense/kernel", "head"]))
  def test_scopes(self, scopes, taken, anew):
    found = self._values_at_start(
        _AVERAGED, f"training.warm_start.scope={scopes}")
    # What is normalized otherwise means something else to the network.
    self._check_taken(found, [*taken, "statistics"], anew)
    self.assertEqual(self._not_in_it(), [""])

  def test_statistics_are_those_of_the_rows_it_was_trained_on(self):
    found = self._values_at_start(_AVERAGED, rows=_rows(3, mean=100))
    self._check_taken(found, ["statistics", "trunk"])

  def test_a_task_more_starts_anew(self):
    found = self._values_at_start(_AVERAGED, _NEW_TASK)
    self._check_taken(found, ["embedding", "trunk", "tower", "head"])
    self.assertCountEqual(self._not_in_it(), [
        "head/c/kernel", "head/c/bias", "head/c/kernel" + _SUFFIX,
        "head/c/bias" + _SUFFIX, "log_variance/c"])
    self.assertTrue(np.any(found["head/c/kernel"]))

  def test_a_task_less_is_left_behind(self):
    found = self._values_at_start(
        _AVERAGED, "model.task=[{ name: 'a' binary {} }]")
    self._check_taken(found, ["embedding", "trunk", "head/a"])
    self.assertEmpty([name for name in found if "/b/" in name + "/"])
    self.assertEqual(self._not_in_it(), [""])

  def test_another_shape_starts_anew(self):
    found = self._values_at_start(
        _AVERAGED, "model.task[name=b].tower.layer[0].dense.units=5")
    self._check_taken(found, ["trunk", "head/a"])
    self.assertCountEqual(self._not_in_it(), [
        name + suffix for suffix in ("", _SUFFIX) for name in (
            "tower/b/dense/kernel", "tower/b/dense/bias", "head/b/kernel")])

  def test_averages_that_it_had_not_start_where_its_variables_are(self):
    with tempfile.TemporaryDirectory() as folder:
      self._source, source = folder, self._source
      self._path, path = _train(folder).checkpoint, self._path
      trained = _values(self._path)
      found = self._values_at_start(_AVERAGED)
      missing = self._not_in_it()
      self._source, self._path = source, path
    averaged = [name for name in found if name.endswith(_SUFFIX)]
    self.assertCountEqual(missing, averaged)
    for name in averaged:
      self.assertEqual(found[name].tobytes(),
                       trained[name[:-len(_SUFFIX)]].tobytes(), name)

  def test_averages_that_are_not_kept_any_more(self):
    found = self._values_at_start()
    self._check_taken(found, ["embedding", "trunk", "tower", "head"])
    self.assertEmpty([name for name in found if name.endswith(_SUFFIX)])


class VocabularyTest(WarmStartTest):

  def _vocabulary(self, experiment):
    return list(experiment.data.feature[1].categorical.vocabulary)

  def test_known_categories_keep_their_rows_and_new_ones_follow(self):
    known = self._vocabulary(compatibility.experiment_of(self._path))
    self.assertCountEqual(known, ["oslo", "bern", "rome"])
    # Oslo comes no more, and what comes is in another order of frequency.
    rows = _rows(5, ["rome", "wien", "bern", "graz", "linz"])
    rows["city"][:20] = "wien"
    found = self._values_at_start(_AVERAGED, rows=rows)
    self._check_taken(found, ["embedding"])
    vocabulary = self._vocabulary(self._experiment)
    self.assertEqual(vocabulary[:4], [*known, "wien"])
    self.assertIn(vocabulary[4], ("graz", "linz"))

  def test_rows_of_categories_that_do_not_come_stay_to_the_bit(self):
    rows = _rows(5, ["wien", "graz", "wien"])
    with tempfile.TemporaryDirectory() as folder:
      found = _values(_train(
          folder, f"training.warm_start.checkpoint={self._source}",
          rows=rows).checkpoint)["embedding/city/embeddings"]
    before = self._trained["embedding/city/embeddings"]
    equal = (found == before).all(axis=1)
    self.assertEqual(equal.tolist(), [True] * 3 + [False] * 2 + [True])

  def test_a_vocabulary_that_is_stated_may_go_on_too(self):
    known = self._vocabulary(compatibility.experiment_of(self._path))
    found = self._values_at_start(
        _AVERAGED, "data.feature[name=city].categorical={ capacity: 5 "
        f"vocabulary: {[*known, 'wien']} embedding_dimension: 2 }}")
    self._check_taken(found, ["embedding", "trunk", "head"])
    self.assertEqual(self._not_in_it(), [""])

  def test_a_vocabulary_that_does_not_go_on_is_refused(self):
    stated = ("data.feature[name=city].categorical={ vocabulary: ['paris', "
              "'bern'] capacity: 5 embedding_dimension: 2 }")
    with tempfile.TemporaryDirectory() as folder:
      with self.assertRaisesRegex(
          config.ConfigErrors, r"^data.feature\[1\].categorical.vocabulary\[0\]"
          ": found 'paris' where the checkpoint that the run starts from has "):
        _train(folder, stated,
               f"training.warm_start.checkpoint={self._source}")
      self.assertEmpty([n for n in os.listdir(folder) if "ckpt" in n])


class RunTest(WarmStartTest):

  def test_the_best_of_a_folder_its_last_or_any_path(self):
    with tempfile.TemporaryDirectory() as folder:
      source = os.path.join(folder, "source")
      _train(source, "evaluation={ every_steps: 2 best { metric: 'b/rmse' "
             "goal: MAXIMIZE } }", "training.checkpoint.every_steps=1")
      best = checkpoints.choose(source, "best")
      self.assertIn("/best/", best)
      for which, path in ((source, best), (f"{source}/model.ckpt-5",
                                           f"{source}/model.ckpt-5")):
        self._values_at_start(f"training.warm_start.checkpoint={which}",
                              warm=False)
        self.assertIn(f"starting from {path}", self._lines)

  def test_a_run_with_a_checkpoint_of_its_own_goes_on_from_that(self):
    with tempfile.TemporaryDirectory() as folder:
      source, run = os.path.join(folder, "source"), os.path.join(folder, "run")
      shutil.copytree(self._source, source)
      warm = f"training.warm_start.checkpoint={source}"
      _train(run, warm, "training.num_steps=2")
      shutil.rmtree(source)
      lines = []
      _train(run, warm, log=lines.append)
      self.assertIn("going on from step 2", lines)
      self.assertEmpty([l for l in lines if l.startswith("starting from")])
      found = _values(checkpoints.newest(run))
      whole = os.path.join(folder, "whole")
      _train(whole, f"training.warm_start.checkpoint={self._source}")
      expected = _values(checkpoints.newest(whole))
      self.assertEqual([name for name in expected if name != "run_state" and
                        expected[name].tobytes() != found[name].tobytes()], [])

  def test_its_rows_train_it_on(self):
    lines = []
    with tempfile.TemporaryDirectory() as folder:
      _train(folder, f"training.warm_start.checkpoint={self._source}",
             "training.log_every_steps=1", log=lines.append)
    first = [l for l in lines if l.startswith("step 1/")][0]
    cold = []
    with tempfile.TemporaryDirectory() as folder:
      _train(folder, "training.log_every_steps=1", log=cold.append)
    total = re.compile(r"total (\S+)")
    self.assertLess(
        float(total.search(first).group(1)),
        float(total.search(next(l for l in cold if l.startswith("step 1/"))
                          ).group(1)))

  def test_a_checkpoint_that_is_not_there_is_refused(self):
    with tempfile.TemporaryDirectory() as folder:
      for which in (f"{folder}/nothing", folder, f"{self._source}/model.ckpt"):
        with self.assertRaisesRegex(
            checkpoints.CheckpointError, "^training.warm_start.checkpoint: "
            f"found no checkpoint '{which}'; allowed: the path of a checkpoint,"
            " without its ending, or the folder of a run that has trained$"):
          _train(os.path.join(folder, "run"),
                 f"training.warm_start.checkpoint={which}")

  def test_one_that_has_nothing_of_it_is_refused(self):
    with self.assertRaisesRegex(
        checkpoints.CheckpointError, f"^{self._path}: has none of the variables"
        " wanted, such as .*; allowed: a checkpoint with at least one of them "
        "in the same shape$"):
      self._values_at_start(
          "data.feature=[{ name: 'z' column: 'x' numeric {} }]",
          "model.hard_sharing={}", "model.task=[{ name: 'z' label { column: 'b'"
          " } regression { size: 1 } }]", "training.warm_start.scope=['head']")


if __name__ == "__main__":
  absltest.main()

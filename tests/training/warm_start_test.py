"""Tests of starting from other runs' checkpoints."""

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
# A task "c" as the task "b" is.
_TWIN = ("model.task=[{ name: 'a' binary {} }, { name: 'b' regression {} "
         "tower { layer { dense { units: 3 activation: RELU } } } }, "
         "{ name: 'c' regression {} label { column: 'b' } "
         "tower { layer { dense { units: 3 activation: RELU } } } }]")
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


def _warm(*sources, more=""):
  """Returns the override that starts a run from others."""
  return "training.warm_start=[" + ", ".join(
      f"{{ checkpoint: '{source}' {more} }}" for source in sources) + "]"


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
        _train(folder, *([_warm(self._source)] if warm else []), *overrides,
               rows=rows, log=log)
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
        _AVERAGED, "training.warm_start[0].optimizer_state=true")
    self._check_taken(found, ["embedding", "trunk", "tower", "head",
                              "optimizer"], ["global_step"])

  @parameterized.parameters(
      (["trunk"], ["trunk"], ["embedding", "tower", "head", "log_variance"]),
      (["head/b", "tower"], ["head/b", "tower"], ["head/a", "trunk"]),
      (["trunk/dense/bias", "embedding"], ["trunk/dense/bias", "embedding"],
       ["trunk/dense/kernel", "head"]))
  def test_scopes(self, scopes, taken, anew):
    found = self._values_at_start(
        _AVERAGED, f"training.warm_start[0].scope={scopes}")
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


class RenameTest(WarmStartTest):
  """A task "c" that starts from what the other run's "b" has learned."""

  _AS_B = ("rename [{ saved: 'tower/b' here: 'tower/c' }, "
           "{ saved: 'head/b' here: 'head/c' }, "
           "{ saved: 'log_variance/b' here: 'log_variance/c' }]")

  def _start(self, more, *overrides):
    return self._values_at_start(
        _AVERAGED, _TWIN, _warm(self._source, more=more), *overrides,
        warm=False)

  def _assert_as(self, found, here, there):
    """Asserts that what lies in a scope is what another one had."""
    names = [name for name in found if (name + "/").startswith(here + "/")]
    self.assertNotEmpty(names)
    for name in names:
      self.assertEqual(found[name].tobytes(),
                       self._trained[there + name[len(here):]].tobytes(), name)

  def test_a_scope_starts_from_one_of_another_name(self):
    found = self._start(self._AS_B)
    for kind in ("tower", "head", "log_variance"):
      self._assert_as(found, f"{kind}/c", f"{kind}/b")
    # That "b" starts one more does not take it from "b".
    self._check_taken(found, ["embedding", "trunk", "tower", "head",
                              "log_variance", "statistics"],
                      ["optimizer", "global_step"])
    self.assertEqual(self._not_in_it(), [""])

  def test_averages_go_along(self):
    found = self._start(self._AS_B)
    name = "tower/c/dense/kernel" + _SUFFIX
    self.assertTrue(np.any(found[name] != found[name[:-len(_SUFFIX)]]))
    self._assert_as(found, name, name.replace("/c/", "/b/"))

  def test_optimizers_state_goes_along_whatever_group_it_was_in(self):
    found = self._start(self._AS_B + " optimizer_state: true")
    names = ("tower/{}/dense/kernel/Adam", "head/{}/bias/Adam_1",
             "log_variance/{}/Adam")
    for name in names:
      self._assert_as(found, "optimizer/c/" + name.format("c"),
                      "optimizer/b/" + name.format("b"))
      self._assert_as(found, "optimizer/b/" + name.format("b"),
                      "optimizer/b/" + name.format("b"))
    # The count of a group's steps is not a variable's.
    self.assertEqual(self._not_in_it(), ["optimizer/c/beta1_power",
                                         "optimizer/c/beta2_power"])

  def test_groups_of_other_names(self):
    found = self._values_at_start(
        _AVERAGED, _warm(self._source, more="optimizer_state: true"),
        "training.group=[{ name: 'shared' scope: ['embedding', 'trunk'] }, "
        "{ name: 'tasks' scope: ['tower', 'head', 'log_variance'] }]",
        warm=False)
    self._assert_as(found, "optimizer/tasks/tower/b", "optimizer/b/tower/b")
    self._assert_as(found, "optimizer/tasks/head/a", "optimizer/a/head/a")
    self._assert_as(found, "optimizer/shared", "optimizer/shared")

  def test_state_outside_of_the_scopes_starts_anew(self):
    found = self._start(self._AS_B.replace("tower/b", "tower/b/dense").replace(
        "tower/c", "tower/c/dense") + " optimizer_state: true "
                        "scope: ['tower/c', 'head/c', 'log_variance/c']")
    self._assert_as(found, "tower/c", "tower/b")
    self._assert_as(found, "optimizer/c/tower/c", "optimizer/b/tower/b")
    self._check_taken(found, ["statistics", "optimizer/a/beta1_power"],
                      ["trunk", "tower/b", "head", "optimizer/shared/trunk",
                       "optimizer/b/tower"])

  def test_the_longest_scope_counts(self):
    found = self._start(
        "rename [{ saved: 'head' here: 'head' }, "
        "{ saved: 'head/b' here: 'head/c' }, "
        "{ saved: 'head/a/bias' here: 'head/c/bias' }]")
    self._assert_as(found, "head/c/kernel", "head/b/kernel")
    self._assert_as(found, "head/c/bias", "head/a/bias")
    self._assert_as(found, "head/a", "head/a")
    self.assertIn("tower/c/dense/kernel", self._not_in_it())

  def test_one_of_another_shape_starts_anew(self):
    found = self._start(self._AS_B,
                        "model.task[name=c].tower.layer[0].dense.units=5")
    self.assertCountEqual(self._not_in_it(), [
        name + suffix for suffix in ("", _SUFFIX) for name in (
            "tower/c/dense/kernel", "tower/c/dense/bias", "head/c/kernel")])
    self._assert_as(found, "head/c/bias", "head/b/bias")

  def test_a_scope_that_is_not_there_is_refused(self):
    with self.assertRaisesRegex(
        checkpoints.CheckpointError, r"^training.warm_start\[0\].rename\[1\]."
        f"saved: found 'hed/b', a scope without variables in {self._path}; "
        "allowed: one that has some; nearest: 'head/b'"):
      self._start(self._AS_B.replace("head/b", "hed/b"))

  def test_other_names_that_are_wanted_in_vain_are_said(self):
    with self.assertRaisesRegex(
        checkpoints.CheckpointError, r"^training.warm_start\[0\]: \S+ has none "
        "of the variables wanted, such as head/a/kernel, "
        f"head/a/kernel{_SUFFIX}; "):
      self._start("scope: 'head/c/kernel' rename { saved: 'head/a' here: "
                  "'head/c' }", "model.task[name=c].tower.layer[0].dense"
                  ".units=5")


class SeveralTest(WarmStartTest):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    # Another run, without averages, and without the task "a".
    cls._other = os.path.join(cls._folder, "other")
    path = _train(cls._other, "seed=4",
                  "model.task=[{ name: 'b' regression {} tower { layer { dense "
                  "{ units: 3 activation: RELU } } } }]", rows=_rows(0, mean=2)
                  ).checkpoint
    cls._of_other = _values(path)
    cls._lines_of = (f"starting from {cls._path}", f"starting from {path}")

  def _start(self, messages, *overrides):
    return self._values_at_start(
        _AVERAGED, "training.warm_start=[" + ", ".join(
            f"{{ checkpoint: '{folder}' {more} }}"
            for folder, more in messages) + "]", *overrides, warm=False)

  def _assert_of(self, values, found, *scopes):
    for scope in scopes:
      names = [n for n in found if (n + "/").startswith(scope + "/")
               and not n.endswith(_SUFFIX)]
      self.assertNotEmpty(names)
      for name in names:
        self.assertEqual(found[name].tobytes(), values[name].tobytes(), name)

  def _said(self):
    """Returns what was not in either, and what was in none."""
    lines = [l for l in self._lines if l.startswith("starting from ")]
    self.assertLen(lines, 3)
    for line, start in zip(lines, self._lines_of):
      self.assertStartsWith(line, start)
    self.assertStartsWith(lines[2], "starting from none of them: ")
    return [line.partition("; not in it: ")[2].split(", ")
            for line in lines[:2]] + [lines[2].partition(": ")[2].split(", ")]

  def test_scopes_come_from_one_each(self):
    found = self._start([(self._source, "scope: ['trunk', 'head/a']"),
                         (self._other, "scope: ['tower', 'head/b']")])
    self._assert_of(self._trained, found, "trunk", "head/a")
    self._assert_of(self._of_other, found, "tower", "head/b")
    self._check_taken(found, ["statistics"], ["embedding", "log_variance"])
    in_one, in_other, in_none = self._said()
    self.assertEqual(in_one, [""])
    averages = [name + _SUFFIX for name in (
        "tower/b/dense/kernel", "tower/b/dense/bias", "head/b/kernel",
        "head/b/bias")]
    self.assertCountEqual(in_other, averages)
    self.assertCountEqual(in_none, averages)

  def test_the_last_counts_but_for_statistics(self):
    found = self._start([(self._source, ""), (self._other, "")])
    self._assert_of(self._of_other, found, "embedding", "trunk", "tower",
                    "head/b", "log_variance/b")
    self._assert_of(self._trained, found, "statistics", "head/a",
                    "log_variance/a")
    self.assertNotEqual(self._trained["statistics/x/mean"].tobytes(),
                        self._of_other["statistics/x/mean"].tobytes())
    in_one, in_other, in_none = self._said()
    self.assertEqual(in_one, [""])
    self.assertContainsSubset(["head/a/kernel", "log_variance/a"], in_other)
    self.assertNotIn("statistics/x/mean", in_other)
    self.assertNotIn("head/a/kernel", in_none)

  def test_an_average_is_of_its_variable_and_not_of_another_runs(self):
    found = self._start([(self._source, ""), (self._other, "")])
    name = "trunk/dense/kernel"
    self.assertEqual(found[name + _SUFFIX].tobytes(),
                     self._of_other[name].tobytes())
    name_of_a = "head/a/kernel" + _SUFFIX
    self.assertEqual(found[name_of_a].tobytes(),
                     self._trained[name_of_a].tobytes())
    self.assertContainsSubset([name + _SUFFIX], self._said()[2])

  def test_so_is_an_optimizers_state(self):
    found = self._start([(self._source, "optimizer_state: true"),
                         (self._other, "scope: 'trunk'")])
    self._check_taken(found, ["optimizer/a", "optimizer/b", "optimizer/shared/e"
                             ], ["optimizer/shared/trunk"])
    self.assertIn("optimizer/shared/trunk/dense/kernel/Adam", self._said()[2])
    found = self._start([(self._source, "optimizer_state: true"),
                         (self._other, "optimizer_state: true scope: 'trunk'")])
    self._assert_of(self._of_other, found, "optimizer/shared/trunk")
    self.assertNotIn("optimizer/shared/trunk/dense/kernel/Adam",
                     self._said()[2])

  def test_the_towers_of_two_runs_become_two_towers(self):
    found = self._start(
        [(self._source, ""),
         (self._other, "scope: ['tower/c', 'head/c'] rename [{ saved: 'tower/b'"
          " here: 'tower/c' }, { saved: 'head/b' here: 'head/c' }]")], _TWIN)
    self._assert_of(self._trained, found, "embedding", "trunk", "tower/b",
                    "head/b", "head/a")
    self._assert_of({name.replace("/b/", "/c/"): value for name, value
                     in self._of_other.items()}, found, "tower/c", "head/c")
    in_one, _, in_none = self._said()
    self.assertContainsSubset(["tower/c/dense/kernel", "head/c/bias",
                               "log_variance/c"], in_one)
    self.assertContainsSubset(["log_variance/c"], in_none)
    self.assertNotIn("head/c/bias", in_none)

  def test_one_that_has_nothing_of_it_is_refused(self):
    with self.assertRaisesRegex(
        checkpoints.CheckpointError, r"^training.warm_start\[1\]: \S+ has none "
        "of the variables wanted, such as head/a/kernel"):
      self._start([(self._source, ""), (self._other, "scope: 'head/a'")])

  def test_one_that_is_not_there_is_refused(self):
    with self.assertRaisesRegex(
        checkpoints.CheckpointError,
        r"^training.warm_start\[1\].checkpoint: found no checkpoint 'nowhere'"):
      self._start([(self._source, ""), ("nowhere", "")])


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
          folder, _warm(self._source), rows=rows).checkpoint)[
              "embedding/city/embeddings"]
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
        _train(folder, stated, _warm(self._source))
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
        self._values_at_start(_warm(which), warm=False)
        self.assertIn(f"starting from {path}", self._lines)

  def test_a_run_with_a_checkpoint_of_its_own_goes_on_from_that(self):
    with tempfile.TemporaryDirectory() as folder:
      source, run = os.path.join(folder, "source"), os.path.join(folder, "run")
      shutil.copytree(self._source, source)
      warm = _warm(source)
      _train(run, warm, "training.num_steps=2")
      shutil.rmtree(source)
      lines = []
      _train(run, warm, log=lines.append)
      self.assertIn("going on from step 2", lines)
      self.assertEmpty([l for l in lines if l.startswith("starting from")])
      found = _values(checkpoints.newest(run))
      whole = os.path.join(folder, "whole")
      _train(whole, _warm(self._source))
      expected = _values(checkpoints.newest(whole))
      self.assertEqual([name for name in expected if name != "run_state" and
                        expected[name].tobytes() != found[name].tobytes()], [])

  def test_its_rows_train_it_on(self):
    lines = []
    with tempfile.TemporaryDirectory() as folder:
      _train(folder, _warm(self._source), "training.log_every_steps=1",
             log=lines.append)
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
            checkpoints.CheckpointError,
            r"^training.warm_start\[0\].checkpoint: found no checkpoint "
            f"'{which}'; allowed: the path of a checkpoint, without its ending,"
            " or the folder of a run that has trained$"):
          _train(os.path.join(folder, "run"), _warm(which))

  def test_one_that_has_nothing_of_it_is_refused(self):
    with self.assertRaisesRegex(
        checkpoints.CheckpointError, r"^training.warm_start\[0\]: "
        f"{self._path} has none of the variables wanted, such as .*; allowed: a"
        " checkpoint with at least one of them in the same shape$"):
      self._values_at_start(
          "data.feature=[{ name: 'z' column: 'x' numeric {} }]",
          "model.hard_sharing={}", "model.task=[{ name: 'z' label { column: 'b'"
          " } regression { size: 1 } }]",
          "training.warm_start[0].scope=['head']")


if __name__ == "__main__":
  absltest.main()

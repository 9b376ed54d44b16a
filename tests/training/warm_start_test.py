"""Tests of starting from another run's checkpoint."""

import os
import re
import shutil
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import compatibility
from tests.training import warm_runs


class TakenTest(warm_runs.WarmStartTest):

  def test_the_run_is_one_worth_starting_from(self):
    differing = [name for name, value in self._trained.items()
                 if value.tobytes() != self._cold[name].tobytes()]
    self.assertContainsSubset(
        ["global_step", "trunk/dense/kernel", "log_variance/a",
         "embedding/city/embeddings", "trunk/dense/kernel" + warm_runs.SUFFIX,
         "trunk/batch_normalization/moving_mean", "optimizer/a/beta1_power",
         "optimizer/shared/trunk/dense/kernel/Adam"], differing)

  def test_everything_but_the_step_and_the_optimizers(self):
    found = self._values_at_start(warm_runs.AVERAGED)
    self._check_taken(found, ["embedding", "trunk", "tower", "head",
                              "log_variance", "statistics"],
                      ["optimizer", "global_step"])
    self.assertEqual(self._not_in_it(), [""])
    self.assertEqual(found["global_step"], 0)
    self.assertNotIn("going on", " ".join(self._lines))

  def test_the_optimizers_too_if_asked_for(self):
    found = self._values_at_start(
        warm_runs.AVERAGED, "training.warm_start[0].optimizer_state=true")
    self._check_taken(found, ["embedding", "trunk", "tower", "head",
                              "optimizer"], ["global_step"])

  @parameterized.parameters(
      (["trunk"], ["trunk"], ["embedding", "tower", "head", "log_variance"]),
      (["head/b", "tower"], ["head/b", "tower"], ["head/a", "trunk"]),
      (["trunk/dense/bias", "embedding"], ["trunk/dense/bias", "embedding"],
       ["trunk/dense/kernel", "head"]))
  def test_scopes(self, scopes, taken, anew):
    found = self._values_at_start(
        warm_runs.AVERAGED, f"training.warm_start[0].scope={scopes}")
    # What is normalized otherwise means something else to the network.
    self._check_taken(found, [*taken, "statistics"], anew)
    self.assertEqual(self._not_in_it(), [""])

  def test_statistics_are_those_of_the_rows_it_was_trained_on(self):
    found = self._values_at_start(warm_runs.AVERAGED,
                                  rows=warm_runs.make_rows(3, mean=100))
    self._check_taken(found, ["statistics", "trunk"])

  def test_a_task_more_starts_anew(self):
    found = self._values_at_start(warm_runs.AVERAGED, warm_runs.NEW_TASK)
    self._check_taken(found, ["embedding", "trunk", "tower", "head"])
    self.assertCountEqual(self._not_in_it(), [
        "head/c/kernel", "head/c/bias", "head/c/kernel" + warm_runs.SUFFIX,
        "head/c/bias" + warm_runs.SUFFIX, "log_variance/c"])
    self.assertTrue(np.any(found["head/c/kernel"]))

  def test_a_task_less_is_left_behind(self):
    found = self._values_at_start(
        warm_runs.AVERAGED, "model.task=[{ name: 'a' binary {} }]")
    self._check_taken(found, ["embedding", "trunk", "head/a"])
    self.assertEmpty([name for name in found if "/b/" in name + "/"])
    self.assertEqual(self._not_in_it(), [""])

  def test_another_shape_starts_anew(self):
    found = self._values_at_start(
        warm_runs.AVERAGED, "model.task[name=b].tower.layer[0].dense.units=5")
    self._check_taken(found, ["trunk", "head/a"])
    self.assertCountEqual(self._not_in_it(), [
        name + suffix for suffix in ("", warm_runs.SUFFIX) for name in (
            "tower/b/dense/kernel", "tower/b/dense/bias", "head/b/kernel")])

  def test_averages_that_it_had_not_start_where_its_variables_are(self):
    with tempfile.TemporaryDirectory() as folder:
      self._source, source = folder, self._source
      self._path, path = warm_runs.train(folder).checkpoint, self._path
      trained = warm_runs.values(self._path)
      found = self._values_at_start(warm_runs.AVERAGED)
      missing = self._not_in_it()
      self._source, self._path = source, path
    averaged = [name for name in found if name.endswith(warm_runs.SUFFIX)]
    self.assertCountEqual(missing, averaged)
    for name in averaged:
      self.assertEqual(found[name].tobytes(),
                       trained[name[:-len(warm_runs.SUFFIX)]].tobytes(), name)

  def test_averages_that_are_not_kept_any_more(self):
    found = self._values_at_start()
    self._check_taken(found, ["embedding", "trunk", "tower", "head"])
    self.assertEmpty([name for name in found
                      if name.endswith(warm_runs.SUFFIX)])


class VocabularyTest(warm_runs.WarmStartTest):

  def _vocabulary(self, experiment):
    return list(experiment.data.feature[1].categorical.vocabulary)

  def test_known_categories_keep_their_rows_and_new_ones_follow(self):
    known = self._vocabulary(compatibility.experiment_of(self._path))
    self.assertCountEqual(known, ["oslo", "bern", "rome"])
    # Oslo comes no more, and what comes is in another order of frequency.
    rows = warm_runs.make_rows(5, ["rome", "wien", "bern", "graz", "linz"])
    rows["city"][:20] = "wien"
    found = self._values_at_start(warm_runs.AVERAGED, rows=rows)
    self._check_taken(found, ["embedding"])
    vocabulary = self._vocabulary(self._experiment)
    self.assertEqual(vocabulary[:4], [*known, "wien"])
    self.assertIn(vocabulary[4], ("graz", "linz"))

  def test_rows_of_categories_that_do_not_come_stay_to_the_bit(self):
    rows = warm_runs.make_rows(5, ["wien", "graz", "wien"])
    with tempfile.TemporaryDirectory() as folder:
      found = warm_runs.values(warm_runs.train(
          folder, warm_runs.start_from(self._source), rows=rows).checkpoint)[
              "embedding/city/embeddings"]
    before = self._trained["embedding/city/embeddings"]
    equal = (found == before).all(axis=1)
    self.assertEqual(equal.tolist(), [True] * 3 + [False] * 2 + [True])

  def test_a_vocabulary_that_is_stated_may_go_on_too(self):
    known = self._vocabulary(compatibility.experiment_of(self._path))
    found = self._values_at_start(
        warm_runs.AVERAGED, "data.feature[name=city].categorical={ capacity: 5 "
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
        warm_runs.train(folder, stated, warm_runs.start_from(self._source))
      self.assertEmpty([n for n in os.listdir(folder) if "ckpt" in n])


class RunTest(warm_runs.WarmStartTest):

  def test_the_best_of_a_folder_its_last_or_any_path(self):
    with tempfile.TemporaryDirectory() as folder:
      source = os.path.join(folder, "source")
      warm_runs.train(
          source, "evaluation={ every_steps: 2 best { metric: 'b/rmse' "
          "goal: MAXIMIZE } }", "training.checkpoint.every_steps=1")
      best = checkpoints.choose(source, "best")
      self.assertIn("/best/", best)
      for which, path in ((source, best), (f"{source}/model.ckpt-5",
                                           f"{source}/model.ckpt-5")):
        self._values_at_start(warm_runs.start_from(which), warm=False)
        self.assertIn(f"starting from {path}", self._lines)

  def test_a_run_with_a_checkpoint_of_its_own_goes_on_from_that(self):
    with tempfile.TemporaryDirectory() as folder:
      source, run = os.path.join(folder, "source"), os.path.join(folder, "run")
      shutil.copytree(self._source, source)
      warm = warm_runs.start_from(source)
      warm_runs.train(run, warm, "training.num_steps=2")
      shutil.rmtree(source)
      lines = []
      warm_runs.train(run, warm, log=lines.append)
      self.assertIn("going on from step 2", lines)
      self.assertEmpty([l for l in lines if l.startswith("starting from")])
      found = warm_runs.values(checkpoints.newest(run))
      whole = os.path.join(folder, "whole")
      warm_runs.train(whole, warm_runs.start_from(self._source))
      expected = warm_runs.values(checkpoints.newest(whole))
      self.assertEqual([name for name in expected if name != "run_state" and
                        expected[name].tobytes() != found[name].tobytes()], [])

  def test_its_rows_train_it_on(self):
    lines = []
    with tempfile.TemporaryDirectory() as folder:
      warm_runs.train(folder, warm_runs.start_from(self._source),
                      "training.log_every_steps=1", log=lines.append)
    first = [l for l in lines if l.startswith("step 1/")][0]
    cold = []
    with tempfile.TemporaryDirectory() as folder:
      warm_runs.train(folder, "training.log_every_steps=1", log=cold.append)
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
          warm_runs.train(os.path.join(folder, "run"),
                          warm_runs.start_from(which))

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

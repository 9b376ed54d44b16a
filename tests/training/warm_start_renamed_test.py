"""Tests of starting from scopes of other names, and from several runs."""

import tempfile

from absl.testing import absltest
import numpy as np

from mtl_graph.checkpoints import checkpoints
from tests.training import warm_runs


class RenameTest(warm_runs.WarmStartTest):
  """A task "c" that starts from what the other run's "b" has learned."""

  _AS_B = ("rename [{ saved: 'tower/b' here: 'tower/c' }, "
           "{ saved: 'head/b' here: 'head/c' }, "
           "{ saved: 'log_variance/b' here: 'log_variance/c' }]")

  def _start(self, more, *overrides):
    return self._values_at_start(
        warm_runs.AVERAGED, warm_runs.TWIN,
        warm_runs.start_from(self._source, more=more), *overrides, warm=False)

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
    name = "tower/c/dense/kernel" + warm_runs.SUFFIX
    self.assertTrue(np.any(found[name] != found[name[:-len(warm_runs.SUFFIX)]]))
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
        warm_runs.AVERAGED,
        warm_runs.start_from(self._source, more="optimizer_state: true"),
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
    # Groups without slots from there count their steps anew.
    self._check_taken(found, ["statistics"],
                      ["trunk", "tower/b", "head", "optimizer/shared/trunk",
                       "optimizer/b/tower", "optimizer/a/beta1_power"])

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
        name + suffix for suffix in ("", warm_runs.SUFFIX) for name in (
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
        f"head/a/kernel{warm_runs.SUFFIX}; "):
      self._start("scope: 'head/c/kernel' rename { saved: 'head/a' here: "
                  "'head/c' }", "model.task[name=c].tower.layer[0].dense"
                  ".units=5")


class SeveralTest(warm_runs.WarmStartTest):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    # Another run, without averages, and without the task "a".
    cls._other = cls.enterClassContext(tempfile.TemporaryDirectory())
    path = warm_runs.train(
        cls._other, "seed=4", "model.task=[{ name: 'b' regression {} tower { "
        "layer { dense { units: 3 activation: RELU } } } }]",
        rows=warm_runs.make_rows(0, mean=2)).checkpoint
    cls._of_other = warm_runs.values(path)
    cls._lines_of = (f"starting from {cls._path}", f"starting from {path}")

  def _start(self, messages, *overrides):
    return self._values_at_start(
        warm_runs.AVERAGED, "training.warm_start=[" + ", ".join(
            f"{{ checkpoint: '{folder}' {more} }}"
            for folder, more in messages) + "]", *overrides, warm=False)

  def _assert_of(self, values, found, *scopes):
    for scope in scopes:
      names = [n for n in found if (n + "/").startswith(scope + "/")
               and not n.endswith(warm_runs.SUFFIX)]
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
    averages = [name + warm_runs.SUFFIX for name in (
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
    self.assertEqual(found[name + warm_runs.SUFFIX].tobytes(),
                     self._of_other[name].tobytes())
    name_of_a = "head/a/kernel" + warm_runs.SUFFIX
    self.assertEqual(found[name_of_a].tobytes(),
                     self._trained[name_of_a].tobytes())
    self.assertContainsSubset([name + warm_runs.SUFFIX], self._said()[2])

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
          " here: 'tower/c' }, { saved: 'head/b' here: 'head/c' }]")],
        warm_runs.TWIN)
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


if __name__ == "__main__":
  absltest.main()

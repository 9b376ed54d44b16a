"""Tests of which group owns which variable, by names alone."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import ownership
from mtl_graph.protos import training_pb2

_NAMES = ["embedding/c/embeddings", "trunk/dense/kernel",
          "trunk/dense_1/kernel", "head/a/kernel", "head/a/bias",
          "head/ab/kernel"]


def _claim(groups, names=None):
  """Returns the groups' variables and the problems, for {name: scopes}."""
  problems = []
  messages = [training_pb2.VariableGroup(name=name, scope=scopes)
              for name, scopes in groups]
  owned = ownership.claim(messages, _NAMES if names is None else names,
                          lambda path, problem: problems.append(
                              f"{path}: {problem}"))
  return dict(owned), problems


class ClaimTest(parameterized.TestCase):

  def test_keeps_the_order_of_groups_and_of_variables(self):
    owned, problems = _claim([("heads", ["head/ab", "head/a"]),
                              ("rest", ["trunk", "embedding"])])
    self.assertEqual(problems, [])
    self.assertEqual(list(owned.items()), [("heads", _NAMES[3:]),
                                           ("rest", _NAMES[:3])])

  @parameterized.parameters(
      ("trunk", ["trunk/dense/kernel", "trunk/dense_1/kernel"]),
      ("trunk/dense", ["trunk/dense/kernel"]),
      ("trunk/dense_1/kernel", ["trunk/dense_1/kernel"]),
      ("head/a", ["head/a/kernel", "head/a/bias"]))
  def test_scope_is_a_whole_part_of_the_name(self, scope, expected):
    owned, problems = _claim([("g", [scope])])
    self.assertEqual(owned, {"g": expected})
    self.assertEqual(problems, [
        "training.group: no group claims "
        f"{', '.join(n for n in _NAMES if n not in expected)}; allowed: every "
        "trainable variable in exactly one group"])

  def test_variable_claimed_twice(self):
    _, problems = _claim([("x", ["head", "head/a/bias"]),
                          ("y", ["trunk", "embedding", "head/ab"])])
    self.assertEqual(problems, [
        "training.group[0].scope[1]: variable 'head/a/bias' already belongs to "
        "group 'x'; allowed: one group per variable",
        "training.group[1].scope[2]: variable 'head/ab/kernel' already belongs "
        "to group 'x'; allowed: one group per variable"])

  @parameterized.parameters(
      ("tronk", "; nearest: 'trunk', 'trunk/dense'"),
      ("trunk/", "; nearest: 'trunk', 'trunk/dense', 'trunk/dense_1'"),
      ("head/b", "; nearest: 'head/ab', 'head/a', 'head'"),
      ("xyz", "; there are: embedding, head, trunk"),
      ("", "; there are: embedding, head, trunk"))
  def test_scope_of_nothing(self, scope, hint):
    _, problems = _claim([("all", ["trunk", "embedding", "head"]),
                          ("g", [scope])])
    self.assertEqual(problems, ["training.group[1].scope[0]: no trainable "
                                f"variable lies in scope '{scope}'{hint}"])

  def test_all_problems_in_order(self):
    _, problems = _claim([("x", ["head", "hed"]), ("y", ["head/a"])])
    self.assertEqual([p.split(":")[0] for p in problems], [
        "training.group[0].scope[1]", "training.group[1].scope[0]",
        "training.group"])

  @parameterized.parameters(
      (2, "variables 'head/a0', 'head/a1' already belong to group 'x'"),
      (3, "variables 'head/a0', 'head/a1' and 1 more already belong to group "
       "'x'"),
      (30, "variables 'head/a0', 'head/a1' and 28 more already belong to group "
       "'x'"))
  def test_scope_claimed_twice_is_one_problem(self, count, problem):
    names = [f"head/a{i}" for i in range(count)]
    owned, problems = _claim([("x", ["head"]), ("y", ["head"])], names)
    self.assertEqual(problems, [f"training.group[1].scope[0]: {problem}; "
                                "allowed: one group per variable"])
    self.assertEqual(owned, {"x": names, "y": []})

  def test_claimed_from_two_groups_is_a_problem_each(self):
    _, problems = _claim([("x", ["head/a"]), ("y", ["head/ab"]),
                          ("z", ["head", "trunk", "embedding"])])
    self.assertEqual(problems, [
        "training.group[2].scope[0]: variables 'head/a/kernel', 'head/a/bias' "
        "already belong to group 'x'; allowed: one group per variable",
        "training.group[2].scope[0]: variable 'head/ab/kernel' already belongs "
        "to group 'y'; allowed: one group per variable"])

  def test_group_without_scopes_owns_nothing(self):
    owned, problems = _claim([("x", []), ("y", ["head", "trunk", "embedding"])])
    self.assertEqual(owned["x"], [])
    self.assertEqual(problems, [])


class LogVarianceTest(absltest.TestCase):
  _LOG_VARIANCES = ["log_variance/a", "log_variance/ab"]

  def _claim(self, groups):
    return _claim(groups, _NAMES + self._LOG_VARIANCES)

  def test_unclaimed_joins_the_group_of_its_tasks_head(self):
    owned, problems = self._claim([
        ("shared", ["trunk", "embedding"]), ("x", ["head/ab"]),
        ("y", ["head/a"])])
    self.assertEqual(problems, [])
    self.assertEqual(owned["x"], ["head/ab/kernel", "log_variance/ab"])
    self.assertEqual(owned["y"], ["head/a/kernel", "head/a/bias",
                                  "log_variance/a"])

  def test_claimed_by_scope_goes_there(self):
    owned, problems = self._claim([
        ("rest", ["trunk", "embedding", "head"]), ("s", ["log_variance"])])
    self.assertEqual(problems, [])
    self.assertEqual(owned["s"], self._LOG_VARIANCES)

  def test_one_claimed_by_name_the_other_joins(self):
    owned, _ = self._claim([("rest", ["trunk", "embedding", "head"]),
                            ("s", ["log_variance/ab"])])
    self.assertEqual(owned["s"], ["log_variance/ab"])
    self.assertIn("log_variance/a", owned["rest"])

  def test_wide_parts_and_thresholds_do_not_move_it(self):
    names = ["head/o/kernel", "wide/o/c/weights", "head/o/thresholds",
             "log_variance/o"]
    owned, problems = _claim([("w", ["wide"]), ("t", ["head/o/thresholds"]),
                              ("k", ["head/o/kernel"])], names)
    self.assertEqual(problems, [])
    self.assertEqual(owned, {"w": names[1:2], "t": names[2:3],
                             "k": [names[0], names[3]]})

  def test_orphan_together_with_its_head(self):
    _, problems = self._claim([("shared", ["trunk", "embedding", "head/a"])])
    self.assertEqual(problems, [
        "training.group: no group claims head/ab/kernel, log_variance/ab; "
        "allowed: every trainable variable in exactly one group"])


class ReportScopeTest(absltest.TestCase):

  def test_names_any_field(self):
    problems = []
    for scope in ("hed", "xyz"):
      ownership.report_scope(
          scope, _NAMES, "training.warm_start[2].scope[3]",
          lambda path, problem: problems.append(f"{path}: {problem}"))
    start = ("training.warm_start[2].scope[3]: no trainable variable lies in "
             "scope ")
    self.assertEqual(problems, [
        f"{start}'hed'; nearest: 'head', 'head/a', 'head/ab'",
        f"{start}'xyz'; there are: embedding, head, trunk"])


if __name__ == "__main__":
  absltest.main()

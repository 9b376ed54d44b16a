"""Tests for tools/benchmarking/targets.py."""

from absl.testing import absltest
from absl.testing import parameterized

from tools.benchmarking import targets


def _result(*seconds, graph_seconds=None):
  return targets.Result(seconds, graph_seconds)


class TargetsTest(parameterized.TestCase):

  def test_ratio_is_the_median_round_by_round(self):
    slow_in_the_middle = _result(1.0, 9.0, 1.0)
    other = _result(2.0, 27.0, 2.5)
    self.assertEqual(
        targets.speed_ratio(slow_in_the_middle, other), 2.5)
    self.assertEqual(targets.median_seconds(other), 2.5)

  @parameterized.named_parameters(
      ("met", 3.5, True, "met"), ("missed", 3.4, True, "missed"),
      ("at_most_met", 3.5, False, "met"),
      ("at_most_missed", 3.6, False, "missed"),
      ("lacking", None, True, "not measured"))
  def test_word(self, found, at_least, expected):
    self.assertEqual(
        targets.Verdict("", found, 3.5, at_least).word, expected)

  def test_small(self):
    found = targets.verdicts({"small": {
        "engine AUTO": _result(1.0), "engine SESSION": _result(2.0),
        "by hand, feed_dict": _result(4.0), "by hand, callable": _result(3.0),
        "Keras, 1 steps per execution": _result(5.0),
        "Keras, 100 steps per execution": _result(3.0),
        "PyTorch eager, Adam": _result(5.0),
        "PyTorch eager, fused Adam": _result(3.6)}})
    self.assertEqual([v.found for v in found], [4.0, 3.0, 5.0, 3.6])
    self.assertEqual([v.word for v in found], ["met", "missed", "met", "met"])

  def test_a_case_of_which_nothing_is_known(self):
    self.assertEmpty(targets.verdicts({}))
    self.assertEqual({v.word for v in targets.verdicts(
        {"large": {"engine AUTO": _result(1.0)}})}, {"not measured"})

  def test_no_bound_is_a_rival(self):
    found = targets.verdicts({"large": {
        "engine AUTO": _result(1.0), "engine XLA": _result(0.5),
        "PyTorch eager, Adam": _result(1.5), "products, torch": _result(0.9)}})
    self.assertEqual([v.found for v in found], [1.5, 0.9])

  def test_growth_with_tasks(self):
    found = targets.verdicts({
        "tasks_2": {"engine AUTO": _result(1.0), "products, a": _result(0.5)},
        "tasks_32": {"engine AUTO": _result(12.0), "products, a": _result(5.0),
                     "engine SESSION": _result(20.0, graph_seconds=11.0)}})
    self.assertEqual([v.found for v in found], [1.2, 11.0])
    self.assertEqual([v.word for v in found], ["missed", "missed"])



if __name__ == "__main__":
  absltest.main()

"""Tests of the search for what is wrong with tasks that read others."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import chain_checks
from mtl_graph import config

_TASKS = """
task { name: 'a' binary {} }
task { name: 'b' binary {} }
task { name: 'n' count {} }
task { name: 'ab' binary {} product { task: ['a', 'b'] } }
"""
_READER = "task { name: 'r' count {} estimate { task: 't' %s } %s }"
_READS = "stop_gradient: false"
_UNTRAINED = (".no_loss: found it on a task that nothing else trains; allowed: "
              "on a factor of a product, or where an estimate with "
              "stop_gradient: false is read, of tasks that are trained")
_OWN = "allowed: on tasks with layers of their own"


def _problems(task, others=_TASKS, sharing="hard_sharing {}"):
  problems = []
  model = config.parse(f"model {{ {sharing} task {{ name: 't' {task} }} "
                       f"{others} }}").model
  chain_checks.check(
      model.task[0], model, "at",
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return problems


class CheckTest(parameterized.TestCase):

  def _assert_problems(self, task, expected, others=_TASKS):
    self.assertEqual(_problems(task, others),
                     [f"at{problem}" for problem in expected])

  def test_reads_under_hard_sharing_only(self):
    task = "count {} reads: 'trunk'"
    self.assertEmpty(_problems(task))
    self.assertEmpty(_problems(task, sharing=""))
    self.assertEqual(_problems(task, sharing="soft_sharing {}"), [
        "at.reads: found it beside another sharing; allowed: under "
        "hard_sharing"])

  @parameterized.parameters(
      ("binary {} product { task: ['b', 'a'] }",),
      ("binary {} product { task: ['ab', 'a'] } label { column: 'x' }",),
      ("product { task: ['b', 'a'] }",),  # That a head is lacking others say.
      ("count {} product { task: ['b', 'a'] }",
       ".product: found it on a count task; allowed: on a binary task"),
      ("binary {} product {}", ".product.task: found 0; allowed: at least 2"),
      ("binary {} product { task: 'a' }",
       ".product.task: found 1; allowed: at least 2"),
      ("binary {} product { task: ['a', 'a', 't', 'n', 'abb'] }",
       ".product.task[1]: found 'a' a second time; allowed: each once",
       ".product.task[2]: found 't'; allowed: another binary task: a, b, ab",
       ".product.task[3]: found 'n'; allowed: another binary task: a, b, ab",
       ".product.task[4]: found 'abb'; allowed: another binary task; nearest: "
       "'ab', 'b', 'a'"),
      ("binary {} product { task: ['a', 'b'] } reads: 'trunk' tower {} "
       "estimate {} transfer { task: 'a' }",
       f".tower: found it beside product; {_OWN}",
       f".estimate: found it beside product; {_OWN}",
       f".reads: found it beside product; {_OWN}",
       f".transfer: found it beside product; {_OWN}"))
  def test_products(self, task, *expected):
    self._assert_problems(task, expected)

  @parameterized.parameters(
      ("binary {} transfer { task: 'b' calibration_weight: 0.5 }",),
      ("count {} transfer { task: 'n' stop_gradient: true }",),
      ("count {} transfer {}",
       ".transfer.task: found ''; allowed: another task: a, b, n, ab"),
      ("count {} transfer { task: 'tt' }",
       ".transfer.task: found 'tt'; allowed: another task: a, b, n, ab"),
      ("count {} transfer { task: 't' }",
       ".transfer.task: found 't'; allowed: another task: a, b, n, ab"),
      ("count {} transfer { task: 'ab' }",
       ".transfer.task: found 'ab', which is a product; allowed: a task with a "
       "tower or a head of its own"),
      ("binary {} transfer { task: 'a' calibration_weight: -1 }",
       ".transfer.calibration_weight: found -1.0; allowed: at least 0"),
      ("count {} transfer { task: 'a' calibration_weight: 2 }",
       ".transfer.calibration_weight: found 2 where not both tasks are binary; "
       "allowed: 0"),
      ("binary {} transfer { task: 'n' calibration_weight: 2 }",
       ".transfer.calibration_weight: found 2 where not both tasks are binary; "
       "allowed: 0"))
  def test_transfers(self, task, *expected):
    self._assert_problems(task, expected)

  def test_nobody_else(self):
    self._assert_problems("count {} transfer { task: 'a' }", [
        ".transfer.task: found 'a'; allowed: another task: there is none"], "")

  @parameterized.named_parameters(
      ("alone", "", _UNTRAINED),
      ("estimate", _READER % (_READS, "")),
      ("estimate_cut_off", _READER % ("", ""), _UNTRAINED),
      ("factor", "task { name: 'p' product { task: ['t', 'a'] } }"),
      ("transfer", "task { name: 'l' transfer { task: 't' } }", _UNTRAINED),
      ("reader_that_nothing_trains", _READER % (_READS, "no_loss: true"),
       _UNTRAINED),
      ("reader_that_another_one_trains", _READER % (_READS, "no_loss: true")
       + "task { name: 'p' product { task: ['r', 'a'] } }"),
      ("readers_of_each_other", "task { name: 'r' no_loss: true estimate { "
       f"task: 't' {_READS} }} estimate {{ task: 'r' {_READS} }} }}",
       _UNTRAINED))
  def test_without_a_loss(self, others, *expected):
    self._assert_problems("binary {} no_loss: true", expected, others)

  def test_fields_of_a_loss(self):
    self._assert_problems(
        "binary {} no_loss: true weight: 1 additional_loss {}",
        [f".{field}: found it beside no_loss; allowed: on tasks with a loss"
         for field in ("weight", "additional_loss")], _READER % (_READS, ""))


if __name__ == "__main__":
  absltest.main()

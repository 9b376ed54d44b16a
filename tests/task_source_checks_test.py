"""Tests of the search for what is wrong with sources and their mixing."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from mtl_graph import task_source_checks

_TASKS = """
task { name: "click" binary {} } task { name: "stars" regression {} }
task { name: "gate" binary {} no_loss: true }
task { name: "like" binary {} no_loss: true label {} }
"""
_TWO = "source { name: 'ads' %s } source { name: 'polls' %s } %s"


def _problems(data, tasks=_TASKS):
  problems = []
  task_source_checks.check(
      config.parse(f"data {{ {data} }} model {{ {tasks} }}"),
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return problems


class CheckTest(parameterized.TestCase):

  @parameterized.parameters(
      ("",), ("train {} resampling {}",), ("source { name: 'ads' }",),
      (_TWO % ("task: 'click'", "task: ['stars', 'like']", ""),),
      (_TWO % ("task: 'click'", "", "mixing { proportional {} }"),),
      (_TWO % ("rate: 0.5", "rate: 2", "mixing { stated {} }"),),
      (_TWO % ("at_end: STOP", "at_end: RECYCLE", "mixing { temperature: 5 }"),
      ))
  def test_valid(self, data):
    self.assertEmpty(_problems(data))

  @parameterized.named_parameters(
      ("mixing_of_nothing", "mixing { uniform {} }", "data.mixing: found it "
       "without data.source; allowed: with sources only"),
      *((field, f"source {{ name: 'ads' }} {field} {{}}",
         f"data.{field}: found it beside data.source; allowed: at most one of "
         "them") for field in ("train", "validation", "test", "resampling")),
      ("names", "source {} source { name: 'A' } source { name: 'total' } source"
       " { name: 'total' }",
       *(f"data.source[{i}].name: found '{name}'; allowed: a lower-case letter,"
         " then lower-case letters, digits and '_'"
         for i, name in enumerate(("", "A"))),
       "data.source[3].name: found 'total' a second time; allowed: each name "
       "once"),
      ("no_kind", "source { name: 'ads' } mixing {}", "data.mixing: found no "
       "kind; allowed: one of proportional, uniform, temperature, stated"),
      ("temperature", "source { name: 'ads' } mixing { temperature: 0 }",
       "data.mixing.temperature: found 0.0; allowed: above 0"),
      ("rates", _TWO % ("rate: 0", "", "mixing { stated {} }"),
       "data.source[0].rate: found 0.0; allowed: above 0",
       "data.source[1].rate: found nothing; allowed: above 0"),
      ("rate_of_others", _TWO % ("rate: 1.5", "", "mixing { uniform {} }"),
       "data.source[0].rate: found 1.5; allowed: only under "
       "data.mixing.stated"),
      ("rate_by_itself", _TWO % ("", "rate: 0", ""),
       "data.source[1].rate: found 0; allowed: only under data.mixing.stated"),
      ("unknown_task", _TWO % ("task: ['click', 'start']", "task: 'click'", ""),
       "data.source[0].task[1]: no task 'start'; allowed: click, stars, gate, "
       "like; nearest: 'stars'"),
      ("task_twice", _TWO % ("task: ['click', 'click']", "", ""),
       "data.source[0].task[1]: found 'click' a second time; allowed: each task"
       " once"),
      ("no_label", _TWO % ("task: 'gate'", "", ""),
       "data.source[0].task[0]: found 'gate', which has no label; allowed: "
       "tasks that have one"),
      ("task_of_no_source", _TWO % ("task: 'click'", "task: 'click'", ""),
       "data.source: found none with labels of task 'stars'; allowed: at least "
       "one, as the task has a loss"))
  def test_refused(self, data, *expected):
    self.assertEqual(_problems(data), list(expected))

  def test_a_label_that_counts_by_another(self):
    tasks = """
        task { name: "bought" binary {}
               label { only_when { task: "click" } only_when { column {} } } }
        task { name: "click" binary {} }"""
    other = "source { name: 'all' }"
    self.assertEqual(
        _problems(f"source {{ name: 'ads' task: 'bought' }} {other}", tasks),
        ["data.source[0].task[0]: found 'bought' without 'click', by whose "
         "label that of 'bought' counts or not; allowed: with it"])
    for listed in ("task: 'click'", "task: ['bought', 'click']", ""):
      self.assertEmpty(_problems(f"source {{ name: 'ads' {listed} }} {other}",
                                 tasks))


if __name__ == "__main__":
  absltest.main()

"""Tests of the search for what is wrong with independent training."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from mtl_graph import independent_checks

_MODEL = """model {
  task { name: 'a' binary {} } task { name: 'b' count {} }
  task { name: 'c' binary {} no_loss: true }
}"""
_SOURCES = ("source { name: 'ads' task: ['a'] } source { name: 'all' } "
            "source { name: 'rest' task: ['b'] }")
_ADAM = "adam { learning_rate { constant: 1 } }"
_BOTH = "task { name: 'a' } task { name: 'b' }"
_VARIABLES = ("trunk/dense/kernel", "head/a/kernel", "head/b/kernel")


def _problems(tasks=_BOTH, training="num_rounds: 1", default=_ADAM, data=""):
  problems = []
  optimizer = f"default_optimizer {{ {default} }}" if default else ""
  independent_checks.check(
      config.parse(f"data {{ {data} }} {_MODEL} training {{ independent {{ "
                   f"{tasks} }} {training} {optimizer} }}"), _VARIABLES,
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return problems


class CheckTest(parameterized.TestCase):

  @parameterized.parameters(
      ("num_rounds: 1",),
      ("num_rounds: 3 group { scope: ['trunk', 'head/a'] frozen: true }",),
      ("", "training.num_rounds: found nothing; allowed: at least 1"),
      ("num_rounds: 0 num_steps: 3 num_epochs: 0.5",
       "training.num_rounds: found 0; allowed: at least 1",
       "training.num_steps: found 3; allowed: in joint training only; "
       "independent training takes num_rounds",
       "training.num_epochs: found 0.5; allowed: in joint training only; "
       "independent training takes num_rounds"),
      ("num_rounds: 1 summaries { gradient_cosine: true }",
       "training.summaries.gradient_cosine: found it in independent training; "
       "allowed: in joint training"),
      ("num_rounds: 1 group { name: 'b' scope: 'trunk' frozen: true }",
       "training.group[0].name: found 'b', the name of a task; allowed: another"
       " one"),
      ("num_rounds: 1 group { scope: 'trunk' frozen: true } group { scope: "
       "'head' }", "training.group[1]: found a group that is not frozen; "
       "allowed: frozen ones, as each task trains what it reaches",
       "training.group: found all variables frozen; allowed: at least one that "
       "is trained"))
  def test_the_mode(self, training, *expected):
    self.assertEqual(_problems(training=training), list(expected))

  def test_mixing(self):
    self.assertEqual(_problems(data="mixing { uniform {} }"), [
        "data.mixing: found it in independent training; allowed: in joint "
        "training, as here each task states its source"])

  @parameterized.parameters(
      ("task { name: 'b' iterations: 0 } task { name: 'a' iterations: 5 }",),
      ("", ": found nothing of a, b; allowed: every task with a loss, with "
       "iterations: 0 if it is not trained"),
      ("task { name: 'a' } task { name: 'c' } task { name: 'a' }",
       "[1].name: no task 'c' that has a loss; allowed: a, b",
       "[2].name: found 'a' a second time; allowed: each task once",
       ": found nothing of b; allowed: every task with a loss, with "
       "iterations: 0 if it is not trained"),
      ("task { name: 'a' iterations: 0 } task { name: 'b' iterations: 0 }",
       ": found iterations: 0 on every task; allowed: at least one that is "
       "trained"))
  def test_the_tasks(self, tasks, *expected):
    self.assertEqual(_problems(tasks), [
        f"training.independent.task{problem}" for problem in expected])

  @parameterized.parameters(
      ("iterations: 1 batch_size: 1 clipping { norm: 1 } weight_decay: 0",),
      ("iterations: -1", ".iterations: found -1; allowed: at least 0"),
      ("batch_size: 0", ".batch_size: found 0; allowed: at least 1"),
      ("optimizer {}", ".optimizer: found no kind; allowed: one of adam, ..."),
      ("clipping {}", ".clipping: found no kind; allowed: one of ..."),
      ("clipping { value: 0 }", ".clipping.value: found 0.0; allowed: above 0"),
      ("weight_decay: -1", ".weight_decay: found -1.0; allowed: at least 0"),
      (f"weight_decay: 1 optimizer {{ {_ADAM.replace('adam', 'ftrl')} }}",
       ".weight_decay: found 1.0 with ftrl, which does not keep what is taken "
       "off; allowed: 0, or l2 of ftrl"),
      ("source: 'ads'",), ("source: 'all'",),
      ("source: 'rest'", ".source: no source 'rest' that labels task 'a'; "
       "allowed: ads, all"),
      ("source: 'al'", ".source: no source 'al' that labels task 'a'; allowed: "
       "ads, all; nearest: 'all'"))
  def test_a_task(self, task, *expected):
    found = _problems(f"task {{ name: 'b' }} task {{ name: 'a' {task} }}",
                      data=_SOURCES)
    self.assertLen(found, len(expected), found)
    for line, start in zip(found, expected):
      self.assertStartsWith(line, "training.independent.task[1]"
                            + start.removesuffix("..."))

  def test_source_where_there_is_none(self):
    self.assertEqual(
        _problems("task { name: 'a' source: 'x' } task { name: 'b' }"),
        ["training.independent.task[0].source: no source 'x' that labels task "
         "'a'; allowed: none, as there is no such source"])

  def test_an_optimizer_for_every_task(self):
    self.assertEqual(
        _problems(f"task {{ name: 'a' optimizer {{ {_ADAM} }} }} "
                  "task { name: 'b' }", default=""),
        ["training.independent.task[1].optimizer: found nothing; required, as "
         "there is no training.default_optimizer"])


if __name__ == "__main__":
  absltest.main()

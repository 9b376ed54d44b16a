"""Tests of the search for what is wrong with the data."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from mtl_graph import data_checks

_TASKS = """
task { name: "click" binary {} } task { name: "spent" regression {} }
task { name: "tier" multiclass { vocabulary: ["a", "b", "c"] } }
task { name: "stars" ordinal { num_classes: 4 } }
task { name: "tags" multilabel { num_labels: 2 } } task { name: "n" count {} }
"""


def _problems(data, needs_sources=False, tasks=_TASKS):
  problems = []
  data_checks.check(
      config.parse(f"data {{ feature {{ name: 'x' numeric {{ size: 2 }} }} "
                   f"{data} }} model {{ {tasks} }}"), needs_sources,
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return problems


class CheckTest(parameterized.TestCase):

  def test_batch_size(self):
    self.assertEqual(_problems("batch_size: 0"), [
        "data.batch_size: found 0; allowed: at least 1"])

  def test_text_only_where_it_is_known(self):
    csv = "train { csv { path: '*' } }"
    self.assertEmpty(_problems(csv))
    self.assertLen(_problems(csv, needs_sources=True), 1)
    self.assertEmpty(_problems("train { npz { path: '*' } }",
                               needs_sources=True))
    sources = "source { name: 'a' train { npz { path: '*' } } } source { name: "
    self.assertLen(_problems(sources + f"'b' {csv} }}", needs_sources=True), 1)
    self.assertEmpty(_problems(sources + "'b' train { npz { path: '*' } } "
                               "validation { csv { path: '*' } } }",
                               needs_sources=True))

  @parameterized.named_parameters(
      ("binary", "task: 'click'"), ("multiclass", "task: 'tier'"),
      ("ordinal", "task: 'stars' method: UNDERSAMPLE"),
      ("shares", "task: 'click' fraction: [0.9999, 0.0001]"),
      ("rounded_shares", "task: 'tier' fraction: [0.3333333, 0.3333333, "
       "0.3333333]"),
      ("no_task", "", ".task: found ''; allowed: a binary, multiclass or "
       "ordinal task: click, tier, stars"),
      ("misspelt", "task: 'clik'", ".task: found 'clik'; allowed: a binary, "
       "multiclass or ordinal task; nearest: 'click'"),
      *((head, f"task: '{name}' fraction: 1", f".task: found '{name}'; allowed:"
         " a binary, multiclass or ordinal task" + hint)
        for head, name, hint in (
            ("regression", "spent", ": click, tier, stars"),
            ("multilabel", "tags", "; nearest: 'stars'"),
            ("count", "n", ": click, tier, stars"))),
      ("too_few_shares", "task: 'tier' fraction: [0.5, 0.5]",
       ".fraction: found 2; allowed: 3, one per class, or none"),
      ("sum", "task: 'click' fraction: [0.5, 0.6]",
       ".fraction: found shares that add up to 1.1; allowed: to 1"),
      ("zero", "task: 'tier' fraction: [0.5, 0, 0.5]",
       ".fraction[1]: found 0; allowed: above 0"),
      ("below_zero", "task: 'click' fraction: [1.5, -0.5]",
       ".fraction[1]: found -0.5; allowed: above 0"))
  def test_resampling(self, resampling, *expected):
    self.assertEqual(_problems(f"resampling {{ {resampling} }}"),
                     [f"data.resampling{problem}" for problem in expected])

  def test_classes_that_are_not_known_are_not_counted(self):
    self.assertEmpty(_problems(
        "resampling { task: 'y' fraction: [0.5, 0.5] }",
        tasks="task { name: 'y' multiclass { vocabulary_file: '/no/such' } }"))

  def test_a_task_without_a_label_is_not_balanced(self):
    self.assertLen(_problems(
        "resampling { task: 'y' }",
        tasks="task { name: 'y' binary {} no_loss: true }"), 1)

  def test_nothing_to_balance(self):
    self.assertEqual(
        _problems("resampling { task: 'y' }",
                  tasks="task { name: 'y' regression {} }"),
        ["data.resampling.task: found 'y'; allowed: a binary, multiclass or "
         "ordinal task: there is none"])


if __name__ == "__main__":
  absltest.main()

"""Tests for tools/benchmark.py: who takes part, and in what."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from tools import benchmark
from tools.benchmarking import cases
from tools.benchmarking import engine
from tools.benchmarking import targets

_ALL = [c for case in benchmark.CASES
        for some in benchmark.contestants(case).values() for c in some]


class BenchmarkTest(parameterized.TestCase):

  def test_every_target_of_full_results(self):
    results = {case: {c.name: targets.Result([1.0], 9.0) for c in some}
               for flag in benchmark.CASES
               for case, some in benchmark.contestants(flag).items()}
    found = targets.verdicts(results)
    self.assertNotIn("not measured", [v.word for v in found])
    self.assertLen(found, 4 + 2 + 1 + 2 + 1 + 4 + 1)

  @parameterized.parameters(*sorted(
      {(c.case, c.options["mode"]) for c in _ALL
       if c.kind == "engine" and "source" not in c.options}))
  def test_the_engines_experiment(self, name, mode):
    case = cases.CASES[name]
    experiment = config.parse(engine.experiment(case, mode, 1))
    self.assertLen(experiment.model.task, case.tasks)

  def test_contestants_have_names_of_their_own(self):
    for case in benchmark.CASES:
      for some in benchmark.contestants(case).values():
        names = [c.name for c in some]
        self.assertCountEqual(names, set(names))

  def test_unknown_case(self):
    self.assertEqual(benchmark.main(["benchmark", "--case=smal"]), 2)


if __name__ == "__main__":
  absltest.main()

"""Tests for tools/benchmark_balancing.py."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import api
from mtl_graph import validation
from tools import benchmark_balancing
from tools.benchmarking import cases
from tools.benchmarking import engine


class BenchmarkBalancingTest(parameterized.TestCase):

  @parameterized.parameters(*benchmark_balancing.METHODS)
  def test_every_method_is_valid_on_this_side(self, method):
    found = benchmark_balancing.contestants(
        4, method, ("engine", "representation"), "LOOP")
    self.assertLen(found, 1 if method == "excess_mtl" else 2)
    for contestant in found:
      experiment = api.experiment_of(engine.experiment(
          cases.CASES[contestant.case], "LOOP", 1,
          balancing=contestant.options["balancing"]))
      validation.check(experiment, {"train": {}})
      balancing = experiment.training.joint.gradient_balancing
      self.assertEqual(balancing.WhichOneof("kind"), method)
      self.assertEqual(balancing.at == balancing.REPRESENTATION,
                       contestant.name.startswith("representation"))

  @parameterized.parameters(*benchmark_balancing.WEIGHTINGS)
  def test_every_weighting_is_valid_on_this_side(self, method):
    found, rival = benchmark_balancing.contestants(
        4, method, ("engine", "representation", "TorchJD"), "LOOP")
    self.assertEqual(rival.options, {"method": method})
    experiment = api.experiment_of(engine.experiment(
        cases.CASES[found.case], "LOOP", 1, loss=found.options["loss"]))
    validation.check(experiment, {"train": {}})

  def test_the_sum_takes_part_on_both_sides_as_it_is(self):
    engine_sum, rival_sum = benchmark_balancing.contestants(
        2, "sum", ("engine", "representation", "TorchJD"), "AUTO")
    self.assertEqual(engine_sum.options, {"mode": "AUTO", "balancing": ""})
    self.assertEqual(rival_sum.options, {"method": None})

  def test_medians_by_method_and_side(self):
    found = benchmark_balancing.by_method([
        {"contestant": "engine sum", "seconds": [3.0, 1.0, 2.0]},
        {"contestant": "TorchJD sum", "seconds": [4.0]},
        {"contestant": "engine mgda", "seconds": [5.0]},
        {"contestant": "TorchJD mgda", "seconds": [], "refused": "it died"}])
    self.assertEqual(found, {"sum": {"engine": 2.0, "TorchJD": 4.0},
                             "mgda": {"engine": 5.0}})

  def test_layout(self):
    lines = [line.split() for line in benchmark_balancing.layout(2, {
        "sum": {"engine": 0.001, "TorchJD": 0.002},
        "mgda": {"engine": 0.002, "representation": 0.0015, "TorchJD": 0.006},
        "excess_mtl": {"engine": 0.002}}).splitlines()]
    self.assertEqual(lines[1], ["sum", "1.000", "1.00", "-", "-", "2.000",
                                "1.00", "2.00"])
    self.assertEqual(lines[2], ["mgda", "2.000", "2.00", "1.500", "1.50",
                                "6.000", "3.00", "3.00"])
    self.assertEqual(lines[3], ["excess_mtl", "2.000", "2.00", "-", "-", "-",
                                "-", "-"])


if __name__ == "__main__":
  absltest.main()

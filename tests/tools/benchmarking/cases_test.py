"""Tests for tools/benchmarking/cases.py."""

from absl.testing import absltest
from absl.testing import parameterized

from tools.benchmarking import cases


class CasesTest(parameterized.TestCase):

  @parameterized.parameters(*cases.CASES)
  def test_parameters(self, name):
    case = cases.CASES[name]
    values = cases.initial_values(case)
    self.assertEqual(sum(v.size for v in values.values()),
                     cases.parameters(case))
    groups = cases.groups(case, list(values))
    self.assertCountEqual(sum(groups.values(), []), values)

  def test_products_of_a_step(self):
    case = cases.Case("", (3,), trunk=5, tower=7, tasks=1,
                                batch_size=2)
    towers = [(2, 5, 7), (5, 2, 7), (2, 7, 5), (2, 7, 1), (7, 2, 1), (2, 1, 7)]
    self.assertEqual(cases.products(case, True), towers)
    self.assertEqual(cases.products(case),
                     [(2, 3, 5), (3, 2, 5)] + towers)


if __name__ == "__main__":
  absltest.main()

"""Tests of saying where numbers that are not finite came from."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.model import train_step
from mtl_graph.training import failures

_NAN, _INF = np.nan, np.inf
_SIZES = train_step.Report(2, 2, 2, 3, 3, 1)


def _explain(losses=(1, 1), norms=(1, 1, 1), total=1):
  step = train_step.Step(None, None, _SIZES, {
      "shared": ["late", "delay"], "late": ["late"], "delay": ["delay"]},
                         ["late", "delay"])
  report = np.concatenate([losses, [1, 1], [1, 1], norms, [1, 1, 1], [total]])
  return failures.explain(report, step)


class ExplainTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("loss", dict(losses=(_INF, 1), norms=(_NAN, _NAN, 1), total=_INF),
       "the loss of task 'late' is inf"),
      ("losses", dict(losses=(_NAN, _INF)),
       "the loss of task 'late' is nan and the loss of task 'delay' is inf"),
      ("gradient", dict(norms=(1, 1, _INF)), "the gradient of group 'delay' is "
       "not finite, reached by task 'delay'"),
      ("shared_gradient", dict(norms=(_NAN, 1, 1)), "the gradient of group "
       "'shared' is not finite, reached by task 'late', 'delay'"),
      ("gradient_of_both", dict(norms=(_NAN, _NAN, 1)), "the gradient of group "
       "'late' is not finite, reached by task 'late'"),
      ("total", dict(total=_NAN), "the total loss is not finite"))
  def test_names_what_was_hit(self, found, expected):
    self.assertEqual(_explain(**found), expected)


if __name__ == "__main__":
  absltest.main()

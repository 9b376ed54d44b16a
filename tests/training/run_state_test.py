"""Tests of what a run knows beside its variables."""

import json

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format

from mtl_graph.protos import evaluation_pb2
from mtl_graph.training import run_state

_NAN = float("nan")
_BOTH = """
  best { metric: "a/auc" goal: MAXIMIZE }
  early_stopping { metric: "b/rmse" goal: MINIMIZE patience: 2 min_delta: 0.1 }
"""


def _evaluation(text=_BOTH):
  return text_format.Parse(text, evaluation_pb2.Evaluation())


def _metrics(auc=0.5, rmse=1.0, loss=1.0):
  return {"a": {"loss": loss, "auc": auc}, "b": {"loss": loss, "rmse": rmse}}


def _state():
  return run_state.RunState("text", "digest")


class RecordTest(parameterized.TestCase):

  def _record(self, evaluation, values, **kind):
    """Records metrics step by step and returns the answers."""
    self._state = _state()
    (name, unused), = kind.items()
    return [self._state.record(10 * (i + 1), _metrics(**{name: value}),
                               _evaluation(evaluation))
            for i, value in enumerate(values)]

  @parameterized.named_parameters(
      ("rising", [0.5, 0.6, 0.7], [True, True, True]),
      ("falling", [0.7, 0.6, 0.5], [True, False, False]),
      ("equal", [0.5, 0.5], [True, False]),
      ("nan_first", [_NAN, 0.5, _NAN, 0.6], [False, True, False, True]),
      ("never_a_number", [_NAN, _NAN], [False, False]))
  def test_best_that_is_maximized(self, values, expected):
    self.assertEqual(self._record(_BOTH, values, auc=None), expected)
    steps = [10 * (i + 1) for i, is_best in enumerate(expected) if is_best]
    self.assertEqual(self._state.best.step, steps[-1] if steps else None)

  @parameterized.named_parameters(
      ("falling", [3, 2, 2.5, 1], [True, True, False, True]),
      ("infinite", [float("inf"), 5], [True, True]))
  def test_best_that_is_minimized(self, values, expected):
    best = 'best { metric: "b/rmse" goal: MINIMIZE }'
    self.assertEqual(self._record(best, values, rmse=None), expected)
    self.assertEqual(self._state.best.value, min(values))

  def test_without_a_metric_nothing_is_best(self):
    self.assertEqual(self._record("", [1, 2], auc=None), [False, False])
    self.assertIsNone(self._state.best.step)
    self.assertFalse(self._state.should_stop(_evaluation("")))

  @parameterized.named_parameters(
      ("at_once", [1, 1, 1], [False, False, True]),
      ("gains_below_min_delta", [1, 0.95, 0.91], [False, False, True]),
      ("many_small_gains", [1, 0.95, 0.89, 0.85, 0.8],
       [False, False, False, False, True]),
      ("worse_then_better", [1, 2, 0.5, 2, 2],
       [False, False, False, False, True]),
      ("nan_is_no_gain", [1, _NAN, _NAN], [False, False, True]),
      ("nan_from_the_start", [_NAN, _NAN], [False, True]))
  def test_early_stopping(self, values, expected):
    state = _state()
    stops = []
    for i, value in enumerate(values):
      state.record(i, _metrics(rmse=value), _evaluation())
      stops.append(state.should_stop(_evaluation()))
    self.assertEqual(stops, expected)

  def test_more_patience_lets_a_stopped_run_go_on(self):
    self._record(_BOTH, [1, 1, 1], rmse=None)
    self.assertTrue(self._state.should_stop(_evaluation()))
    self.assertFalse(self._state.should_stop(_evaluation(
        _BOTH.replace("patience: 2", "patience: 3"))))
    self.assertFalse(self._state.should_stop(_evaluation("")))

  def test_courses(self):
    self._record("", [4.0, 2.0, 3.0], loss=None)
    for task in ("a", "b"):
      self.assertEqual(self._state.courses[task]._asdict(), {
          "first": 4, "first_step": 10, "best": 2, "best_step": 20, "last": 3,
          "last_step": 30})

  def test_a_task_may_join_later(self):
    state = _state()
    state.record(1, {"a": {"loss": 2.0}}, _evaluation(""))
    state.record(2, {"a": {"loss": 1.0}, "new": {"loss": 3.0}}, _evaluation(""))
    self.assertEqual(state.courses["new"].first_step, 2)

  def test_a_first_loss_that_is_no_number_does_not_stick(self):
    self._record("", [_NAN, 2.0, 1.0], loss=None)
    self.assertEqual(self._state.courses["a"].best, 1)
    self.assertEqual(self._state.courses["a"].best_step, 30)


class StartEvaluatingTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._state = _state()
    self.assertFalse(self._state.start_evaluating(_evaluation(), "rows"))
    for step in (1, 2, 3):
      self._state.record(step, _metrics(), _evaluation())
    self.assertTrue(self._state.should_stop(_evaluation()))

  def test_the_same_measure_goes_on(self):
    other_rule = _evaluation(_BOTH.replace("patience: 2", "patience: 3"))
    self.assertFalse(self._state.start_evaluating(other_rule, "rows"))
    self.assertEqual((self._state.best.value, self._state.best.step), (0.5, 1))
    self.assertEqual(self._state.stopping.evaluations_since, 2)

  @parameterized.named_parameters(
      ("metric", _BOTH.replace("a/auc", "b/rmse"), "rows", True, False),
      ("goal", _BOTH.replace("MAXIMIZE", "MINIMIZE"), "rows", True, False),
      ("stopping_metric", _BOTH.replace("b/rmse", "b/loss"), "rows", False,
       True),
      ("rows", _BOTH, "other rows", True, True),
      ("none", "", "rows", True, True))
  def test_another_measure_starts_anew(self, text, rows, best, stopping):
    self.assertEqual(
        self._state.start_evaluating(_evaluation(text), rows), best)
    self.assertEqual(self._state.best.value is None, best)
    self.assertEqual(self._state.stopping.value is None, stopping)
    self.assertEqual(self._state.stopping.evaluations_since,
                     0 if stopping else 2)
    self.assertEqual(self._state.should_stop(_evaluation()), not stopping)

  def test_it_is_said_once(self):
    other = _evaluation(_BOTH.replace("MAXIMIZE", "MINIMIZE"))
    self.assertTrue(self._state.start_evaluating(other, "rows"))
    self.assertFalse(self._state.start_evaluating(other, "rows"))


class JsonTest(absltest.TestCase):

  def _again(self, saved):
    state = run_state.RunState("another text", "another digest")
    state.take_up(saved)
    return state

  def test_goes_through_json(self):
    state = _state()
    state.start_evaluating(_evaluation(), "rows")
    for i, value in enumerate((0.1 + 0.2, _NAN, 0.5)):
      state.record(i, _metrics(auc=value, rmse=3 - value, loss=1 / 3 + i),
                   _evaluation())
    text = json.dumps(state.to_json())
    again = self._again(json.loads(text))
    self.assertIsInstance(again.courses["a"], run_state.Course)
    # What a run was is not what the next one is.
    self.assertEqual((again.experiment, again.digest),
                     ("another text", "another digest"))
    again.experiment, again.digest = state.experiment, state.digest
    self.assertEqual(json.dumps(again.to_json()), text)
    self.assertFalse(again.start_evaluating(_evaluation(), "rows"))

  def test_a_new_state(self):
    saved = _state().to_json()
    self.assertEqual((saved["experiment"], saved["digest"]), ("text", "digest"))
    self.assertIsNone(self._again(saved).best.value)
    self.assertEmpty(self._again(saved).courses)


class VerdictTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("still_learning", 2.0, 1.0, 30, 1.0, "still learning"),
      ("hardly_fell", 1.0, 0.995, 30, 0.995, "converged"),
      ("flat_since", 2.0, 1.0, 20, 1.005, "converged"),
      ("worse_again", 2.0, 1.0, 20, 1.02, "over-fits"),
      ("worse_from_the_start", 1.0, 1.0, 10, 1.5, "over-fits"),
      ("negative_losses", -1.0, -2.0, 30, -2.0, "still learning"),
      ("negative_worse", -1.0, -2.0, 20, -1.9, "over-fits"))
  def test_says(self, first, best, best_step, last, expected):
    self.assertEqual(run_state.verdict(run_state.Course(
        first, 10, best, best_step, last, 30)), expected)

  def test_one_evaluation_says_nothing(self):
    self.assertEqual(run_state.verdict(run_state.Course(
        1.0, 30, 1.0, 30, 1.0, 30)), "evaluated once")

  def test_a_last_loss_that_is_no_number_has_not_converged(self):
    for last in (_NAN, float("inf")):
      self.assertNotIn(run_state.verdict(run_state.Course(
          2.0, 10, 1.0, 20, last, 30)), ("converged", "still learning"))

  def test_value_of(self):
    self.assertEqual(run_state.value_of(_metrics(rmse=7), "b/rmse"), 7)


if __name__ == "__main__":
  absltest.main()

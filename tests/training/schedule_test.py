"""Tests of whose iteration comes next."""

import json

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.protos import training_pb2
from mtl_graph.training import schedule

_SEQUENTIAL = training_pb2.Independent.SEQUENTIAL
_INTERLEAVED = training_pb2.Independent.INTERLEAVED


def _turns(built, count=None):
  turns = []
  while built.remaining() and len(turns) != count:
    turns.append(built.next())
  return turns


class OrderTest(parameterized.TestCase):

  def test_every_order_is_built(self):
    for order in training_pb2.Independent.Order.values():
      self.assertCountEqual(schedule.order([3, 1, 2], order),
                            [0, 0, 0, 1, 2, 2])

  def test_one_task_after_the_other(self):
    self.assertEqual(schedule.order([2, 0, 3], _SEQUENTIAL).tolist(),
                     [0, 0, 2, 2, 2])

  @parameterized.parameters(
      ([4, 2], [0, 1, 0, 0, 1, 0]), ([1, 1, 1], [0, 1, 2]),
      ([5, 1], [0, 0, 0, 1, 0, 0]), ([0, 2], [1, 1]))
  def test_spread_evenly(self, iterations, expected):
    self.assertEqual(schedule.order(iterations, _INTERLEAVED).tolist(),
                     expected)

  def test_no_task_gets_ahead_of_its_share_by_more_than_one(self):
    iterations = np.array([100, 10, 37])
    turns = schedule.order(iterations, _INTERLEAVED)
    for place in range(len(turns) + 1):
      found = np.bincount(turns[:place], minlength=3)
      self.assertLess(np.abs(found - iterations * place / len(turns)).max(), 1)


class ScheduleTest(absltest.TestCase):

  def _build(self, rounds=3, **kwargs):
    return schedule.Schedule(["a", "b"], [0, 0, 1], rounds, **kwargs)

  def test_round_after_round(self):
    built = self._build()
    self.assertEqual(built.remaining(), 9)
    self.assertEqual(_turns(built), [0, 0, 1] * 3)
    with self.assertRaises(StopIteration):
      built.next()

  def test_counts_down(self):
    built = self._build()
    for left in range(9, 0, -1):
      self.assertEqual(built.remaining(), left)
      built.next()
    self.assertEqual(built.remaining(), 0)

  def test_a_task_that_stops_is_passed_over(self):
    built = self._build()
    self.assertEqual(_turns(built, 4), [0, 0, 1, 0])
    built.stop("a")
    self.assertEqual(built.stopped, ["a"])
    self.assertEqual(built.remaining(), 2)
    self.assertEqual(_turns(built), [1, 1])

  def test_all_tasks_stop(self):
    built = self._build()
    built.stop("a")
    built.stop("b")
    self.assertEqual(built.remaining(), 0)

  def test_limits(self):
    built = self._build(limits={"a": 3})
    self.assertEqual(built.remaining(), 6)
    self.assertEqual(_turns(built), [0, 0, 1, 0, 1, 1])
    self.assertEqual(built.stopped, ["a"])

  def test_goes_on_where_it_stood(self):
    for count in range(9):
      built = self._build(limits={"a": 5})
      _turns(built, count)
      saved = json.loads(json.dumps(built.to_json()))
      again = self._build(limits={"a": 5})
      again.take_up(saved)
      self.assertEqual(again.remaining(), built.remaining())
      self.assertEqual(again.to_json(), saved)
      self.assertEqual(_turns(again), _turns(built))

  def test_more_rounds_go_on_too(self):
    built = self._build(rounds=1)
    _turns(built)
    longer = self._build(rounds=2)
    longer.take_up(built.to_json())
    self.assertEqual(_turns(longer), [0, 0, 1])

  def test_other_rounds_begin_with_the_round_that_was_under_way(self):
    built = self._build()
    _turns(built, 5)
    other = schedule.Schedule(["a", "b"], [1, 0, 0, 0], 2)
    other.take_up(built.to_json(), same=False)
    self.assertEqual(_turns(other), [1, 0, 0, 0])

  def test_joint_training_is_one_step_like_the_other(self):
    built = schedule.Schedule.joint(7, 10)
    self.assertEqual(built.remaining(), 3)
    self.assertEqual(_turns(built), [0, 0, 0])
    self.assertEqual(schedule.Schedule.joint(12, 10).remaining(), 0)


if __name__ == "__main__":
  absltest.main()

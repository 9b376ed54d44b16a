"""Tests of functions that run in processes of their own."""

import os

from absl.testing import absltest
import numpy as np

from mtl_graph.data import table
from mtl_graph.data import workers


class WorkersTest(absltest.TestCase):

  def test_results_come_in_the_order_of_jobs_from_other_processes(self):
    asked = []
    def jobs():
      for i in range(20):
        asked.append(i)
        yield (i,)
    with workers.Workers(2) as some:
      found = some.map(np.arange, jobs())
      self.assertEmpty(next(found))
      self.assertLess(len(asked), 10)
      self.assertEqual(list(map(len, found)), list(range(1, 20)))
      pids = set(some.map(os.getpid, [()] * 6))
    self.assertNotIn(os.getpid(), pids)
    self.assertLessEqual(len(pids), 2)

  def test_a_single_job_is_done_here(self):
    with workers.Workers(2) as some:
      self.assertEqual(list(some.map(os.getpid, [()])), [os.getpid()])
      self.assertEmpty(list(some.map(os.getpid, [])))

  def test_an_error_is_raised_here_and_others_are_of_no_interest(self):
    with self.assertRaisesRegex(table.DataError, "^no good$"):
      with workers.Workers(2) as some:
        list(some.map(_raise, [("no good",), ("neither",), ("nor this",)]))

  def test_a_process_that_ends(self):
    with workers.Workers(1) as some:
      with self.assertRaisesRegex(
          workers.WorkerError, "^a process .* ended with exit code 3; allowed"):
        list(some.map(_end, [(3,), (3,)]))

  def test_tensorflow_is_not_loaded(self):
    code = "'tensorflow' in __import__('sys').modules"
    with workers.Workers(1) as some:
      list(some.map(_load_parsing, [(), ()]))
      self.assertEqual(list(some.map(eval, [(code,), (code,)])), [False] * 2)


def _raise(text):
  raise table.DataError(text)


def _end(code):
  os._exit(code)  # pylint: disable=protected-access


def _load_parsing():
  from mtl_graph.data import parsing  # pylint: disable=unused-import


if __name__ == "__main__":
  absltest.main()

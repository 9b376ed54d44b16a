"""Tests of which tasks read which, and in what order they can be built."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import task_graph
from mtl_graph.protos import model_pb2


def _tasks(text):
  """Makes tasks of "a<b,c d*a,b e=a" .

  Task a reads estimates of b and c, d is the product of a and b, and e takes
  over from a.
  """
  tasks = []
  for part in text.split():
    kind = next((k for k in "<*=" if k in part), "<")
    name, _, reads = part.partition(kind)
    task = model_pb2.Task(name=name)
    others = reads.split(",") if reads else []
    if kind == "<":
      for other in others:
        task.estimate.add(task=other)
    elif kind == "*":
      task.product.task.extend(others)
    else:
      task.transfer.task, = others
    tasks.append(task)
  return tasks


class ListsTest(absltest.TestCase):

  def test_with_layers(self):
    self.assertEqual(task_graph.with_layers(_tasks("a<b b d*a,b e=a")),
                     ["a", "b", "e"])

  def test_with_loss(self):
    tasks = _tasks("a b d*a,b")
    tasks[1].no_loss = True
    self.assertEqual(task_graph.with_loss(tasks), ["a", "d"])

  def test_read_by(self):
    task, = _tasks("a<c,b,c")
    task.transfer.task = "d"
    self.assertEqual(task_graph.read_by(task), ["c", "b", "d"])
    self.assertEqual(task_graph.read_by(_tasks("a*c,b")[0]), ["c", "b"])
    self.assertEqual(task_graph.read_by(_tasks("a")[0]), [])


class NeededTest(parameterized.TestCase):

  @parameterized.parameters(
      ("a b c", "b", "b"), ("a b c", "c a", "a c"), ("a b", "", ""),
      ("a<b b c", "a", "b a"), ("a<b b<c c d", "a", "c b a"),
      ("a b c*a,b d=c e", "d", "a b c d"), ("a b<a c<a d<b,c", "d", "a b c d"))
  def test_tasks_that_it_takes(self, text, wanted, expected):
    self.assertEqual(task_graph.needed(_tasks(text), wanted.split()),
                     expected.split())


class OrderTest(parameterized.TestCase):

  @parameterized.parameters(
      ("a b c", "a b c"),
      ("a<b b c", "b a c"),
      ("c<b b<a a", "a b c"),
      ("a<c b c d<a,b", "b c a d"),
      ("a<d b c<b d", "b c d a"),
      ("a<nobody b", "a b"),
      ("c*a,b a b", "a b c"),
      ("c=b b=a a d*c,a", "a b c d"),
      ("", ""))
  def test_each_after_those_it_reads(self, text, expected):
    self.assertEqual(task_graph.order(_tasks(text)), expected.split())
    self.assertEqual(task_graph.cycle(_tasks(text)), [])

  @parameterized.parameters(
      ("a<a", "a a", "a"), ("a<b b<a", "a b a", "a b"),
      ("a=a", "a a", "a"), ("a*a,b b", "a a", "b a"),
      ("a<b b=c c*a,d d", "a b c a", "d a b c"),
      ("b<a c<b d a<c", "b a c b", "d b c a"),
      ("x<a a<b b<c,d c d<b", "b d b", "c x a b d"))
  def test_cycle_is_found_and_comes_last(self, text, cycle, order):
    self.assertEqual(task_graph.cycle(_tasks(text)), cycle.split())
    self.assertEqual(task_graph.order(_tasks(text)), order.split())

  def test_many_paths_take_no_time(self):
    # Two estimates per task: 2^40 paths, 40 tasks.
    text = " ".join(["t0", "t1"] + [f"t{i}<t{i - 1},t{i - 2}"
                                    for i in range(2, 40)])
    self.assertEqual(task_graph.cycle(_tasks(text)), [])


if __name__ == "__main__":
  absltest.main()

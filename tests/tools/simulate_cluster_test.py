"""Tests for tools/simulate_cluster.py."""

import contextlib
import io

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph import config
from tools import simulate_cluster

_MOVED = simulate_cluster.Traffic(dense=1000, sparse=240, rows=40, whole=500)
_ALONE = simulate_cluster.Cluster(
    workers=1, ps=1, step=0.01, jitter=0.0, rate=1e6, latency=0.001,
    update=1e-7)
_TEXT = """
name: "small"
data {
  batch_size: 4 feature { name: "x" numeric { size: 3 } }
  feature { name: "c" categorical { num_buckets: 99 embedding_dimension: 2 } }
  feature { name: "d" categorical { num_buckets: 2 embedding_dimension: 5 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 6 } } } }
  task { name: "a" label {} regression {} }
}
training {
  num_steps: 9 joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.1 } } }
}
"""


class SimulateClusterTest(parameterized.TestCase):

  def test_bytes_by_variable(self):
    found = simulate_cluster.by_variable(config.parse(_TEXT))
    self.assertEqual(found["embedding/c/embeddings"],
                     (0, 4 * 2 * 4 + 4 * 8, 8, 100 * 2))
    # No more rows than there are.
    self.assertEqual(found["embedding/d/embeddings"],
                     (0, 3 * 5 * 4 + 3 * 8, 15, 15))
    self.assertEqual(found["trunk/dense/kernel"], ((3 + 2 + 5) * 6, 0, 0, 0))
    total = simulate_cluster.total(found)
    self.assertEqual(total.bytes, 4 * (60 + 6 + 6 + 1) + 64 + 84)

  def test_one_worker_takes_one_thing_after_the_other(self):
    step = 0.01 + 2 * (4240 / 1e6 + 0.001) + 1e-7 * 1040
    for simulate in (simulate_cluster.asynchronous,
                     simulate_cluster.synchronous):
      self.assertAlmostEqual(simulate(_ALONE, _MOVED, 50, 1) * step, 1)
    # Alone in the ring, there is nothing to send.
    self.assertAlmostEqual(
        simulate_cluster.all_reduce(_ALONE, _MOVED, 50, 1)
        * (0.01 + 1e-7 * 1500), 1)

  @parameterized.parameters(2, 16, 128)
  def test_no_more_than_each_part_lets_through(self, workers):
    cluster = _ALONE._replace(workers=workers, ps=2, jitter=0.3)
    limits = simulate_cluster.bounds(cluster, _MOVED)
    found = simulate_cluster.asynchronous(cluster, _MOVED, 100, 1)
    # Draws of 0.3 have a mean that is off by a few of a hundred.
    self.assertLess(found, 1.05 * min(limits.values()))
    if workers == 128:
      self.assertEqual(min(limits, key=limits.get),
                       "network of parameter servers")
      self.assertGreater(found, 0.95 * min(limits.values()))

  def test_the_slowest_of_many_holds_all_up(self):
    cluster = _ALONE._replace(workers=100, ps=100, jitter=0.5, rate=1e12,
                              latency=0.0, update=0.0)
    # The mean of the largest of 100 normal numbers is 2.508.
    expected = 100 / (0.01 * np.exp(0.5 * 2.508 - 0.125))
    found = simulate_cluster.synchronous(cluster, _MOVED, 2000, 1)
    self.assertAlmostEqual(found / expected, 1, delta=0.06)
    self.assertGreater(
        simulate_cluster.synchronous(cluster, _MOVED, 2000, 1, 10), found)

  def test_a_ring_sends_twice_what_there_is(self):
    cluster = _ALONE._replace(workers=5, latency=0.0)
    # Tables as a whole.
    step = 0.01 + 2 * 4 / 5 * 6000 / 1e6 + 1e-7 * 1500
    self.assertAlmostEqual(
        simulate_cluster.all_reduce(cluster, _MOVED, 3, 1) * step, 5)

  def test_command(self):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      code = simulate_cluster.main([
          "simulate_cluster", "--config=protos/examples/flights.pbtxt",
          "--step_ms=2", "--workers=1", "--workers=20", "--steps=5"])
    self.assertEqual(code, 0)
    lines = printed.getvalue().splitlines()
    self.assertIn("131,072 bytes a step each way  trunk/dense_1/kernel",
                  lines[0])
    self.assertRegex(lines[-1], r"^ +20 +2 .*%  \w+")

  def test_no_experiment(self):
    with contextlib.redirect_stderr(io.StringIO()) as errors:
      self.assertEqual(simulate_cluster.main([
          "simulate_cluster", "--config=none.pbtxt", "--step_ms=2"]), 2)
    self.assertIn("none.pbtxt", errors.getvalue())


if __name__ == "__main__":
  absltest.main()

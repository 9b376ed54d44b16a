"""Tests of steps over a table of which a batch reads few rows."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import batches
from mtl_graph.model import train_step
from tests.model import resident_run

_TEXT = """
name: "table" seed: 3
data {
  batch_size: 8
  feature { name: "x" categorical { num_buckets: 40 embedding_dimension: 3 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" regression {} }
}
training {
  num_steps: 20
  joint { loss { sum {} } }
  default_optimizer { OPTIMIZER { learning_rate { constant: 0.1 } } }
  EXTRA
}
"""
_TABLE = "embedding/x/embeddings"


def _run(optimizer, least_rows, extra=""):
  """Trains; returns the run's variables, and the ops of its graph."""
  random = np.random.default_rng(0)
  data = batches.Batch(
      np.zeros([30, 0], np.float32),
      random.integers(0, 20, [30, 1]).astype(np.int32),
      random.normal(size=[30, 1]).astype(np.float32),
      np.ones([30, 1], np.float32))
  text = _TEXT.replace("OPTIMIZER", optimizer).replace("EXTRA", extra)
  with absltest.mock.patch.object(train_step, "_LARGE_TABLE", least_rows):
    run = resident_run.ResidentRun(resident_run.parse(text), data)
  with run.session:
    start = run.values()
    kinds = {op.type for op in run.model.graph.get_operations()}
    return start, run.train(20), kinds


class LargeTableTest(parameterized.TestCase):

  @parameterized.parameters(
      ("gradient_descent", "ResourceScatterAdd"),
      ("adagrad", "ResourceSparseApplyAdagrad"))
  def test_a_sparse_update_is_the_dense_one(self, optimizer, kind):
    start, sparse, kinds = _run(optimizer, 0)
    self.assertIn(kind, kinds)
    _, dense, kinds = _run(optimizer, 1000)
    self.assertNotIn(kind, kinds)
    for name, value in dense.items():
      np.testing.assert_allclose(sparse[name], value, 1e-5, 1e-7, err_msg=name)
    # Rows that no batch reads, and no other, are as they were.
    moved = (sparse[_TABLE] != start[_TABLE]).any(axis=1)
    self.assertFalse(moved[20:].any())
    self.assertTrue(moved.any())

  @parameterized.parameters(
      ("momentum", ""), ("adam", ""), ("rmsprop", ""),
      ("gradient_descent", "accumulate_batches: 2"),
      ("adagrad", """group { name: "all" scope: "embedding" scope: "trunk"
                             scope: "head" weight_decay: 0.1 }"""))
  def test_what_moves_other_rows_too_is_dense(self, optimizer, extra):
    _, _, kinds = _run(optimizer, 0, extra)
    self.assertEmpty([kind for kind in kinds
                      if kind.startswith(("ResourceScatter", "ResourceSparse"))
                     ])


if __name__ == "__main__":
  absltest.main()

"""Tests of docs/methods.md: every method is there, and what it states runs."""

import pathlib
import re

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from mtl_graph.data import batches
from mtl_graph.protos import balancing_pb2
from mtl_graph.protos import joint_pb2
from tests.model import resident_run

_PAGE = (pathlib.Path(__file__).absolute().parents[2] / "docs"
         / "methods.md").read_text(encoding="utf-8")
# The fragments of the page.
FRAGMENTS = re.findall(r"^```pbtxt\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)
_TEXT = """
name: "small" seed: 5
data { batch_size: 6 feature { name: "x" numeric { size: 3 } }
       feature { name: "c" categorical { num_buckets: 4 embedding_dimension: 2 }
       } }
model {
  hard_sharing { trunk { layer { dense { units: 3 activation: TANH } } } }
  task { name: "a" label {} regression {} }
  task { name: "b" label {} binary {} }
  task { name: "c" label {} regression {} }
}
training {
  num_steps: 9 %s
  default_optimizer { adam { learning_rate { constant: 0.01 } } }
}
"""


def _kinds(descriptor):
  return [field.name for field in descriptor.oneofs_by_name["kind"].fields]


class MethodsPageTest(parameterized.TestCase):

  def test_every_method_has_a_fragment(self):
    text = " ".join(FRAGMENTS)
    for descriptor in (joint_pb2.LossIntegration.DESCRIPTOR,
                       balancing_pb2.GradientBalancing.DESCRIPTOR):
      for kind in _kinds(descriptor):
        self.assertRegex(text, rf"{{ {kind} {{")

  @parameterized.parameters(*FRAGMENTS)
  def test_steps_are_finite_and_move_what_is_shared(self, fragment):
    if "loss {" not in fragment:
      fragment = f"loss {{ sum {{}} }} {fragment}"
    random = np.random.default_rng(0)
    labels = random.normal(size=[12, 3]).astype(np.float32)
    labels[:, 1] = labels[:, 1] > 0
    weights = np.ones([12, 3], np.float32)
    weights[:6, 2] = 0
    run = resident_run.ResidentRun(
        resident_run.parse(_TEXT % f"joint {{ {fragment} }}"),
        batches.Batch(random.normal(size=[12, 3]).astype(np.float32),
                      random.integers(0, 4, [12, 1]).astype(np.int32), labels,
                      weights), lacking=[False, False, True])
    before = run.values()
    for _ in range(3):
      report = run.run()
      for values in report:
        self.assertTrue(np.isfinite(values).all(), report)
    after = run.values()
    self.assertContainsSubset(
        {"trunk/dense/kernel", "embedding/c/embeddings", "head/a/kernel"},
        resident_run.changed(before, after))
    for name, value in after.items():
      self.assertTrue(np.isfinite(value).all(), name)


if __name__ == "__main__":
  absltest.main()

"""Tests of tables in parts against the same tables in one piece."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import whole_values
from mtl_graph.data import batches
from mtl_graph.model import partitions
from mtl_graph.model import replicas
from mtl_graph.model import train_step
from tests.model import resident_run

# Every optimizer has a table of its own, of 23 rows: parts of 12 and 11.
_RATE = "learning_rate { constant: 0.01 }"
_OPTIMIZERS = {
    "adam": f"adam {{ {_RATE} }}", "adamw": f"adamw {{ {_RATE} }}",
    "lazy_adam": f"lazy_adam {{ {_RATE} }}",
    "gradient_descent": f"gradient_descent {{ {_RATE} }}",
    "momentum": f"momentum {{ {_RATE} }}",
    "rmsprop": f"rmsprop {{ {_RATE} centered: true }}",
    "adagrad": f"adagrad {{ {_RATE} }}", "adadelta": f"adadelta {{ {_RATE} }}",
    "adagrad_da": f"adagrad_da {{ {_RATE} }}", "ftrl": f"ftrl {{ {_RATE} }}",
    "proximal_gradient_descent": f"proximal_gradient_descent {{ {_RATE} }}",
    "proximal_adagrad": f"proximal_adagrad {{ {_RATE} l1: 0.001 }}",
}
_CLIPPED = {"momentum": "clipping { global_norm: 0.01 }",
            "rmsprop": "clipping { norm: 0.01 }",
            "ftrl": "clipping { value: 0.001 }",
            "lazy_adam": "weight_decay: 0.1", "adam": "weight_decay: 0.1"}
_USE = {"adam": "use: WIDE_AND_DEEP"}
_TEXT = "\n".join([
    'name: "parts" seed: 3 data { batch_size: 8',
    *(f'feature {{ name: "{kind}" categorical {{ num_buckets: 22 '
      f"embedding_dimension: 3 }} {_USE.get(kind, '')} }}"
      for kind in _OPTIMIZERS),
    "}", """
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" regression {} }
}
training {
  num_steps: 20
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.01 } } }
  group { name: "rest" scope: "trunk" scope: "head" scope: "wide" }
""", *(f'group {{ name: "{kind}" scope: "embedding/{kind}" optimizer {{ {text} '
       f"}} {_CLIPPED.get(kind, '')} }}"
       for kind, text in _OPTIMIZERS.items()), "}"])
_STEPS = 12
_SIZES = """
name: "sizes" data { batch_size: 8
  feature { name: "large" categorical { num_buckets: 23 embedding_dimension: 3 } }
  feature { name: "small" categorical { num_buckets: 22 embedding_dimension: 3 } }
  feature { name: "least" categorical { num_buckets: 22 embedding_dimension: 1 } }
}
model {
  hard_sharing { trunk { layer { dense { units: 2 } } } }
  task { name: "a" regression {} }
}
training {
  num_steps: 20 joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.01 } } }
}
"""


class _Remote(replicas.Replica):
  """A process that trains alone on variables that others have."""

  is_remote = True


def _data():
  random = np.random.default_rng(0)
  ids = random.integers(0, 23, [30, len(_OPTIMIZERS)]).astype(np.int32)
  ids[:, 3] %= 9  # No batch reads the second part of this one.
  return batches.Batch(
      np.zeros([30, 0], np.float32), ids,
      random.normal(size=[30, 1]).astype(np.float32),
      np.ones([30, 1], np.float32))


class _Run(resident_run.ResidentRun):
  """A run that saves and restores, and reads tables whole."""

  def __init__(self, **more):
    super().__init__(resident_run.parse(_TEXT), _data(), **more)
    with self.model.graph.as_default():
      self._saver = tf.train.Saver()
      self._tables = partitions.together(tf.global_variables())

  def save(self, path):
    self._saver.save(self.session, path, write_meta_graph=False)
    reader = tf.train.load_checkpoint(path)
    return {name: reader.get_tensor(name)
            for name in reader.get_variable_to_shape_map()}

  def restore(self, path):
    self._saver.restore(self.session, path)
    return whole_values.read(self.session, self._tables)


class PartitionsTest(parameterized.TestCase):

  @parameterized.parameters(
      ([5_000_000, 16], 2, 2), ([5_000_000, 16], 40, 19), ([250_000, 16], 9, 1),
      ([500_000, 16], 9, 1), ([600_000, 16], 9, 2), ([2, 10_000_000], 9, 2))
  def test_parts_have_their_bytes(self, shape, servers, parts):
    self.assertEqual(partitions.by_bytes(servers, 1 << 24)(
        tf.TensorShape(shape), tf.float32), [parts, 1])

  def test_parts_are_trained_and_saved_as_the_whole_is(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    with absltest.mock.patch.object(train_step, "_LARGE_TABLE", 0):
      cut = _Run(partitioner=partitions.by_bytes(2, 12),
                 replica=lambda unused_step: _Remote())
    whole = _Run()
    with cut.session, whole.session:
      names = list(cut.values())
      for kind in _OPTIMIZERS:
        self.assertIn(f"embedding/{kind}/embeddings/part_1", names)
      self.assertIn("wide/a/adam/weights/part_1", names)
      for when, steps in (("start", 0), ("end", _STEPS)):
        cut.train(steps)
        whole.train(steps)
        found = cut.save(os.path.join(folder, f"cut-{when}"))
        expected = whole.save(os.path.join(folder, f"whole-{when}"))
        self.assertCountEqual(found, expected)
        for name, value in expected.items():
          np.testing.assert_allclose(found[name], value, 0, steps and 1e-5,
                                     err_msg=name)
      # Each goes on from what the other has saved.
      for run, other, saved in ((cut, "whole", expected), (whole, "cut", found)):
        restored = run.restore(os.path.join(folder, f"{other}-end"))
        self.assertCountEqual(restored, saved)
        for name, value in saved.items():
          np.testing.assert_array_equal(restored[name], value, name)


  def test_a_table_in_parts_is_as_large_as_it_was(self):
    # 24 rows, in parts of fewer; other tables, 4 and 23 rows, are small.
    experiment = resident_run.parse(_SIZES)
    handed_in = {}

    class Handing(_Remote):

      def average(self, gradients, variables, step):
        handed_in.update((v.op.name, g) for name, some in gradients.items()
                         for g, v in zip(some, variables[name]))
        return gradients

    data = batches.Batch(*[a[:, :n] for a, n in zip(_data(), (0, 3, 1, 1))])
    with absltest.mock.patch.object(train_step, "_LARGE_TABLE", 24):
      resident_run.ResidentRun(
          experiment, data, partitioner=partitions.by_bytes(2, 12),
          replica=lambda unused_step: Handing()).session.close()
    self.assertEqual(
        [name for name, g in handed_in.items()
         if isinstance(g, tf.IndexedSlices)],
        [f"embedding/large/embeddings/part_{i}" for i in range(2)])


if __name__ == "__main__":
  absltest.main()

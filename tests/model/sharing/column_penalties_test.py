"""Tests of the penalties on columns, and of columns that they tie."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model.sharing import column_penalties
from mtl_graph.model.sharing import soft_sharing
from mtl_graph.protos import sharing_pb2
from tests.model.sharing import every_sharing
from tests.model.sharing import shared_part

_TASKS = ["a", "b", "c"]
_COLUMN = """column {
  layer { conv2d { filters: 2 kernel_size: [1, 3] } }
  layer { name: "norm" batch_normalization {} }
  layer { flatten {} }
  layer { residual { layer { dense { units: 4 } } } }
  layer { dense { units: 4 use_bias: false } } }"""
_LAYERS = ("conv2d", "norm", "residual", "dense")
_WEIGHTS = """weight: 0.3 layer { name: "dense" weight: 2 }
  layer { name: "norm" weight: 0 } layer { name: "residual" weight: 0.5 }"""
_FACTORS = {"conv2d": 0.3, "norm": 0, "residual": 0.15, "dense": 0.6}
_VECTORS = every_sharing.VECTORS
_DENSE = "layer { dense { units: 4 activation: TANH } }"


def _parse(text):
  return shared_part.parse(f"soft_sharing {{ {_COLUMN} {text} }}").soft_sharing


def _pairs(theta):
  return sum(np.square(theta[i] - theta[j]).sum()
             for i in range(len(theta)) for j in range(i))


def _to_mean(theta):
  return np.square(theta - theta.mean(0)).sum()


_DISTANCES = {"PAIRS": _pairs, "MEAN": _to_mean}


def _trace_norm(matrix, epsilon):
  """Returns the sum of sqrt(s^2 + epsilon) over the singular values s."""
  return np.sqrt(np.square(np.linalg.svd(matrix)[1]) + epsilon).sum()


def _last_axis(kernels, epsilon):
  return _trace_norm(kernels.reshape(len(kernels), -1), epsilon)


def _tucker(kernels, epsilon):
  stacked = np.moveaxis(kernels, 0, -1)
  return sum(_trace_norm(np.moveaxis(stacked, k, 0).reshape(
      stacked.shape[k], -1), epsilon) for k in range(stacked.ndim))


def _tensor_train(kernels, epsilon):
  stacked = np.moveaxis(kernels, 0, -1)
  return sum(_trace_norm(stacked.reshape(
      np.prod(stacked.shape[:k]), -1), epsilon)
             for k in range(1, stacked.ndim))


_NORMS = {"LAST_AXIS": _last_axis, "TUCKER": _tucker,
          "TENSOR_TRAIN": _tensor_train}


def _orthogonality(kernel, subspaces):
  parts = np.split(kernel.reshape(-1, kernel.shape[-1]), subspaces, 1)
  return sum(np.square(parts[i].T @ parts[j]).sum()
             for i in range(subspaces) for j in range(i))


def _of_layer(values, layer, *endings):
  """Returns each variable of a layer, stacked along a first axis of tasks."""
  names = [n[len("column/a/"):] for n in values
           if n.startswith(f"column/a/{layer}/") and n.endswith(endings or "")]
  return [np.stack([values[f"column/{task}/{name}"] for task in _TASKS])
          for name in names]


class BuildTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._part = shared_part.SharedPart(
        lambda inputs, mode: soft_sharing.build(_parse(""), inputs, _TASKS,
                                                _TASKS, mode), (2, 4, 1))
    cls._values = {name: value for name, value in cls._part.values().items()
                   if name in cls._part.trainable}

  def _penalties(self, text):
    with self._part.session.graph.as_default():
      return column_penalties.build(_parse(text), _TASKS, self._part.trainable)

  def _total(self, text):
    return sum(self._part.session.run(self._penalties(text)))

  @parameterized.parameters(*sharing_pb2.ParameterDistance.To.keys())
  def test_distance_matches_formula(self, to):
    found = self._total(f"parameter_distance {{ {_WEIGHTS} to: {to} }}")
    self.assertAllClose(found, sum(
        _FACTORS[layer] * _DISTANCES[to](theta) for layer in _LAYERS
        for theta in _of_layer(self._values, layer)))

  @parameterized.parameters(*sharing_pb2.TraceNorm.Flattening.keys())
  def test_trace_norm_matches_formula(self, flattening):
    # Of kernels alone; those of a residual are those of its layers.
    found = self._total(f"""trace_norm {{ {_WEIGHTS} epsilon: 0.01
        flattening: {flattening} }}""")
    kernels = {layer: _of_layer(self._values, layer, "/kernel")
               for layer in _LAYERS}
    self.assertEqual({layer: len(some) for layer, some in kernels.items()},
                     {"conv2d": 1, "norm": 0, "residual": 2, "dense": 1})
    self.assertAllClose(found, sum(
        _FACTORS[layer] * _NORMS[flattening](kernel, 0.01)
        for layer, some in kernels.items() for kernel in some))

  @parameterized.parameters(
      ("", ("conv2d", "dense"), 2, 0.1),
      ("subspaces: 1", (), 1, 0.1),
      ("orthogonality: 0", (), 2, 0),
      ("orthogonality: 0.7 after: 'dense' subspaces: 4", ("dense",), 4, 0.7),
      # What stands behind a layer without a kernel has none to keep apart.
      ("after: ['norm', 'conv2d']", ("conv2d",), 2, 0.1))
  def test_orthogonality_matches_formula(self, unit, layers, subspaces, factor):
    found = self._total(f"sluice {{ {unit} }}")
    self.assertAllClose(found, sum(
        factor * _orthogonality(kernel, subspaces) for layer in layers
        for columns in _of_layer(self._values, layer, "/kernel")
        for kernel in columns))

  @parameterized.parameters(
      "", "parameter_distance { weight: 0 } trace_norm { weight: 0 }",
      "cross_stitch {}", "parameter_distance { weight: 1 " + " ".join(
          f'layer {{ name: "{layer}" weight: 0 }}' for layer in _LAYERS) + "}")
  def test_none_where_nothing_is_asked_for(self, text):
    self.assertEmpty(self._penalties(text))

  def test_every_column_gets_a_gradient_of_what_is_tied(self):
    penalties = self._penalties(f"parameter_distance {{ {_WEIGHTS} }}")
    reached = set.union(*map(self._part.reached, penalties))
    self.assertEqual(shared_part.scopes(reached), {
        f"column/{task}/{layer}" for task in _TASKS
        for layer in ("conv2d", "residual/dense", "residual/projection",
                      "dense")})


def _columns(text="", tasks=every_sharing.TWO_TASKS):
  return (_VECTORS, f"""soft_sharing {{
      column {{ {_DENSE} {_DENSE} }} {text} }}""" + tasks)


class TrainingTest(parameterized.TestCase, tf.test.TestCase):

  def test_penalties_are_in_the_total_loss(self):
    run = every_sharing.run(_columns("""
        parameter_distance { weight: 0.3 layer { name: "dense" weight: 2 } }
        trace_norm { weight: 0.2 flattening: TUCKER
                     layer { name: "dense_1" weight: 3 } }
        sluice { orthogonality: 0.5 }""", every_sharing.THREE_TASKS))
    for _ in range(3):
      values = {n: v.astype(np.float64) for n, v in run.values().items()}
      report = run.run()
      expected = 0.0
      for layer, distance, norm in (("dense", 0.6, 0.2), ("dense_1", 0.3, 0.6)):
        kernels, = _of_layer(values, layer, "/kernel")
        expected += distance * sum(map(_pairs, _of_layer(values, layer)))
        expected += norm * _tucker(kernels, 1e-6)
        expected += 0.5 * sum(_orthogonality(kernel, 2) for kernel in kernels)
      self.assertAllClose(report.total - report.task_losses.sum(), expected,
                          rtol=1e-5)

  @parameterized.parameters("parameter_distance { weight: 0 }",
                            "trace_norm { weight: 0 }")
  def test_weight_of_zero_leaves_columns_independent(self, penalty):
    free = every_sharing.run(_columns()).train(20)
    found = every_sharing.run(_columns(penalty)).train(20)
    self.assertEqual({n: v.tobytes() for n, v in found.items()},
                     {n: v.tobytes() for n, v in free.items()})

  def test_columns_that_nothing_ties_are_tasks_of_their_own(self):
    alone = every_sharing.run(_columns(tasks=every_sharing.TASK_A))
    found = every_sharing.run(_columns()).train(20)
    expected = alone.train(20)
    for name in alone.model.trainable:
      self.assertEqual(found[name].tobytes(), expected[name].tobytes())

  @parameterized.parameters("PAIRS", "MEAN")
  def test_a_large_weight_ties_columns(self, to):
    # By gradient descent at rate r the columns' distance d becomes
    #   (1 - 4 r weight) d - r (difference of the task losses' gradients)
    # between two tasks, with 2 r weight for MEAN: half or 3/4 of it is left
    # each step, and it is stable. In the end it is of the size of 2 or 4 r,
    # however far apart columns have started.
    rate = "training.default_optimizer.gradient_descent.learning_rate.constant"
    found = {}
    for weight in (0, 250):
      run = every_sharing.run(_columns(f"""
          parameter_distance {{ weight: {weight} to: {to} }}"""),
                              f"{rate}=0.0005")
      start = run.values()
      end = run.train(60)
      found[weight] = [
          max(np.abs(v[f"column/a/{name}"] - v[f"column/b/{name}"]).max()
              for name in ("dense/kernel", "dense_1/kernel"))
          for v in (start, end)]
    self.assertEqual(found[0][0], found[250][0])
    self.assertGreater(found[0][1], 0.9 * found[0][0])
    self.assertLess(found[250][1], 0.005 * found[250][0])


if __name__ == "__main__":
  absltest.main()

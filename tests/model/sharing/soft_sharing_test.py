"""Tests of columns, and of the units between them."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model.sharing import soft_sharing
from tests.model import resident_run
from tests.model.sharing import every_sharing
from tests.model.sharing import shared_part

_TASKS = ["a", "b", "c"]
_COLUMN = """column {
  layer { dense { units: 4 activation: TANH } }
  layer { name: "flat" layer_normalization {} }
  layer { dense { units: 4 activation: RELU } }
  layer { dense { units: 2 } } }"""
_IMAGES = """column {
  layer { conv2d { filters: 4 kernel_size: 3 activation: RELU } }
  layer { max_pooling { size: 2 } }
  layer { conv2d { filters: %d kernel_size: 1 } }
  layer { flatten {} } }"""


def _part(text, wanted=None, shape=(3,), held=()):
  message = shared_part.parse(f"soft_sharing {{ {text} }}").soft_sharing
  return shared_part.SharedPart(
      lambda inputs, mode: soft_sharing.build(message, inputs, _TASKS,
                                              wanted or _TASKS, mode),
      shape, held=held)


def _layers(v, task):
  """Returns the layers of a column of vectors, as functions."""
  scope = f"column/{task}"

  def flat(x):
    x = x - x.mean(1, keepdims=True)
    return (x / x.std(1, keepdims=True) * v[f"{scope}/flat/gamma"]
            + v[f"{scope}/flat/beta"])

  return {"dense": lambda x: shared_part.dense(v, f"{scope}/dense", x),
          "flat": flat,
          "dense_1": lambda x: shared_part.dense(v, f"{scope}/dense_1", x,
                                                 shared_part.relu),
          "dense_2": lambda x: shared_part.dense(v, f"{scope}/dense_2", x,
                                                 None)}


def _layers_of_images(v, task):
  """Returns the layers of a column of images, as functions."""
  scope = f"column/{task}"
  return {
      "conv2d": lambda x: shared_part.conv2d(v, f"{scope}/conv2d", x),
      "max_pooling": shared_part.pooled,
      "conv2d_1": lambda x: shared_part.conv2d(v, f"{scope}/conv2d_1", x, None),
      "flatten": lambda x: x.reshape(len(x), -1)}


def _stitched(v, columns, layer):
  """Returns what a cross-stitch unit makes, with x_b [T, B, ..., C]."""
  alpha = v[f"cross_stitch/{layer}/alpha"]
  if alpha.ndim == 2:
    return np.einsum("ab,b...->a...", alpha, columns)
  return np.einsum("abc,b...c->a...c", alpha, columns)


def _sluiced(v, columns, layer, subspaces):
  """Returns what a sluice unit makes, with x_b [T, B, ..., C]."""
  alpha = v[f"sluice/{layer}/alpha"]
  parts = np.concatenate([np.stack(np.split(c, subspaces, -1))
                          for c in columns])
  mixed = np.einsum("pq,q...->p...", alpha, parts)
  return np.stack([np.concatenate(list(mixed[i:i + subspaces]), -1)
                   for i in range(0, len(mixed), subspaces)])


def _units(after, subspaces):
  """Returns sluice units by the names of the layers they stand behind."""
  return {name: lambda v, columns, layer: _sluiced(v, columns, layer, subspaces)
          for name in after}


def _run(part, units, layers=_layers, last=None):
  """Returns what tasks read.

  Args:
    part: A `SharedPart`.
    units: A function from variables, columns and the name of a layer to columns
      for each layer that a unit stands behind.
    layers: The layers of a column, by variables and task.
    last: Name of the layer behind which outputs of all units are mixed.
  """
  v = part.values()
  columns, mixed = np.stack([part.rows] * len(_TASKS)), []
  own = [layers(v, task) for task in _TASKS]
  for name in own[0]:
    columns = np.stack([functions[name](column)
                        for functions, column in zip(own, columns)])
    if name in units:
      columns = units[name](v, columns, name)
      mixed.append(columns)
    if name == last:
      columns = np.stack([
          sum(beta * outputs[i] for beta, outputs in zip(
              v[f"sluice/{task}/beta"], mixed))
          for i, task in enumerate(_TASKS)])
  return dict(zip(_TASKS, columns))


class ColumnsTest(parameterized.TestCase, tf.test.TestCase):

  def test_matches_formula(self):
    part = _part(_COLUMN)
    self.assertAllClose(part.run(), _run(part, {}), rtol=1e-4)
    self.assertEqual(part.outputs["a"].shape.as_list(), [None, 2])

  def test_matches_formula_on_images(self):
    part = _part(_IMAGES % 3, shape=(4, 6, 2))
    self.assertAllClose(part.run(), _run(part, {}, _layers_of_images),
                        rtol=1e-4)

  def test_columns_are_apart(self):
    part = _part(_COLUMN)
    for task in _TASKS:
      scopes = shared_part.scopes(part.reached(part.outputs[task]))
      self.assertEqual(scopes, {f"column/{task}/{layer}" for layer in (
          "dense", "flat", "dense_1", "dense_2")})
    self.assertFalse(np.allclose(part.initial["column/a/dense/kernel"],
                                 part.initial["column/b/dense/kernel"]))

  def test_only_wanted_columns_are_built(self):
    part = _part(_COLUMN, ["b"])
    self.assertEqual(list(part.outputs), ["b"])
    self.assertTrue(all(n.startswith("column/b/") for n in part.trainable))


class CrossStitchTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("behind_every_dense_layer", "", ["dense", "dense_1", "dense_2"]),
      ("per_layer", "granularity: PER_LAYER", ["dense", "dense_1", "dense_2"]),
      ("behind_a_named_layer", "after: 'flat'", ["flat"]),
      ("behind_two", "after: ['dense_1', 'dense']", ["dense", "dense_1"]))
  def test_matches_formula(self, unit, after):
    part = _part(f"{_COLUMN} cross_stitch {{ {unit} }}")
    self.assertAllClose(part.run(), _run(part, {n: _stitched for n in after}),
                        rtol=1e-4, atol=1e-5)
    shapes = {n: v.shape.as_list() for n, v in part.trainable.items()
              if n.startswith("cross_stitch")}
    self.assertEqual(shapes, {
        f"cross_stitch/{name}/alpha": [3, 3] + (
            [] if unit.startswith("granularity") else
            [2 if name == "dense_2" else 4]) for name in after})

  @parameterized.parameters("", "granularity: PER_LAYER")
  def test_matches_formula_on_images(self, unit):
    part = _part(f"{_IMAGES % 3} cross_stitch {{ {unit} }}", shape=(4, 6, 2))
    self.assertAllClose(part.run(), _run(
        part, {"conv2d": _stitched, "conv2d_1": _stitched}, _layers_of_images),
                        rtol=1e-4, atol=1e-5)

  def test_starts_with_shares_that_add_up_to_one(self):
    part = _part(_COLUMN + " cross_stitch { own_share: 0.7 }")
    for layer, width in (("dense", 4), ("dense_2", 2)):
      alpha = part.initial[f"cross_stitch/{layer}/alpha"]
      for channel in range(width):
        self.assertAllClose(alpha[..., channel], [
            [0.7, 0.15, 0.15], [0.15, 0.7, 0.15], [0.15, 0.15, 0.7]])
    self.assertAllClose(
        _part(_COLUMN + " cross_stitch { granularity: PER_LAYER own_share: 1 }"
              ).initial["cross_stitch/dense/alpha"], np.eye(3))

  def test_every_task_reaches_every_column_up_to_the_last_unit(self):
    part = _part(_COLUMN + " cross_stitch { after: 'dense' }")
    self.assertEqual(shared_part.scopes(part.reached(part.outputs["b"])), {
        "column/a/dense", "column/b/dense", "column/c/dense",
        "cross_stitch/dense", "column/b/flat", "column/b/dense_1",
        "column/b/dense_2"})

  def test_a_held_layer_is_held_for_all_columns(self):
    part = _part(_COLUMN + " cross_stitch { after: 'dense' }",
                 held=["column/a/dense"])
    scopes = shared_part.scopes(part.reached(part.outputs["b"]))
    self.assertNotIn("column/a/dense", scopes)
    self.assertIn("column/c/dense", scopes)

  @parameterized.parameters(["b"], ["a", "c"])
  def test_of_wanted_tasks_only_what_they_read_is_built(self, *wanted):
    text = _COLUMN + " cross_stitch { after: 'dense' after: 'dense_1' }"
    whole, part = _part(text), _part(text, list(wanted))
    behind = {f"column/{task}/dense_2" for task in _TASKS}
    self.assertEqual(
        shared_part.scopes(part.trainable),
        shared_part.scopes(whole.trainable) - behind | {
            f"column/{task}/dense_2" for task in wanted})
    part.load({n: v for n, v in whole.values().items() if n in part.trainable})
    self.assertAllClose(part.run(), {
        task: output for task, output in whole.run().items() if task in wanted})


class SluiceTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("two_layers", "after: ['dense', 'dense_1'] subspaces: 2", "dense_1"),
      ("one_subspace", "after: ['dense', 'dense_1'] subspaces: 1", "dense_1"),
      ("one_layer", "after: 'flat' subspaces: 4", "flat"))
  def test_matches_formula(self, unit, last):
    part = _part(f"{_COLUMN} sluice {{ {unit} }}")
    after, subspaces = unit.split("'")[1::2], int(unit[-1])
    self.assertAllClose(part.run(), _run(part, _units(after, subspaces),
                                         last=last), rtol=1e-4, atol=1e-5)
    for name in after:
      self.assertEqual(part.trainable[f"sluice/{name}/alpha"].shape.as_list(),
                       [3 * subspaces] * 2)

  def test_matches_formula_on_images(self):
    part = _part("""column {
        layer { conv2d { filters: 4 kernel_size: 3 activation: RELU } }
        layer { conv2d { filters: 4 kernel_size: 1 } } } sluice {}""",
                 shape=(4, 6, 2))
    layers = lambda v, task: {
        name: function for name, function in _layers_of_images(v, task).items()
        if name.startswith("conv2d")}
    self.assertAllClose(
        part.run(), _run(part, _units(["conv2d", "conv2d_1"], 2), layers,
                         "conv2d_1"), rtol=1e-4, atol=1e-5)

  def test_starts_with_shares_that_add_up_to_one(self):
    initial = _part(_COLUMN + """ sluice {
        after: ["dense", "flat", "dense_1"] own_share: 0.5
        last_layer_share: 0.8 }""").initial
    alpha = initial["sluice/flat/alpha"]
    self.assertAllClose(alpha, 0.4 * np.eye(6) + 0.1)
    self.assertAllClose(alpha.sum(1), np.ones(6))
    for task in _TASKS:
      self.assertAllClose(initial[f"sluice/{task}/beta"], [0.1, 0.1, 0.8])
    self.assertAllClose(_part(_COLUMN + " sluice { after: 'dense' }"
                              ).initial["sluice/a/beta"], [1])

  def test_of_a_wanted_task_only_what_it_reads_is_built(self):
    text = _COLUMN + " sluice { after: 'dense' after: 'dense_1' }"
    whole, part = _part(text), _part(text, ["b"])
    self.assertEqual(shared_part.scopes(part.trainable), {
        *(f"column/{task}/{name}" for task in _TASKS
          for name in ("dense", "flat", "dense_1")), "column/b/dense_2",
        "sluice/dense", "sluice/dense_1", "sluice/b"})
    self.assertEqual(part.reached(part.outputs["b"]), set(part.trainable))
    part.load({n: v for n, v in whole.values().items() if n in part.trainable})
    self.assertAllClose(part.run()["b"], whole.run()["b"])


class TrainingTest(parameterized.TestCase, tf.test.TestCase):

  def _train(self, units, training):
    """Returns the variables at the start and after 20 steps."""
    layer = "layer { dense { units: 4 activation: TANH } }"
    run = every_sharing.run((every_sharing.VECTORS, f"""
        soft_sharing {{ column {{ {layer} {layer} }} {units} }}
        {every_sharing.THREE_TASKS}"""), training=f"""{every_sharing.JOINT}
        group {{ name: "own" scope: ["column", "tower", "head"] }} {training}
        """)
    return run.values(), run.train(20)

  @parameterized.named_parameters(
      ("cross_stitch", "cross_stitch { own_share: 1 }"),
      ("cross_stitch_per_layer",
       "cross_stitch { own_share: 1 granularity: PER_LAYER }"),
      ("sluice", "sluice { own_share: 1 last_layer_share: 1 orthogonality: 0 }")
  )
  def test_units_that_are_frozen_at_the_identity_are_none(self, units):
    scope = units.partition(" ")[0]
    before, found = self._train(units, f"""
        group {{ name: "units" frozen: true scope: "{scope}" }}""")
    _, expected = self._train("", "")
    for name, value in expected.items():
      self.assertEqual(found[name].tobytes(), value.tobytes(), name)
    changed = resident_run.changed(before, found)
    self.assertEmpty(resident_run.starting(changed, scope))
    self.assertContainsSubset(
        resident_run.starting(before, "column", "tower", "head"), changed)

  def test_units_are_trained(self):
    for units in ("cross_stitch {}", "sluice {}"):
      scope = units.partition(" ")[0]
      before, found = self._train(units, f"""
          group {{ name: "units" scope: "{scope}" }}""")
      self.assertContainsSubset(resident_run.starting(before, scope),
                                resident_run.changed(before, found))


if __name__ == "__main__":
  absltest.main()

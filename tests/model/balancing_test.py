"""Tests of gradients of shared variables that become one."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.data import batches
from mtl_graph.model import task_gradients
from mtl_graph.ops import gradient_products
from tests.model import resident_run

_TEXT = """
name: "small" seed: 5
data { batch_size: 12 feature { name: "x" numeric { size: 3 } }
       feature { name: "c" categorical { num_buckets: 6
                 embedding_dimension: 2 } } }
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" label {} regression {} }
  task { name: "b" label {} regression {} }
}
training {
  num_steps: 9 joint { loss { sum {} } }
  default_optimizer { gradient_descent { learning_rate { constant: 1 } } }
}
"""
_SHARED = ["embedding/c/embeddings", "trunk/dense/kernel", "trunk/dense/bias"]
_PATH = "training.joint.gradient_balancing"


def _data(rows=12):
  random = np.random.default_rng(0)
  return batches.Batch(
      random.normal(size=[rows, 3]).astype(np.float32),
      random.integers(0, 6, [rows, 1]).astype(np.int32),
      random.normal(size=[rows, 2]).astype(np.float32),
      np.ones([rows, 2], np.float32))


def _run(balancing, *overrides, data=None):
  return resident_run.ResidentRun(resident_run.parse(
      _TEXT, f"{_PATH}={{ {balancing} }}", *overrides), data or _data())


def _by_hand(values, data):
  """Returns each task's loss and gradients, and those of the trunk's output."""
  float64 = {name: value.astype(np.float64) for name, value in values.items()}
  table, kernel, bias = [float64[name] for name in _SHARED]
  ids, found = data.ids[:, 0], []
  inputs = np.concatenate([data.numbers.astype(np.float64), table[ids]], 1)
  trunk = np.tanh(inputs @ kernel + bias)
  for t, task in enumerate("ab"):
    head = float64[f"head/{task}/kernel"]
    weights = data.weights[:, t] / max(data.weights[:, t].sum(), 1)
    errors = (trunk @ head)[:, 0] + float64[f"head/{task}/bias"] - (
        data.labels[:, t])
    slopes = 2 * errors * weights
    of_trunk = slopes[:, np.newaxis] * head[:, 0]
    before = of_trunk * (1 - trunk ** 2)
    of_table = np.zeros_like(table)
    np.add.at(of_table, ids, before @ kernel[3:].T)
    found.append((np.sum(errors ** 2 * weights), {
        _SHARED[0]: of_table, _SHARED[1]: inputs.T @ before,
        _SHARED[2]: before.sum(0), "trunk": of_trunk,
        f"head/{task}/kernel": trunk.T @ slopes[:, np.newaxis],
        f"head/{task}/bias": slopes.sum(0, keepdims=True)}))
  return found


def _gramian(found, names):
  flat = [np.concatenate([g[name].ravel() for name in names])
          for _, g in found]
  return np.array([[a @ b for b in flat] for a in flat])


_EXPERT = "expert { layer { dense { units: 3 activation: TANH } } }"
_SHARINGS = (
    f"mixture_of_experts={{ num_experts: 2 {_EXPERT} }}",
    f"progressive_layered_extraction={{ level {{ shared_experts: 1 {_EXPERT} }} "
    f"level {{ {_EXPERT} }} }}",
    "task_attention={ block { first { layer { dense { units: 3 } } } second { "
    "layer { dense { units: 3 } } } attention_units: 2 } }",
    "soft_sharing={ column { layer { name: 'first' dense { units: 3 } } layer { "
    "dense { units: 2 } } } cross_stitch { after: 'first' } }")

# Weights for two tasks with squared lengths a and c and product b.
_CLOSED = {
    "pcgrad {}": lambda a, b, c: (1 - min(0, b) / a, 1 - min(0, b) / c),
    "gradvac {}": lambda a, b, c: (1 - min(0, b) / a, 1 - min(0, b) / c),
    "mgda {}": lambda a, b, c: (
        np.clip((c - b) / (a + c - 2 * b), 0, 1),
        1 - np.clip((c - b) / (a + c - 2 * b), 0, 1)),
    "mgda { normalization: NORM }": lambda a, b, c: (.5, .5),
    "imtl_g {}": lambda a, b, c: (
        c ** .5 / (a ** .5 + c ** .5), a ** .5 / (a ** .5 + c ** .5)),
    "nash_mtl {}": lambda a, b, c: tuple(
        1 / np.sqrt(each * (1 + b / np.sqrt(a * c))) for each in (a, c)),
    "fairgrad {}": lambda a, b, c: tuple(
        1 / np.sqrt(each * (1 + b / np.sqrt(a * c))) for each in (a, c)),
    "cagrad { c: 0 }": lambda a, b, c: (.5, .5),
    "upgrad {}": lambda a, b, c: (
        .5 - min(0, b) / a / 2, .5 - min(0, b) / c / 2),
    "db_mtl { beta: 0 }": lambda a, b, c: (
        max(1, (c / a) ** .5), max(1, (a / c) ** .5)),
}


class BalancingTest(parameterized.TestCase, tf.test.TestCase):

  def _steps(self, run, weights, found, before, summed=()):
    """Checks that a step goes along what is weighed, and heads as ever."""
    after = run.values()
    for name in _SHARED:
      factors = (1, 1) if name in summed else weights
      self.assertAllClose(before[name] - after[name], sum(
          w * g[name] for w, (_, g) in zip(factors, found)), atol=2e-6,
                          rtol=2e-5, msg=name)
    for task, (_, gradients) in zip("ab", found):
      for name in (f"head/{task}/kernel", f"head/{task}/bias"):
        self.assertAllClose(before[name] - after[name], gradients[name],
                            atol=2e-6, rtol=2e-5)

  @parameterized.parameters(
      (kind, at) for kind in _CLOSED
      for at in ("PARAMETERS", "REPRESENTATION")[:1 if "db_mtl" in kind else 2])
  def test_two_tasks_in_closed_form(self, kind, at):
    run = _run(f"{kind} at: {at}")
    before = run.values()
    found = _by_hand(before, run.data)
    gramian = _gramian(found, _SHARED if at == "PARAMETERS" else ["trunk"])
    weights = _CLOSED[kind](gramian[0, 0], gramian[0, 1], gramian[1, 1])
    report = run.run()
    self.assertEqual(list(run.step.measures),
                     ["gradient_weight/a", "gradient_weight/b"])
    self.assertAllClose(report.measures, weights, rtol=1e-4)
    self.assertAllClose(report.task_losses, [loss for loss, _ in found],
                        rtol=1e-5)
    self._steps(run, weights, found, before)

  def test_a_layer_has_weights_of_its_own(self):
    run = _run("imtl_g {} granularity: LAYER")
    before = run.values()
    found = _by_hand(before, run.data)
    report, after = run.run(), run.values()
    self.assertEqual(list(run.step.measures), [
        f"gradient_weight/{layer}/{task}"
        for layer in ("embedding/c", "trunk/dense") for task in "ab"])
    for names, weights in (([_SHARED[0]], report.measures[:2]),
                           (_SHARED[1:], report.measures[2:])):
      gramian = _gramian(found, names)
      lengths = np.sqrt(np.diag(gramian))
      self.assertAllClose(weights, lengths[::-1] / lengths.sum(), rtol=1e-4)
      for name in names:
        self.assertAllClose(before[name] - after[name], sum(
            w * g[name] for w, (_, g) in zip(weights, found)), atol=2e-6)

  @parameterized.parameters("", "at: REPRESENTATION", "every_steps: 2")
  def test_embeddings_add_up_where_they_are_left_out(self, more):
    run = _run(f"imtl_g {{}} exclude_embeddings: true {more}")
    before = run.values()
    found = _by_hand(before, run.data)
    names = ["trunk"] if "REPRESENTATION" in more else _SHARED[1:]
    lengths = np.sqrt(np.diag(_gramian(found, names)))
    weights = run.run().measures
    self.assertAllClose(weights, lengths[::-1] / lengths.sum(), rtol=1e-4)
    self._steps(run, weights, found, before, summed=_SHARED[:1])

  @parameterized.parameters("PARAMETERS", "REPRESENTATION")
  def test_weights_are_used_again(self, at):
    run = _run(f"imtl_g {{}} every_steps: 3 at: {at}")
    weights = []
    for _ in range(5):
      before = run.values()
      found = _by_hand(before, run.data)
      lengths = np.sqrt(np.diag(_gramian(
          found, _SHARED if at == "PARAMETERS" else ["trunk"])))
      weights.append(run.run().measures)
      if len(weights) in (1, 4):
        self.assertAllClose(weights[-1], lengths[::-1] / lengths.sum(),
                            rtol=1e-3)
      else:
        self.assertAllEqual(weights[-1], weights[-2])
      self._steps(run, weights[-1], found, before)
    self.assertNotAllClose(weights[0], weights[3], rtol=1e-3)

  @parameterized.parameters("mgda {}", "mgda { normalization: LOSS_AND_NORM }")
  def test_a_task_without_labels_is_left_out(self, kind):
    data = _data()
    data.weights[:, 1] = 0
    run = _run(kind, data=data)
    before = run.values()
    self.assertAllClose(run.run().measures, [1, 0])
    self._steps(run, [1, 0], _by_hand(before, data), before)

  def test_penalties_and_learned_weights_stay_as_they_are(self):
    run = _run("imtl_g {}", "training.joint.loss={ uncertainty {} }",
               "model.hard_sharing.trunk.layer[0].dense.regularization={ l2: 0.5 }")
    before = run.values()
    found = _by_hand(before, run.data)
    weighted = [(loss, {name: g / 2 for name, g in gradients.items()})
                for loss, gradients in found]
    weights, after = run.run().measures, run.values()
    self.assertAllClose(before[_SHARED[1]] - after[_SHARED[1]], sum(
        w * g[_SHARED[1]] for w, (_, g) in zip(weights, weighted))
                        + 0.5 * before[_SHARED[1]], atol=1e-5)
    for task, (loss, _) in zip("ab", found):
      name = f"log_variance/{task}"
      self.assertAllClose(before[name] - after[name], 0.5 - loss / 2,
                          rtol=1e-4)

  def test_what_is_tracked_is_in_variables(self):
    run = _run("db_mtl { beta: 0.75 }")
    before = run.values()
    found = _by_hand(before, run.data)
    run.run()
    tracked = [run.values()[f"gradient_balancing/tracked/{name}"]
               for name in _SHARED]
    for name, value in zip(_SHARED, tracked):
      self.assertAllClose(value, [g[name] / 4 for _, g in found], atol=1e-6)
    run.data.weights[:, 1] = 0
    lacking = _run("db_mtl { beta: 0.75 }", data=run.data)
    lacking.load({name: value for name, value in run.values().items()})
    before = lacking.values()
    lacking.run()
    after = lacking.values()
    for name in _SHARED:
      name = f"gradient_balancing/tracked/{name}"
      self.assertAllEqual(before[name][1], after[name][1])
      self.assertNotAllClose(before[name][0], after[name][0])

  @parameterized.parameters("", "at: REPRESENTATION")
  def test_one_sign_is_kept(self, more):
    run = _run(f"graddrop {{}} {more}")
    before = run.values()
    found = _by_hand(before, run.data)
    run.run()
    self.assertEmpty(run.step.measures)
    if more:
      return
    after = run.values()
    for name in _SHARED:
      step = before[name] - after[name]
      gradients = np.stack([g[name] for _, g in found])
      of_sign = [np.where(gradients * sign > 0, gradients, 0).sum(0)
                 for sign in (1, -1)]
      self.assertAllLess(np.min([abs(step - each) for each in of_sign], 0),
                         3e-6)

  def test_all_of_a_leak_is_the_sum(self):
    for more in ("", "at: REPRESENTATION"):
      run = _run(f"graddrop {{ leak: 1 }} {more}")
      before = run.values()
      found = _by_hand(before, run.data)
      run.run()
      self._steps(run, [1, 1], found, before)

  @parameterized.parameters(*_SHARINGS)
  def test_half_of_the_sum_in_every_architecture(self, sharing):
    # CAGrad with radius 0 is the mean, whatever is compared.
    model = f"model.{sharing}"
    plain = resident_run.ResidentRun(
        resident_run.parse(_TEXT, model), _data())
    before, after = plain.values(), plain.train(1)
    scales = set()
    for more in ("", "at: REPRESENTATION", "every_steps: 2",
                 "at: REPRESENTATION exclude_embeddings: true",
                 "every_steps: 2 exclude_embeddings: true"):
      run = _run(f"cagrad {{ c: 0 }} {more}", model)
      run.load(before)
      found = run.train(1)
      for name in resident_run.changed(before, after) - {"global_step"}:
        shared = sum(name in run.model.reached[task] for task in "ab") == 2
        if "exclude" in more and name.startswith("embedding/"):
          shared = False
        scales.add(shared)
        self.assertAllClose(
            before[name] - found[name],
            (before[name] - after[name]) / (2 if shared else 1), atol=1e-6,
            rtol=1e-4, msg=f"{name} {more}")
    self.assertEqual(scales, {True, False})

  @parameterized.parameters("mgda {}", "sdmgrad { num_iterations: 50 }")
  def test_a_task_that_reaches_nothing_compared_stops_nothing(self, kind):
    # The third task reads numbers only, past the trunk.
    wide = _data()
    wide = wide._replace(labels=np.repeat(wide.labels, [1, 2], 1),
                         weights=np.ones([12, 3], np.float32))
    tasks = [f"{{ name: '{name}' label {{}} regression {{}} {reads} }}"
             for name, reads in (("a", ""), ("b", ""), ("c", "reads: 'features'"))]
    other = f"model.task=[{', '.join(tasks)}]"
    alone = "data.feature=[{ name: 'x' numeric { size: 3 } }]"
    run = _run(kind, other, alone, data=wide._replace(
        ids=np.zeros([12, 0], np.int32)))
    weights = run.run().measures
    self.assertEqual(weights[2], 0)
    self.assertAllClose(weights.sum(), 1)
    pair = _run(kind, alone, data=wide._replace(
        ids=np.zeros([12, 0], np.int32), labels=wide.labels[:, :2],
        weights=wide.weights[:, :2]))
    values = {name: value for name, value in run.values().items()
              if name in pair.values()}
    if "gradient_balancing/weights" in values:
      shares = values["gradient_balancing/weights"][:2]
      values["gradient_balancing/weights"] = shares / shares.sum()
    pair.load(values)
    self.assertAllClose(run.run().measures[:2], pair.run().measures, rtol=1e-4)

  def test_who_lacks_labels_as_weights_are_found_keeps_the_last_one(self):
    data = _data()
    data.weights[:, 1] = 0
    run = _run("imtl_g {} every_steps: 3", data=data)
    # At first 1, as in a sum.
    self.assertAllClose(run.run().measures, [1, 1])
    last = run.values()
    last["gradient_balancing/last_weights"] = np.float32([0.3, 0.7])
    last["global_step"] = np.int64(3)
    run.load(last)
    self.assertAllClose(run.run().measures, [1, 0.7])
    self.assertAllClose(run.run().measures, [1, 0.7])

  def test_nothing_shared(self):
    with self.assertRaisesRegex(
        config.ConfigError, f"^{_PATH}: found no trained variable that two "
        "tasks' losses reach; allowed: with something shared"):
      _run("pcgrad {}", "training.group=[{ name: 'held' scope: 'trunk' scope: "
           "'embedding' frozen: true }, { name: 'free' scope: 'head' }]")


class ColumnTest(tf.test.TestCase):

  def test_rows_stand_for_the_table(self):
    random = np.random.default_rng(1)
    rows = [[4, 1, 4], [1, 7], [0, 0, 0, 4]]
    slices = [random.normal(size=[len(r), 2]).astype(np.float32) for r in rows]
    dense = np.zeros([3, 9, 2])
    for t in range(3):
      np.add.at(dense[t], rows[t], slices[t])
    with tf.Graph().as_default(), tf.Session() as session:
      variable = tf.get_variable("table", [9, 2])
      column = task_gradients.Column(variable, [
          tf.IndexedSlices(tf.constant(v), tf.constant(r), tf.constant([9, 2]))
          for v, r in zip(slices, rows)] + [None], True)
      gramian = gradient_products.gramian_of(
          [[g] for g in column.gradients])
      direction = column.whole(gradient_products.combine(
          tf.constant([2.0, -1, 0.5, 3]), [[g] for g in column.gradients])[0])
      self.assertIsInstance(direction, tf.IndexedSlices)
      gramian, direction = session.run(
          [gramian, tf.convert_to_tensor(direction)])
    flat = dense.reshape(3, -1)
    self.assertAllClose(gramian[:3, :3], flat @ flat.T)
    self.assertAllEqual(gramian[3], np.zeros(4))
    self.assertAllClose(direction, 2 * dense[0] - dense[1] + dense[2] / 2)


if __name__ == "__main__":
  absltest.main()

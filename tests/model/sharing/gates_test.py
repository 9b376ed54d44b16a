"""Tests of gates, and of the experts that they mix."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model.sharing import gates
from mtl_graph.protos import sharing_pb2
from tests.model.sharing import every_sharing
from tests.model.sharing import shared_part

_EXPERT = """expert { layer { dense { units: 4 activation: TANH } }
                      layer { dense { units: 2 } } }"""
_LAYER = "layer { dense { units: 6 activation: RELU } }"


def _part(gate, count=3, training=False, shape=(3,), expert=_EXPERT):
  message = shared_part.parse(
      f"mixture_of_experts {{ {expert} gate {{ {gate} }} }}").mixture_of_experts

  def build(inputs, mode):
    scopes = [f"expert/{i}" for i in range(count)]
    experts = gates.build_experts(message.expert, inputs, scopes, mode)
    return {"experts": experts, "mixture": gates.mix(
        message.gate, experts, inputs, "gate/a", "a", mode)}

  return shared_part.SharedPart(build, shape, training)


def _expert(v, i, x):
  return shared_part.dense(v, f"expert/{i}/dense_1", shared_part.dense(
      v, f"expert/{i}/dense", x), None)


def _smooth_step(x, gamma):
  cubic = -2 * (x / gamma) ** 3 + 1.5 * x / gamma + 0.5
  return np.where(x <= -gamma / 2, 0, np.where(x >= gamma / 2, 1, cubic))


def _selectors(v, x, experts, k, gamma):
  """Returns shares of selectors [B, k], and what they select [B, k, n]."""
  digits = int(np.ceil(np.log2(experts)))
  logits = {}
  for name in ("selector", "digit"):
    scope = f"gate/a/{name}"
    logits[name] = (shared_part.dense(v, scope, x, None)
                    if f"{scope}/kernel" in v else
                    np.tile(v.get(scope, np.zeros(0)), [len(x), 1]))
  step = _smooth_step(logits["digit"].reshape(len(x), k, digits), gamma)
  selected = np.ones([len(x), k, experts])
  for i in range(experts):
    for d in range(digits):
      bit = i >> (digits - 1 - d) & 1  # The most significant one first.
      selected[..., i] *= step[..., d] if bit else 1 - step[..., d]
  return shared_part.softmax(logits["selector"]), selected


class MixTest(parameterized.TestCase, tf.test.TestCase):

  def _check(self, part, weights, rtol=1e-5):
    """Checks a mixture of experts by weights [B, n]."""
    v, x = part.values(), part.rows
    experts = np.stack([_expert(v, i, x) for i in range(weights.shape[1])])
    found = part.run()
    self.assertAllClose(list(found["experts"].values()), experts, rtol=rtol)
    self.assertAllClose(found["mixture"], np.einsum(
        "bn,nbd->bd", weights, experts), rtol=rtol, atol=1e-5)
    self.assertEqual(part.outputs["mixture"].shape.as_list(), [None, 2])
    gate = part.mode.gates["gate/a"]
    self.assertEqual(gate.experts,
                     [f"expert/{i}" for i in range(weights.shape[1])])
    found = part.run(gate.weights)
    self.assertAllClose(found, weights if found.ndim == 2 else weights[0],
                        atol=1e-6)

  @parameterized.named_parameters(
      ("unset", ""), ("softmax", "softmax {}"),
      ("bias", "softmax { use_bias: true }"),
      ("layers", _LAYER), ("layers_and_bias",
                           _LAYER + "softmax { use_bias: true }"))
  def test_softmax_matches_formula(self, gate):
    part = _part(gate)
    v, read = part.values(), part.rows
    if _LAYER in gate:
      read = shared_part.dense(v, "gate/a/dense", read, shared_part.relu)
    self.assertEqual("gate/a/bias" in v, "bias" in gate)
    self._check(part, shared_part.softmax(
        shared_part.dense(v, "gate/a", read, None)))

  def test_every_expert_and_the_gate_get_a_gradient(self):
    part = _part(_LAYER)
    self.assertEqual(part.reached(part.outputs["mixture"]),
                     set(part.trainable))

  def test_experts_start_apart(self):
    initial = _part("").initial
    kernels = [initial[f"expert/{i}/dense/kernel"] for i in range(3)]
    for i in range(3):
      for j in range(i):
        self.assertGreater(np.abs(kernels[i] - kernels[j]).min(), 1e-4)

  def test_a_gate_of_zeros_gives_the_mean_of_the_experts(self):
    part = _part("softmax { initializer { constant: 0 } }")
    part.load(part.initial)
    found = part.run()
    self.assertAllClose(found["mixture"],
                        np.mean(list(found["experts"].values()), 0))

  def test_one_expert_is_read_as_it_is(self):
    part = _part("", count=1)
    # A softmax of one number need not be 1 to the last bit.
    found = part.run()
    self.assertAllClose(found["mixture"], found["experts"]["expert/0"],
                        rtol=1e-6)

  def test_images_by_a_gate_on_what_its_layers_make_of_them(self):
    part = _part("layer { global_average_pooling {} }", shape=(4, 2, 3),
                 expert="expert { layer { conv2d { filters: 2 kernel_size: 3 "
                        "activation: RELU } } }")
    v, x = part.values(), part.rows
    weights = shared_part.softmax(
        shared_part.dense(v, "gate/a", x.mean((1, 2)), None))
    self.assertAllClose(part.run()["mixture"], sum(
        weights[:, i, np.newaxis, np.newaxis, np.newaxis]
        * shared_part.conv2d(v, f"expert/{i}/conv2d", x) for i in range(3)),
                        rtol=1e-5)

  @parameterized.product(count=(1, 2, 3, 5), per_example=(True, False))
  def test_dselect_k_matches_formula(self, count, per_example):
    part = _part(f"""dselect_k {{ num_selected: 3 gamma: 4
        per_example: {str(per_example).lower()} }}""", count)
    shares, selected = _selectors(part.values(), part.rows, count, 3, 4)
    self._check(part, np.einsum("bk,bkn->bn", shares, selected), 1e-4)
    expected = {"gate/a/selector": 3, "gate/a/digit": 3 * (count - 1
                                                           ).bit_length()}
    found = {n: v.shape.as_list() for n, v in part.trainable.items()
             if n.startswith("gate")}
    if per_example:
      self.assertEqual(found, {
          f"{name}/{part}": [3, size] if part == "kernel" else [size]
          for name, size in expected.items() for part in ("kernel", "bias")
          if size})
    else:
      self.assertEqual(found, {n: [s] for n, s in expected.items() if s})

  def test_dselect_k_behind_layers(self):
    part = _part(f"dselect_k {{ num_selected: 2 gamma: 9 }} {_LAYER}")
    v = part.values()
    shares, selected = _selectors(v, shared_part.dense(
        v, "gate/a/dense", part.rows, shared_part.relu), 3, 2, 9)
    self._check(part, np.einsum("bk,bkn->bn", shares, selected), 1e-4)

  @parameterized.parameters(True, False)
  def test_dselect_k_starts_undecided(self, per_example):
    part = _part(f"""dselect_k {{ num_selected: 2 gamma: 3
        per_example: {str(per_example).lower()} }}""", 4)
    part.load(part.initial)
    weights = part.run(part.mode.gates["gate/a"].weights)
    self.assertAllClose(weights, np.full_like(weights, 0.25), atol=0.05)
    self.assertAllGreater(np.abs(weights - 0.25), 0)
    reached = part.reached(part.outputs["mixture"])
    self.assertEqual(reached, set(part.trainable))

  def test_every_kind_of_gate_is_built(self):
    for kind in sharing_pb2.Gate.DESCRIPTOR.oneofs_by_name["kind"].fields:
      text = "num_selected: 1" if kind.name == "dselect_k" else ""
      self.assertLen(_part(f"{kind.name} {{ {text} }}").mode.gates, 1)


class PenaltiesTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      ("softmax", "", 3, 0), ("power_of_two", "num_selected: 2", 4, 0),
      ("no_power_of_two", "num_selected: 2", 5, 1),
      ("entropy", "num_selected: 2 entropy: 0.5", 4, 1),
      ("both", "num_selected: 2 entropy: 0.5", 3, 2),
      ("of_all_rows", "num_selected: 2 per_example: false entropy: 0.5", 3, 2),
      ("one_expert", "num_selected: 2", 1, 0))
  def test_matches_formula(self, text, count, number):
    gate = f"dselect_k {{ {text} gamma: 4 }}" if text else ""
    part = _part(gate, count, training=True)
    self.assertEqual([p.owner for p in part.mode.penalties], ["a"] * number)
    self.assertEmpty(_part(gate, count).mode.penalties)
    if not number:
      return
    _, selected = _selectors(part.values(), part.rows, count, 2, 4)
    total = np.maximum(selected.sum(-1), 1e-3)
    expected = (0.5 * np.mean(-np.sum(selected * np.log(selected + 1e-6), -1))
                if "entropy" in text else 0)
    if count in (3, 5):
      below = selected.sum(-1) < 1e-3
      expected += np.mean(np.where(
          below, 2e3 - selected.sum(-1) * 1e6, 1 / total))
    self.assertAllClose(
        sum(part.run([p.value for p in part.mode.penalties])), expected,
        rtol=1e-4)

  @parameterized.parameters(("dselect_k", 2), ("dselect_k_of_all_rows", 2),
                            ("experts", 0))
  def test_they_are_in_the_total_loss(self, name, least):
    report = every_sharing.run(every_sharing.TABLE[name]).run()
    penalties = report.total - report.task_losses.sum()
    # That on numbers without an expert alone is 1 or more for each task.
    if least:
      self.assertGreater(penalties, least)
    else:
      self.assertAllClose(penalties, 0)

  def test_the_report_says_how_experts_are_used(self):
    run = every_sharing.run(every_sharing.TABLE["dselect_k_of_all_rows"])
    values = run.values()
    report = dict(zip(run.step.measures, run.run().measures))
    self.assertLen(report, 2 * 4)
    for task in "ab":
      v = {f"gate/a/{name}": values[f"gate/{task}/{name}"]
           for name in ("selector", "digit")}
      shares, selected = _selectors(v, np.zeros([1, 1]), 3, 2, 1)
      weights = (shares[0, :, np.newaxis] * selected[0]).sum(0)
      self.assertAllClose([report[f"gate/{task}/expert/{i}"]
                           for i in range(3)], weights)
      self.assertAllClose(report[f"gate/{task}/entropy"],
                          -np.sum(weights * np.log(weights)))


if __name__ == "__main__":
  absltest.main()

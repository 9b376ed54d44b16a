"""Tests of what holds for every way to weigh losses, on random losses."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import special
import tensorflow.compat.v1 as tf

from mtl_graph.ops import adaptive_weights
from mtl_graph.ops import loss_weighting
from mtl_graph.ops import random_bits
from mtl_graph.ops import scalarizations
from tests import random_gradients

_WINDOW, _RATE, _DECAY, _ALPHA, _SMOOTHNESS = 3, 0.1, 0.01, 1.5, 0.5


def _with_slopes(op):
  """Returns an op that gives the loss, its weights and slopes as well."""
  def found(losses, *arguments):
    output = op(losses, *arguments)
    return {"loss": output.loss, "weights": output.extra.task_weights,
            "slopes": tf.gradients(output.loss, losses)[0]}
  return found


def _sums(losses, present, learned, norms, *unused):
  """Returns what ops give that weigh by what is given or learned, by name."""
  unit = tf.ones_like(losses)
  ops = {
      "weighted_sum": lambda x: loss_weighting.weighted_sum_loss(x, norms),
      "uncertainty": lambda x: loss_weighting.uncertainty_weighted_loss(
          x, learned, 0.5 * unit, unit, present),
      "revised": lambda x: loss_weighting.revised_uncertainty_loss(
          x, learned, present),
      "impartial": lambda x: loss_weighting.impartial_loss(
          x, learned, present),
  }
  return {name: _with_slopes(op)(losses) for name, op in ops.items()}


def _all(losses, present, learned, norms, state, step):
  """Returns what every op gives for one case, by name."""
  ops = {
      "random": lambda x: loss_weighting.randomly_weighted_loss(x, 7, step),
      "geometric": lambda x: scalarizations.geometric_mean_loss(x, present),
      "log_sum": lambda x: scalarizations.log_sum_loss(x, present),
      "chebyshev": lambda x: scalarizations.smooth_chebyshev_loss(
          x, present, _SMOOTHNESS, tf.maximum(norms, 1e-3)),
  }
  found = {name: _with_slopes(op)(losses) for name, op in ops.items()}
  found.update(_sums(losses, present, learned, norms))
  dynamic = adaptive_weights.dynamic_weight_average(
      losses, present, state, step, _WINDOW)
  norm = adaptive_weights.grad_norm(losses, norms, present, state, step,
                                    _ALPHA, _RATE)
  found["dynamic"], found["grad_norm"] = dynamic._asdict(), norm._asdict()
  found["famo"] = {
      "weights": adaptive_weights.famo_weights(losses, present, state[:, :3]),
      "state": adaptive_weights.famo_update(
          losses, norms, present, state[:, :3], step, _RATE, _DECAY)}
  found["normal"] = random_bits.standard_normal(losses.shape[0], 7, step)
  return found


def _adam(values, gradient, first, second, step):
  first = 0.9 * first + 0.1 * gradient
  second = 0.999 * second + 0.001 * gradient ** 2
  change = _RATE * first / (1 - 0.9 ** (step + 1)) / (
      np.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8)
  return values - change, first, second


def _expected(losses, present, learned, norms, state, step, normal):
  """Returns by name what the formulas give, in float64.

  Of a loss: itself, and its slope by the loss of each task.
  """
  tasks, on = len(losses), present > 0
  count = on.sum()
  drawn = special.softmax(normal)
  geometric = np.prod(losses[on]) ** (1 / count)
  relative = np.log(losses[on] / norms[on]) / _SMOOTHNESS
  shares = np.zeros(tasks)
  shares[on] = count * np.exp(relative) / np.exp(relative).sum()
  found = {
      "weighted_sum": (losses @ norms, norms),
      "uncertainty": (
          (on * (losses / (2 * np.exp(learned)) + learned / 2)).sum(),
          on / (2 * np.exp(learned))),
      "revised": (
          (on * (losses / (2 * np.exp(learned))
                 + np.log(1 + np.exp(learned)))).sum(),
          on / (2 * np.exp(learned))),
      "impartial": ((on * (np.exp(learned) * losses - learned)).sum(),
                    on * np.exp(learned)),
      "random": (losses @ drawn, drawn),
      "geometric": (geometric, on * geometric / (count * losses)),
      "log_sum": (np.log(losses[on]).sum(), on / losses),
      "chebyshev": (
          count * _SMOOTHNESS * np.log(np.exp(relative).sum()),
          shares / losses),
  }
  total, weight, last, before = state.T
  if step and step % _WINDOW == 0:
    before, last = last, total / weight
    total, weight = 0 * total, 0 * weight
  found["dynamic"] = (
      np.ones(tasks) if step < 2 * _WINDOW
      else tasks * special.softmax(last / before / 2),
      np.stack([total + losses, weight + present, last, before], 1))
  weights, first, second, initial = state.T
  pace = losses / initial / np.mean((losses / initial)[on])
  scaled = weights * norms
  gradient = norms * np.sign(scaled - scaled[on].mean() * pace ** _ALPHA)
  moved, *moments = _adam(weights, gradient, first, second, step)
  moved = np.maximum(np.where(on, moved, weights), 0)
  found["grad_norm"] = (weights, np.stack([
      tasks * moved / moved.sum(), np.where(on, moments[0], first),
      np.where(on, moments[1], second), initial], 1))
  logits = state[:, 0]
  z = special.softmax(logits)
  gains = on * np.log(losses / norms)
  famo, seen = on * z / losses, on * z / np.sum(on * z)
  found["famo"] = (famo / famo.sum(), np.stack(_adam(
      logits, (np.diag(seen) - np.outer(seen, seen)) @ gains + _DECAY * logits,
      state[:, 1], state[:, 2], step), 1))
  return found


def _cases(tasks, number):
  """Draws arguments of `_all`: losses of very different size, some absent."""
  random = np.random.default_rng(tasks)
  found = []
  for i in range(number):
    present = random.uniform(size=tasks) < (0.7 if i % 2 else 1.0)
    present[random.integers(tasks)] = True
    state = random.uniform(0.2, 2.0, [tasks, 4])
    found.append([
        *(each.astype(np.float32) for each in (
            10 ** random.uniform(-3, 3, tasks), present,
            random.uniform(-4, 4, tasks), 10 ** random.uniform(-2, 2, tasks),
            state)), np.int64(i)])
  return found


def _degenerate(tasks):
  """Returns cases of no losses, equal ones, none present, and so on."""
  like = _cases(tasks, 1)[0]
  zeros, ones = np.zeros(tasks, np.float32), np.ones(tasks, np.float32)
  cases = [
      [losses, present, learned, norms, state, step]
      for losses in (zeros, ones, 1e6 * like[0])
      for present in (zeros, ones) for norms in (zeros, ones)
      for learned, state, step in ((30 * ones, 0 * like[4], 0),
                                   (-30 * ones, like[4], 6))]
  return [[np.asarray(each, of.dtype) for each, of in zip(case, like)]
          for case in cases]


class EveryWeightingTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(1, 2, 3, 4, 5, 6, 7, 8)
  def test_matches_formulas_in_float64(self, tasks):
    cases = _cases(tasks, 8)
    for case, found in zip(cases, random_gradients.evaluate(_all, cases)):
      self._check(case, found)

  @parameterized.parameters(1, 2, 5)
  def test_degenerate_losses_give_numbers(self, tasks):
    for found in random_gradients.evaluate(_all, _degenerate(tasks)):
      self._check_numbers(found)

  def test_compiled_by_xla_sums_are_the_same(self):
    # Of the others, tests beside theirs say so.
    cases = _cases(4, 8)
    for i, found in enumerate(random_gradients.evaluate(
        random_gradients.compiled(_sums), cases + _degenerate(4))):
      if i < len(cases):
        self._check(cases[i], found)
      else:
        self._check_numbers(found)

  def _check(self, case, found):
    """Compares what ops gave for a case with their formulas."""
    *arrays, step = case
    on = arrays[1] > 0
    formulas = _expected(*(np.float64(each) for each in arrays), int(step),
                         np.float64(found.get("normal", arrays[0])))
    for name, parts in found.items():
      if name == "normal":
        continue
      expected = formulas[name]
      if "loss" in parts:
        loss, slopes = expected
        self.assertAllClose(parts["loss"], loss, rtol=1e-4, atol=1e-4,
                            msg=name)
        self.assertAllClose(parts["slopes"], slopes, rtol=1e-4, msg=name)
        self.assertAllClose(parts["weights"][on], slopes[on], rtol=1e-4,
                            msg=name)
      else:
        for value, wanted in zip(parts.values(), expected):
          self.assertAllClose(value, wanted, rtol=1e-4, atol=1e-5, msg=name)

  def _check_numbers(self, found):
    """Checks that whatever ops gave is finite, and of an honest size."""
    for name, parts in found.items():
      for value in parts.values() if isinstance(parts, dict) else [parts]:
        self.assertTrue((np.abs(value) < 1e20).all(), name)


if __name__ == "__main__":
  absltest.main()

"""Tests of drawing the source of every batch."""

import collections

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np

from mtl_graph import config
from mtl_graph.data import mixing
from mtl_graph.protos import data_pb2


def _data(sources, more=""):
  """Returns data of sources, each given by what it holds beside its name."""
  text = "".join(f"source {{ name: 's{i}' {source} }} "
                 for i, source in enumerate(sources))
  return text_format.Parse(text + more, data_pb2.Data())


def _plan(sources, rows, num_batches, batch_size=4, seed=3, more=""):
  return mixing.plan(_data(sources, more), rows, batch_size, num_batches, seed)


def _runs(plan, stops):
  """Splits a plan behind the last batch of each source that stops."""
  ends = sorted(np.flatnonzero(plan.source == s)[-1] + 1 for s in stops)
  return np.split(plan.source, ends)


class RatesTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("unset", "", [10, 30, 60]),
      ("proportional", "mixing { proportional {} }", [10, 30, 60]),
      ("uniform", "mixing { uniform {} }", [1, 1, 1]),
      ("temperature_1", "mixing { temperature: 1 }", [10, 30, 60]),
      ("temperature", "mixing { temperature: 2.5 }",
       [10 ** 0.4, 30 ** 0.4, 60 ** 0.4]),
      ("sharpened", "mixing { temperature: 0.5 }", [100, 900, 3600]),
      ("stated", "mixing { stated {} }", [0.5, 2, 1.5]),
  )
  def test_formula(self, more, expected):
    found = mixing.rates(_data(["rate: 0.5", "rate: 2", "rate: 1.5"], more),
                         [10, 30, 60])
    self.assertEqual((found.dtype, found.shape), (np.float64, (3,)))
    np.testing.assert_allclose(found, np.array(expected) / sum(expected),
                               rtol=1e-12)

  @parameterized.parameters(1.2e-38, 1e-3, 3e38)
  def test_any_temperature_gives_probabilities(self, temperature):
    found = mixing.rates(_data([""] * 3, f"mixing {{ temperature: {temperature}"
                               " }"), [10 ** 9, 10, 10 ** 9])
    self.assertAlmostEqual(found.sum(), 1, places=12)
    self.assertEqual(found[0], found[2])
    self.assertAlmostEqual(found[1], 1 / 3 if temperature > 1 else 0)

  def test_one_source(self):
    self.assertEqual(mixing.rates(_data([""]), [7]).tolist(), [1])

  def test_nothing_is_no_choice(self):
    with self.assertRaisesRegex(config.ConfigError, "data.mixing: found None; "
                                "allowed: one of proportional, uniform, "):
      mixing.rates(_data([""], "mixing {}"), [7])

  def test_every_kind_is_built(self):
    for kind in data_pb2.Mixing.DESCRIPTOR.oneofs_by_name["kind"].fields:
      value = "1" if kind.message_type is None else "{}"
      found = mixing.rates(
          _data(["rate: 1", "rate: 1"], f"mixing {{ {kind.name}: {value} }}"),
          [5, 5])
      np.testing.assert_allclose(found, [0.5, 0.5])


class PlanTest(parameterized.TestCase):

  @parameterized.parameters(
      ("",), ("mixing { uniform {} }",), ("mixing { temperature: 3 }",),
      ("mixing { stated {} }",))
  def test_sources_come_as_often_as_their_rates_say(self, more):
    sources, rows, count = ["rate: 4", "rate: 1", "rate: 3"], [9, 900, 90], 2e5
    plan = _plan(sources, rows, int(count), more=more)
    expected = mixing.rates(_data(sources, more), rows)
    found = np.bincount(plan.source, minlength=3) / count
    # Five standard deviations.
    np.testing.assert_array_less(
        np.abs(found - expected),
        5 * np.sqrt(expected * (1 - expected) / count) + 1e-12)
    # Draws do not hang together: a source follows itself as often as any.
    following = plan.source[1:][plan.source[:-1] == 1]
    self.assertAlmostEqual((following == 1).mean(), expected[1], delta=0.02)

  def test_batches_of_a_source_are_numbered(self):
    plan = _plan(["", "at_end: STOP", ""], [50, 400, 20], 1000)
    self.assertEqual([a.dtype for a in plan], [np.int32, np.int32])
    seen = collections.Counter()
    for source, number in zip(*(a.tolist() for a in plan)):
      self.assertEqual(number, seen[source])
      seen[source] += 1
    self.assertEqual(seen.total(), 1000)

  @parameterized.product(
      stops=([], [0], [0, 2], [1, 3], [0, 1, 2, 3]),
      seed=(0, 1, 2 ** 31 - 1))
  def test_a_longer_plan_begins_with_a_shorter_one(self, stops, seed):
    sources = ["at_end: STOP" if s in stops else "" for s in range(4)]
    rows = [200, 1000, 40, 3]
    longest = _plan(sources, rows, 2000, seed=seed)
    for count in (1, 2, 57, 311, 312, 1999):
      plan = _plan(sources, rows, count, seed=seed)
      for part, whole in zip(plan, longest):
        self.assertEqual(part.tolist(), whole[:count].tolist())

  def test_a_prefix_across_blocks(self):
    sources, rows = ["", "at_end: STOP"], [10 ** 6, 10 ** 6]
    whole = _plan(sources, rows, 600000)
    for count in (2 ** 16, 2 ** 16 + 1, 400001):
      for part, long in zip(_plan(sources, rows, count), whole):
        np.testing.assert_array_equal(part, long[:count])

  def test_seeds_and_batches_have_draws_of_their_own(self):
    plans = {tuple(_plan(["", ""], [1, 1], 60, seed=seed).source)
             for seed in range(50)}
    self.assertLen(plans, 50)

  @parameterized.parameters((8, 4, 2), (9, 4, 3), (1, 4, 1), (4, 4, 1),
                            (5, 1, 5))
  def test_a_source_stops_once_all_rows_were_drawn(self, rows, size, batches):
    plan = _plan(["at_end: STOP", ""], [rows, rows], 300, size)
    self.assertLen(plan.source, 300)
    self.assertEqual((plan.source == 0).sum(), batches)

  def test_those_that_stay_share_by_their_rates(self):
    shares = [2, 4, 1, 3]
    plan = _plan([f"rate: {share} at_end: {'STOP' if s < 2 else 'RECYCLE'}"
                  for s, share in enumerate(shares)],
                 [40000, 400000, 10, 10], 300000, more="mixing { stated {} }")
    before, between, after = _runs(plan, [0, 1])
    self.assertEqual([(plan.source == s).sum() for s in (0, 1)],
                     [10000, 100000])
    self.assertNotIn(0, between)
    self.assertCountEqual(np.unique(after), [2, 3])
    for part, present in ((before, [0, 1, 2, 3]), (between, [1, 2, 3]),
                          (after, [2, 3])):
      for s in present:
        p = shares[s] / sum(shares[i] for i in present)
        self.assertAlmostEqual((part == s).mean(), p, delta=5 * np.sqrt(
            p * (1 - p) / len(part)))

  def test_the_run_ends_with_the_last_source(self):
    plan = _plan(["at_end: STOP"] * 3, [7, 30, 1], 10 ** 5)
    self.assertEqual(np.bincount(plan.source).tolist(), [2, 8, 1])
    self.assertLen(plan.number, 11)
    for count in (1, 10, 11, 12):
      self.assertLen(_plan(["at_end: STOP"] * 3, [7, 30, 1], count).source,
                     min(count, 11))

  def test_what_is_never_drawn_beside_others_is_drawn_alone(self):
    # 2 ^ 1000 to 1: the probability of the second is 0 until the first stops.
    plan = _plan(["at_end: STOP", "at_end: STOP"], [8, 4], 50,
                 more="mixing { temperature: 0.0001 }")
    self.assertEqual(plan.source.tolist(), [0, 0, 1])

  def test_one_source(self):
    plan = _plan([""], [5], 7)
    self.assertEqual(plan.source.tolist(), [0] * 7)
    self.assertEqual(plan.number.tolist(), list(range(7)))

  def test_a_million_batches(self):
    sources = ["at_end: STOP"] * 20 + [""] * 5
    rows = [10 ** 4 * (s + 1) for s in range(25)]
    plan = _plan(sources, rows, 10 ** 6)
    self.assertLen(plan.source, 10 ** 6)
    counts = np.bincount(plan.source)
    self.assertEqual(counts[:20].tolist(), [n // 4 for n in rows[:20]])
    for s, count in enumerate(counts):
      self.assertEqual(plan.number[plan.source == s].tolist(),
                       list(range(count)))


if __name__ == "__main__":
  absltest.main()

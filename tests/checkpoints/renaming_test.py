"""Tests of plans for renaming; no TensorFlow is needed."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph.checkpoints import checkpoint_groups
from mtl_graph.checkpoints import renaming

ADAM = {"a/w": [2, 3], "a/w/Adam": [2, 3], "a/w/Adam_1": [2, 3], "b/w": [3],
        "b/w/Adam": [3], "b/w/Adam_1": [3], "beta1_power": [],
        "beta2_power": [], "beta1_power_1": [], "beta2_power_1": [],
        "global_step": []}


def planned(shapes, **rules):
  """Returns new names by old ones; None for what is left out."""
  if not isinstance(shapes, dict):
    shapes = {name: [2] for name in shapes}
  return {row.sources[0] if len(row.sources) == 1 else row.sources: row.target
          for row in renaming.plan(shapes, renaming.Rules(**rules))}


class KindTest(parameterized.TestCase):

  @parameterized.parameters(
      ("a/w", "model"), ("a/w/Adam", "slots of Adam"),
      ("a/w/Adam_1", "slots of Adam"), ("a/w/Adam_3", "slots of Adam"),
      ("beta1_power_1", "powers of Adam"), ("x/beta2_power", "powers of Adam"),
      ("optimizer/g/beta1_power", "powers of Adam, group g"),
      ("optimizer/g/a/w/Momentum", "slots of Momentum, group g"),
      ("bn/moving_mean", "batch norm statistics"),
      ("a/w/ExponentialMovingAverage", "moving average"),
      ("global_step", "counter"), ("iterations/a", "counter"),
      ("tower/Adam", "model"), ("Momentum", "model"),
      ("p/part_0/Adam", "slots of Adam"),
  )
  def test_by_name(self, name, label):
    names = {"a/w", "p/part_0", name}
    self.assertEqual(checkpoint_groups.kind_of(name, names).label, label)


class PlanTest(parameterized.TestCase):

  def test_rules_in_order_map_and_ignored(self):
    self.assertEqual(
        planned(["m/fc1/w", "m/fc1/w/Adam", "m/fc2/w", "m/keep", "m/odd"],
                rules=[("^m/", ""), (r"^fc(\d)/w", r"dense_\1/kernel")],
                names={"m/odd": "new"}, ignore=["keep$"]),
        {"m/fc1/w": "dense_1/kernel", "m/fc1/w/Adam": "dense_1/kernel/Adam",
         "m/fc2/w": "dense_2/kernel", "m/keep": "m/keep", "m/odd": "new"})

  def test_slots_follow_a_variable_of_the_map(self):
    self.assertEqual(planned(["a", "x/w", "x/w/Adam"], names={"x/w": "y"}),
                     {"a": "a", "x/w": "y", "x/w/Adam": "y/Adam"})

  def test_kernel_and_bias(self):
    self.assertEqual(
        planned(["a/weights", "a/biases", "a/weights/Adam", "weights",
                 "a/weights_2"], presets=["kernel_bias"]),
        {"a/weights": "a/kernel", "a/biases": "a/bias", "weights": "kernel",
         "a/weights/Adam": "a/kernel/Adam", "a/weights_2": "a/weights_2"})

  def test_slim_to_layers(self):
    self.assertEqual(
        planned(["Conv/weights", "Conv_1/BatchNorm/moving_mean",
                 "fully_connected_2/biases",
                 "SeparableConv2d/depthwise_weights", "ConvFlow/x"],
                presets=["slim_to_layers"]),
        {"Conv/weights": "conv2d/kernel", "ConvFlow/x": "ConvFlow/x",
         "Conv_1/BatchNorm/moving_mean":
             "conv2d_1/batch_normalization/moving_mean",
         "fully_connected_2/biases": "dense_2/bias",
         "SeparableConv2d/depthwise_weights":
             "separable_conv2d/depthwise_kernel"})

  def test_scopes(self):
    self.assertEqual(
        planned(["m/a", "m2/b", "global_step", "beta1_power"],
                strip_scope="m", add_scope="n"),
        {"m/a": "n/a", "m2/b": "n/m2/b", "global_step": "global_step",
         "beta1_power": "beta1_power"})

  def test_partitions(self):
    shapes = {"w/part_0": [3, 2], "w/part_1": [2, 2], "w/part_0/Adam": [3, 2],
              "w/part_1/Adam": [2, 2], "e/part_0": [4, 1], "e/part_1": [4, 1]}
    rows = renaming.plan(shapes, renaming.Rules(presets=["merge_partitions"]))
    self.assertEqual({(row.sources, row.target, row.axis) for row in rows}, {
        (("w/part_0", "w/part_1"), "w", 0),
        (("w/part_0/Adam", "w/part_1/Adam"), "w/Adam", 0),
        (("e/part_0", "e/part_1"), "e", 0)})
    rows = renaming.plan({"w/part_0": [2, 3], "w/part_1": [2, 1]},
                         renaming.Rules(presets=["merge_partitions"]))
    self.assertEqual([row.axis for row in rows], [1])

  def test_averages(self):
    self.assertEqual(
        planned(["a", "a/ExponentialMovingAverage", "b"],
                presets=["averages_to_variables"]),
        {"a": None, "a/ExponentialMovingAverage": "a", "b": "b"})

  def test_slots_dropped(self):
    kept = {old for old, new in planned(ADAM, presets=["drop_slots"]).items()
            if new is not None}
    self.assertEqual(kept, {"a/w", "b/w", "global_step"})

  def test_slots_to_groups(self):
    self.assertEqual(
        planned(ADAM, groups={"one": ["a"], "two": ["b/w"]}),
        {"a/w": "a/w", "b/w": "b/w", "global_step": "global_step",
         "a/w/Adam": "optimizer/one/a/w/Adam",
         "a/w/Adam_1": "optimizer/one/a/w/Adam_1",
         "b/w/Adam": "optimizer/two/b/w/Adam",
         "b/w/Adam_1": "optimizer/two/b/w/Adam_1",
         "beta1_power": "optimizer/one/beta1_power",
         "beta2_power": "optimizer/one/beta2_power",
         "beta1_power_1": "optimizer/two/beta1_power",
         "beta2_power_1": "optimizer/two/beta2_power"})

  def test_slots_to_groups_after_other_rules_and_one_power_for_all(self):
    shapes = {n: s for n, s in ADAM.items() if not n.endswith("power_1")}
    rows = renaming.plan(shapes, renaming.Rules(
        rules=[("^a/", "trunk/"), ("^b/", "head/")],
        groups={"one": ["trunk"], "two": ["head"]}))
    self.assertContainsSubset(
        {(("a/w/Adam",), "optimizer/one/trunk/w/Adam"),
         (("b/w/Adam_1",), "optimizer/two/head/w/Adam_1"),
         (("beta1_power",), "optimizer/one/beta1_power"),
         (("beta1_power",), "optimizer/two/beta1_power")},
        {(row.sources, row.target) for row in rows})

  @parameterized.named_parameters(
      ("collision", ["a", "b"], dict(rules=[("[ab]", "c")]),
       "'c' would be the new name of a, b; allowed"),
      ("rule_without_match", ["a"], dict(rules=[("z", "c")]),
       "--rule: found 'z', which matches no variable"),
      ("drop_without_match", ["a"], dict(drop=["z"]), "--drop: found 'z'"),
      ("ignore_without_match", ["a"], dict(ignore=["z"]), "--ignore: found"),
      ("map_without_match", ["a"], dict(names={"z": "y"}), "--map: found 'z'"),
      ("scope", ["a/b"], dict(strip_scope="z"), "--strip_scope: found 'z'"),
      ("no_average", ["a"], dict(presets=["averages_to_variables"]),
       "found no moving average"),
      ("part_missing", ["a/part_0", "a/part_2"],
       dict(presets=["merge_partitions"]), r"has parts \[0, 2\]"),
      ("parts_differ", {"a/part_0": [2, 3], "a/part_1": [3, 2]},
       dict(presets=["merge_partitions"]), "differ in one axis at most"),
      ("group", ADAM, dict(groups={"one": ["a"]}),
       "'b/w/Adam' is in 0 groups"),
      ("two_groups", ADAM, dict(groups={"one": ["a", "b"], "two": ["b"]}),
       "'b/w/Adam' is in 2 groups"),
      ("powers", ADAM, dict(groups={"x": ["a"], "y": ["b"], "z": ["c"]}),
       "found 2 variables beta1_power for 3 groups"),
      ("no_name", ["a"], dict(rules=[("a", "b c")]), "'b c', the new name"),
      ("empty", ["a"], dict(rules=[("a", "")]), "'', the new name of a"),
  )
  def test_refused(self, shapes, rules, message):
    with self.assertRaisesRegex(renaming.RenamingError, message) as raised:
      planned(shapes, **rules)
    self.assertNotIn("\n", str(raised.exception))

  @parameterized.parameters("a", "=>b", "(=>b", r"(a)=>\2", r"a=>\g<x>")
  def test_bad_rule(self, text):
    with self.assertRaisesRegex(renaming.RenamingError,
                                "--rule: found .*; allowed: regex=>"):
      renaming.parse_rule(text)

  def test_map_file(self):
    self.assertEqual(renaming.parse_map("# x\na b\n\nc => d # e\n", "m"),
                     {"a": "b", "c": "d"})
    for text in ("a", "a b c", "a b\na c"):
      with self.assertRaisesRegex(renaming.RenamingError, r"m:\d: found"):
        renaming.parse_map(text, "m")

  def test_table(self):
    text = renaming.as_text(renaming.plan(
        {"a": [], "b": [], "c": []},
        renaming.Rules(rules=[("a", "x")], drop=["b"])))
    self.assertEqual(text.splitlines(), [
        "a  -> x", "b  is left out  (dropped)",
        "1 renamed, 1 as they were, 1 left out"])


if __name__ == "__main__":
  absltest.main()

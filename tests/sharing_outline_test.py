"""Tests of the shapes and variables of what tasks share.

That graphs have these very variables model/sharing/every_sharing_test shows.
"""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from mtl_graph import layer_outline
from mtl_graph import sharing_outline
from mtl_graph.protos import model_pb2

_DENSE = "layer { dense { units: %d } }"
_CONV = "layer { conv2d { filters: %d kernel_size: 3 } }"
_TASKS = 'task { name: "a" binary {} } task { name: "b" binary {} }'
_IMAGE = (6, 4, 2)


def _model(text):
  return config.parse(f"model {{ {text} }}").model


def _build(text, shape=(3,), tasks=_TASKS):
  """Returns what tasks read, the outline, and the problems."""
  found, problems = layer_outline.empty(), []
  shapes = sharing_outline.build(
      _model(text + tasks), shape, found,
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return shapes, found, problems


class BuildTest(parameterized.TestCase):

  def _check(self, text, shape, reads, variables, tasks=_TASKS):
    """Checks a valid model: what tasks read, and variables but for biases."""
    found, outline, problems = _build(text, shape, tasks)
    self.assertEmpty(problems)
    self.assertEqual(found, reads)
    self.assertEqual({name: size for name, size in outline.variables.items()
                      if not name.endswith(("/bias", "/beta", "/gamma"))},
                     variables)

  def test_branches(self):
    self._check(
        f"""hard_sharing {{ trunk {{ {_DENSE % 4} {_DENSE % 5} }}
            branch {{ name: "x" reads: "trunk/dense" reads: "features"
                     {_DENSE % 6} }}
            branch {{ name: "y" {_DENSE % 7} }} }}""", (3,),
        {"a": (6 + 4 + 3,), "b": (7,)},
        {"trunk/dense/kernel": [3, 4], "trunk/dense_1/kernel": [4, 5],
         "branch/x/dense/kernel": [7, 6], "branch/y/dense/kernel": [5, 7]},
        """task { name: "a" reads: ["branch/x/dense", "trunk/dense", "features"]
                }
           task { name: "b" reads: "branch/y" }
           task { name: "ab" product { task: "a" task: "b" } }""")

  def test_a_choice_for_all_rows_reads_no_image(self):
    self._check(
        f"""mixture_of_experts {{ num_experts: 3 expert {{ {_CONV % 4} }}
            gate {{ dselect_k {{ num_selected: 2 per_example: false }} }} }}""",
        _IMAGE, {"a": (6, 4, 4), "b": (6, 4, 4)},
        {**{f"expert/{i}/conv2d/kernel": [3, 3, 2, 4] for i in range(3)},
         **{f"gate/{task}/{name}": [size] for task in "ab"
            for name, size in (("selector", 2), ("digit", 4))}},
        tasks="""task { name: "a" } task { name: "b" }""")

  def test_no_layers_at_all(self):
    self._check("hard_sharing {}", _IMAGE, {"a": _IMAGE, "b": _IMAGE}, {})

  @parameterized.parameters(
      ("", {}), ("cross_stitch {}", {"cross_stitch/dense/alpha": [2, 2, 4],
                                     "cross_stitch/dense_1/alpha": [2, 2, 4]}),
      ("cross_stitch { granularity: PER_LAYER after: 'dense_1' }",
       {"cross_stitch/dense_1/alpha": [2, 2]}),
      ("sluice { subspaces: 4 }", {
          "sluice/dense/alpha": [8, 8], "sluice/dense_1/alpha": [8, 8],
          "sluice/a/beta": [2], "sluice/b/beta": [2]}))
  def test_columns(self, units, variables):
    columns = {f"column/{task}/{name}": size for task in "ab"
               for name, size in (("dense/kernel", [3, 4]),
                                  ("dense_1/kernel", [4, 4]))}
    found, outline, problems = _build(
        f"soft_sharing {{ column {{ {_DENSE % 4} {_DENSE % 4} }} {units} }}")
    self.assertEmpty(problems)
    self.assertEqual(found, {"a": (4,), "b": (4,)})
    self.assertEqual({name: size for name, size in outline.variables.items()
                      if not name.endswith("/bias")}, {**columns, **variables})

  @parameterized.parameters(
      ("", {"kernel": [3, 5]}),
      (f"gate {{ softmax {{ use_bias: true }} {_DENSE % 2} }}",
       {"dense/kernel": [3, 2], "dense/bias": [2], "kernel": [2, 5],
        "bias": [5]}),
      ("gate { dselect_k { num_selected: 2 } }",
       {"selector/kernel": [3, 2], "selector/bias": [2], "digit/kernel": [3, 6],
        "digit/bias": [6]}),
      ("gate { dselect_k { num_selected: 2 per_example: false } }",
       {"selector": [2], "digit": [6]}))
  def test_experts(self, gate, variables):
    for one_gate, owners in (("false", "ab"), ("true", ["shared"])):
      found, outline, problems = _build(f"""mixture_of_experts {{
          num_experts: 5 expert {{ {_DENSE % 4} }} {gate}
          one_gate: {one_gate} }}""")
      self.assertEmpty(problems)
      self.assertEqual(found, {"a": (4,), "b": (4,)})
      self.assertEqual(dict(outline.variables), {
          f"gate/{owner}/{name}": size for owner in owners
          for name, size in variables.items()} | {
              f"expert/{i}/dense/{name}": size for i in range(5)
              for name, size in (("kernel", [3, 4]), ("bias", [4]))})

  def test_levels(self):
    level = "level { shared_experts: %d task_experts: %d expert { %s } }"
    self._check(
        "progressive_layered_extraction {" + level % (2, 1, _DENSE % 4)
        + level % (1, 0, _DENSE % 5) + "}", (3,), {"a": (5,), "b": (5,)}, {
            **{f"level_0/expert/{name}/dense/kernel": [3, 4]
               for name in ("0", "1", "a/0", "b/0")},
            "level_0/gate/a/kernel": [3, 3], "level_0/gate/b/kernel": [3, 3],
            "level_0/gate/shared/kernel": [3, 4],
            "level_1/expert/0/dense/kernel": [4, 5],
            "level_1/gate/a/kernel": [4, 1], "level_1/gate/b/kernel": [4, 1]})

  def test_own_experts(self):
    self._check(
        f"""customized_gate_control {{ shared_experts: 0 task_experts: 2
            expert {{ {_DENSE % 4} }} }}""", (3,), {"a": (4,), "b": (4,)}, {
                **{f"expert/{task}/{i}/dense/kernel": [3, 4] for task in "ab"
                   for i in range(2)},
                "gate/a/kernel": [3, 2], "gate/b/kernel": [3, 2]})

  def test_attention_on_images(self):
    attentions = {}
    for task in "ab":
      attentions[f"attention/{task}/block_0/hidden/kernel"] = [1, 1, 4, 9]
      attentions[f"attention/{task}/block_0/mask/kernel"] = [1, 1, 9, 4]
      attentions[f"attention/{task}/block_1/hidden/kernel"] = [1, 1, 3 + 5, 7]
      attentions[f"attention/{task}/block_1/mask/kernel"] = [1, 1, 7, 6]
    self._check(
        f"""task_attention {{
            block {{ first {{ {_CONV % 4} }} attention_units: 9
                    transition {{ layer {{ max_pooling {{ size: 2 }} }} }} }}
            block {{ first {{ {_CONV % 3} }} second {{ {_CONV % 6} }}
                    forward {{ {_CONV % 5} layer {{ max_pooling {{ size: 2 }} }}
                            }} attention_units: 7 }} }}""", _IMAGE,
        {"a": (3, 2, 6), "b": (3, 2, 6)}, {
            "block_0/first/conv2d/kernel": [3, 3, 2, 4],
            "block_1/first/conv2d/kernel": [3, 3, 4, 3],
            "block_1/second/conv2d/kernel": [3, 3, 3, 6],
            "block_1/forward/conv2d/kernel": [3, 3, 4, 5], **attentions})

  def test_no_sharing_is_gone_through(self):
    self.assertEqual(_build("")[0], {"a": (3,), "b": (3,)})


class ProblemsTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("no_such_tensor", "hard_sharing { trunk { %s } }" % (_CONV % 4),
       "model.task[0].reads[0]: no tensor 'trunk/conv'; allowed: features, "
       "trunk, trunk/conv2d; nearest: 'trunk/conv2d', 'trunk'",
       "reads: 'trunk/conv'", "model.hard_sharing.trunk.layer[0]: found a "
       "layer that no task reads; allowed: layers that `reads` of a task leads "
       "to"),
      ("twice", "hard_sharing { trunk { %s } }" % (_CONV % 4),
       "model.task[0].reads[1]: found 'trunk' a second time; allowed: each "
       "once", "reads: 'trunk' reads: 'trunk'"),
      ("branch_reads_a_later_one", "hard_sharing { branch { name: 'x' reads: "
       "'branch/y' layer { dropout { rate: 0 } } } branch { name: 'y' reads: "
       "'features' layer { dropout { rate: 0 } } } }",
       "model.hard_sharing.branch[0].reads[0]: no tensor 'branch/y'; allowed: "
       "features, trunk", "reads: 'branch/x' reads: 'branch/y'"),
      ("vector_beside_image", "hard_sharing { branch { name: 'x' "
       "layer { flatten {} } } }",
       "model.task[0].reads: found 48 numbers beside 6 x 4 x 2; allowed: "
       "vectors, or images of one size", "reads: 'branch/x' reads: 'features'"),
      ("unread_branch", "hard_sharing { branch { name: 'x' "
       "layer { flatten {} } } }",
       "model.hard_sharing.branch[0].layer[0]: found a layer that no task "
       "reads; allowed: layers that `reads` of a task leads to"),
      ("unread_end_of_a_trunk", "hard_sharing { trunk { %s %s } }" % (
          _CONV % 1, _CONV % 1),
       "model.hard_sharing.trunk.layer[1]: found a layer that no task reads; "
       "allowed: layers that `reads` of a task leads to",
       "reads: 'trunk/conv2d'"),
      ("unit_behind_nothing", "soft_sharing { column { %s } cross_stitch { "
       "after: 'conv' } }" % (_CONV % 1),
       "model.soft_sharing.cross_stitch.after[0]: no layer 'conv' in the "
       "columns; allowed: conv2d; nearest: 'conv2d'",
       "", "model.soft_sharing.cross_stitch: found no layer for a unit to "
       "stand behind; allowed: a column with a dense or a convolution layer, "
       "or `after`"),
      ("unit_twice", "soft_sharing { column { %s } sluice { after: "
       "['conv2d', 'conv2d'] } }" % (_CONV % 2),
       "model.soft_sharing.sluice.after[1]: found 'conv2d' a second time; "
       "allowed: each once"),
      ("no_layer_for_units", "soft_sharing { column { layer { flatten {} } } "
       "cross_stitch {} }",
       "model.soft_sharing.cross_stitch: found no layer for a unit to stand "
       "behind; allowed: a column with a dense or a convolution layer, or "
       "`after`"),
      ("subspaces", "soft_sharing { column { %s } sluice { subspaces: 3 } }"
       % (_CONV % 4),
       "model.soft_sharing.sluice.subspaces: found 3 of a layer 'conv2d' of "
       "width 4; allowed: a number that divides it"),
      ("sluice_sizes", "soft_sharing { column { %s %s } sluice {} }" % (
          _CONV % 4, _CONV % 2),
       "model.soft_sharing.sluice: found units behind layers of 6 x 4 x 4, "
       "6 x 4 x 2; allowed: layers of one size, as a task reads their weighted "
       "sum"),
      ("gate_on_images", "mixture_of_experts { num_experts: 2 expert { %s } }"
       % (_CONV % 4),
       "model.mixture_of_experts.gate: found an image of 6 x 4 x 2 before its "
       "last layer; allowed: a vector, as flatten or global pooling among its "
       "layers makes it"),
      ("gate_of_levels", "progressive_layered_extraction { level { expert { %s "
       "} } gate { layer { flatten {} } layer { flatten {} } } }" % (_CONV % 4),
       "model.progressive_layered_extraction.gate.layer[1].flatten: found a "
       "vector of 48 numbers as its input; allowed: an image"),
      ("expert", "customized_gate_control { expert { %s } gate { layer { "
       "flatten {} } } }" % (_DENSE % 4),
       "model.customized_gate_control.expert.layer[0].dense: found an image of "
       "6 x 4 x 2 as its input; allowed: a vector, as flatten or global "
       "pooling makes it"),
      ("forward", "task_attention { block { first { %s } attention_units: 1 } "
       "block { first { layer { max_pooling { size: 2 } } } attention_units: 1 "
       "} }" % (_CONV % 4),
       "model.task_attention.block[1].forward: found 6 x 4 x 4 beside 3 x 2 x "
       "4 of `first`; allowed: vectors, or images of one size"),
      ("second", "task_attention { block { first { %s } second { layer { "
       "max_pooling { size: 2 } } } attention_units: 1 } }" % (_CONV % 4),
       "model.task_attention.block[0].second: found layers that turn 6 x 4 x 4 "
       "into 3 x 2 x 4; allowed: layers that keep the size of images, which a "
       "mask of it goes on"))
  def test_what_does_not_fit_is_reported_once(self, text, problem, reads="",
                                              *more):
    _, _, problems = _build(text, _IMAGE, f"""
        task {{ name: "a" binary {{}} {reads} }}
        task {{ name: "b" binary {{}} {reads} }}""")
    # What both tasks read is wrong with both of them.
    self.assertEqual([p for p in problems if "model.task[1]" not in p],
                     [problem, *more])


class StacksOfTest(absltest.TestCase):

  def test_every_stack_of_layers_is_there(self):
    # Every field of a message that is a stack, or holds layers, is a path.
    texts = {
        "hard_sharing": f"trunk {{ {_DENSE % 1} }} "
                        f"branch {{ name: 'x' {_DENSE % 1} }}",
        "soft_sharing": f"column {{ {_DENSE % 1} }}",
        "mixture_of_experts": f"expert {{ {_DENSE % 1} }} "
                              f"gate {{ {_DENSE % 1} }}",
        "customized_gate_control": f"expert {{ {_DENSE % 1} }} "
                                   f"gate {{ {_DENSE % 1} }}",
        "progressive_layered_extraction":
            f"level {{ expert {{ {_DENSE % 1} }} }} level {{ expert {{ "
            f"{_DENSE % 1} }} }} gate {{ {_DENSE % 1} }}",
        "task_attention": "block { " + " ".join(
            f"{part} {{ {_DENSE % 1} }}"
            for part in ("first", "second", "transition", "forward")) + "}",
    }
    kinds = model_pb2.Model.DESCRIPTOR.oneofs_by_name["sharing"].fields
    self.assertCountEqual(texts, [kind.name for kind in kinds])
    for kind, text in texts.items():
      found = sharing_outline.stacks_of(_model(f"{kind} {{ {text} }}"))
      self.assertLen(found, text.count("layer {"), kind)
      for path, layers in found.items():
        self.assertStartsWith(path, f"model.{kind}.")
        self.assertLen(layers, 1)

  def test_no_sharing_has_none(self):
    self.assertEmpty(sharing_outline.stacks_of(_model(_TASKS)))


class NeededOfTrunkTest(parameterized.TestCase):

  @parameterized.parameters(
      ([[]], {"trunk": 3}), ([["trunk"]], {"trunk": 3}), ([], {}),
      ([["features"]], {}), ([["trunk/dense"]], {"trunk": 1}),
      ([["trunk/residual"]], {"trunk": 2}),
      ([["trunk/dense", "branch/x/last"]], {"trunk": 2, "branch/x": 1}),
      ([["trunk/dense"], ["branch/y"]], {"trunk": 2, "branch/x": 2,
                                         "branch/y": 1}),
      ([["branch/z"]], {"trunk": 3, "branch/z": 1}))
  def test_counts_layers_from_the_first_on(self, reads, expected):
    message = _model(f"""hard_sharing {{
        trunk {{ {_DENSE % 1} layer {{ residual {{ {_DENSE % 1} }} }}
                {_DENSE % 1} }}
        branch {{ name: "x" reads: "trunk/residual"
                 layer {{ name: "last" dense {{ units: 1 }} }} {_DENSE % 1} }}
        branch {{ name: "y" reads: "branch/x" {_DENSE % 1} }}
        branch {{ name: "z" {_DENSE % 1} }} }}""").hard_sharing
    self.assertEqual(sharing_outline.needed_of_trunk(message, reads), expected)


class SmallOnesTest(parameterized.TestCase):

  def test_units_stand_behind_dense_and_convolution_layers(self):
    layers = _model(f"""soft_sharing {{ column {{ {_CONV % 1}
        layer {{ flatten {{}} }} {_DENSE % 1}
        layer {{ name: "end" dense {{ units: 1 }} }} }} }}"""
                    ).soft_sharing.column.layer
    self.assertEqual(sharing_outline.units_after(layers, []),
                     ["conv2d", "dense", "end"])
    self.assertEqual(sharing_outline.units_after(layers, ["flatten"]),
                     ["flatten"])

  @parameterized.parameters((0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3),
                            (8, 3), (9, 4))
  def test_digits(self, experts, digits):
    self.assertEqual(sharing_outline.digits_of(experts), digits)


if __name__ == "__main__":
  absltest.main()

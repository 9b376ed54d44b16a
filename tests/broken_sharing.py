"""What tasks share in ways that cannot be, and what must be said of it."""

import functools

from tests import small_experiment

_LAYERS = {
    "DENSE": "layer { dense { units: 4 } }",
    "CONV": "layer { conv2d { filters: 4 kernel_size: 3 padding: SAME } }",
    "FLATTEN": "layer { flatten {} }",
    "POOL": "layer { global_max_pooling {} }",
}


def _words(text):
  """Puts layers in the place of the words that stand for them."""
  for word, layer in _LAYERS.items():
    text = text.replace(word, layer)
  return text


def _case(name, assignment, *lines, **more):
  """The experiment with another value."""
  return small_experiment.line_case(
      name, _words(assignment), *lines, **{"base": "sharing", **more})


def _sharing(kind, name, message, *problems, sets=(), **more):
  """The experiment with something else shared.

  Args:
    kind: A field of `Model.sharing`.
    name: Name of the case.
    message: What the field holds.
    *problems: What is said of it, behind the field's path.
    sets: What else is changed.
    **more: Further fields of the case.

  Returns:
    The case.
  """
  path = f"model.{kind}"
  return small_experiment.line_case(
      name, [_words(s) for s in (f"{path}={{{message}}}", *sets)],
      *(path + p if p[0] in ".:" else p for p in problems),
      **{"base": "sharing", **more})


_hard, _soft, _experts, _own_experts, _levels, _attention = (
    functools.partial(_sharing, kind) for kind in (
        "hard_sharing", "soft_sharing", "mixture_of_experts",
        "customized_gate_control", "progressive_layered_extraction",
        "task_attention"))

BRANCHES = (
    _hard("branch_without_name", "trunk { DENSE } branch { DENSE }",
          ".branch[0].name: found ''; allowed: a lower-case letter, then "
          "lower-case letters, digits and '_'",
          ".branch[0].layer[0]: found a layer that no task reads; allowed: "
          "layers that `reads` of a task leads to"),
    _hard("branch_of_capitals", "trunk { DENSE } branch { name: 'A' DENSE }",
          ".branch[0].name: found 'A'; allowed: a lower-case letter, then "
          "lower-case letters, digits and '_'",
          sets=("model.task[name=tier].reads=['branch/A']",)),
    _hard("branch_twice",
          "trunk { DENSE } branch { name: 'a' DENSE } branch { name: 'a' "
          "DENSE }",
          ".branch[1].name: found 'a' a second time; allowed: each name once",
          sets=("model.task[name=tier].reads=['branch/a']",)),
    _hard("branch_without_layers", "trunk { DENSE } branch { name: 'a' }",
          ".branch[0].layer: found none; allowed: at least one"),
    _hard("branch_of_an_unknown_layer",
          "trunk { DENSE } branch { name: 'a' reads: 'trunk/dens' DENSE }",
          ".branch[0].reads[0]: no tensor 'trunk/dens'; allowed: features, "
          "trunk, trunk/dense; nearest: 'trunk/dense', 'trunk'",
          sets=("model.task[name=tier].reads=['branch/a']",)),
    _hard("branch_of_a_later_one",
          "trunk { DENSE } branch { name: 'a' reads: 'branch/b' DENSE } "
          "branch { name: 'b' DENSE }",
          ".branch[0].reads[0]: no tensor 'branch/b'; allowed: features, "
          "trunk, trunk/dense",
          sets=("model.task[name=tier].reads=['branch/a']",
                "model.task[name=spent].reads=['branch/b']")),
    _hard("branch_of_the_trunk_twice",
          "trunk { DENSE } branch { name: 'a' reads: ['trunk', 'trunk'] DENSE "
          "}",
          ".branch[0].reads[1]: found 'trunk' a second time; allowed: each "
          "once", sets=("model.task[name=tier].reads=['branch/a']",)),
    _hard("branch_that_nobody_reads",
          "trunk { DENSE } branch { name: 'a' DENSE }",
          ".branch[0].layer[0]: found a layer that no task reads; allowed: "
          "layers that `reads` of a task leads to"),
    _hard("trunk_that_nobody_reads_to_its_end", "trunk { DENSE DENSE }",
          ".trunk.layer[1]: found a layer that no task reads; allowed: layers "
          "that `reads` of a task leads to",
          sets=("model.task[0].reads=['trunk/dense']",
                "model.task[1].reads=['trunk/dense']",
                "model.task[3].reads=['trunk/dense']",
                "model.task[4].reads=['trunk/dense']")),
    _case("task_of_an_unknown_branch",
          "model.task[name=tier].reads=['branch/a']",
          "model.task[4].reads[0]: no tensor 'branch/a'; allowed: features, "
          "trunk, trunk/dense"),
    _case("task_of_two_layers_that_are_one",
          "model.task[name=tier].reads=['trunk', 'features', 'trunk']",
          "model.task[4].reads[2]: found 'trunk' a second time; allowed: "
          "each once"),
    _soft("task_of_a_branch_of_columns", "column { DENSE }",
          "model.task[4].reads: found it beside another sharing; allowed: "
          "under hard_sharing",
          sets=("model.task[name=tier].reads=['trunk']",)),
    _case("task_of_a_vector_beside_an_image",
          "model.task[name=kind].reads=['trunk', 'features']",
          "model.task[0].reads: found 20 numbers beside 8 x 6 x 3; allowed: "
          "vectors, or images of one size", base="image"),
    _case("task_of_images_of_two_sizes",
          "model.task[name=kind].reads=['trunk/conv2d', 'features']",
          "model.task[0]: found an image of 8 x 6 x 7 before the head; "
          "allowed: a vector, as flatten or global pooling makes it",
          base="image"),
    _hard("dense_branch_of_an_image",
          "trunk { CONV } branch { name: 'a' DENSE }",
          ".branch[0].layer[0].dense: found an image of 8 x 6 x 4 as its "
          "input; allowed: a vector, as flatten or global pooling makes it",
          sets=("model.task[name=kind].reads=['branch/a']",
                "model.task[name=size].reads=['branch/a']"), base="image"),
    _hard("estimate_before_a_tower_on_images", "trunk { CONV }",
          "model.task[1].estimate: found it beside an image of 8 x 6 x 4; "
          "allowed: where the shared part ends in a vector",
          sets=("model.task[name=kind].tower={ FLATTEN }",
                "model.task[name=size]={ name: 'size' regression {} "
                "estimate { task: 'kind' form: LOGIT } tower { FLATTEN } }"),
          base="image"),
)

COLUMNS = (
    _soft("column_without_layers", "column { }",
          ".column.layer: found none; allowed: at least one"),
    _soft("column_on_images", "column { DENSE }",
          ".column.layer[0].dense: found an image of 8 x 6 x 3 as its input; "
          "allowed: a vector, as flatten or global pooling makes it",
          base="image"),
    _soft("distance_without_weight", "column { DENSE } parameter_distance {}",
          ".parameter_distance.weight: found nothing; required"),
    _soft("distance_below_0",
          "column { DENSE } parameter_distance { weight: -1 layer { name: "
          "'dense' weight: -2 } }",
          ".parameter_distance.weight: found -1.0; allowed: at least 0",
          ".parameter_distance.layer[0].weight: found -2.0; allowed: at "
          "least 0"),
    _soft("distance_of_unknown_layers",
          "column { DENSE } parameter_distance { weight: 1 layer {} layer { "
          "name: 'dens' } }",
          ".parameter_distance.layer[0].name: no layer '' in the columns; "
          "allowed: dense",
          ".parameter_distance.layer[1].name: no layer 'dens' in the "
          "columns; allowed: dense; nearest: 'dense'"),
    _soft("trace_norm_without_weight",
          "column { DENSE } trace_norm { epsilon: 0 }",
          ".trace_norm.weight: found nothing; required",
          ".trace_norm.epsilon: found 0.0; allowed: above 0"),
    _soft("trace_norm_of_a_layer_twice",
          "column { DENSE } trace_norm { weight: 1 layer { name: 'dense' } "
          "layer { name: 'dense' weight: 0 } }",
          ".trace_norm.layer[1].name: found 'dense' a second time; allowed: "
          "each once"),
    _soft("trace_norm_underflows",
          "column { DENSE } trace_norm { weight: 1 epsilon: 1e-50 }",
          ".trace_norm.epsilon: found 1e-50, which 32-bit floating point "
          "takes for 0; allowed: what it tells from 0"),
    _soft("units_of_one_column",
          "column { DENSE } cross_stitch {} parameter_distance { weight: 1 }",
          ".parameter_distance: found it with one column; allowed: with two "
          "tasks or more that have one",
          ".cross_stitch: found it with one column; allowed: with two tasks "
          "or more that have one",
          sets=("model.task=[{ name: 'sale' label { column: 'clicked' } "
                "binary {} }]",)),
    _soft("units_behind_unknown_layers",
          "column { DENSE } cross_stitch { after: ['dense_1', 'dense', "
          "'dense'] }",
          ".cross_stitch.after[0]: no layer 'dense_1' in the columns; "
          "allowed: dense; nearest: 'dense'",
          ".cross_stitch.after[2]: found 'dense' a second time; allowed: "
          "each once"),
    _soft("units_behind_nothing",
          "column { layer { dropout { rate: 0.5 } } } sluice {}",
          ".sluice: found no layer for a unit to stand behind; allowed: a "
          "column with a dense or a convolution layer, or `after`"),
    _soft("own_share_of_0", "column { DENSE } cross_stitch { own_share: 0 }",
          ".cross_stitch.own_share: found 0; allowed: above 0, at most 1"),
    _soft("own_share_of_more_than_all",
          "column { DENSE } sluice { own_share: 1.5 last_layer_share: -1 }",
          ".sluice.own_share: found 1.5; allowed: above 0, at most 1",
          ".sluice.last_layer_share: found -1; allowed: above 0, at most 1"),
    _soft("no_subspaces",
          "column { DENSE } sluice { subspaces: 0 orthogonality: -1 }",
          ".sluice.subspaces: found 0; allowed: at least 1",
          ".sluice.orthogonality: found -1.0; allowed: at least 0"),
    _soft("subspaces_that_do_not_divide",
          "column { DENSE } sluice { subspaces: 3 }",
          ".sluice.subspaces: found 3 of a layer 'dense' of width 4; "
          "allowed: a number that divides it"),
    _soft("sluices_of_two_widths",
          "column { DENSE layer { dense { units: 6 } } } sluice {}",
          ".sluice: found units behind layers of 4 numbers, 6 numbers; "
          "allowed: layers of one size, as a task reads their weighted sum"),
)

EXPERTS = (
    _experts("no_experts", "expert { DENSE }",
             ".num_experts: found nothing; allowed: at least 1"),
    _experts("too_many_experts", "num_experts: 2000000000 expert { DENSE }",
             ".num_experts: found 2000000000; allowed: at most 1000"),
    _experts("experts_without_layers", "num_experts: 2 expert { }",
             ".expert.layer: found none; allowed: at least one"),
    _experts("experts_on_images",
             "num_experts: 2 gate { FLATTEN } expert { DENSE }",
             ".expert.layer[0].dense: found an image of 8 x 6 x 3 as its "
             "input; allowed: a vector, as flatten or global pooling makes it",
             base="image"),
    _experts("gate_that_starts_in_no_way",
             "num_experts: 2 gate { softmax { initializer {} } } expert { "
             "DENSE }",
             ".gate.softmax.initializer: found no kind; allowed: one of "
             "glorot_uniform, glorot_normal, he_uniform, he_normal, "
             "lecun_uniform, lecun_normal, uniform, normal, "
             "truncated_normal, constant, orthogonal, identity"),
    _experts("gate_that_starts_with_no_spread",
             "num_experts: 2 gate { softmax { initializer { normal: 0 } } "
             "layer { dense {} } } expert { DENSE }",
             ".gate.layer[0].dense.units: found nothing; allowed: at least 1",
             ".gate.softmax.initializer.normal: found 0.0; allowed: above 0"),
    _experts("gate_on_images", "num_experts: 2 expert { CONV FLATTEN }",
             ".gate: found an image of 8 x 6 x 3 before its last layer; "
             "allowed: a vector, as flatten or global pooling among its "
             "layers makes it", base="image"),
    _own_experts("gate_of_layers_that_leave_an_image",
                 "gate { CONV } expert { CONV FLATTEN }",
                 ".gate: found an image of 8 x 6 x 4 before its last layer; "
                 "allowed: a vector, as flatten or global pooling among its "
                 "layers makes it", base="image"),
    _experts("gate_with_a_layer_called_selector",
             "num_experts: 2 gate { dselect_k { num_selected: 1 } layer { "
             "name: 'selector' dense { units: 3 } } } expert { DENSE }",
             ".gate.layer[0].name: found 'selector', which is reserved; "
             "allowed: any name but kernel, bias, selector, digit"),
    _experts("selectors_of_nothing",
             "num_experts: 2 gate { dselect_k {} } expert { DENSE }",
             ".gate.dselect_k.num_selected: found nothing; allowed: at least "
             "1"),
    _experts("selectors_out_of_range",
             "num_experts: 2 gate { dselect_k { num_selected: 0 gamma: 0 "
             "entropy: -1 } } expert { DENSE }",
             ".gate.dselect_k.num_selected: found 0; allowed: at least 1",
             ".gate.dselect_k.gamma: found 0.0; allowed: above 0",
             ".gate.dselect_k.entropy: found -1.0; allowed: at least 0"),
    _own_experts("layers_of_a_gate_for_all_rows",
                 "gate { dselect_k { num_selected: 1 per_example: false } "
                 "DENSE } expert { DENSE }",
                 ".gate.layer: found layers of a gate that does not look at "
                 "the row; allowed: none, or per_example: true"),
    _experts("two_kinds_of_gate",
             "num_experts: 2 gate { softmax {} dselect_k { num_selected: 1 } "
             "} expert { DENSE }", "--set model.mixture_of_experts: found ..."),
    _own_experts("neither_shared_nor_own_experts",
                 "shared_experts: 0 task_experts: 0 expert { DENSE }",
                 ": found no expert at all; allowed: at least one"),
    _own_experts("experts_below_0",
                 "shared_experts: -1 task_experts: 1001 expert { DENSE }",
                 ".shared_experts: found -1; allowed: at least 0",
                 ".task_experts: found 1001; allowed: at most 1000"),
    _levels("no_levels", "", ".level: found none; allowed: at least one"),
    _levels("level_without_shared_experts",
            "level { shared_experts: 0 task_experts: -1 expert { DENSE } }",
            ".level[0].shared_experts: found 0; allowed: at least 1",
            ".level[0].task_experts: found -1; allowed: at least 0"),
    _levels("level_without_layers", "level { expert { DENSE } } level {}",
            ".level[1].expert.layer: found none; allowed: at least one"),
    _levels("level_of_images_after_vectors",
            "level { expert { CONV FLATTEN } } level { expert { CONV } } gate "
            "{ POOL }",
            ".level[1].expert.layer[0].conv2d: found a vector of 192 numbers "
            "as its input; allowed: an image",
            ".gate.layer[0].global_max_pooling: found a vector of 192 numbers "
            "as its input; allowed: an image", base="image"),
    _experts("experts_with_nothing_to_read", "num_experts: 2 expert { DENSE }",
             ": found it with nothing to read, as no feature is in the deep "
             "part; allowed: hard_sharing without layers",
             sets=("data.feature=[{ name: 'age' numeric {} use: WIDE }]",
                   "model.task[0].tower={}", "model.task[1].tower={}",
                   "model.task[3]={ name: 'spent' regression {} }")),
)

ATTENTION = (
    _attention("no_blocks", "", ".block: found none; allowed: at least one"),
    _attention("block_without_layers", "block { attention_units: 2 }",
               ".block[0].first.layer: found none; allowed: at least one"),
    _attention("attention_of_no_units", "block { first { DENSE } }",
               ".block[0].attention_units: found nothing; allowed: at least 1"),
    _attention("attention_of_0_units",
               "block { first { DENSE } attention_units: 0 }",
               ".block[0].attention_units: found 0; allowed: at least 1"),
    _attention("block_before_the_first",
               "block { first { DENSE } forward { DENSE } attention_units: 2 }",
               ".block[0].forward: found layers in the first block, which "
               "has none before it; allowed: none"),
    _attention("block_behind_the_last",
               "block { first { DENSE } transition { DENSE } attention_units: "
               "2 }",
               ".block[0].transition: found layers in the last block, which "
               "nothing reads; allowed: none, as towers may have them"),
    _attention("block_that_flattens",
               "block { first { CONV } second { FLATTEN } attention_units: 2 }",
               ".block[0].second: found layers that turn 8 x 6 x 4 into 192 "
               "numbers; allowed: layers that keep the size of images, which "
               "a mask of it goes on", base="image"),
    _attention("block_of_another_size",
               "block { first { CONV } transition { layer { max_pooling { "
               "size: 2 } } } attention_units: 2 } block { first { CONV "
               "FLATTEN } attention_units: 2 }",
               ".block[1].forward: found 8 x 6 x 4 beside 48 numbers of "
               "`first`; allowed: vectors, or images of one size",
               base="image"),
    _attention("masked_images_before_a_head",
               "block { first { CONV } attention_units: 2 }",
               "model.task[0]: found an image of 8 x 6 x 4 before the head; "
               "allowed: a vector, as flatten or global pooling makes it",
               sets=("model.task[name=size].tower={ POOL }",), base="image"),
)

LAYER_NAMES = (
    _case("layer_of_capitals", "model.hard_sharing.trunk.layer[0].name=Dense",
          "model.hard_sharing.trunk.layer[0].name: found 'Dense'; allowed: a "
          "lower-case letter, then lower-case letters, digits and '_'"),
    _case("layer_of_no_name", "model.hard_sharing.trunk.layer[0].name=",
          "model.hard_sharing.trunk.layer[0].name: found ''; allowed: a "
          "lower-case letter, then lower-case letters, digits and '_'"),
    _experts("layers_of_one_name",
             "num_experts: 2 expert { layer { name: 'a' dense { units: 4 } } "
             "layer { name: 'a' dropout { rate: 0.1 } } }",
             ".expert.layer[1]: found the name 'a' a second time; allowed: "
             "each name once in its scope"),
    _soft("layer_called_as_another_is_anyway",
          "column { layer { name: 'dense_1' dense { units: 2 } } DENSE DENSE }",
          ".column.layer[2]: found the name 'dense_1' a second time; "
          "allowed: each name once in its scope"),
    _case("layer_called_projection",
          "model.task[0].tower={ layer { residual { layer { name: "
          "'projection' dense { units: 2 } } } } }",
          "model.task[0].tower.layer[0].residual.layer[0].name: found "
          "'projection', which is reserved; allowed: any name but projection"),
)

CASES = BRANCHES + COLUMNS + EXPERTS + ATTENTION + LAYER_NAMES

"""Tests of the search for what is wrong with what tasks share."""

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from mtl_graph import sharing_checks
from mtl_graph.protos import model_pb2

_KINDS = [f.name for f in
          model_pb2.Model.DESCRIPTOR.oneofs_by_name["sharing"].fields]
_DENSE = "layer { dense { units: 4 } }"
# Each as it should be, at the limits of what is.
_GOOD = {
    "hard_sharing": f"branch {{ name: 'a_2' {_DENSE} }}",
    "soft_sharing": f"""
        column {{ {_DENSE} }}
        parameter_distance {{ weight: 0 layer {{ name: 'dense' weight: 0 }} }}
        trace_norm {{ weight: 0 epsilon: 1e-30 }}
        sluice {{ subspaces: 1 own_share: 1 last_layer_share: 1e-9
                  orthogonality: 0 }}""",
    "mixture_of_experts": f"num_experts: 1 expert {{ {_DENSE} }}",
    "customized_gate_control": f"""
        shared_experts: 0 task_experts: 1000 expert {{ {_DENSE} }}
        gate {{ dselect_k {{ num_selected: 1 gamma: 1e-9 }} {_DENSE} }}""",
    "progressive_layered_extraction": f"""
        level {{ shared_experts: 1 task_experts: 0 expert {{ {_DENSE} }} }}""",
    "task_attention": f"""
        block {{ first {{ {_DENSE} }} transition {{ {_DENSE} }}
                 attention_units: 1 }}
        block {{ first {{ {_DENSE} }} forward {{ {_DENSE} }}
                 attention_units: 1 }}""",
}
_SHARE = "allowed: above 0, at most 1"
_NONE = "found none; allowed: at least one"


def _problems(sharing, tasks="task { name: 's' } task { name: 't' }"):
  problems = []
  sharing_checks.check(
      config.parse(f"model {{ {sharing} {tasks} }}").model,
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return problems


class CheckTest(parameterized.TestCase):

  def _assert_problems(self, kind, message, expected):
    self.assertEqual(
        _problems(f"{kind} {{ {message.replace('DENSE', _DENSE)} }}"),
        [f"model.{kind}{problem}" for problem in expected])

  def test_every_kind_is_tested(self):
    self.assertCountEqual(_GOOD, _KINDS)

  @parameterized.parameters(*_KINDS)
  def test_good_one_has_no_problem(self, kind):
    self._assert_problems(kind, _GOOD[kind], [])

  def test_nothing_to_share(self):
    self.assertEmpty(_problems("hard_sharing {}"))
    self.assertEqual(_problems(""), [
        f"model: found no sharing; allowed: one of {', '.join(_KINDS)}"])

  @parameterized.parameters(
      ("hard_sharing", "trunk { layer {} } branch { name: 'trunk' DENSE }",
       ".trunk.layer[0]: found no kind; allowed: ..."),
      ("hard_sharing", "branch { name: 'a' } branch { name: 'a' DENSE }",
       f".branch[0].layer: {_NONE}",
       ".branch[1].name: found 'a' a second time; allowed: each name once"),
      ("soft_sharing", "", f".column.layer: {_NONE}"),
      ("mixture_of_experts", "gate { DENSE }", f".expert.layer: {_NONE}",
       ".num_experts: found nothing; allowed: at least 1"),
      ("customized_gate_control", "shared_experts: -1 task_experts: 1001",
       f".expert.layer: {_NONE}", ".shared_experts: found -1; allowed: at least"
       " 0", ".task_experts: found 1001; allowed: at most 1000"),
      ("customized_gate_control", "shared_experts: 0 task_experts: 0 expert { "
       "DENSE }", ": found no expert at all; allowed: at least one"),
      ("progressive_layered_extraction", "", f".level: {_NONE}"),
      ("progressive_layered_extraction", "level { expert { DENSE } } level { "
       "shared_experts: 0 }", f".level[1].expert.layer: {_NONE}",
       ".level[1].shared_experts: found 0; allowed: at least 1"),
      ("task_attention", "", f".block: {_NONE}"),
      ("task_attention", "block {} block { first { DENSE } attention_units: 0 "
       "}", f".block[0].first.layer: {_NONE}",
       ".block[0].attention_units: found nothing; allowed: at least 1",
       ".block[1].attention_units: found 0; allowed: at least 1"),
      # The first block is the last one, too.
      ("task_attention", "block { first { DENSE } second { DENSE } forward { "
       "DENSE } transition { DENSE } attention_units: 1 }",
       ".block[0].forward: found layers in the first block, which has none "
       "before it; allowed: none",
       ".block[0].transition: found layers in the last block, which nothing "
       "reads; allowed: none, as towers may have them"))
  def test_layers_and_numbers(self, kind, message, *expected):
    found = _problems(f"{kind} {{ {message.replace('DENSE', _DENSE)} }}")
    self.assertLen(found, len(expected), found)
    for line, start in zip(found, expected):
      self.assertStartsWith(line, f"model.{kind}" + start.removesuffix("..."))

  @parameterized.parameters("parameter_distance", "trace_norm")
  def test_penalties(self, penalty):
    self._assert_problems(
        "soft_sharing", f"column {{ DENSE DENSE }} {penalty} {{ layer {{ name: "
        "'dense' weight: -1 } layer { name: 'dense' } layer { name: 'dense_2' }"
        " }", [f".{penalty}{problem}" for problem in (
            ".weight: found nothing; required",
            ".layer[0].weight: found -1.0; allowed: at least 0",
            ".layer[1].name: found 'dense' a second time; allowed: each once",
            ".layer[2].name: no layer 'dense_2' in the columns; allowed: dense,"
            " dense_1; nearest: 'dense_1', 'dense'")])

  def test_penalty_below_zero(self):
    self._assert_problems(
        "soft_sharing", "column { DENSE } trace_norm { weight: -1 epsilon: 0 }",
        [".trace_norm.weight: found -1.0; allowed: at least 0",
         ".trace_norm.epsilon: found 0.0; allowed: above 0"])

  @parameterized.parameters(
      ("cross_stitch { own_share: 0 }", f".own_share: found 0; {_SHARE}"),
      ("cross_stitch { own_share: 1 }",),
      ("sluice { own_share: 1.1 last_layer_share: 0 subspaces: 0 "
       "orthogonality: -1 }", f".own_share: found 1.1; {_SHARE}",
       ".subspaces: found 0; allowed: at least 1",
       f".last_layer_share: found 0; {_SHARE}",
       ".orthogonality: found -1.0; allowed: at least 0"))
  def test_units(self, units, *expected):
    self._assert_problems("soft_sharing", f"column {{ DENSE }} {units}", [
        f".{units.split()[0]}{problem}" for problem in expected])

  def test_one_column_has_no_other(self):
    text = (f"soft_sharing {{ column {{ {_DENSE} }} parameter_distance {{ "
            "weight: 1 } trace_norm { weight: 1 } sluice {} }")
    several = "task { name: 't' } task { product { task: ['t', 't'] } }"
    for tasks in ("task { name: 't' }", several):
      self.assertEqual(_problems(text, tasks), [
          f"model.soft_sharing.{field}: found it with one column; allowed: "
          "with two tasks or more that have one"
          for field in ("parameter_distance", "sluice")])

  @parameterized.parameters(
      ("",), ("softmax { use_bias: true initializer { constant: 0 } }",),
      ("softmax { initializer {} }", ".softmax.initializer: found no kind; "
       "allowed: one of glorot_uniform, ..."),
      ("softmax { initializer { normal: -1 } }",
       ".softmax.initializer.normal: found -1.0; allowed: above 0"),
      ("layer { dropout { rate: 2 } }", ".layer[0].dropout.rate: found 2.0; "
       "allowed: at least 0 and below 1"),
      ("layer { name: 'kernel' flatten {} }", ".layer[0].name: found 'kernel', "
       "which is reserved; allowed: any name but kernel, bias, selector, digit"
      ),
      ("dselect_k { num_selected: 0 gamma: 0 entropy: -1 }",
       ".dselect_k.num_selected: found 0; allowed: at least 1",
       ".dselect_k.gamma: found 0.0; allowed: above 0",
       ".dselect_k.entropy: found -1.0; allowed: at least 0"),
      ("dselect_k { num_selected: 1 per_example: false }",),
      (f"dselect_k {{ num_selected: 1 per_example: false }} {_DENSE}",
       ".layer: found layers of a gate that does not look at the row; allowed: "
       "none, or per_example: true"))
  def test_gates(self, gate, *expected):
    for kind in ("mixture_of_experts", "customized_gate_control",
                 "progressive_layered_extraction"):
      found = _problems(f"{kind} {{ {_GOOD[kind].split('gate')[0]} gate {{ "
                        f"{gate} }} }}")
      self.assertLen(found, len(expected), found)
      for line, start in zip(found, expected):
        self.assertStartsWith(line, f"model.{kind}.gate"
                              + start.removesuffix("..."))


if __name__ == "__main__":
  absltest.main()

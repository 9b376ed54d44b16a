"""Tests of loading an experiment: text, overrides, a line per problem."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import config
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import layers_pb2
from mtl_graph.protos import model_pb2
from mtl_graph.protos import training_pb2

_TEXT = """
name: "n"
model {
  task { name: "a" regression {} }
  task {
    name: "late" binary {}
    tower { layer { dense { units: 3 } } layer { dense { units: 4 } } }
  }
  stop_gradient: "p" stop_gradient: "q"
}
training { num_steps: 3 joint { loss { sum {} } } }
"""
_ROOT_FIELDS = "name, seed, data, model, training, evaluation, serving"
_TASK_FIELDS = ", ".join(f.name for f in model_pb2.Task.DESCRIPTOR.fields)
_MODEL_FIELDS = ", ".join(
    field.name for field in model_pb2.Model.DESCRIPTOR.fields)
_TRAINING_FIELDS = ", ".join(
    f.name for f in training_pb2.Training.DESCRIPTOR.fields)
_GROUP_FIELDS = ", ".join(
    f.name for f in training_pb2.VariableGroup.DESCRIPTOR.fields)


def _override(*assignments):
  experiment = config.parse(_TEXT)
  for assignment in assignments:
    config.override(experiment, assignment)
  return experiment


class ConfigErrorTest(absltest.TestCase):

  def test_text_is_path_and_problem(self):
    error = config.ConfigError("training.num_steps", "found 0; allowed: 1")
    self.assertEqual(str(error), "training.num_steps: found 0; allowed: 1")
    self.assertEqual(error.field_path, "training.num_steps")
    self.assertEqual(error.problem, "found 0; allowed: 1")

  def test_text_of_several_has_a_line_for_each(self):
    errors = [config.ConfigError("a", "b"), config.ConfigError("c", "d")]
    several = config.ConfigErrors(errors)
    self.assertEqual(str(several), "a: b\nc: d")
    self.assertEqual(several.errors, errors)


class NearestTest(parameterized.TestCase):

  @parameterized.parameters(
      ("num_step", ["num_steps", "num_rounds", "joint"],
       "; nearest: 'num_steps', 'num_rounds'"),
      ("xyz", ["num_steps"], ""),
      ("a", [], ""),
      ("aaaa", ["aaab", "aaba", "abaa", "baaa"], 3))
  def test_names_the_most_alike(self, name, names, expected):
    found = config.nearest(name, names)
    if isinstance(expected, int):
      self.assertEqual(found.count("'"), 2 * expected)
    else:
      self.assertEqual(found, expected)


class ParseTest(parameterized.TestCase):

  def _errors(self, text):
    with self.assertRaises(config.ConfigErrors) as caught:
      config.parse(text, "f")
    return str(caught.exception).split("\n")

  @parameterized.parameters("", "# only a comment", _TEXT)
  def test_good_text(self, text):
    self.assertIsInstance(config.parse(text), experiment_pb2.Experiment)

  def test_every_unknown_field_at_once_with_its_place(self):
    self.assertEqual(self._errors(
        'nam: "x"\n'
        "sed: 3\n"
        "model { taks { a: 1 } hard_sharin { trunk { } } }\n"
        "training { num_step: [1, 2] joint { loss { sun {} } } }\n"), [
            f"f:1:1: no field 'nam' in mtl_graph.Experiment; allowed: "
            f"{_ROOT_FIELDS}; nearest: 'name'",
            f"f:2:1: no field 'sed' in mtl_graph.Experiment; allowed: "
            f"{_ROOT_FIELDS}; nearest: 'seed'",
            "f:3:9: no field 'taks' in mtl_graph.Model; allowed: "
            f"{_MODEL_FIELDS}; nearest: 'task'",
            "f:3:23: no field 'hard_sharin' in mtl_graph.Model; allowed: "
            f"{_MODEL_FIELDS}; nearest: 'hard_sharing', 'soft_sharing'",
            "f:4:12: no field 'num_step' in mtl_graph.Training; allowed: "
            f"{_TRAINING_FIELDS}; nearest: 'num_steps', 'num_epochs', "
            "'num_rounds'",
            "f:4:44: no field 'sun' in mtl_graph.LossIntegration; allowed: "
            "sum, weighted_sum, uncertainty, dynamic_weight_average, "
            "geometric_mean, log_sum, random_weights, grad_norm, famo, "
            "smooth_chebyshev; nearest: 'sum'"])

  @parameterized.parameters(
      "bogus: 1", "bogus: -1.5e3;", 'bogus: "a } b",', "bogus: 'it\\'s'",
      "bogus { a: 1 b { c: 2 } }", "bogus: { a: 1 }", "bogus < a: 1 >",
      "bogus: [1, 2]", "bogus [{ a: 1 }, { b: 2 }]", "bogus: X # }",
      'bogus { a: "}" # }\n b: \'{\' }', 'bogus: "a" "b"')
  def test_unknown_field_is_skipped_whole(self, field):
    lines = self._errors(f'{field}\nname: "x" other: 3')
    self.assertLen(lines, 2)
    self.assertIn("no field 'bogus'", lines[0])
    self.assertRegex(lines[1], r"^f:[23]:11: no field 'other'")

  def test_same_unknown_field_again_and_again(self):
    lines = self._errors("model{bogus:1 bogus:2 task{bogus:1}}")
    self.assertEqual([line.split(" ")[0] for line in lines],
                     ["f:1:7:", "f:1:15:", "f:1:28:"])

  @parameterized.parameters("bogus {", "bogus: ", "model { bogus }", "bogus")
  def test_unknown_field_without_end_ends_there(self, text):
    lines = self._errors(text)
    self.assertLen(lines, 1)
    self.assertIn("no field 'bogus'", lines[0])

  def test_unknown_value_of_an_enum(self):
    self.assertEqual(self._errors(
        "model {\n hard_sharing { trunk { layer {\n"
        "   dense { activation: RELLU } } } } }"),
        ["f:3:24: no value 'RELLU' in mtl_graph.Activation; allowed: "
         f"{', '.join(layers_pb2.Activation.keys())}; nearest: 'RELU', 'RELU6',"
         " 'ELU'"])

  def test_unknown_value_does_not_hide_unknown_fields_behind_it(self):
    lines = self._errors("training { execution { mode: FAST } }\nnam: 'x'")
    self.assertLen(lines, 2)
    self.assertIn("no value 'FAST' in mtl_graph.Execution.Mode; allowed: AUTO, "
                  "SESSION, LOOP, XLA", lines[0])
    self.assertStartsWith(lines[1], "f:2:1: no field 'nam'")

  @parameterized.parameters(
      ("seed: abc", "f:1:7: .*Couldn't parse integer: abc; allowed: a whole "
       "number"),
      ("seed: 1.5", "f:1:7: .*Couldn't parse integer: 1.5; allowed: a whole "
       "number"),
      ("seed: 99999999999999999999", "f:1:7: .*Value out of range: 9*; "
       "allowed: a whole number that fits the field's type"),
      ("name: x", "f:1:7: .*Expected string but found: 'x'; allowed: text in "
       "quotes"),
      ('name: "x"\nname: "y"', 'f:2:7: .*should not have multiple "name" '
       "fields; allowed: it once"),
      ("model {", 'f:1:.*Expected "}"; allowed: the end of the message'),
      ("}", "f:1:1: .*got }; allowed: the name of a field, or the end of a "
       "message"),
      ("training { summaries { enabled: maybe } }", 'f:1:.*Expected "true" or '
       '"false"; allowed: true or false'),
      ("model { task { weight: much } }", "f:1:.*Couldn't parse float: much; "
       "allowed: a number"),
      ("name", 'f:1:.*Expected ":"; allowed: field: value'),
      ("model { hard_sharing {} mixture_of_experts {} }",
       'f:1:.*Field "mixture_of_experts" is specified along with field '
       '"hard_sharing".*; allowed: one of the two'))
  def test_other_errors_end_with_what_is_allowed(self, text, message):
    lines = self._errors(text)
    self.assertLen(lines, 1)
    self.assertRegex(lines[0], f"^{message}$")


class LoadTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _file(self, content):
    path = os.path.join(self._folder, "e.pbtxt")
    with open(path, "wb") as file:
      file.write(content if isinstance(content, bytes) else content.encode())
    return path

  def _problems(self, *args):
    with self.assertRaises(config.ConfigErrors) as caught:
      config.load(*args)
    return str(caught.exception).split("\n")

  def test_reads_and_overrides(self):
    experiment = config.load(self._file(_TEXT), ["seed=4", "name=m", "seed=5"])
    self.assertEqual((experiment.name, experiment.seed), ("m", 5))
    self.assertEqual(experiment.training.num_steps, 3)

  def test_reads_utf8(self):
    experiment = config.load(self._file('name: "é"'.encode()))
    self.assertEqual(experiment.name, "é")

  def test_unreadable_files(self):
    for path, reason in ((os.path.join(self._folder, "x"), "No such file"),
                         (self._folder, "Is a directory"),
                         (self._file(b"\xff\xfe"), "it is not UTF-8 text")):
      problems = self._problems(path)
      self.assertLen(problems, 1)
      self.assertStartsWith(problems[0],
                            f"--config: '{path}' cannot be read: {reason}")
      self.assertEndsWith(problems[0], "; give the path of an experiment file")

  def test_problems_of_the_text_name_the_file(self):
    path = self._file('nam: "x"')
    self.assertStartsWith(self._problems(path)[0], f"{path}:1:1: no field")

  def test_every_bad_override_at_once(self):
    problems = self._problems(self._file(_TEXT), ["a=1", "b", "seed=2",
                                                  "seed=x"])
    self.assertEqual([p.split(":")[0] for p in problems],
                     ["--set a", "--set", "--set seed"])


class WriteTest(absltest.TestCase):

  def test_what_is_written_is_read_back(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    path = os.path.join(folder, "experiment.pbtxt")
    experiment = _override("name=é \"x\"\\")
    config.write(experiment, path)
    self.assertEqual(config.load(path), experiment)
    config.write(_override("name=m"), path)
    self.assertEqual(config.load(path).name, "m")
    self.assertEqual(os.listdir(folder), ["experiment.pbtxt"])
    with open(path, encoding="utf-8") as file:
      self.assertStartsWith(file.read(), "# proto-file: ")

  def test_to_text_is_the_inverse_of_parse(self):
    self.assertEqual(config.parse(config.to_text(config.parse(_TEXT))),
                     config.parse(_TEXT))


class OverrideTest(parameterized.TestCase):

  @parameterized.parameters(
      ("training.num_steps=5", lambda e: e.training.num_steps, 5),
      (" training.num_steps = 7 ", lambda e: e.training.num_steps, 7),
      ("seed=0x10", lambda e: e.seed, 16),
      ("name=a=b", lambda e: e.name, "a=b"),
      ("name=", lambda e: e.name, ""),
      ('name="a b"', lambda e: e.name, "a b"),
      ("name=it's", lambda e: e.name, "it's"),
      ('name=say "x"', lambda e: e.name, 'say "x"'),
      ("name=C:\\new\\x", lambda e: e.name, "C:\\new\\x"),
      ("training.summaries.enabled=false",
       lambda e: e.training.summaries.enabled, False),
      ("training.execution.mode=XLA", lambda e: e.training.execution.mode, 3),
      ("model.task[0].name=b", lambda e: e.model.task[0].name, "b"),
      ("model.task[name=late].name=b", lambda e: e.model.task[1].name, "b"),
      ("model.task[name=late].tower.layer[1].dense.units=64",
       lambda e: [l.dense.units for l in e.model.task[1].tower.layer], [3, 64]),
      ("model.task[0].tower.layer={ dense { units: 9 } }",
       lambda e: e.model.task[0].tower.layer[0].dense.units, 9),
      ("model.task[name=late].label={greater_than:15}",
       lambda e: e.model.task[1].label.greater_than, 15),
      ("model.stop_gradient[1]=z", lambda e: list(e.model.stop_gradient),
       ["p", "z"]),
      ("model.stop_gradient=z", lambda e: list(e.model.stop_gradient), ["z"]),
      ("model.stop_gradient=[\"x\", 'y', 'z']",
       lambda e: list(e.model.stop_gradient), ["x", "y", "z"]),
      ("model.stop_gradient=[]", lambda e: list(e.model.stop_gradient), []),
      ("model.task=[{name: 'y'}, {name: 'z'}]",
       lambda e: [t.name for t in e.model.task], ["y", "z"]),
      ("model.task={name: 'z'}", lambda e: [t.name for t in e.model.task],
       ["z"]),
      ("model.task[name=a]={name: 'z'}",
       lambda e: [t.WhichOneof("head") for t in e.model.task],
       [None, "binary"]),
      ("model.task[0].binary={}", lambda e: e.model.task[0].WhichOneof("head"),
       "binary"),
      ("model.task[0].regression.loss=HUBER",
       lambda e: e.model.task[0].regression.loss, model_pb2.Regression.HUBER),
      ("training.joint.loss.uncertainty.max_log_variance=3",
       lambda e: e.training.joint.loss.WhichOneof("kind"), "uncertainty"),
      ("training.joint={}", lambda e: e.training.joint.HasField("loss"), False),
      ("model.task[name=late].weight=inf", lambda e: e.model.task[1].weight,
       float("inf")),
  )
  def test_sets_the_field(self, assignment, read, expected):
    self.assertEqual(read(_override(assignment)), expected)

  def test_leaves_the_rest_alone(self):
    experiment = _override("model.task[name=late].tower.layer[0].dense.units=8")
    self.assertEqual(experiment, config.parse(_TEXT.replace("units: 3",
                                                            "units: 8")))

  def test_later_ones_see_what_earlier_ones_made(self):
    experiment = _override(
        "training.group=[{name: 'g'}, {name: 'h'}]",
        "training.group[name=h].scope=trunk", "training.group[0].frozen=true")
    self.assertEqual([(g.name, list(g.scope), g.frozen)
                      for g in experiment.training.group],
                     [("g", [], True), ("h", ["trunk"], False)])

  @parameterized.parameters(
      ("abc", "--set", "found 'abc'; allowed: field.path=value"),
      ("=3", "--set", "found '=3'; allowed: field.path=value"),
      (" =3", "--set", "found no field path before '='"),
      ("model.task[0.name=x", "--set", "found 'model.task[0.name=x'; allowed"),
      ("model.task[0][1].name=x", "--set", "found 'model.task[0][1].name'; "
       "allowed: names separated by dots, each with at most one [selector]"),
      ("naem=x", "--set naem", f"no field 'naem'; allowed: {_ROOT_FIELDS}; "
       "nearest: 'name'"),
      ("training.num_stepz=1", "--set training.num_stepz",
       f"no field 'num_stepz'; allowed: {_TRAINING_FIELDS}; nearest: "
       "'num_steps', 'num_epochs', 'num_rounds'"),
      ("training.joint.loss.sum.x=3", "--set training.joint.loss.sum.x",
       "no field 'x'; allowed: none"),
      ("name.x=1", "--set name", "holds a plain value; allowed: name=value"),
      ("model.task.name=x", "--set model.task",
       "is repeated; allowed: model.task[index] or model.task[name=value]"),
      ("model.task[5].name=x", "--set model.task", "found [5]; allowed: 0 to "
       "1"),
      ("model.task[5]={}", "--set model.task", "found [5]; allowed: 0 to 1"),
      ("training.group[0].name=x", "--set training.group",
       "found [0]; allowed: none, it has no elements"),
      ("model.task[lat].name=x", "--set model.task", "found [lat]; allowed: "
       f"[index] or [field=value] with a field of {_TASK_FIELDS}"),
      ("model.task[foo=x].name=y", "--set model.task", "found [foo=x]; "
       f"allowed: [index] or [field=value] with a field of {_TASK_FIELDS}"),
      ("model.task[name=lat].name=x", "--set model.task[name=lat]",
       "matches 0 elements; allowed: one of a, late; nearest: 'late', 'a'"),
      ("model.task[weight=1].name=x", "--set model.task[weight=1]",
       "matches 0 elements; allowed: one of 1.0, 1.0"),
      ("model.task[weight=1.0].name=x", "--set model.task[weight=1.0]",
       "matches 2 elements; allowed"),
      ("model.stop_gradient[2]=z", "--set model.stop_gradient",
       "found [2]; allowed: 0 to 1"),
      ("model.stop_gradient[p]=z", "--set model.stop_gradient",
       "found [p]; allowed: 0 to 1"),
      ('model.stop_gradient[0]=["x","y"]', "--set model.stop_gradient",
       "found '[\"x\",\"y\"]'; allowed: one value"),
      ("name[0]=x", "--set name", "found [0]; it is a single value"),
      ("training.joint[0]={}", "--set training.joint",
       "found [0]; it is a single value"),
      ("training[0].num_steps=1", "--set training",
       "found [0]; it is a single message, which takes no selector"),
      ("training.num_steps=abc", "--set training.num_steps",
       "found 'abc'; 'num_steps: abc': Couldn't parse integer: abc; allowed"),
      ("training.num_steps=", "--set training.num_steps", "found ''; "),
      ("training.summaries.enabled=maybe", "--set training.summaries.enabled",
       "found 'maybe'; "),
      ("training.joint=5", "--set training.joint", "found '5'; "),
      ("model.task[0].regression.loss=HUBBER",
       "--set model.task[0].regression.loss",
       "found 'HUBBER'; no value 'HUBBER' in mtl_graph.Regression.Loss; "
       "allowed: SQUARED, ABSOLUTE, HUBER; nearest: 'HUBER'"),
      ("training.group={name: 'g' scop: 'x'}", "--set training.group",
       "found '{name: 'g' scop: 'x'}'; no field 'scop' in "
       f"mtl_graph.VariableGroup; allowed: {_GROUP_FIELDS}; nearest: 'scope'"),
  )
  def test_refusal_says_where_what_and_what_is_allowed(self, assignment, path,
                                                       problem):
    with self.assertRaises(config.ConfigError) as caught:
      _override(assignment)
    self.assertEqual(caught.exception.field_path, path)
    self.assertStartsWith(caught.exception.problem, problem)

  @parameterized.parameters(
      'seed=1 name: "q"', "training.num_steps=5 log_every_steps: 7",
      "training.joint={} log_every_steps: 7")
  def test_sets_one_field_only(self, assignment):
    with self.assertRaises(config.ConfigError):
      _override(assignment)

  def test_element_of_an_empty_list(self):
    with self.assertRaisesRegex(config.ConfigError, "allowed: none, it has no "
                                "elements"):
      _override("model.stop_gradient=[]", "model.stop_gradient[0]=x")

  @parameterized.parameters("model.task[²].name=x",
                            "model.stop_gradient[²]=x")
  def test_odd_digit_is_no_index(self, assignment):
    with self.assertRaises(config.ConfigError):
      _override(assignment)


if __name__ == "__main__":
  absltest.main()

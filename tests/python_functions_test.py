"""Tests of how functions of Python are found, and when they are not."""

import os
import sys
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format

from mtl_graph import config
from mtl_graph import python_functions
from mtl_graph.protos import layers_pb2
from tests import legacy_network

_TRUNK = 'function: "tests.legacy_network:trunk"'


def _message(text):
  return text_format.Parse(text, layers_pb2.PythonFunction())


def _problems(text, given=("inputs",), offered=("training", "is_training")):
  problems = []
  python_functions.check(
      _message(text), "at",
      lambda path, problem: problems.append(f"{path}: {problem}"), given,
      offered)
  return problems


class PythonFunctionsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enterContext(python_functions.allowing(["tests"]))

  def test_found_by_import(self):
    self.assertIs(python_functions.load(_message(_TRUNK), "at"),
                  legacy_network.trunk)
    for text in (
        _TRUNK, 'function: "tests.legacy_network:partial"', _TRUNK + """
        argument { name: "hidden" integer: 8 }
        argument { name: "l2" number: 0.5 }
        argument { name: "activation" text: "relu" }"""):
      self.assertEmpty(_problems(text))

  def test_arguments_and_what_a_function_has_parameters_for(self):
    message = _message(_TRUNK + """ argument { name: "hidden" integer: 8 }
        argument { name: "l2" number: 2 }
        argument { name: "activation" text: "relu" }""")
    found = python_functions.keywords(
        legacy_network.trunk, message, {"is_training": True, "training": True})
    self.assertEqual(found, {"hidden": 8, "l2": 2.0, "activation": "relu",
                             "is_training": True})
    self.assertEqual({name: type(value) for name, value in found.items()}, {
        "hidden": int, "l2": float, "activation": str, "is_training": bool})

  @parameterized.parameters(
      ("tests",), ("tests.legacy_network",), ("other", "tests"))
  def test_allowed_as_a_package_or_as_a_module(self, *names):
    python_functions.allow(names)
    self.assertEmpty(_problems(_TRUNK))

  @parameterized.parameters(
      ([], "modules that --allow_python names; it names none"),
      (["test"], "test, as --allow_python has it"),
      (["tests.legacy"], "tests.legacy, as --allow_python has it"),
      (["tests.legacy_network.trunk", "numpy"], "tests.legacy_network.trunk, "
       "numpy, as --allow_python has it"))
  def test_not_allowed(self, names, allowed):
    python_functions.allow(names)
    self.assertEqual(_problems(_TRUNK), [
        "at.function: found 'tests.legacy_network:trunk'; allowed: functions "
        f"of {allowed}"])

  def test_allowed_within_only(self):
    python_functions.allow(["numpy"])
    with self.assertRaises(KeyError):
      with python_functions.allowing(["tests"]):
        self.assertEmpty(_problems(_TRUNK))
        raise KeyError
    self.assertLen(_problems(_TRUNK), 1)

  @parameterized.parameters("", "*", "a-b", "tests.", "tests:trunk", "../x")
  def test_what_is_no_module_is_not_allowed(self, name):
    with self.assertRaisesRegex(ValueError, "allowed: names of modules"):
      python_functions.allow(["tests", name])
    self.assertEmpty(_problems(_TRUNK))

  @parameterized.parameters(
      "", "trunk", "tests.legacy_network", "tests.legacy_network.trunk",
      "tests.legacy_network:trunk()", "tests.legacy_network:os.mkdir",
      "tests/legacy_network.py:trunk", "tests.legacy_network:trunk:x",
      "__import__('os'):system", "tests.legacy_network :trunk")
  def test_no_name_of_a_function(self, name):
    self.assertEqual(_problems(f'function: "{name}"'), [
        f'at.function: found \'{name}\'; allowed: "package.module:function"'])

  @parameterized.parameters(
      ("tests.legacy_network:mkdir", "posix"),
      ("tests.legacy_network:borrowed", "posix"))
  def test_what_a_module_has_imported_itself(self, name, home):
    self.assertEqual(_problems(f'function: "{name}"'), [
        f"at.function: '{name}' is a function of '{home}'; allowed: functions "
        "of tests, as --allow_python has it"])

  @parameterized.parameters(
      ("tests.legacy_network:trnk", "no 'trnk' in 'tests.legacy_network'; "
       "allowed: the name of a function; nearest: 'trunk'"),
      ("tests.legacy_network:WIDTH", "'tests.legacy_network:WIDTH' is of type "
       "int; allowed: a function"),
      ("tests.no_such:trunk", "'tests.no_such' cannot be imported: "
       "ModuleNotFoundError: No module named 'tests.no_such'; allowed: a module"
       " that Python finds and can run"),
      ("tests.legacy_network:squared", "'tests.legacy_network:squared' takes "
       "(labels, logits): missing a required argument: 'logits'; allowed: "
       "parameters that take inputs"))
  def test_not_there_or_not_fit(self, name, problem):
    self.assertEqual(_problems(f'function: "{name}"'),
                     [f"at.function: {problem}"])

  def test_a_module_that_fails(self):
    folder = self.enterContext(tempfile.TemporaryDirectory())
    with open(os.path.join(folder, "broken_by_hand.py"), "w",
              encoding="utf-8") as file:
      file.write("raise RuntimeError('first line\\nsecond line')\n")
    sys.path.insert(0, folder)
    self.addCleanup(sys.path.remove, folder)
    python_functions.allow(["broken_by_hand"])
    with self.assertRaisesRegex(
        config.ConfigError, r"^at\.function: 'broken_by_hand' cannot be "
        "imported: RuntimeError: first line; allowed: a module"):
      python_functions.load(_message('function: "broken_by_hand:f"'), "at")

  @parameterized.parameters(
      ('argument { name: "depth" integer: 3 }', ".function: 'tests."
       "legacy_network:trunk' takes (inputs, is_training, hidden=4, l2=0.0, "
       "activation='tanh'): got an unexpected keyword argument 'depth'; "
       "allowed: parameters that take inputs, depth"),
      ('argument { name: "two words" integer: 3 }', ".argument[0].name: found "
       "'two words'; allowed: the name of a parameter"),
      ('argument { integer: 3 }',
       ".argument[0].name: found ''; allowed: the name of a parameter"),
      ('argument { name: "l2" number: 3 } argument { name: "l2" number: 3 }',
       ".argument[1].name: found 'l2' a second time; allowed: each once"),
      ('argument { name: "is_training" flag: true }', ".argument[0].name: found"
       " 'is_training', which is handed over anyway; allowed: other "
       "parameters"),
      ('argument { name: "l2" }', ".argument[0]: found no value; allowed: one "
       "of number, integer, text, flag"))
  def test_arguments_that_do_not_fit(self, text, problem):
    self.assertEqual(_problems(f"{_TRUNK} {text}"), [f"at{problem}"])


if __name__ == "__main__":
  absltest.main()

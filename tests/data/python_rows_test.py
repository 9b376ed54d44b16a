"""Tests of rows that functions of Python return."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np

from mtl_graph import python_functions
from mtl_graph.data import python_rows
from mtl_graph.data import table as table_lib
from mtl_graph.protos import layers_pb2
from tests.training import small_run

_ALLOWED = ("allowed: arrays by name, a pair of features and labels, or a "
            "tf.data.Dataset of batches of them")


def _read(name, columns, text="", hash_rows=False):
  return python_rows.read(text_format.Parse(
      f'function: "tests.legacy_network:{name}" {text}',
      layers_pb2.PythonFunction()), columns, "data.train", hash_rows)


def _form(form):
  return f'argument {{ name: "form" text: "{form}" }}'


class PythonRowsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enterContext(python_functions.allowing(["tests"]))

  @parameterized.parameters("arrays", "pair", "batches")
  def test_every_form_holds_the_same_rows(self, form):
    found = _read("input_fn", ["x", "c", "b"], _form(form))
    self.assertEqual(list(found.columns), ["x", "c", "b"])
    for name, values in found.columns.items():
      np.testing.assert_array_equal(
          np.asarray(values, np.float64), small_run.ARRAYS["train"][name], name)
    self.assertEqual(table_lib.count(found), 30)

  def test_text_and_labels_without_a_name(self):
    found = _read("words", ["word", "labels"], hash_rows=True)
    self.assertEqual(found.columns["word"].tolist(), ["a", "\xe9"])
    self.assertEqual(found.columns["labels"].tolist(), [1.0, 2.0])

  @parameterized.parameters(
      ("fails", "", "raised TypeError: fails.. missing 1 required positional "),
      ("both", "", "returned 'a' as a feature and as a label; allowed: each "),
      ("input_fn", "endless", "returned a dataset without an end; allowed: one "
       "that comes once, as data.batch_size and num_steps say how often"),
      ("input_fn", "rows", "returned a dataset of single rows; allowed: one of "
       "batches"),
      ("input_fn", "tensors", f"returned a tensor for 'x'; {_ALLOWED}"),
      ("start", "", "raised TypeError"))
  def test_what_are_no_rows(self, name, form, problem):
    with self.assertRaisesRegex(
        table_lib.DataError, r"^data.train.python 'tests.legacy_network:"
        f"{name}': {problem}"):
      _read(name, ["x"], _form(form) if form else "")

  def test_a_column_that_is_not_there(self):
    with self.assertRaisesRegex(table_lib.DataError, "data.train.python .*'y'"):
      _read("input_fn", ["y"])


if __name__ == "__main__":
  absltest.main()

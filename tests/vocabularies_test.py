"""Tests of the categories of an experiment: entries, counts, their rows."""

import collections
import os
import random
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format

from mtl_graph import config
from mtl_graph import vocabularies
from mtl_graph.protos import features_pb2
from mtl_graph.protos import model_pb2

_MESSAGES = (features_pb2.Categorical, model_pb2.Multiclass,
             model_pb2.Multilabel, model_pb2.Ordinal)


def _categorical(text):
  return text_format.Parse(text, features_pb2.Categorical())


class EntriesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.enter_context(tempfile.TemporaryDirectory())
    self._path = os.path.join(folder, "v.txt")

  def _write(self, content):
    with open(self._path, "wb") as file:
      file.write(content)

  @parameterized.parameters(
      (b"a\nb\n", ["a", "b"]), (b"a\nb", ["a", "b"]),
      (b"a\r\nb\r\n", ["a", "b"]), (b"\n a \n\n", [" a "]), (b"", []),
      (b"\xef\xbb\xbfa\nb\n", ["a", "b"]),
      ("é\nü\n".encode(), ["é", "ü"]))
  def test_file_has_one_entry_per_line(self, content, expected):
    self._write(content)
    for message in _MESSAGES:
      self.assertEqual(
          vocabularies.entries(message(vocabulary_file=self._path)), expected)

  def test_in_line(self):
    for message in _MESSAGES:
      self.assertEqual(vocabularies.entries(message(vocabulary=["b", "a"])),
                       ["b", "a"])
      self.assertEqual(vocabularies.entries(message()), [])

  def test_unreadable_file(self):
    message = features_pb2.Categorical(vocabulary_file=self._path)
    with self.assertRaises(OSError):
      vocabularies.entries(message)
    self.assertEqual(vocabularies.entries_or_none(message), [])
    self._write(b"\xff\xfe")
    with self.assertRaises(UnicodeDecodeError):
      vocabularies.entries(message)
    self.assertEqual(vocabularies.entries_or_none(message), [])
    self.assertEqual(vocabularies.category_count(message), 0)

  @parameterized.parameters(
      ("", 0), ("num_buckets: 7", 7), ("hash_buckets: 9", 9),
      ("vocabulary: ['x', 'y']", 2), ("vocabulary_file: '%s'", 3),
      ("vocabulary: 'x' capacity: 5", 5),
      ("vocabulary_file: '%s' capacity: 4", 4),
      ("counted_vocabulary { capacity: 6 }", 6),
      ("counted_vocabulary { capacity: 6 } vocabulary: 'x'", 6),
      ("boundary: 1.5", 2), ("boundary: [0, 1, 2]", 4),
      ("quantile_buckets: 5", 5))
  def test_category_count(self, text, expected):
    self._write(b"a\nb\nc\n")
    self.assertEqual(vocabularies.category_count(
        _categorical(text.replace("%s", self._path))), expected)

  @parameterized.parameters(
      (model_pb2.Multiclass(num_classes=4), 4), (model_pb2.Multiclass(), 0),
      (model_pb2.Multiclass(vocabulary=["a", "b"]), 2),
      (model_pb2.Ordinal(num_classes=3), 3),
      (model_pb2.Ordinal(vocabulary=["a", "b", "c"]), 3),
      (model_pb2.Multilabel(num_labels=5), 5),
      (model_pb2.Multilabel(vocabulary=["a"]), 1))
  def test_class_count(self, head, expected):
    self.assertEqual(vocabularies.class_count(head), expected)

  @parameterized.parameters(
      ("binary {}", ["0", "1"]), ("regression {}", []), ("count {}", []),
      ("multiclass { num_classes: 3 }", ["0", "1", "2"]),
      ("multilabel { num_labels: 2 }", ["0", "1"]),
      ("multilabel { vocabulary: ['x', 'y'] }", ["x", "y"]),
      ("ordinal { vocabulary: ['low', 'high'] }", ["low", "high"]))
  def test_class_names(self, head, expected):
    task = text_format.Parse(head, model_pb2.Task())
    self.assertEqual(vocabularies.class_names(task), expected)

  def test_in_line_needs_no_file_any_more(self):
    self._write(b"a\nb\n")
    experiment = config.parse(f"""
        data {{
          feature {{ name: "c" categorical {{ vocabulary_file: "{self._path}"
                                             capacity: 4 }} }}
          feature {{ name: "d" categorical {{ vocabulary: "z" }} }}
          feature {{ name: "n" numeric {{}} }} feature {{ name: "e" }}
        }}
        model {{
          task {{ name: "m" multiclass {{ vocabulary_file: "{self._path}" }} }}
          task {{ name: "l" multilabel {{ vocabulary_file: "{self._path}" }} }}
          task {{ name: "o" ordinal {{ vocabulary_file: "{self._path}" }} }}
          task {{ name: "b" binary {{}} }}
        }}""")
    before = experiment.SerializeToString(deterministic=True)
    found = vocabularies.in_line(experiment)
    self.assertEqual(experiment.SerializeToString(deterministic=True), before)
    os.remove(self._path)
    text = config.to_text(found)
    self.assertNotIn("vocabulary_file", text)
    self.assertEqual(config.to_text(vocabularies.in_line(found)), text)
    self.assertEqual(found.data.feature[0].categorical,
                     _categorical("vocabulary: ['a', 'b'] capacity: 4"))
    self.assertEqual(list(found.data.feature[1].categorical.vocabulary), ["z"])
    for task in list(found.model.task)[:3]:
      head = getattr(task, task.WhichOneof("head"))
      self.assertEqual(list(head.vocabulary), ["a", "b"])


class CountTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("most_frequent_first", "capacity: 9", [], "b c b c b a",
       ["b", "c", "a"]),
      ("ties_by_code_point", "capacity: 9", [], "b é a Z é b a Z",
       ["Z", "a", "b", "é"]),
      ("capacity", "capacity: 2", [], "a b b c c", ["b", "c"]),
      ("min_count", "capacity: 9 min_count: 2", [], "a b b c c c", ["c", "b"]),
      ("nothing_often_enough", "capacity: 9 min_count: 4", [], "a b b", []),
      ("no_values", "capacity: 9", [], "", []),
      ("missing_is_no_category", "capacity: 9", [], "_ _ _ a", ["a"]),
      ("known_keep_their_rows", "capacity: 3", ["z", "b"], "b c c d d d",
       ["z", "b", "d"]),
      ("known_need_no_count", "capacity: 9 min_count: 2", ["z"], "a z",
       ["z"]),
      ("all_rows_taken", "capacity: 2", ["y", "z"], "a a", ["y", "z"]),
      ("more_known_than_rows", "capacity: 1", ["y", "z"], "a b c",
       ["y", "z"]),
  )
  def test_counts(self, rule, known, values, expected):
    categorical = _categorical(f"counted_vocabulary {{ {rule} }}")
    categorical.vocabulary.extend(known)
    vocabularies.count(categorical, ["" if v == "_" else v
                                     for v in values.split()])
    self.assertEqual(list(categorical.vocabulary), expected)

  def test_the_order_of_rows_does_not_matter(self):
    values = random.Random(5).choices("abcdefghij", k=40)
    found = set()
    for seed in range(5):
      random.Random(seed).shuffle(values)
      categorical = _categorical("counted_vocabulary { capacity: 7 }")
      vocabularies.count(categorical, values)
      found.add(tuple(categorical.vocabulary))
    counted = collections.Counter(values)
    self.assertEqual(found, {tuple(sorted(
        counted, key=lambda v: (-counted[v], v))[:7])})

  def test_counting_again_changes_nothing(self):
    categorical = _categorical("counted_vocabulary { capacity: 3 }")
    vocabularies.count(categorical, ["a", "b", "b", "c", "d", "d"])
    before = list(categorical.vocabulary)
    vocabularies.count(categorical, ["a", "b", "b", "c", "d", "d"])
    self.assertEqual(list(categorical.vocabulary), before)


class AdoptTest(absltest.TestCase):
  _TEXT = """data {
      feature { name: "c" categorical { counted_vocabulary { capacity: %d }
                                        vocabulary: [%s] } }
      feature { name: "d" categorical { vocabulary: [%s] } }
      feature { name: "%s" categorical { counted_vocabulary { capacity: 4 }
                                         vocabulary: [%s] } } }"""

  def test_only_counted_ones_of_the_same_name(self):
    new = config.parse(self._TEXT % (3, "", "'x'", "e", "'k'"))
    saved = config.parse(self._TEXT % (3, "'a', 'b'", "'y'", "f", "'l'"))
    found = vocabularies.adopt(new, saved)
    self.assertEqual([list(f.categorical.vocabulary)
                      for f in found.data.feature], [["a", "b"], ["x"], ["k"]])
    self.assertEmpty(new.data.feature[0].categorical.vocabulary)

  def test_what_was_counted_goes_before_what_is_written(self):
    new = config.parse(self._TEXT % (3, "'q'", "'x'", "e", "'k'"))
    saved = config.parse(self._TEXT % (3, "'a', 'b'", "'y'", "f", "'l'"))
    found = vocabularies.adopt(new, saved)
    self.assertEqual(list(found.data.feature[0].categorical.vocabulary),
                     ["a", "b"])

  def test_no_more_than_there_are_rows(self):
    new = config.parse(self._TEXT % (1, "", "'x'", "e", "'k'"))
    saved = config.parse(self._TEXT % (3, "'a', 'b'", "'y'", "f", "'l'"))
    self.assertEqual(list(vocabularies.adopt(
        new, saved).data.feature[0].categorical.vocabulary), ["a"])


class CheckKeptTest(parameterized.TestCase):
  _TEXT = """
      data { feature { name: "c" categorical { vocabulary: [%s] } } }
      model { task { name: "m" multiclass { vocabulary: [%s] } } }"""

  def _problems(self, new, old):
    try:
      vocabularies.check_kept(config.parse(self._TEXT % new),
                              config.parse(self._TEXT % old))
      return []
    except config.ConfigErrors as errors:
      return str(errors).split("\n")

  @parameterized.parameters(
      (("'a', 'b'", "'x', 'y'"), ("'a', 'b'", "'x', 'y'")),
      (("'a', 'b', 'c'", "'x', 'y', 'z'"), ("'a', 'b'", "'x', 'y'")),
      # Another kind of categories: shapes tell whether it fits.
      (("", "'x'"), ("'a'", "'x'")), (("'a'", "'x'"), ("", "'x'")))
  def test_goes_on(self, new, old):
    self.assertEmpty(self._problems(new, old))

  def test_problems(self):
    ending = ("; allowed: its entries in their order, new ones behind them")
    where = "where the checkpoint that the run starts from has"
    self.assertEqual(
        self._problems(("'b', 'a'", "'x'"), ("'a', 'b'", "'x', 'y'")),
        [f"data.feature[0].categorical.vocabulary[0]: found 'b' {where} 'a'"
         f"{ending}",
         f"model.task[0].multiclass.vocabulary[1]: found nothing {where} 'y'"
         f"{ending}"])

  def test_features_and_tasks_of_other_names_are_others(self):
    new = config.parse(self._TEXT % ("'b'", "'y'"))
    old = config.parse((self._TEXT % ("'a'", "'x'")).replace(
        'name: "c"', 'name: "d"').replace('name: "m"', 'name: "n"'))
    self.assertIsNone(vocabularies.check_kept(new, old))


if __name__ == "__main__":
  absltest.main()

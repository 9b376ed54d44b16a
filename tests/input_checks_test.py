"""Tests of finding what is wrong with where rows lie."""

import os

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format

from mtl_graph import input_checks
from mtl_graph.protos import data_pb2


def _problems(text, needs_sources=True):
  found = []
  input_checks.check(text_format.Parse(text, data_pb2.Data()), needs_sources,
                     lambda path, problem: found.append(f"{path}: {problem}"))
  return found


class CheckTest(parameterized.TestCase):

  @parameterized.parameters(
      "", "input {}", "input { kind: RESIDENT }", "input { kind: STREAMED }",
      'input { kind: STREAMED shuffle_buffer: 0 cache_dir: "no/such" }',
      "input { kind: STREAMED shuffle_buffer: 1 }",
      "resampling { task: 'a' }")
  def test_sound(self, text):
    self.assertEmpty(_problems(text))

  def test_arrays_are_resident(self):
    self.assertEmpty(_problems("input {}", needs_sources=False))
    self.assertEqual(
        _problems("input { kind: STREAMED }", needs_sources=False),
        ["data.input.kind: found STREAMED for arrays handed over in Python; "
         "allowed: RESIDENT"])

  @parameterized.named_parameters(
      ("buffer_of_resident", "input { shuffle_buffer: 5 }",
       "data.input.shuffle_buffer: found 5; allowed: nothing, as "
       "data.input.kind is RESIDENT"),
      ("folder_of_resident", "input { cache_dir: 'a' }",
       "data.input.cache_dir: found 'a'; allowed: nothing, as data.input.kind "
       "is RESIDENT"),
      ("negative_buffer", "input { kind: STREAMED shuffle_buffer: -1 }",
       "data.input.shuffle_buffer: found -1; allowed: at least 0"),
      ("resampling", "input { kind: STREAMED } resampling { task: 'a' }",
       "data.input.kind: found STREAMED beside data.resampling; allowed: "
       "RESIDENT, or no resampling"),
      ("no_folder", "input { kind: STREAMED cache_dir: '' }",
       "data.input.cache_dir: found ''; allowed: a folder, made if need be"),
      ("remote_folder", "input { kind: STREAMED cache_dir: 'gs://a/b' }",
       "data.input.cache_dir: found 'gs://a/b'; allowed: a folder of a local "
       "disk, as rows are read from it at random"),
  )
  def test_refused(self, text, problem):
    self.assertEqual(_problems(text), [problem])

  def test_a_file_is_no_folder(self):
    path = os.path.abspath(__file__)
    self.assertEqual(
        _problems(f"input {{ kind: STREAMED cache_dir: '{path}' }}"),
        [f"data.input.cache_dir: found '{path}', which is no folder; allowed: "
         "a folder, made if need be"])


if __name__ == "__main__":
  absltest.main()

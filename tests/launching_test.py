"""Tests for launching."""

from absl.testing import absltest

from mtl_graph import launching


class SplitWordsTest(absltest.TestCase):

  def test_words_end_at_the_first_flag(self):
    self.assertEqual(launching.split_words(["tool", "a", "b", "--x", "c"]),
                     (["a", "b"], ["tool", "--x", "c"]))
    self.assertEqual(launching.split_words(["tool", "-x"]), ([], ["tool", "-x"]))
    self.assertEqual(launching.split_words(["tool"]), ([], ["tool"]))


if __name__ == "__main__":
  absltest.main()

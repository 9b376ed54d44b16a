"""Tests for launching."""

from absl.testing import absltest

from mtl_graph import launching


class SplitWordsTest(absltest.TestCase):

  def test_words_end_at_the_first_flag(self):
    self.assertEqual(launching.split_words(["tool", "a", "b", "--x", "c"]),
                     (["a", "b"], ["tool", "--x", "c"]))
    self.assertEqual(launching.split_words(["tool", "-x"]), ([], ["tool", "-x"]))
    self.assertEqual(launching.split_words(["tool"]), ([], ["tool"]))


class StartAnewTest(absltest.TestCase):

  def test_gives_up_where_no_start_has_made_a_step(self):
    patch = absltest.mock.patch
    with patch.object(launching.os, "execv") as execv, patch.dict(
        launching.os.environ):
      for after_steps in [False] * 5 + [True] + [False] * 5:
        launching.start_anew("lost ps 0", after_steps)
      with self.assertRaises(launching.StartedTooOften) as caught:
        launching.start_anew("lost ps 0", False)
    self.assertEqual(execv.call_count, 11)
    self.assertEqual(str(caught.exception), "lost ps 0; has started anew 5 "
                     "times, and made no step: gives up")


if __name__ == "__main__":
  absltest.main()

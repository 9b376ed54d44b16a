"""Tests of saving and restoring a run."""

import os
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import sessions

_STATE = {"best": 0.1 + 0.2, "step": None, "courses": {"late": [1, 2.5]},
          "name": "größe"}


def _names(folder):
  """Returns the steps whose files are whole, oldest first."""
  steps = {}
  for name in os.listdir(folder):
    if name.startswith("model.ckpt-"):
      steps.setdefault(int(name.split("-")[1].split(".")[0]), []).append(name)
  return sorted(step for step, files in steps.items() if len(files) == 2)


class CheckpointsTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())
    self._checkpoints = self._new()

  def _new(self, keep=2):
    """Returns the checkpoints of another process on the same folder."""
    graph = tf.Graph()
    with graph.as_default():
      self._variable = tf.get_variable("x", initializer=[0.0, 0.0])
      self._input = tf.placeholder(tf.float32, [2])
      self._assign = self._variable.assign(self._input)
      tf.get_variable("local", initializer=5.0,
                      collections=[tf.GraphKeys.LOCAL_VARIABLES])
      made = checkpoints.Checkpoints(self._folder, keep)
    self._session = self.enter_context(sessions.open_session(graph))
    sessions.initialize(self._session)
    return made

  def _save(self, step, state=None, best=False):
    self._session.run(self._assign, {self._input: [step, 0.5]})
    save = self._checkpoints.save_best if best else self._checkpoints.save
    return save(self._session, state or {"step": step}, step)

  def _resume(self):
    """Goes on as a new process does; returns the state, or None."""
    self._checkpoints = self._new()
    self._checkpoints.recover()
    path = checkpoints.newest(self._folder)
    if path is None:
      return None
    self._checkpoints.restore(self._session, path)
    return checkpoints.read_state(path)

  def _value(self):
    return self._session.run(self._variable).tolist()

  def test_nothing_to_resume(self):
    self.assertIsNone(self._resume())
    self.assertIsNone(checkpoints.latest(self._folder))
    self.assertEqual(self._value(), [0, 0])

  def test_resume_brings_variables_and_state(self):
    self._save(1)
    path = self._save(2, _STATE)
    self.assertEqual(path, os.path.join(self._folder, "model.ckpt-2"))
    self.assertEqual(checkpoints.latest(self._folder), path)
    self.assertEqual(self._resume(), _STATE)
    self.assertEqual(self._value(), [2, 0.5])

  def test_state_that_json_has_not_comes_back(self):
    self._save(1, {"best": float("nan"), "low": float("-inf")})
    state = self._resume()
    self.assertTrue(np.isnan(state["best"]))
    self.assertEqual(state["low"], float("-inf"))

  def test_state_is_a_variable_of_the_checkpoint(self):
    path = self._save(1, {"a": 1})
    names = dict(tf.train.list_variables(path))
    self.assertEqual(names, {"x": [2], "run_state": []})

  def test_keeps_the_newest(self):
    for step in (5, 10, 15, 20):
      self._save(step)
    self.assertEqual(_names(self._folder), [15, 20])

  def test_keeps_the_newest_across_a_resume(self):
    for step in (5, 10):
      self._save(step)
    self._resume()
    self._save(15)
    self.assertEqual(_names(self._folder), [10, 15])

  def test_the_best_is_kept_apart(self):
    self._save(5)
    self._save(5, best=True)
    for step in (10, 15, 20):
      self._save(step)
    best = os.path.join(self._folder, "best")
    self.assertEqual(_names(best), [5])
    self.assertEqual(self._resume(), {"step": 20})
    path = self._save(25, best=True)
    self.assertEqual(path, os.path.join(best, "model.ckpt-25"))
    self.assertEqual(_names(best), [25])
    self.assertEqual(_names(self._folder), [15, 20])

  def test_the_best_is_gone_on_from_where_it_is_the_newest(self):
    self._save(5)
    path = self._save(7, best=True)
    self.assertEqual(checkpoints.newest(self._folder), path)
    self.assertEqual(checkpoints.latest(self._folder),
                     os.path.join(self._folder, "model.ckpt-5"))
    self.assertEqual(self._resume(), {"step": 7})
    self.assertEqual(self._value(), [7, 0.5])

  def test_a_best_set_aside_is_the_best_no_more(self):
    self._save(5)
    for step in (3, 5, 5):
      self._save(step, best=True)
      self._checkpoints.set_best_aside()
    self.assertEqual(checkpoints.choose(self._folder, ""),
                     os.path.join(self._folder, "model.ckpt-5"))
    self.assertCountEqual(
        [name for name in os.listdir(self._folder) if "best" in name],
        ["best-until-3", "best-until-5", "best-until-5-again"])
    self._checkpoints.set_best_aside()  # There is none.
    path = self._save(9, best=True)
    self.assertEqual(checkpoints.choose(self._folder, ""), path)
    self.assertEqual(_names(os.path.join(self._folder, "best-until-3")), [3])

  @parameterized.parameters(float("nan"), float("inf"))
  def test_what_is_not_finite_is_not_saved(self, value):
    path = self._save(5)
    self._session.run(self._assign, {self._input: [1, value]})
    with self.assertRaisesRegex(
        checkpoints.CheckpointError, "^step 10: not saved, as x holds numbers "
        f"that are not finite; last good checkpoint: {path}$"):
      self._checkpoints.save(self._session, {}, 10)
    self.assertEqual(_names(self._folder), [5])

  def test_killed_saves_leave_nothing(self):
    self._save(5)
    for folder in (self._folder, os.path.join(self._folder, "best")):
      os.makedirs(folder, exist_ok=True)
      with open(os.path.join(
          folder, "model.ckpt-10.data-00000-of-00001.tempstate123"), "wb"):
        pass
    self._resume()
    self.assertEmpty([name for _, _, names in os.walk(self._folder)
                      for name in names if "tempstate" in name])

  def test_a_checkpoint_may_be_saved_again(self):
    self._save(5, {"a": 1})
    self._save(5, {"a": 2})
    self.assertEqual(self._resume(), {"a": 2})

  def test_a_moved_run_goes_on(self):
    self._save(5)
    self._save(5, best=True)
    moved = os.path.join(self.enter_context(tempfile.TemporaryDirectory()), "m")
    os.rename(self._folder, moved)
    os.mkdir(self._folder)  # To be removed in the end.
    self._folder, left = moved, self._folder
    self.assertEqual(self._resume(), {"step": 5})
    self._save(10)
    self.assertEqual(_names(moved), [5, 10])
    self.assertEqual(checkpoints.choose(moved, "best"),
                     os.path.join(moved, "best", "model.ckpt-5"))
    self.assertEmpty(os.listdir(left))

  @parameterized.named_parameters(
      ("missing", None), ("empty", b""),
      ("damaged", b"\0\xff{"),
      ("naming_what_is_gone", b'model_checkpoint_path: "model.ckpt-99"\n'))
  def test_latest_without_the_checkpoint_file(self, content):
    for step in (5, 15, 10):  # 10 is newest by time, 15 by its number.
      self._save(step)
    path = os.path.join(self._folder, "checkpoint")
    os.remove(path)
    if content is not None:
      with open(path, "wb") as file:
        file.write(content)
    self.assertEqual(checkpoints.latest(self._folder),
                     os.path.join(self._folder, "model.ckpt-15"))
    self.assertEqual(self._resume(), {"step": 15})

  @parameterized.named_parameters(
      ("index_cut_off", "model.ckpt-10.index", 10),
      ("index_empty", "model.ckpt-10.index", 0),
      ("data_missing", "model.ckpt-10.data-00000-of-00001", None))
  def test_latest_without_the_checkpoint_file_is_whole(self, name, size):
    for step in (5, 10):
      self._save(step)
    os.remove(os.path.join(self._folder, "checkpoint"))
    self._damage(name, size)
    self.assertEqual(self._resume(), {"step": 5})

  def _damage(self, name, size):
    path = os.path.join(self._folder, name)
    if size is None:
      os.remove(path)
      return
    with open(path, "r+b") as file:
      file.truncate(size)

  @parameterized.named_parameters(
      ("index_cut_off", "model.ckpt-10.index", 10, "not an sstable|too short"),
      ("index_empty", "model.ckpt-10.index", 0, "not an sstable|too short"),
      ("data_missing", "model.ckpt-10.data-00000-of-00001", None,
       "No such file"),
      ("data_cut_off", "model.ckpt-10.data-00000-of-00001", 1,
       "Read less bytes than requested"))
  def test_damage_is_one_line_that_says_what(self, name, size, reason):
    path = self._save(10)
    self._damage(name, size)
    with self.assertRaises(checkpoints.CheckpointError) as caught:
      self._new().restore(self._session, path)
    message = str(caught.exception)
    self.assertNotIn("\n", message)
    self.assertStartsWith(message, f"{path}: the checkpoint cannot be restored")
    self.assertRegex(message.removeprefix(path), reason)

  def test_flipped_bits_are_noticed(self):
    path = self._save(10)
    data = path + ".data-00000-of-00001"
    with open(data, "r+b") as file:
      content = bytearray(file.read())
      content[-1] ^= 1
      file.seek(0)
      file.write(content)
    with self.assertRaisesRegex(checkpoints.CheckpointError,
                                "Checksum does not match"):
      self._new().restore(self._session, path)

  def test_restore_names_what_a_checkpoint_lacks(self):
    path = self._save(10)
    with tf.Graph().as_default() as graph:
      tf.get_variable("x", [2])
      tf.get_variable("newcomer", [2])
      made = checkpoints.Checkpoints(self._folder)
      session = self.enter_context(sessions.open_session(graph))
      with self.assertRaisesRegex(checkpoints.CheckpointError,
                                  "newcomer") as caught:
        made.restore(session, path)
    self.assertNotIn("\n", str(caught.exception))

  def test_restore_matching_takes_what_fits(self):
    path = self._save(10, _STATE)
    with tf.Graph().as_default() as graph:
      fitting = tf.get_variable("x", initializer=[7.0, 7.0])
      other = tf.get_variable("y", initializer=[7.0])
      made = checkpoints.Checkpoints(self._folder)
      session = self.enter_context(sessions.open_session(graph))
      sessions.initialize(session)
      self.assertEqual(made.restore_matching(session, path), ["y"])
      self.assertAllEqual(session.run(fitting), [10, 0.5])
      self.assertAllEqual(session.run(other), [7])

  def test_restore_matching_leaves_other_shapes_alone(self):
    path = self._save(10)
    with tf.Graph().as_default() as graph:
      wider = tf.get_variable("x", initializer=[7.0] * 3)
      made = checkpoints.Checkpoints(self._folder)
      session = self.enter_context(sessions.open_session(graph))
      sessions.initialize(session)
      self.assertEqual(made.restore_matching(session, path), ["x"])
      self.assertAllEqual(session.run(wider), [7] * 3)

  def test_restore_matching_of_some_leaves_the_others_alone(self):
    with tf.Graph().as_default() as graph:
      variables = [tf.get_variable(name, initializer=1.0) for name in "abc"]
      made = checkpoints.Checkpoints(self._folder)
      session = self.enter_context(sessions.open_session(graph))
      sessions.initialize(session)
      path = made.save(session, {}, 10)
      for variable in variables:
        variable.load(2.0, session)
      self.assertEmpty(made.restore_matching(session, path, ["b"]))
      self.assertEqual(session.run(variables), [2, 1, 2])
      # What is not in the graph is wanted in vain.
      self.assertEmpty(made.restore_matching(session, path, ["d"]))
      self.assertEmpty(made.restore_matching(session, path, []))
      self.assertEqual(session.run(variables), [2, 1, 2])

  def test_restore_matching_names_those_of_the_wanted_that_are_not_there(self):
    path = self._save(10)
    with tf.Graph().as_default() as graph:
      for name in ("x", "y", "z"):
        tf.get_variable(name, initializer=[7.0, 7.0])
      made = checkpoints.Checkpoints(self._folder)
      session = self.enter_context(sessions.open_session(graph))
      sessions.initialize(session)
      self.assertEqual(made.restore_matching(session, path, ["x", "z"]), ["z"])
      # The state of a run is its own.
      self.assertEmpty(made.restore_matching(session, path, ["run_state"]))
      self.assertEqual(checkpoints.read_state(path), {"step": 10})
      self.assertEqual(session.run(tf.global_variables("run_state")), [b"{}"])

  def test_restore_matching_under_other_names(self):
    path = self._save(10)
    with tf.Graph().as_default() as graph:
      variables = [tf.get_variable(name, initializer=[7.0, 7.0])
                   for name in ("x", "y", "z", "u", "v")]
      made = checkpoints.Checkpoints(self._folder)
      session = self.enter_context(sessions.open_session(graph))
      sessions.initialize(session)
      # What is saved once may start several.
      self.assertEqual(made.restore_matching(
          session, path, {"x": "y", "y": "x", "z": "x", "u": "global_step"}),
                       ["x", "u"])
      self.assertAllEqual(session.run(variables), [
          [7, 7], [10, 0.5], [10, 0.5], [7, 7], [7, 7]])

  def test_shapes_in(self):
    self.assertEqual(checkpoints.shapes_in(self._save(10))["x"], [2])

  @parameterized.parameters("model.ckpt-9", "model.ckpt-10")
  def test_restore_matching_of_nothing_readable(self, name):
    self._save(10)
    self._damage("model.ckpt-10.index", 10)
    path = os.path.join(self._folder, name)
    with self.assertRaisesRegex(checkpoints.CheckpointError,
                                f"{name}: the checkpoint cannot be restored"
                                ) as caught:
      self._checkpoints.restore_matching(self._session, path)
    self.assertNotIn("\n", str(caught.exception))

  def test_what_cannot_be_written_is_one_line(self):
    with open(os.path.join(self._folder, "best"), "wb"):
      pass  # A file where the folder should be.
    with self.assertRaisesRegex(checkpoints.CheckpointError,
                                "best: no checkpoint can be written") as caught:
      self._save(5, best=True)
    self.assertNotIn("\n", str(caught.exception))


class ChooseTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self._folder = self.enter_context(tempfile.TemporaryDirectory())

  def _make(self, *names):
    for name in names:
      path = os.path.join(self._folder, name)
      os.makedirs(os.path.dirname(path), exist_ok=True)
      with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("x", initializer=1.0)
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, path, write_meta_graph=False)

  def _choose(self, which):
    return os.path.relpath(checkpoints.choose(self._folder, which),
                           self._folder)

  def test_the_best_if_there_is_one(self):
    self._make("model.ckpt-20")
    self.assertEqual(self._choose(""), "model.ckpt-20")
    self._make("best/model.ckpt-10")
    self.assertEqual(self._choose(""), "best/model.ckpt-10")
    self.assertEqual(self._choose("best"), "best/model.ckpt-10")
    self.assertEqual(self._choose("latest"), "model.ckpt-20")

  def test_a_path(self):
    self._make("model.ckpt-10", "model.ckpt-20")
    path = os.path.join(self._folder, "model.ckpt-10")
    self.assertEqual(checkpoints.choose(self._folder, path), path)
    self.assertEqual(checkpoints.choose("elsewhere", path), path)

  def test_none(self):
    with self.assertRaisesRegex(
        checkpoints.CheckpointError, f"^{self._folder}: found no checkpoint;"):
      self._choose("")
    with self.assertRaisesRegex(checkpoints.CheckpointError,
                                "found no checkpoint 'latest'; allowed: best, "
                                ):
      self._choose("latest")
    self._make("model.ckpt-20")
    with self.assertRaisesRegex(checkpoints.CheckpointError,
                                "found no checkpoint 'best'"):
      self._choose("best")
    with self.assertRaisesRegex(checkpoints.CheckpointError,
                                "found no checkpoint 'model.ckpt-5'; allowed"):
      self._choose("model.ckpt-5")


if __name__ == "__main__":
  absltest.main()

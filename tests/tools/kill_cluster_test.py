"""Tests for tools/kill_cluster.py, tools/local_cluster.py and what they share.

The processes are those of fake_cluster: whether a run survives what is done to
it is for the tool to find out; that it does find out is tested here.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from absl.testing import absltest

from tests import small_experiment
from tests.tools import fake_cluster
from tools import kill_cluster
from tools import local_cluster
from tools.clusters import disturbed
from tools.clusters import processes

_KILL = ["kill", "--config=small.pbtxt", "--model_dir=out", "--metric=late/auc",
         "--set=training.num_steps=40", "--seed=5"]


def _behave(steps=40, pace=0.01, auc=0.7, stay=(), lost=0, **more):
  with open("behaviour.json", "w", encoding="utf-8") as file:
    json.dump({"steps": steps, "pace": pace, "auc": auc, "stay": list(stay),
               "lost": lost,
               **{what: more.get(what, {}) for what in ("fail", "asked", "say")}
               }, file)


def _strike(ready, victim):
  """Returns a run struck once `ready`, which waits with the cluster, returns."""
  real, waits = processes.LocalCluster.wait, []

  def wait(cluster, seconds):
    waits.append(seconds)
    if len(waits) == 1:
      ready(cluster)
      return processes.not_done(seconds)
    return real(cluster, seconds)

  with absltest.mock.patch.object(processes.LocalCluster, "wait", wait):
    return disturbed.run(["--flag"], "run", 1, 2, "late/auc", 60,
                         disturbed.Blow(victim, 0))


def _all_are_at_work(cluster):
  for name in cluster.processes:
    while not _is_at_work(cluster.log_of(name)):
      time.sleep(0.01)


def _is_at_work(log):
  with open(log, encoding="utf-8") as file:
    lines = file.read().splitlines()
  # Before its second line a process does not hear signals yet.
  return len(lines) > (10 if "worker-0" in log else 1)


def _forget():
  for name in ("finished.json", "saved"):
    os.remove(os.path.join("run", name))


def _call(main, argv):
  out, err = io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    try:
      code = main(argv)
    except SystemExit as error:
      code = error.code
  return code, out.getvalue(), err.getvalue()


class ClusterToolsTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    folder = self.enterContext(tempfile.TemporaryDirectory())
    self.enterContext(contextlib.chdir(folder))
    # Children find the program in the folder that they are started from.
    paths = os.environ.get("PYTHONPATH")
    if paths is not None:
      del os.environ["PYTHONPATH"]
      self.addCleanup(os.environ.__setitem__, "PYTHONPATH", paths)
    fake_cluster.write(".")
    small_experiment.write(".", small_experiment.TEXT)
    _behave()

  def _cluster(self, **more):
    cluster = processes.LocalCluster(["--model_dir=run"], "run/logs", 1, 2,
                                     **more)
    self.addCleanup(cluster.stop)
    return cluster

  def test_kills_and_writes_what_it_found(self):
    code, out, _ = _call(kill_cluster.main, [
        *_KILL, "--times=asynchronous:1,all_reduce:1", "--victim=chief"])
    self.assertEqual(code, 0, out)
    self.assertIn("2 of 2 ended well", out)
    with open("out/kill_cluster.json", encoding="utf-8") as file:
      runs = json.load(file)
    self.assertEqual([run["strategy"] for run in runs],
                     ["asynchronous", "all_reduce"])
    for run in runs:
      self.assertEqual((run["victim"], run["step"], run["problem"]),
                       ("worker-0", 40, None))
      self.assertEqual(run["restarted"], ["worker-0"])
    with open("out/kill_cluster.md", encoding="utf-8") as file:
      self.assertLen([line for line in file if line.endswith("| well |\n")], 2)

  def test_the_moment_may_be_a_step(self):
    code, out, _ = _call(kill_cluster.main, [
        *_KILL, "--times=synchronous:1", "--victim=chief", "--at_steps"])
    self.assertEqual(code, 0, out)
    with open("out/kill_cluster.json", encoding="utf-8") as file:
      run, = json.load(file)
    self.assertBetween(run["after_step"], 1, 36)
    self.assertGreaterEqual(run["at_step"], run["after_step"])
    self.assertEqual(run["restarted"], ["worker-0"])

  def test_a_run_that_is_cut_short_is_no_good_one(self):
    _behave(steps=39)
    code, out, _ = _call(kill_cluster.main, [
        *_KILL, "--times=synchronous:1", "--victim=worker"])
    self.assertEqual(code, 1)
    self.assertIn("39 steps, not 40", out)

  def test_a_run_that_is_over_before_its_moment_is_done_again(self):
    _behave(pace=0.05)
    whole, moments = disturbed.run, []

    def run(*args):
      # The first one that is to be disturbed ends before.
      if args[-1] is not None:
        moments.append(args[-1].moment)
      return whole(*args[:-1], args[-1] and args[-1]._replace(
          moment=30 if len(moments) == 1 else 0.2))

    self.enterContext(absltest.mock.patch.object(disturbed, "run", run))
    code, out, _ = _call(kill_cluster.main, [
        *_KILL, "--times=synchronous:1", "--victim=worker"])
    self.assertEqual((code, len(moments)), (0, 2), out)
    self.assertIn("over before\n  1 synchronous  worker-1", out)

  def test_a_run_too_short_to_be_disturbed(self):
    whole = disturbed.run
    self.enterContext(absltest.mock.patch.object(
        disturbed, "run", lambda *args: whole(*args[:-1], None)))
    self.enterContext(absltest.mock.patch.object(kill_cluster, "_TRIES", 2))
    code, _, err = _call(kill_cluster.main, [
        *_KILL, "--times=synchronous:1", "--victim=worker"])
    self.assertEqual((code, err), (
        2, "--config: synchronous: 2 runs in a row were over before anybody "
        "was killed; allowed: a longer run\n"))

  def test_who_ends_at_the_moment_of_the_blow_is_not_killed(self):
    real = subprocess.Popen.kill

    def kill(process):
      # WNOWAIT leaves it to be found by whoever asks next.
      os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
      real(process)

    with absltest.mock.patch.object(subprocess.Popen, "kill", kill):
      ran = _strike(_all_are_at_work, "worker-0")
    self.assertEqual((ran.problem, ran.struck, ran.restarted),
                     (None, False, ()))

  def test_all_that_are_asked_to_end_go_on_together(self):
    _behave(pace=0.05)
    ran = _strike(_all_are_at_work, "all")
    self.assertEqual((ran.problem, ran.step, ran.struck), (None, 40, True))
    self.assertCountEqual(ran.restarted, ["ps-0", "worker-0", "worker-1"])
    self.assertGreaterEqual(ran.went_on_from, 9)
    self.assertGreaterEqual(ran.at_step, 9)
    self.assertBetween(ran.ended_within, 0, processes.GRACE)

  def test_ends_that_are_no_good(self):
    for behaviour, grace, problem in (
        ({"lost": 5}, None, r"went on from step \d+, though \d+ were done"),
        ({"asked": {"worker-1": 0}}, None,
         "worker-1 ended with 0 after SIGTERM: .*"),
        ({"asked": {"ps-0": None}}, 3.0, "ps-0 runs 3 s after SIGTERM"),
        ({"say": {"worker-1": "Traceback (most recent call last):"}}, None,
         "the log of worker-1 holds a traceback")):
      with self.subTest(problem), absltest.mock.patch.object(
          processes, "GRACE", grace or processes.GRACE):
        shutil.rmtree("run", ignore_errors=True)
        _behave(pace=0.05, **behaviour)
        ran = _strike(_all_are_at_work, "all")
        self.assertRegex(ran.problem, f"^{problem}$")

  def test_refusals(self):
    for flags, line in (
        (["--times=often"], "--times: found 'often'; allowed: one of "
         "asynchronous, synchronous, all_reduce, a colon, and a number"),
        (["--times=synchronous:1", "--set=training={num_epochs: 1}"],
         "--config: found no training.num_steps; required")):
      code, _, err = _call(kill_cluster.main, [*_KILL, *flags])
      self.assertEqual((code, err), (2, line + "\n"))

  def test_what_is_killed_is_started_again_and_what_fails_is_not(self):
    cluster = self._cluster(restart=True)
    cluster.processes["ps-0"].send_signal(signal.SIGKILL)
    self.assertIsNone(cluster.wait(30))
    self.assertEqual(cluster.restarted, ["ps-0"])
    _behave(fail={"worker-1": 1})
    _forget()
    self.assertEqual(self._cluster(restart=True).wait(30),
                     "worker-1 ended with 1: has failed")

  def test_nothing_is_left_over_unseen(self):
    _behave(stay=["worker-1"])
    cluster = self._cluster()
    self.enterContext(absltest.mock.patch.object(processes, "GRACE", 1.0))
    self.assertEqual(cluster.wait(30),
                     "worker-1 runs 1 s after the chief has ended")
    # What it has become is no program of Python, and known all the same.
    self.assertEqual(cluster.left_over(), [cluster.processes["worker-1"].pid])
    cluster.stop()
    self.assertEmpty(cluster.left_over())

  def test_local_cluster(self):
    code, out, err = _call(local_cluster.main, [
        "local", "--config=small.pbtxt", "--model_dir=run", "--evaluator"])
    self.assertEqual((code, err), (0, ""))
    self.assertIn("4 processes; logs in run/logs", out)
    self.assertCountEqual(os.listdir("run/logs"), [
        "ps-0.log", "worker-0.log", "worker-1.log", "evaluator-0.log"])
    _behave(fail={"evaluator-0": 2})
    _forget()
    code, out, err = _call(local_cluster.main, [
        "local", "--config=small.pbtxt", "--model_dir=run", "--evaluator"])
    self.assertEqual((code, err),
                     (1, "evaluator-0 ended with 2: has failed\n"))

  def test_local_cluster_is_asked_to_end(self):
    self.addCleanup(signal.signal, signal.SIGTERM,
                    signal.getsignal(signal.SIGTERM))
    with absltest.mock.patch.object(processes, "LocalCluster") as cluster:
      cluster().wait.side_effect = lambda: os.kill(os.getpid(), signal.SIGTERM)
      code, _, err = _call(local_cluster.main, [
          "local", "--config=small.pbtxt", "--model_dir=run",
          "--allow_python=json,math"])
    self.assertEqual((code, err), (143, "stopped by SIGTERM\n"))
    self.assertIn("--allow_python=json,math", cluster.call_args.args[0])
    cluster().stop.assert_called_once_with()


if __name__ == "__main__":
  absltest.main()

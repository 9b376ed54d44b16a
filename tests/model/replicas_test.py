"""Tests of workers that are slow: what of theirs counts, and what does not."""

import threading

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import batches
from mtl_graph.model import averages
from mtl_graph.model import replicas
from mtl_graph.ops import task_losses
from tests.model import resident_run

_DEVICE = "/job:localhost/task:0"
_ROWS = np.array([[1, 2], [-3, 5], [8, -13]], np.float64)
_PENALTY = 0.5
_EXPERIMENT = """
name: "small" seed: 5
data { batch_size: 8 feature { name: "x" numeric { size: 3 } } }
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: TANH } } } }
  task { name: "a" regression {} label {} }
}
training {
  num_steps: 10
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.02 } } }
}
"""


def _data():
  random = np.random.default_rng(0)
  return batches.Batch(*[random.normal(size=[20, width]).astype(dtype)
                         for width, dtype in ((3, np.float32), (0, np.int32),
                                              (1, np.float32))],
                       np.ones([20, 1], np.float32))


class _Worker:
  """One of three that fit a number to rows, of which some need not be there.

  Its loss is the mean of (w - x)^2 over the rows of all, squared, and a penalty.
  Its gradient waits at a gate, if asked to.
  """

  def __init__(self, server, rank, backup=1, sparse=False):
    self._graph = tf.Graph()
    with self._graph.as_default(), tf.device(_DEVICE):
      w = tf.get_variable("w", [1], initializer=tf.ones_initializer())
      replica = replicas.Synchronous(3, rank, _DEVICE, _DEVICE, backup)
      self.step = tf.placeholder(tf.int64, [])
      start = [w.initializer, replica.base.initializer,
               replica.first.initializer]
      read = tf.gather(w, [0]) if sparse else w.read_value()
      losses = {"t": task_losses.TaskLoss(
          tf.reduce_sum((read - _ROWS[rank].astype(np.float32)) ** 2),
          tf.constant(2.0))}
      shared = replica.share(losses, self.step)["t"]
      loss = ((shared.sum / shared.weight) ** 2
              + _PENALTY * tf.reduce_sum(read ** 2))
      gate = tf.FIFOQueue(9, [tf.int64], [[]], shared_name=f"gate/{rank}")
      self._open = gate.enqueue(tf.constant(0, tf.int64))
      gradient = tf.gradients(loss, w)[0]
      with tf.control_dependencies([gradient]):
        passed = gate.dequeue()
      with tf.control_dependencies([passed]):
        given = {"g": [tf.IndexedSlices(
            tf.identity(gradient.values), gradient.indices,
            gradient.dense_shape) if sparse else tf.identity(gradient)]}
      if replica.applies:
        self._result = tf.convert_to_tensor(
            replica.average(given, {"g": [w]}, self.step)["g"][0])
        with tf.control_dependencies([self._result]):
          self._published = replica.publish(self.step)
        self._start_over = replica.start_over()
      else:
        self._result = replica.hand_in(given, {"g": [w]}, self.step)
      # The ops by which it has handed in its losses, and its gradient.
      self._pushes = {scope: [
          op for op in self._graph.get_operations() if op.name.startswith(scope)
          and op.type == "ResourceScatterUpdate"]
                      for scope in ("share_losses", "hand_in")}
      # Of which step the chief has last told the sums of the losses.
      self._told = next(
          v for v in self._graph.get_collection("cluster")
          if v.op.name == "cluster/told/losses").read_value()
      # What says to a worker that there is something to hear.
      self._words = {name: tf.raw_ops.QueueDequeueV2(
          handle=op.outputs[0], component_types=[tf.int64])
                     for op in self._graph.get_operations()
                     for name in ("losses", "done") if op.type == "FIFOQueueV2"
                     and op.get_attr("shared_name").decode()
                     == f"cluster/{name}/{rank}"}
    # Who waits for what does not come is not to wait for ever.
    self.session = tf.Session(server.target, graph=self._graph,
                              config=tf.ConfigProto(
                                  operation_timeout_in_ms=20000))
    self.session.run(start)

  def start_over(self):
    """Has all begin at step 0; the chief does it."""
    self.session.run(self._start_over)

  def open(self):
    """Lets one gradient pass."""
    self.session.run(self._open)

  def wait_to_be_told(self, step):
    """Waits until the chief has said whose losses a step is of."""
    while self.session.run(self._told) < step:
      pass

  def die_hearing(self, name):
    """Takes out what says that there is something to hear, and no more."""
    self.session.run(self._words[name])

  def push(self, step, scope="hand_in"):
    """Hands in a gradient, or losses, as `run` does, and waits for no more."""
    self.session.run(self._pushes[scope], {self.step: step})

  def run(self, step, results):
    """Takes its part in a step, in a thread; of the chief, adds the gradient."""
    def take_part():
      fetches = [self._result, getattr(self, "_published", self._result)]
      results.append(self.session.run(fetches, {self.step: step})[0])
    thread = threading.Thread(target=take_part)
    thread.start()
    return thread


def _expected(ranks):
  """Returns the gradient at w = 1 over the rows of some, in float64."""
  rows = _ROWS[list(ranks)].ravel()
  return (2 * np.mean((1 - rows) ** 2) * np.mean(2 * (1 - rows))
          + 2 * _PENALTY)


class BackupWorkersTest(tf.test.TestCase):

  def test_the_step_is_of_those_in_time_and_of_nobody_twice(self):
    server = tf.train.Server.create_local_server()
    chief, second, third = [_Worker(server, rank) for rank in range(3)]
    chief.start_over()
    for step, early, late in ((0, second, third), (1, third, second)):
      found, nothing = [], []
      threads = [early.run(step, nothing)]
      chief.open()
      threads.append(chief.run(step, found))
      late.wait_to_be_told(step)
      # The late one's gradient is there before that of who was in time.
      late.open()
      late.push(step)
      early.open()
      for thread in threads:
        thread.join()
      ranks = (0, 1) if early is second else (0, 2)
      self.assertAllClose(found[0], [_expected(ranks)], rtol=1e-6)
      # Who is late ends its step as well.
      late.open()
      late.run(step, nothing).join()


class ReturningWorkerTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters((0, False), (0, True), (1, False))
  def test_who_comes_back_counts_once(self, backup, sparse):
    server = tf.train.Server.create_local_server()
    chief, second, third = [_Worker(server, rank, backup, sparse)
                            for rank in range(3)]
    chief.start_over()
    for step in range(2):
      found, nothing = [], []
      second.push(step, "share_losses")
      second = _Worker(server, 1, backup, sparse)
      second.push(step, "share_losses")
      threads = [chief.run(step, found)]
      if not backup:
        threads.append(third.run(step, nothing))
        third.open()
      for _ in range(2):
        second.open()
        second.push(step)
        second = _Worker(server, 1, backup, sparse)
      second.open()
      threads.append(second.run(step, nothing))
      chief.open()
      for thread in threads:
        thread.join()
      self.assertAllClose(
          found, [[_expected((0, 1) if backup else (0, 1, 2))]],
                          rtol=1e-6)


  def test_nothing_is_lost_with_who_dies_as_it_hears(self):
    server = tf.train.Server.create_local_server()
    chief, second, third = [_Worker(server, rank, 0) for rank in range(3)]
    chief.start_over()
    for step in range(2):
      found, nothing = [], []
      second.push(step, "share_losses")
      threads = [third.run(step, nothing), chief.run(step, found)]
      third.open()
      second.wait_to_be_told(step)
      second.die_hearing("losses")
      second = _Worker(server, 1, 0)
      second.open()
      second.push(step)
      chief.open()
      second.die_hearing("done")
      second = _Worker(server, 1, 0)
      second.open()
      threads.append(second.run(step, nothing))
      for thread in threads:
        thread.join()
      self.assertLen(nothing, 2)
      self.assertAllClose(found, [[_expected((0, 1, 2))]], rtol=1e-6)


def _behind(op):
  """Returns all ops that have run before one does, itself among them."""
  found, todo = set(), [op]
  while todo:
    op = todo.pop()
    if op not in found:
      found.add(op)
      todo += [t.op for t in op.inputs] + op.control_inputs
  return found


class StalenessTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters((0, 0), (2, 0), (2, 1), (2, 2), (None, 4))
  def test_a_gradient_that_has_missed_too_much_changes_nothing(self, most,
                                                               missed):
    run = resident_run.ResidentRun(
        resident_run.parse(
            _EXPERIMENT, "training.moving_average={ decay: 0.5 }"), _data(),
        replica=lambda global_step: replicas.Asynchronous(
            "/cpu:0", global_step, most))
    before = run.train(5)
    for more in range(missed, missed + 2):
      # As if `more` updates had come since the step was read.
      run.session.run(run.step.train_op, {run.counters[0]: 5 - more})
      after = run.values()
      if most is not None and more > most:
        self.assertEmpty(resident_run.changed(before, after))
      else:
        self.assertContainsSubset(["trunk/dense/kernel", "head/a/kernel",
                                   averages.name_of("head/a/kernel"),
                                   "global_step"],
                                  resident_run.changed(before, after))
        self.assertEqual(after["global_step"], 6)
      run.load(before)

  def test_variables_are_read_behind_the_step_that_a_gradient_claims(self):
    run = resident_run.ResidentRun(
        resident_run.parse(_EXPERIMENT), _data(), replica=lambda global_step:
        replicas.Asynchronous("/cpu:0", global_step, 2))
    handles = {v.handle.op for v in run.model.graph.get_collection(
        tf.GraphKeys.TRAINABLE_VARIABLES)}
    reads = [op for op in _behind(run.step.report.op)
             if op.type == "ReadVariableOp" and op.inputs[0].op in handles]
    self.assertLen({op.inputs[0].op for op in reads}, len(handles))
    for op in reads:
      self.assertIn(run.counters[0].op, _behind(op), op.name)


if __name__ == "__main__":
  absltest.main()

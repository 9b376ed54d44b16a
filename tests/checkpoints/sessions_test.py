"""Tests of opening sessions."""

import os
import subprocess
import sys
import threading
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import sessions
from mtl_graph.protos import training_pb2

# Prints how many threads the process has once a session has run a step.
_COUNT_THREADS = """
import os
import sys
import tensorflow.compat.v1 as tf
from mtl_graph.checkpoints import sessions
from mtl_graph.protos import training_pb2
execution = training_pb2.Execution(intra_op_threads=int(sys.argv[1]),
                                   inter_op_threads=2)
late = sys.argv[2:] == ["late"]
if not late:
  assert sessions.set_threads(execution) is None
if sys.argv[2:] == ["another"]:
  tf.Session(graph=tf.Graph(), config=tf.ConfigProto(
      intra_op_parallelism_threads=3, inter_op_parallelism_threads=1)).close()
with tf.Graph().as_default() as graph:
  x = tf.random.stateless_normal([8, 8], [1, 2])
  y = tf.cond(x[0, 0] > 0, lambda: tf.matmul(x, x), lambda: x)
if late:
  print(sessions.set_threads(execution))
with sessions.open_session(graph, execution) as session:
  session.run(y)
  print(len(os.listdir("/proc/self/task")))
"""


class SessionsTest(tf.test.TestCase):

  def test_initialize_fills_variables_and_tables_but_not_local_ones(self):
    with tf.Graph().as_default() as graph:
      variable = tf.get_variable("x", initializer=3.0)
      local = tf.get_variable("y", initializer=4.0, collections=[
          tf.GraphKeys.LOCAL_VARIABLES])
      table = tf.lookup.StaticHashTable(
          tf.lookup.KeyValueTensorInitializer(["a"], [7]), -1)
      found = table.lookup(tf.constant(["a", "b"]))
      uninitialized = tf.report_uninitialized_variables([variable, local])
    # Outside of the graph's context, as the loop calls it.
    with sessions.open_session(graph) as session:
      sessions.initialize(session)
      self.assertEqual(session.run(variable), 3)
      self.assertAllEqual(session.run(found), [7, -1])
      self.assertAllEqual(session.run(uninitialized), [b"y"])

  def test_initialize_needs_no_variables(self):
    graph = tf.Graph()
    with sessions.open_session(graph) as session:
      sessions.initialize(session)
      self.assertIs(session.graph, graph)

  def test_what_is_fetched_beside_a_number_does_not_change_its_bits(self):
    with tf.Graph().as_default() as graph:
      x = tf.random.stateless_normal([64, 300], [1, 2])
      w = tf.random.stateless_normal([300, 200], [3, 4])
      b = tf.random.stateless_normal([200], [5, 6])
      inner = tf.nn.bias_add(tf.matmul(x, w), b)
      outer = tf.nn.relu(inner)
      loss = tf.reduce_mean(tf.square(outer))
      gradient, = tf.gradients(loss, w)
    with sessions.open_session(graph) as session:
      alone = session.run(gradient)
      beside = session.run([gradient, inner, outer, loss])[0]
    self.assertEqual(alone.tobytes(), beside.tobytes())


class SessionConfigTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    # Whatever runs before in this process may have set.
    self.enter_context(mock.patch.object(
        tf.config.threading, "get_intra_op_parallelism_threads",
        return_value=0))

  def test_an_empty_message_changes_two_settings_only(self):
    expected = tf.ConfigProto(allow_soft_placement=True)
    expected.graph_options.rewrite_options.disable_meta_optimizer = True
    found = sessions.session_config(training_pb2.Execution())
    # Presence of a message without fields set aside.
    found.gpu_options.SetInParent()
    expected.gpu_options.SetInParent()
    self.assertEqual(found, expected)

  @parameterized.named_parameters(
      ("soft_placement", {"allow_soft_placement": False},
       lambda c: c.allow_soft_placement, False),
      ("log", {"log_device_placement": True},
       lambda c: c.log_device_placement, True),
      ("intra_op", {"intra_op_threads": 3},
       lambda c: c.intra_op_parallelism_threads, 3),
      ("inter_op", {"inter_op_threads": 5},
       lambda c: [p.num_threads for p in c.session_inter_op_thread_pool], [5]),
      ("no_inter_op", {}, lambda c: list(c.session_inter_op_thread_pool), []),
      ("growth", {"gpu_allow_growth": True},
       lambda c: c.gpu_options.allow_growth, True),
      ("memory", {"gpu_memory_fraction": 0.25},
       lambda c: c.gpu_options.per_process_gpu_memory_fraction, 0.25),
      ("grappler_stays_off", {"intra_op_threads": 1},
       lambda c: c.graph_options.rewrite_options.disable_meta_optimizer, True),
  )
  def test_field(self, fields, setting, expected):
    config = sessions.session_config(training_pb2.Execution(**fields))
    self.assertEqual(setting(config), expected)

  def test_every_field_is_used_or_not_the_session_s(self):
    fields = {f.name for f in training_pb2.Execution.DESCRIPTOR.fields}
    default = sessions.session_config(training_pb2.Execution())
    unused = set()
    for field in training_pb2.Execution.DESCRIPTOR.fields:
      other = training_pb2.Execution(**{
          field.name: ["cpu:0", "cpu:1"] if field.is_repeated
          else not field.default_value
          if field.cpp_type == field.CPPTYPE_BOOL else 1})
      if sessions.session_config(other) == default:
        unused.add(field.name)
    self.assertEqual(unused, fields & {"mode", "steps_per_block"})

  @parameterized.named_parameters(("one", 1), ("three", 3))
  def test_threads_side_by_side_are_each_session_s_own(self, count):
    lock, together = threading.Lock(), threading.Barrier(count, timeout=60)
    running = {"now": 0, "most": 0}
    def work(x):
      with lock:
        running["now"] += 1
        running["most"] = max(running.values())
      together.wait()  # Breaks unless as many run side by side.
      with lock:
        running["now"] -= 1
      return x
    with tf.Graph().as_default() as graph:
      results = [tf.numpy_function(work, [tf.constant(float(i))], tf.float32)
                 for i in range(3)]
    with tf.Session(graph=graph):
      pass  # The first session of the process has made the pool of them all.
    with sessions.open_session(graph, training_pb2.Execution(
        inter_op_threads=count)) as session:
      self.assertEqual(session.run(results), [0, 1, 2])
    self.assertEqual(running, {"now": 0, "most": count})

  def test_a_session_with_other_settings_runs(self):
    with tf.Graph().as_default() as graph:
      y = tf.constant(1.0) + 2.0
    with sessions.open_session(graph, training_pb2.Execution(
        log_device_placement=True, gpu_allow_growth=True,
        gpu_memory_fraction=0.5, intra_op_threads=1)) as session:
      self.assertEqual(session.run(y), 3)


class SetThreadsTest(absltest.TestCase):

  def _run(self, *arguments):
    path = os.pathsep.join(os.path.abspath(p or ".") for p in sys.path)
    return subprocess.Popen(
        [sys.executable, "-c", _COUNT_THREADS, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        # Without Keras, which TensorFlow would import along.
        env={**os.environ, "PYTHONPATH": path, "TF_USE_LEGACY_KERAS": "1"})

  def test_an_op_gets_as_many_threads_as_were_set_first(self):
    if not os.path.isdir("/proc/self/task"):
      self.skipTest("no /proc to count threads in")
    processes = [self._run("1"), self._run("7"), self._run("7", "another")]
    few, many, still = [int(p.communicate()[0]) for p in processes]
    self.assertEqual(many - few, 6)
    # That other session has a thread of its own for what runs side by side.
    self.assertBetween(still - few, 6, 7)

  def test_too_late_is_said(self):
    said, _ = self._run("7", "late").communicate()
    self.assertStartsWith(
        said, "warning: training.execution.intra_op_threads: found 7, but this "
        "process has run TensorFlow with another number already, which stays")

  def test_nothing_set_changes_nothing(self):
    before = tf.config.threading.get_intra_op_parallelism_threads()
    self.assertIsNone(sessions.set_threads(training_pb2.Execution(
        inter_op_threads=3)))
    self.assertEqual(tf.config.threading.get_intra_op_parallelism_threads(),
                     before)


if __name__ == "__main__":
  absltest.main()

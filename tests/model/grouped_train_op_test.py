"""Tests of the train_op with an optimizer per group."""

import os
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

import mtl_graph
from mtl_graph.model import grouped_train_op as grouped

_INPUTS = np.random.default_rng(0).normal(size=[8, 3]).astype(np.float32)
_RATES = {"shared": 0.001, "a": 0.01, "b": 0.0005}


def _session():
  exact = tf.ConfigProto()
  exact.graph_options.rewrite_options.disable_meta_optimizer = True
  return tf.Session(config=exact)


def _dense(inputs, name, units, use_resource):
  kernel = tf.get_variable(
      f"{name}/kernel", use_resource=use_resource, initializer=tf.constant(
          np.linspace(-1, 1, inputs.shape[1] * units).reshape(
              [-1, units]).astype(np.float32)))
  bias = tf.get_variable(f"{name}/bias", [units], use_resource=use_resource,
                         initializer=tf.zeros_initializer())
  return tf.tanh(tf.matmul(inputs, kernel) + bias), [kernel, bias]


class _Model:
  """Two tasks on one trunk, as a script of its own would build them."""

  def __init__(self, use_resource=True):
    self.trunk, shared = _dense(tf.constant(_INPUTS), "trunk", 4, use_resource)
    self.estimate, a = _dense(self.trunk, "a", 1, use_resource)
    self.b, b = _dense(tf.concat([self.trunk, self.estimate], 1), "b", 1,
                       use_resource)
    self.variables = {"shared": shared, "a": a, "b": b}
    self.loss_a = tf.reduce_mean(tf.square(self.estimate - 0.3))
    self.loss_b = tf.reduce_mean(tf.square(self.b + 0.2))
    self.loss = self.loss_a + self.loss_b

  def groups(self, rates=None, **kwargs):
    rates = rates or _RATES
    return [grouped.VariableGroup(
        name, self.variables[name], tf.train.AdamOptimizer(rate), **kwargs)
            for name, rate in rates.items()]


def _by_hand(model, step):
  """The document's pattern, to the letter."""
  shared, a, b = model.variables.values()
  gradients = tf.gradients(model.loss, shared + a + b)
  shared_gradients = gradients[:len(shared)]
  a_gradients = gradients[len(shared):len(shared) + len(a)]
  b_gradients = gradients[len(shared) + len(a):]
  with tf.control_dependencies(gradients):
    updates = [
        tf.train.AdamOptimizer(_RATES["shared"]).apply_gradients(
            zip(shared_gradients, shared)),
        tf.train.AdamOptimizer(_RATES["a"]).apply_gradients(
            zip(a_gradients, a)),
        tf.train.AdamOptimizer(_RATES["b"]).apply_gradients(
            zip(b_gradients, b))]
  with tf.control_dependencies(updates):
    return tf.group(*updates, step.assign_add(1))


def _train(make_train_op, use_resource=True, steps=20):
  """Returns the variables by name after some steps, and global_step."""
  with tf.Graph().as_default(), _session() as session:
    model = _Model(use_resource)
    step = tf.get_variable("global_step", [], tf.int64, trainable=False,
                           initializer=tf.zeros_initializer(),
                           use_resource=use_resource)
    train_op = make_train_op(model, step)
    session.run(tf.global_variables_initializer())
    for _ in range(steps):
      session.run(train_op)
    return {v.op.name: session.run(v) for v in tf.global_variables()}


class GroupedTrainOpTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(True, False)
  def test_equals_the_pattern_by_hand_to_the_bit(self, use_resource):
    found = _train(lambda model, step: grouped.grouped_train_op(
        model.loss, model.groups(), step), use_resource)
    expected = _train(_by_hand, use_resource)
    self.assertEqual(expected["global_step"], 20)
    for name in list(_weights(expected)) + ["global_step"]:
      self.assertAllEqual(found[name], expected[name])
      slot = f"optimizer/{name.split('/')[0]}/{name}/Adam"
      slot = slot.replace("optimizer/trunk", "optimizer/shared")
      if name != "global_step":
        self.assertAllEqual(found[slot], expected[f"{name}/Adam"])
        self.assertAllEqual(found[f"{slot}_1"], expected[f"{name}/Adam_1"])

  def test_is_public(self):
    self.assertIs(mtl_graph.grouped_train_op, grouped.grouped_train_op)
    self.assertIs(mtl_graph.VariableGroup, grouped.VariableGroup)

  @parameterized.parameters(True, False)
  def test_state_is_scoped_by_group(self, use_resource):
    found = _train(lambda model, step: grouped.grouped_train_op(
        model.loss, model.groups(), step), use_resource, steps=0)
    self.assertCountEqual(
        [name for name in found if name.startswith("optimizer/")],
        [f"optimizer/{group}/{scope}/{part}/{slot}"
         for group, scope in (("shared", "trunk"), ("a", "a"), ("b", "b"))
         for part in ("kernel", "bias") for slot in ("Adam", "Adam_1")]
        + [f"optimizer/{group}/{power}" for group in _RATES
           for power in ("beta1_power", "beta2_power")])

  def test_name_scope_changes_no_name_of_a_variable(self):
    def make(model, step):
      with tf.name_scope("training"):
        return grouped.grouped_train_op(model.loss, model.groups(), step)
    self.assertCountEqual(_train(make, steps=0), _train(
        lambda model, step: grouped.grouped_train_op(
            model.loss, model.groups(), step), steps=0))

  @parameterized.parameters(True, False)
  def test_no_group_reads_what_another_has_updated(self, use_resource):
    # With plain descent at a rate of 1, one step is initial minus gradient.
    def make(model, step):
      groups = [grouped.VariableGroup(
          name, variables, tf.train.GradientDescentOptimizer(1.0))
                for name, variables in model.variables.items()]
      return grouped.grouped_train_op(model.loss, groups, step)
    for _ in range(5):
      found = _train(make, use_resource, steps=1)
      with tf.Graph().as_default(), _session() as session:
        model = _Model(use_resource)
        variables = sum(model.variables.values(), [])
        session.run(tf.global_variables_initializer())
        for v, g in zip(variables, tf.gradients(model.loss, variables)):
          value, gradient = session.run([v, g])
          self.assertAllClose(found[v.op.name], value - gradient, rtol=1e-6)

  def test_without_global_step(self):
    found = _train(lambda model, step: grouped.grouped_train_op(
        model.loss, model.groups()), steps=3)
    self.assertEqual(found["global_step"], 0)

  def test_variable_that_the_loss_misses_stays(self):
    def make(model, step):
      unused = tf.get_variable("a/unused", [2])
      model.variables["a"].append(unused)
      return grouped.grouped_train_op(model.loss, model.groups(), step)
    before, after = _train(make, steps=0), _train(make, steps=3)
    self.assertNotIn("optimizer/a/a/unused/Adam", after)
    self.assertNotAllEqual(before["a/kernel"], after["a/kernel"])

  def test_clip_norm_limits_the_joint_norm_of_each_group(self):
    def make(clip_norm):
      def train_op(model, step):
        groups = [grouped.VariableGroup(
            name, variables, tf.train.GradientDescentOptimizer(1.0), clip_norm)
                  for name, variables in model.variables.items()]
        return grouped.grouped_train_op(model.loss, groups, step)
      return train_op
    before = _train(make(None), steps=0)
    moved = {}
    for clip_norm in (None, 0.05):
      after = _train(make(clip_norm), steps=1)
      for group, scope in (("shared", "trunk"), ("a", "a"), ("b", "b")):
        moved[clip_norm, group] = np.concatenate(
            [(after[name] - before[name]).ravel()
             for name in (f"{scope}/kernel", f"{scope}/bias")])
    for group in _RATES:
      free = moved[None, group]
      norm = np.linalg.norm(free)
      self.assertGreater(norm, 0.05)
      self.assertAllClose(moved[0.05, group], free * 0.05 / norm, rtol=1e-4,
                          atol=1e-6)

  def test_a_row_read_twice_has_one_norm(self):
    # Two slices of (3, 4) add up to a row of norm 10, not to two of norm 5.
    with tf.Graph().as_default(), _session() as session:
      table = tf.get_variable("table", initializer=tf.zeros([3, 2]))
      loss = tf.reduce_sum(tf.gather(table, [1, 1]) * [[3.0, 4.0]])
      train_op = grouped.grouped_train_op(loss, [grouped.VariableGroup(
          "table", [table], tf.train.GradientDescentOptimizer(1.0),
          clip_norm=5.0)])
      session.run(tf.global_variables_initializer())
      session.run(train_op)
      self.assertAllClose(session.run(table), [[0, 0], [-3, -4], [0, 0]])

  def test_clip_norm_may_differ_by_group(self):
    found = _train(lambda model, step: grouped.grouped_train_op(
        model.loss, [
            grouped.VariableGroup("shared", model.variables["shared"],
                                  tf.train.AdamOptimizer(0.1), 1e-3),
            grouped.VariableGroup("rest", model.variables["a"]
                                  + model.variables["b"],
                                  tf.train.GradientDescentOptimizer(0.1))],
        step), steps=1)
    self.assertIn("optimizer/shared/trunk/kernel/Adam", found)

  @parameterized.parameters(True, False)
  def test_runs_under_disable_v2_behavior(self, use_resource):
    # Switched off for a whole process, hence a process of its own.
    script = f"""
import numpy as np, tensorflow.compat.v1 as tf
tf.disable_v2_behavior()
import mtl_graph
x = tf.placeholder(tf.float32, [None, 3])
def layer(x, name, units):
  with tf.variable_scope(name, use_resource={use_resource}):
    kernel = tf.get_variable("kernel", [int(x.shape[1]), units])
    bias = tf.get_variable("bias", [units], initializer=tf.zeros_initializer())
    return tf.matmul(x, kernel) + bias
trunk = tf.nn.relu(layer(x, "trunk", 8))
loss = tf.add_n([tf.reduce_mean(tf.square(layer(trunk, name, 1) - 1))
                 for name in "ab"])
groups = [mtl_graph.VariableGroup(
    name, tf.trainable_variables(scope), tf.train.AdamOptimizer(rate))
    for name, scope, rate in (("shared", "trunk/", 0.01), ("a", "a/", 0.1),
                              ("b", "b/", 0.0))]
step = tf.train.get_or_create_global_step()
train_op = mtl_graph.grouped_train_op(loss, groups, step)
with tf.Session() as session:
  session.run(tf.global_variables_initializer())
  feed = {{x: np.ones([4, 3])}}
  before = session.run([loss, tf.trainable_variables()], feed)
  for _ in range(10):
    session.run(train_op, feed)
  after = session.run([loss, tf.trainable_variables()], feed)
assert tf.resource_variables_enabled() is False
kinds = {{v.op.type for v in tf.trainable_variables()}}
assert kinds == {{"VarHandleOp" if {use_resource} else "VariableV2"}}, kinds
assert after[0] < before[0], (before[0], after[0])
same = [(p == q).all() for p, q in zip(before[1], after[1])]
assert same == [False] * 4 + [True] * 2, same
print("slots:", *sorted(v.op.name for v in tf.global_variables()
                        if v.op.name.startswith("optimizer/a/")))
"""
    root = os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__))))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, text=True, timeout=120,
        capture_output=True, check=False,
        # Without Keras, which TensorFlow would import along.
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3",
             "TF_USE_LEGACY_KERAS": "1"})
    self.assertEqual(done.returncode, 0, done.stderr[-2000:])
    self.assertIn(
        "slots: optimizer/a/a/bias/Adam optimizer/a/a/bias/Adam_1 "
        "optimizer/a/a/kernel/Adam optimizer/a/a/kernel/Adam_1 "
        "optimizer/a/beta1_power optimizer/a/beta2_power", done.stdout)


class StopGradientsTest(parameterized.TestCase, tf.test.TestCase):

  def test_cuts_every_path_through_the_tensor(self):
    # Task A's own gradient through its estimate is cut as well: on a joint loss
    # A's variables get none, and A cannot be a group.
    with tf.Graph().as_default():
      model = _Model()
      with self.assertRaisesRegex(
          ValueError, "`loss` reaches no variable of group 'a'"):
        grouped.grouped_train_op(model.loss, model.groups(),
                                 stop_gradients=[model.estimate])

  def test_groups_behind_the_cut_may_be_left_out(self):
    def make(model, step):
      groups = model.groups({"b": 0.01})
      return grouped.grouped_train_op(
          model.loss_b, groups, step, stop_gradients=[model.trunk,
                                                      model.estimate])
    before, after = _train(make, steps=0), _train(make, steps=3)
    for name in _weights(before):
      self.assertEqual(np.array_equal(before[name], after[name]),
                       not name.startswith("b/"))

  def test_cuts_one_edge_of_two(self):
    def make(stop):
      return lambda model, step: grouped.grouped_train_op(
          model.loss_b, [grouped.VariableGroup(
              "all", sum(model.variables.values(), []),
              tf.train.GradientDescentOptimizer(1.0))], step,
          [model.estimate] if stop else None)
    before, cut, free = (_train(make(stop), steps=steps)
                         for stop, steps in ((True, 0), (True, 1), (False, 1)))
    self.assertAllEqual(cut["a/kernel"], before["a/kernel"])
    self.assertNotAllEqual(free["a/kernel"], before["a/kernel"])
    self.assertAllEqual(cut["b/kernel"], free["b/kernel"])
    self.assertNotAllEqual(cut["trunk/kernel"], before["trunk/kernel"])
    self.assertNotAllEqual(cut["trunk/kernel"], free["trunk/kernel"])


class RefusalTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enter_context(tf.Graph().as_default())
    self._model = _Model()

  def _assert_refused(self, message, groups, loss=None):
    before = [v.op.name for v in tf.global_variables()]
    with self.assertRaisesRegex(ValueError, f"^grouped_train_op: {message}"):
      grouped.grouped_train_op(
          self._model.loss if loss is None else loss, groups)
    self.assertEqual([v.op.name for v in tf.global_variables()], before)

  def test_orphans(self):
    self._assert_refused(
        "no group holds a/bias, a/kernel, which `loss` reaches; allowed: every "
        "trainable variable in a group",
        self._model.groups({"shared": 0.1, "b": 0.1}))

  def test_no_groups(self):
    self._assert_refused("no group holds a/bias, a/kernel, b/bias", [])

  def test_variable_that_is_not_trained_is_no_orphan(self):
    fixed = tf.get_variable("fixed", [2], trainable=False)
    train_op = grouped.grouped_train_op(
        self._model.loss + tf.reduce_sum(fixed), self._model.groups())
    self.assertIsInstance(train_op, tf.Operation)

  def test_variable_claimed_twice(self):
    self._model.variables["b"].append(self._model.variables["a"][0])
    self._assert_refused("variable 'a/kernel' is claimed by groups 'a' and 'b'",
                         self._model.groups())

  def test_one_optimizer_for_two_groups(self):
    optimizer = tf.train.AdamOptimizer(0.1)
    self._assert_refused("one optimizer serves groups 'shared' and 'b'", [
        group._replace(optimizer=optimizer) if group.name != "a" else group
        for group in self._model.groups()])

  def test_one_name_for_two_groups(self):
    self._assert_refused("`groups` has 'shared' twice", [
        group._replace(name="shared") for group in self._model.groups()])

  def test_unreached_group(self):
    other = tf.get_variable("other", [2])
    self._assert_refused(
        "`loss` reaches no variable of group 'other', found other; allowed: "
        "groups with a gradient",
        self._model.groups() + [grouped.VariableGroup(
            "other", [other], tf.train.AdamOptimizer(0.1))])

  def test_empty_group(self):
    self._assert_refused(
        "`loss` reaches no variable of group 'other', found none in it",
        self._model.groups() + [grouped.VariableGroup(
            "other", [], tf.train.AdamOptimizer(0.1))])


class SecondCallTest(tf.test.TestCase):

  def test_train_ops_of_one_graph_do_not_share_state(self):
    # The second one, at rate 0, moves nothing; yet if both had one set of
    # slots, it would disturb the first.
    def make(beside):
      def train_op(model, step):
        first = grouped.grouped_train_op(
            model.loss, model.groups(), step)
        if not beside:
          return first
        second = grouped.grouped_train_op(
            model.loss_a, model.groups({"shared": 0.0, "a": 0.0}))
        with tf.control_dependencies([first]):
          return tf.group(second)
      return train_op
    alone, together = _train(make(False)), _train(make(True))
    for name in _weights(alone):
      self.assertAllEqual(together[name], alone[name])


def _weights(values):
  return {name: value for name, value in values.items()
          if name.startswith(("trunk/", "a/", "b/")) and "Adam" not in name}


if __name__ == "__main__":
  absltest.main()

"""The pattern the project exists for, against a script written by hand.

`run_by_hand` is the document's own script in plain `tf.compat.v1`: shared, A
and B variables, one `tf.gradients` over the concatenated lists, sliced back, an
AdamOptimizer per list, `tf.group`. The engine, given the same experiment as
text, must come to the same variables and slots to the bit.
"""

import collections
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import api
from mtl_graph import config
from mtl_graph.checkpoints import sessions
from mtl_graph.data import batches
from mtl_graph.data import features
from mtl_graph.model import graphs
from mtl_graph.model import objectives
from mtl_graph.model import train_step

STEPS = 50
BATCH = 32
ROWS = 200

DOCUMENT = """
  name: "document" seed: 3
  data { batch_size: 32 feature { name: "x" numeric { size: 4 } } }
  model {
    hard_sharing { trunk { layer { dense { units: 16 activation: RELU } } } }
    task { name: "a" label { column: "a" } regression {}
           tower { layer { dense { units: 8 activation: RELU } } } }
    task { name: "b" label { column: "b" } binary {}
           tower { layer { dense { units: 8 activation: RELU } } } }
  }
  training {
    num_steps: 50
    joint { loss { sum {} } }
    group { name: "shared" scope: "trunk"
            optimizer { adam { learning_rate { constant: 0.001 } } } }
    group { name: "a" scope: "tower/a" scope: "head/a"
            optimizer { adam { learning_rate { constant: 0.01 } } } }
    group { name: "b" scope: "tower/b" scope: "head/b"
            optimizer { adam { learning_rate { constant: 0.0005 } } } }
    summaries { enabled: false }
  }
"""
SINGLE = """
  name: "single" seed: 3
  data { batch_size: 32 feature { name: "x" numeric { size: 4 } } }
  model {
    hard_sharing { trunk { layer { dense { units: 16 activation: RELU } } } }
    task { name: "a" label { column: "a" } regression {}
           tower { layer { dense { units: 8 activation: RELU } } } }
  }
  training {
    num_steps: 50
    joint { loss { sum {} } }
    group { name: "all" scope: "trunk" scope: "tower" scope: "head"
            optimizer { adam { learning_rate { constant: 0.01 } } } }
    summaries { enabled: false }
  }
"""


def make_arrays():
  random = np.random.RandomState(0)
  x = random.randn(ROWS, 4).astype(np.float32)
  return {"x": x, "a": (x[:, 0] * x[:, 1]).astype(np.float32),
          "b": (x[:, 2] > 0).astype(np.float32)}


def layer(x, name, activation, start):
  """A dense layer as tf.layers.dense made it, from given initial values."""
  kernel = tf.get_variable(f"{name}/kernel",
                           initializer=start[f"{name}/kernel"])
  bias = tf.get_variable(f"{name}/bias", initializer=start[f"{name}/bias"])
  y = tf.nn.bias_add(tf.matmul(x, kernel), bias)
  return activation(y) if activation else y


def run_by_hand(arrays, batches_of_rows, start, how):
  """The document's script; returns every variable and slot by name."""
  x, ya, yb = [tf.placeholder(tf.float32, [BATCH] + list(arrays[k].shape[1:]))
               for k in ("x", "a", "b")]
  trunk = layer(x, "trunk/dense", tf.nn.relu, start)
  a = layer(layer(trunk, "tower/a/dense", tf.nn.relu, start), "head/a", None,
            start)[:, 0]
  loss_a = tf.reduce_mean(tf.square(a - ya))
  shared_vars = tf.trainable_variables("trunk")
  a_vars = tf.trainable_variables("tower/a") + tf.trainable_variables("head/a")
  if how == "minimize":
    optimizers = {"all": tf.train.AdamOptimizer(0.01)}
    train_op = optimizers["all"].minimize(loss_a)
    return run_steps(train_op, {x: "x", ya: "a"}, arrays, batches_of_rows,
                     {v: "all" for v in shared_vars + a_vars}, optimizers)
  b = layer(layer(trunk, "tower/b/dense", tf.nn.relu, start), "head/b", None,
            start)[:, 0]
  loss_b = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(
      labels=yb, logits=b))
  b_vars = tf.trainable_variables("tower/b") + tf.trainable_variables("head/b")
  if how == "sum":
    loss = loss_a + loss_b
  elif how == "weighted_sum":
    loss = 0.3 * loss_a + 1.7 * loss_b
  else:
    s_a = tf.get_variable("log_variance/a", initializer=0.0)
    s_b = tf.get_variable("log_variance/b", initializer=0.0)
    a_vars, b_vars = a_vars + [s_a], b_vars + [s_b]
    loss = (0.5 * tf.exp(-s_a) * loss_a + 0.5 * s_a
            + tf.exp(-s_b) * loss_b + 0.5 * s_b)
  # The pattern, to the letter.
  gradients = tf.gradients(loss, shared_vars + a_vars + b_vars)
  m, n = len(shared_vars), len(a_vars)
  shared_optimizer = tf.train.AdamOptimizer(0.001)
  a_optimizer = tf.train.AdamOptimizer(0.01)
  b_optimizer = tf.train.AdamOptimizer(0.0005)
  train_op = tf.group(
      shared_optimizer.apply_gradients(zip(gradients[:m], shared_vars)),
      a_optimizer.apply_gradients(zip(gradients[m:m + n], a_vars)),
      b_optimizer.apply_gradients(zip(gradients[m + n:], b_vars)))
  owners = {v: name for name, variables in (
      ("shared", shared_vars), ("a", a_vars), ("b", b_vars)) for v in variables}
  return run_steps(train_op, {x: "x", ya: "a", yb: "b"}, arrays,
                   batches_of_rows, owners,
                   {"shared": shared_optimizer, "a": a_optimizer,
                    "b": b_optimizer})


def run_steps(train_op, inputs, arrays, batches_of_rows, owners, optimizers):
  with sessions.open_session(tf.get_default_graph()) as session:
    session.run(tf.global_variables_initializer())
    for rows in batches_of_rows:
      session.run(train_op, {p: arrays[k][rows] for p, k in inputs.items()})
    tensors = {}
    for variable, group in owners.items():
      name, optimizer = variable.op.name, optimizers[group]
      tensors[name] = variable
      for slot, suffix in (("m", "Adam"), ("v", "Adam_1")):
        tensors[f"optimizer/{group}/{name}/{suffix}"] = optimizer.get_slot(
            variable, slot)
    for group, optimizer in optimizers.items():
      powers = dict(zip(("beta1_power", "beta2_power"),
                        optimizer._get_beta_accumulators()))
      for key, variable in powers.items():
        tensors[f"optimizer/{group}/{key}"] = variable
    return session.run(tensors)


def engine_start(experiment):
  """Returns the engine's initial values, and the rows of its batches."""
  model = graphs.build(experiment)
  with model.graph.as_default(), sessions.open_session(model.graph) as session:
    step = tf.placeholder(tf.int64, [])
    rows = batches.rows_of_batch(step, ROWS, BATCH, experiment.seed)
    sessions.initialize(session)
    start = session.run({v.op.name: v for v in tf.trainable_variables()})
    return start, [session.run(rows, {step: n}) for n in range(STEPS)]


class DocumentTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("sum", DOCUMENT, "sum", []),
      ("weighted_sum", DOCUMENT, "weighted_sum", [
          "training.joint.loss={weighted_sum {}}",
          "model.task[name=a].weight=0.3", "model.task[name=b].weight=1.7"]),
      ("uncertainty", DOCUMENT, "uncertainty", [
          "training.joint.loss={uncertainty {}}"]),
      ("minimize_of_a_single_task", SINGLE, "minimize", []),
  )
  def test_engine_equals_script_by_hand_to_the_bit(self, text, how, overrides):
    arrays = make_arrays()
    experiment = config.parse(text)
    for assignment in overrides:
      config.override(experiment, assignment)
    start, rows = engine_start(experiment)
    with tf.Graph().as_default():
      expected = run_by_hand(arrays, rows, start, how)
    with tempfile.TemporaryDirectory() as model_dir:
      result = api.train(experiment, arrays, model_dir, log=lambda line: None)
      reader = tf.train.load_checkpoint(result.checkpoint)
      found = {name: reader.get_tensor(name)
               for name in reader.get_variable_to_shape_map()}
    self.assertEqual(found.pop("global_step"), STEPS)
    found.pop("run_state")
    self.assertCountEqual(found, expected)
    for name, value in expected.items():
      np.testing.assert_array_equal(found[name], value, err_msg=name)
      if name in start:
        self.assertTrue(np.any(found[name] != start[name]), name)

  def test_graph_has_one_backward_pass_three_adams_and_one_group(self):
    experiment = config.parse(DOCUMENT)
    model = graphs.build(experiment)
    with model.graph.as_default():
      before = set(model.graph.get_operations())
      batch = batches.Batch(*[tf.placeholder(dtype, [BATCH, width])
                              for dtype, width in (
                                  (tf.float32, 4), (tf.int32, 0),
                                  (tf.float32, 2), (tf.float32, 2))])
      step = train_step.build(
          experiment, model, objectives.build(experiment, model)[0],
          lambda number: batch, tf.identity(model.global_step), [False, False])
    added = [op for op in model.graph.get_operations() if op not in before]
    kinds = collections.Counter(op.type for op in added)
    # Three dense layers with a ReLU (trunk, tower a, tower b) and two heads:
    # each has one product forward and two backward, once.
    self.assertEqual(kinds["Relu"], 3)
    self.assertEqual(kinds["ReluGrad"], 3)
    self.assertEqual(kinds["MatMul"], 5 * 3)
    self.assertEqual(kinds["ResourceApplyAdam"], 10)
    self.assertEqual(kinds["If"] + kinds["StatelessIf"], 0)
    groups = [op for op in added if op.type == "NoOp"
              and op.name.startswith("train_op")]
    self.assertLen(groups, 1)
    self.assertEqual(groups[0], step.train_op)
    adams = [op for op in step.train_op.control_inputs if "Adam" in op.name]
    self.assertLen(adams, 3)

  def test_shared_gradient_is_the_sum_over_tasks(self):
    # One backward pass over the joint loss gives what two passes add up to.
    experiment = config.parse(DOCUMENT)
    arrays = make_arrays()
    model = graphs.build(experiment)
    with model.graph.as_default(), sessions.open_session(
        model.graph) as session:
      sessions.initialize(session)
      logits = graphs.forward(experiment, features.Transformed(
          tf.constant(arrays["x"]), tf.zeros([ROWS, 0], tf.int32))).logits
      loss_a = tf.reduce_mean(tf.square(logits["a"][:, 0] - arrays["a"]))
      loss_b = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(
          labels=arrays["b"], logits=logits["b"][:, 0]))
      trunk = model.variables["shared"][0]
      joint, a, b = session.run([tf.gradients(loss, trunk)[0] for loss in (
          loss_a + loss_b, loss_a, loss_b)])
    np.testing.assert_allclose(joint, a + b, rtol=1e-5, atol=1e-7)


if __name__ == "__main__":
  absltest.main()

"""A model with two heads as it was written in 2018, and a run of it.

But for its imports this is code for TensorFlow 1.15, and there it was run once:
`write_expected.py` puts the imports of its time back, and keeps what came out.
"""

import os

import numpy as np
import tensorflow.compat.v1 as tf
from mtl_graph import estimator
from mtl_graph import estimator as contrib_estimator

FEATURES = {"x": tf.FixedLenFeature([3], tf.float32),
            "weight": tf.FixedLenFeature([1], tf.float32)}
TIERS = ["bronze", "silver", "gold"]


def rows(seed, count):
  random = np.random.RandomState(seed)
  x = random.normal(size=[count, 3]).astype(np.float32)
  noise = random.normal(size=[count, 2])
  features = {"x": x, "weight": random.randint(1, 4, [count, 1]).astype(
      np.float32)}
  labels = {"click": (x[:, :1] + noise[:, :1] > 0).astype(np.float32),
            "spend": (2 * x[:, 1:2] - 1 + noise[:, 1:]).astype(np.float32)}
  return features, labels


def make_input_fn(seed, count, batch_size, epochs):
  def input_fn():
    dataset = tf.data.Dataset.from_tensor_slices(rows(seed, count))
    return dataset.repeat(epochs).batch(batch_size)
  return input_fn


def _dense(inputs, units, name, activation=None):
  with tf.variable_scope(name):
    shape = [inputs.shape.as_list()[1], units]
    kernel = tf.get_variable(
        "kernel", shape, tf.float32, tf.constant_initializer(
            np.resize([0.5, -0.25, 0.7, -0.1, 0.4], shape)))
    bias = tf.get_variable("bias", [units], initializer=tf.zeros_initializer())
    outputs = tf.nn.bias_add(tf.matmul(inputs, kernel), bias)
    return activation(outputs) if activation else outputs


def model_fn(features, labels, mode, params):
  net = _dense(features["x"], params["hidden"], "trunk", tf.nn.tanh)
  click = contrib_estimator.binary_classification_head(
      weight_column="weight", thresholds=[0.3], name="click")
  spend = contrib_estimator.regression_head(name="spend")
  head = contrib_estimator.multi_head([click, spend], head_weights=[1.0, 0.5])
  logits = {"click": _dense(net, click.logits_dimension, "click"),
            "spend": _dense(net, spend.logits_dimension, "spend")}

  def train_op_fn(loss):
    optimizer = tf.train.AdamOptimizer(params["learning_rate"])
    return optimizer.minimize(loss, global_step=tf.train.get_global_step())

  return head.create_estimator_spec(
      features=features, mode=mode, logits=logits, labels=labels,
      train_op_fn=train_op_fn)


def head_of(kind):
  """Returns a head by its name in tf.contrib.estimator, and labels for it."""
  random = np.random.RandomState(5)
  make = getattr(contrib_estimator, kind)
  reduction = tf.losses.Reduction.SUM
  if kind == "binary_classification_head":
    labels = np.array(["no", "yes"])[random.randint(0, 2, 40)]
    return make(label_vocabulary=["no", "yes"],
                loss_reduction=reduction), labels
  if kind == "multi_class_head":
    labels = np.array(TIERS)[random.randint(0, 3, 40)]
    return make(3, weight_column="weight", label_vocabulary=TIERS,
                name="tier"), labels
  if kind == "multi_label_head":
    labels = random.randint(0, 2, [40, 3]).astype(np.int64)
    return make(3, weight_column="weight", thresholds=[0.5], name="tags",
                classes_for_class_based_metrics=[1]), labels
  if kind == "regression_head":
    return make(label_dimension=2, loss_reduction=reduction), random.normal(
        size=[40, 2]).astype(np.float32)
  if kind == "poisson_regression_head":
    return make(name="events"), random.randint(0, 5, [40, 1]).astype(np.float32)
  if kind == "logistic_regression_head":
    return make(weight_column="weight"), random.rand(40, 1).astype(np.float32)
  raise ValueError(kind)


def head_model_fn(features, labels, mode, params):
  head, _ = head_of(params["kind"])
  logits = _dense(features["x"], head.logits_dimension, "logits")
  return head.create_estimator_spec(
      features=features, mode=mode, logits=logits, labels=labels,
      optimizer=tf.train.GradientDescentOptimizer(0.01),
      regularization_losses=[0.1 * tf.nn.l2_loss(v)
                             for v in tf.trainable_variables()])


class Losses(tf.train.SessionRunHook):
  """Keeps the loss of every step."""

  def __init__(self):
    self.found = []

  def begin(self):
    self._loss = tf.get_collection(tf.GraphKeys.LOSSES)[-1]

  def before_run(self, run_context):
    return tf.train.SessionRunArgs(self._loss)

  def after_run(self, run_context, run_values):
    self.found.append(float(run_values.results))


def run(folder):
  """Trains, evaluates, predicts and exports; returns what came out."""
  config = estimator.RunConfig(tf_random_seed=1, save_summary_steps=5,
                               save_checkpoints_steps=10)
  losses = Losses()
  model = estimator.Estimator(
      model_fn, model_dir=os.path.join(folder, "model"), config=config,
      params={"hidden": 4, "learning_rate": 0.05})
  model.train(make_input_fn(0, 60, 16, None), steps=20, hooks=[losses])
  model.train(make_input_fn(1, 60, 16, None), max_steps=25, hooks=[losses])
  found = {"losses": losses.found}
  found["metrics"] = plain(model.evaluate(make_input_fn(2, 50, 20, 1)))
  found["metrics_of_two_batches"] = plain(model.evaluate(
      make_input_fn(2, 50, 20, 1), steps=2, name="short"))
  found["predictions"] = [plain(row) for row in model.predict(
      make_input_fn(3, 3, 2, 1))]
  parsing = estimator.export.build_parsing_serving_input_receiver_fn(FEATURES)
  exported = model.export_saved_model(os.path.join(folder, "export"), parsing)
  found["signatures"], found["answers"] = served(exported, _examples())
  with tf.Graph().as_default():
    raw = estimator.export.build_raw_serving_input_receiver_fn({
        "x": tf.placeholder(tf.float32, [None, 3]),
        "weight": tf.placeholder(tf.float32, [None, 1])})
  found["raw_signatures"], _ = served(model.export_saved_model(
      os.path.join(folder, "raw"), raw), None)
  found["variables"] = plain({name: model.get_variable_value(name)
                              for name in model.get_variable_names()})
  found["files"] = sorted(
      name for name in os.listdir(model.model_dir) if "tfevents" not in name)
  found["events"] = {name: events(os.path.join(model.model_dir, name))
                     for name in ("", "eval", "eval_short")}
  return found


def run_head(folder, kind):
  """Does so with a single head, on rows of its own."""
  _, labels = head_of(kind)
  features = rows(4, 40)[0]

  def input_fn():
    return tf.data.Dataset.from_tensor_slices((features, labels)).batch(20)

  model = estimator.Estimator(head_model_fn, os.path.join(folder, kind),
                              params={"kind": kind})
  model.train(input_fn)
  parsing = estimator.export.build_parsing_serving_input_receiver_fn(FEATURES)
  exported = model.export_saved_model(os.path.join(folder, kind + "-export"),
                                      parsing)
  signatures, answers = served(exported, _examples())
  return {"metrics": plain(model.evaluate(input_fn)),
          "predictions": plain(next(iter(model.predict(input_fn)))),
          "signatures": signatures, "answers": answers,
          "events": sorted(events(model.model_dir))}


def _examples():
  features = rows(3, 3)[0]
  return [tf.train.Example(features=tf.train.Features(feature={
      name: tf.train.Feature(float_list=tf.train.FloatList(value=values[i]))
      for name, values in features.items()})).SerializeToString()
          for i in range(3)]


def served(path, examples):
  """Returns the signatures of an export, and what each makes of examples."""
  if isinstance(path, bytes):
    path = path.decode()
  with tf.Graph().as_default(), tf.Session() as session:
    loaded = tf.saved_model.loader.load(session, ["serve"], path)
    signatures, answers = {}, {}
    for name, signature in loaded.signature_def.items():
      signatures[name] = [signature.method_name] + [
          {key: [tf.as_dtype(info.dtype).name, [
              d.size for d in info.tensor_shape.dim]]
           for key, info in infos.items()}
          for infos in (signature.inputs, signature.outputs)]
      if examples:
        answers[name] = plain(session.run(
            {key: info.name for key, info in signature.outputs.items()},
            {info.name: examples for info in signature.inputs.values()}))
  return signatures, answers


def events(folder):
  """Returns the numbers that were written for TensorBoard, by tag and step."""
  found = {}
  for name in sorted(os.listdir(folder)):
    if "tfevents" not in name:
      continue
    for event in tf.train.summary_iterator(os.path.join(folder, name)):
      for value in event.summary.value:
        if value.HasField("simple_value") and value.tag != "global_step/sec":
          found.setdefault(value.tag, {})[str(event.step)] = value.simple_value
  return found


def plain(value):
  """Returns a value as JSON can hold it, pairs of keys joined by a slash."""
  if isinstance(value, dict):
    return {"/".join(key) if isinstance(key, tuple) else key: plain(v)
            for key, v in value.items()}
  value = np.asarray(value)
  if value.dtype.kind in "OS":
    return np.vectorize(lambda v: v.decode(), otypes=[object])(value).tolist()
  return value.tolist()

"""The document's training script, by hand: TensorFlow 1 and a feed per step."""

from typing import Dict

import numpy as np

from mtl_graph import importing
from tools.benchmarking import cases
from tools.benchmarking import pipe

importing.start_tensorflow()
# pylint: disable=wrong-import-position
import tensorflow.compat.v1 as tf


def build(case: cases.Case, arrays: cases.Arrays,
          values: Dict[str, np.ndarray], threads: int, call: str
          ) -> pipe.Rival:
  """Builds the graph and opens its session.

  Args:
    case: The model.
    arrays: The rows.
    values: Initial values by name.
    threads: Threads within an op.
    call: "feed_dict", or "callable": one made by `make_callable`.

  Returns:
    A `Rival`.
  """
  with tf.Graph().as_default():
    inputs = [tf.placeholder(a.dtype, [case.batch_size, *a.shape[1:]])
              for a in arrays]
    variables = {name: tf.get_variable(name, initializer=value)
                 for name, value in values.items()}
    loss = _loss(case, variables, *inputs)
    groups = cases.groups(case, list(variables))
    flat = [variables[name] for names in groups.values() for name in names]
    gradients = tf.gradients(loss, flat)
    train_ops, place = [], 0
    for t, (group, names) in enumerate(groups.items()):
      rate = (cases.SHARED_RATE if t == 0
              else cases.rate(t - 1))
      pairs = zip(gradients[place:], flat[place:place + len(names)])
      with tf.variable_scope(f"optimizer_{group}"):
        train_ops.append(tf.train.AdamOptimizer(rate).apply_gradients(pairs))
      place += len(names)
    with tf.control_dependencies(gradients):
      before = tf.identity(loss)
    train_op = tf.group(*train_ops)
    session = tf.Session(config=tf.ConfigProto(
        intra_op_parallelism_threads=threads))
    session.run(tf.global_variables_initializer())
  feed = _Batches(case.batch_size, arrays)
  if call == "callable":
    step = session.make_callable(train_op, feed_list=inputs)

    def run(count):
      for _ in range(count):
        step(*feed.next())
      return count
  else:

    def run(count):
      for _ in range(count):
        session.run(train_op, dict(zip(inputs, feed.next())))
      return count

  def losses(count):
    return [float(session.run([before, train_op], dict(
        zip(inputs, feed.next())))[0]) for _ in range(count)]

  return pipe.Rival(
      sum(int(np.prod(v.shape)) for v in variables.values()), run, losses)


def _loss(case, variables, numbers, ids, labels) -> tf.Tensor:
  """Builds the model and its loss."""
  def dense(scope, x):
    y = tf.matmul(x, variables[f"{scope}/kernel"])
    bias = variables.get(f"{scope}/bias")
    return y if bias is None else y + bias

  features = tf.concat([numbers] + [
      tf.gather(variables[f"embedding/c{c}/embeddings"], ids[:, c])
      for c in range(len(case.categories))], 1)
  if case.experts:
    experts = tf.stack([tf.nn.relu(dense(f"expert/{i}/dense", features))
                        for i in range(case.experts)], 1)
  else:
    shared = tf.nn.relu(dense("trunk/dense", features))
  losses = []
  for t, task in enumerate(cases.task_names(case)):
    if case.experts:
      weights = tf.nn.softmax(dense(f"gate/{task}", features))
      shared = tf.reduce_sum(weights[:, :, None] * experts, 1)
    estimate = dense(f"head/{task}", tf.nn.relu(
        dense(f"tower/{task}/dense", shared)))[:, 0]
    losses.append(tf.reduce_mean(
        tf.nn.sigmoid_cross_entropy_with_logits(
            labels=labels[:, t], logits=estimate) if case.binary
        else tf.square(estimate - labels[:, t])))
  return tf.add_n(losses)


class _Batches:
  """Epochs of rows in random order, a batch at a time."""

  def __init__(self, batch_size, arrays):
    self._batch_size = batch_size
    self._arrays = arrays
    self._random = np.random.default_rng(3)
    self._order, self._place = None, len(arrays.labels)

  def next(self):
    """Returns the rows of the next batch."""
    if self._place + self._batch_size > len(self._arrays.labels):
      self._order = self._random.permutation(len(self._arrays.labels))
      self._place = 0
    rows = self._order[self._place:self._place + self._batch_size]
    self._place += self._batch_size
    return [array[rows] for array in self._arrays]

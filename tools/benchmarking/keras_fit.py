"""Keras' contestant of the benchmark: `fit`, compiled by XLA.

An optimizer of Keras has one learning rate, so the model has a `train_step` of
its own, with an optimizer per group.
"""

from typing import Dict

import numpy as np

from mtl_graph import importing
from tools.benchmarking import cases
from tools.benchmarking import pipe

importing.start_tensorflow()
# pylint: disable=wrong-import-position
import keras
import tensorflow as tf


def build(case: cases.Case, arrays: cases.Arrays,
          values: Dict[str, np.ndarray], threads: int,
          steps_per_execution: int) -> pipe.Rival:
  """Builds and compiles the model.

  Args:
    case: The model. Adam of Keras updates whole tables, `lazy` or not.
    arrays: The rows.
    values: Initial values by name.
    threads: Threads within an op; 0: as many as the process has.
    steps_per_execution: As `compile` takes it.

  Returns:
    A `Rival` that takes whole epochs.
  """
  if threads:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
  model = _Model(case)
  model.fill(values)
  model.compile(optimizer=model.optimizers[0], jit_compile=True,
                steps_per_execution=min(steps_per_execution, case.batches))
  steps = len(arrays.labels) // case.batch_size

  def fit(epochs):
    return model.fit((arrays.numbers, arrays.ids), arrays.labels,
                     batch_size=case.batch_size, epochs=epochs, shuffle=True,
                     verbose=0)

  def run(count):
    epochs = max(round(count / steps), 1)
    fit(epochs)
    return epochs * steps

  return pipe.Rival(
      sum(int(np.prod(v.shape)) for v in model.trainable_variables), run,
      lambda count: [float(loss) for loss in fit(count).history["total"]])


class _Model(keras.Model):
  """The case's model, with an optimizer per group."""

  def __init__(self, case):
    super().__init__(name="network")  # A scope cannot begin with `_`.
    self._case = case
    width = sum(case.numbers) + sum(size for _, size in case.categories)
    self.tables = [keras.layers.Embedding(rows + 1, size)
                   for rows, size in case.categories]
    # All experts in one product: faster than one after the other.
    self.shared = _dense(width, case.trunk * max(case.experts, 1), "relu")
    self.gates = [_dense(width, case.experts, "softmax", False)
                  for _ in range(case.tasks if case.experts else 0)]
    self.towers = [_dense(case.trunk, case.tower, "relu")
                   for _ in range(case.tasks)]
    self.heads = [_dense(case.tower, 1) for _ in range(case.tasks)]
    for table in self.tables:
      table.build()
    self.group_layers = [[*self.tables, self.shared]] + [
        [*self.gates[t:t + 1], self.towers[t], self.heads[t]]
        for t in range(case.tasks)]
    rates = [cases.SHARED_RATE] + [
        cases.rate(t) for t in range(case.tasks)]
    # As TensorFlow 1 has it; Keras' own epsilon is ten times that.
    self.optimizers = [keras.optimizers.Adam(rate, epsilon=1e-8)
                       for rate in rates]
    for optimizer, members in zip(self.optimizers, self.group_layers):
      optimizer.build(_variables(members))
    self.built = True

  def call(self, inputs):
    """Returns the estimates of all tasks, shape `[B, T]`."""
    numbers, ids = inputs
    case = self._case
    features = tf.concat([numbers] + [
        table(ids[:, c]) for c, table in enumerate(self.tables)], 1)
    shared = self.shared(features)
    if case.experts:
      experts = tf.reshape(shared, [-1, case.experts, case.trunk])
    estimates = []
    for t in range(case.tasks):
      if case.experts:
        weights = self.gates[t](features)
        shared = tf.linalg.matvec(experts, weights, transpose_a=True)
      estimates.append(self.heads[t](self.towers[t](shared)))
    return tf.concat(estimates, 1)

  def train_step(self, data):
    """Takes a step with each optimizer; returns the loss."""
    inputs, labels = data
    groups = [_variables(members) for members in self.group_layers]
    with tf.GradientTape() as tape:
      estimates = self(inputs, training=True)
      rows = (tf.nn.sigmoid_cross_entropy_with_logits(
          labels=labels, logits=estimates) if self._case.binary
              else tf.square(estimates - labels))
      # Every task has every label, so its mean is one over the batch.
      loss = tf.reduce_sum(tf.reduce_mean(rows, 0))
    gradients = tape.gradient(loss, groups)
    for optimizer, some, group in zip(self.optimizers, gradients, groups):
      optimizer.apply(some, group)
    # Under the name "loss" Keras would show a metric of its own instead.
    return {"total": loss}

  def fill(self, values: Dict[str, np.ndarray]) -> None:
    """Sets the initial values."""
    case = self._case

    def fill(layer, scopes):
      for variable, name in zip(layer.trainable_variables, ("kernel", "bias")):
        variable.assign(np.concatenate(
            [values[f"{scope}/{name}"] for scope in scopes], -1))

    for c, table in enumerate(self.tables):
      table.embeddings.assign(values[f"embedding/c{c}/embeddings"])
    fill(self.shared, [f"expert/{i}/dense" for i in range(case.experts)]
         or ["trunk/dense"])
    for t, task in enumerate(cases.task_names(case)):
      if case.experts:
        fill(self.gates[t], [f"gate/{task}"])
      fill(self.towers[t], [f"tower/{task}/dense"])
      fill(self.heads[t], [f"head/{task}"])


def _dense(inputs, units, activation=None, use_bias=True):
  layer = keras.layers.Dense(units, activation=activation, use_bias=use_bias)
  layer.build([None, inputs])
  return layer


def _variables(layers):
  return [v for layer in layers for v in layer.trainable_variables]

"""Measures a model over whole sets of rows."""

import collections
import math
from typing import Dict, Mapping

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.data import batches
from mtl_graph.data import labels
from mtl_graph.data import splits
from mtl_graph.evaluation import metrics
from mtl_graph.model import graphs
from mtl_graph.protos import experiment_pb2

# Metric by name, by task.
Metrics = Dict[str, Dict[str, float]]

# Strings are fed in pieces: one feed of millions would double their memory.
_TRANSFORM_ROWS = 65536


class Evaluator:
  """Runs a model over rows in batches; its calls are traced once."""

  def __init__(self, session: tf.Session, model: graphs.Graph,
               experiment: experiment_pb2.Experiment):
    """Prepares the calls.

    Args:
      session: A session on the graph of `model`.
      model: The graph.
      experiment: The experiment of the graph.
    """
    self._session = session
    self._model = model
    self._tasks = experiment.model.task
    self._batch_size = experiment.evaluation.batch_size
    self._measure = None

  def transform(self, split: splits.Split) -> batches.Batch:
    """Turns the raw values of a split into numbers, once for all steps.

    Args:
      split: The split.

    Returns:
      A `Batch` of arrays with all its rows.
    """
    rows = len(split.labels.values)
    parts = [
        self._session.run(self._model.transformed, {
            self._model.raw[name]: values[start:start + _TRANSFORM_ROWS]
            for name, values in split.raw.items()})
        for start in range(0, rows, _TRANSFORM_ROWS)]
    numbers, ids = [np.concatenate(arrays) if len(parts) > 1 else arrays[0]
                    for arrays in zip(*parts)]
    return batches.Batch(numbers, ids, *split.labels)

  def predict(self, batch: batches.Batch) -> Dict[str, Dict[str, np.ndarray]]:
    """Returns the predictions on all rows, by task and key."""
    return self._run(batch)[0]

  def evaluate(self, batch: batches.Batch) -> Metrics:
    """Measures all tasks, each over the rows that bear its label.

    Args:
      batch: A `Batch` of arrays with all rows of a set.

    Returns:
      Metrics by name and task; `loss` is the task loss over the whole set.
    """
    predictions, row_losses = self._run(batch)
    results = collections.OrderedDict()
    for t, task in enumerate(self._tasks):
      labelled = batch.weights[:, t] > 0
      weights = batch.weights[labelled, t].astype(np.float64)
      losses = row_losses[labelled, t].astype(np.float64)
      values = collections.OrderedDict(
          loss=float(np.average(losses, weights=weights)) if len(losses)
          else math.nan)
      values.update(_metrics_of(
          task.WhichOneof("head"), batch.labels[labelled, t],
          {key: array[labelled] for key, array in
           predictions[task.name].items()}, weights))
      results[task.name] = values
    return results

  def sample(self, split: splits.Split, rows: int = 256):
    """Returns some rows as they are served, and what the model says of them.

    Args:
      split: The split they are taken from.
      rows: How many at most.

    Returns:
      Raw values by feature, and predictions by task and key.
    """
    raw = {name: values[:rows] for name, values in split.raw.items()}
    batch = self.transform(splits.Split(
        raw, labels.Labels(*[values[:rows] for values in split.labels])))
    return raw, self.predict(batch)

  def _run(self, batch):
    """Returns predictions and losses on all rows."""
    if self._measure is None:
      self._measure = self._session.make_callable(
          [self._model.predictions, self._model.row_losses],
          [self._model.batch.numbers, self._model.batch.ids,
           self._model.batch.labels])
    predictions, row_losses = [], []
    for start in range(0, len(batch.labels), self._batch_size):
      end = start + self._batch_size
      some, losses = self._measure(batch.numbers[start:end],
                                   batch.ids[start:end],
                                   batch.labels[start:end])
      predictions.append(some)
      row_losses.append(losses)
    merged = {
        task: {key: np.concatenate([p[task][key] for p in predictions])
               for key in predictions[0][task]}
        for task in predictions[0]}
    return merged, np.concatenate(row_losses)


def _metrics_of(head: str, label_values: np.ndarray,
                predictions: Mapping[str, np.ndarray],
                weights: np.ndarray) -> Dict[str, float]:
  # Probabilities are computed anew from the logits: in float32 all of those
  # above 17 are 1, and what is more certain would count as a tie.
  if head == "binary":
    logits = predictions["logit"].astype(np.float64)
    return metrics.binary(label_values, 0.5 * (1 + np.tanh(0.5 * logits)),
                          weights)
  if head == "multiclass":
    logits = predictions["logits"].astype(np.float64)
    with np.errstate(invalid="ignore"):  # Of infinities there is no number.
      odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return metrics.multiclass(label_values.astype(np.int64),
                              odds / odds.sum(axis=1, keepdims=True), weights)
  return metrics.regression(label_values, predictions["value"], weights)

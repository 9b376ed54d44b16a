"""Measures a model over whole sets of rows."""

from concurrent import futures
import os
from typing import Dict, Mapping, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.checkpoints import whole_values
from mtl_graph.data import batches
from mtl_graph.data import features
from mtl_graph.data import labels
from mtl_graph.data import slices
from mtl_graph.data import splits
from mtl_graph.evaluation import measurement
from mtl_graph.model import graphs
from mtl_graph.model import partitions
from mtl_graph.protos import experiment_pb2

# Strings are fed in pieces: one feed of millions would double their memory.
# Cut elsewhere, rows could differ in their last bit.
TRANSFORM_ROWS = 65536


class Trial(NamedTuple):
  """What a model does under other weights.

  Attributes:
    rows: How many rows were measured.
    metrics: Metrics by task and name.
    predictions: What it says of the rows of a sample, by task and key.
  """
  rows: int
  metrics: measurement.Metrics
  predictions: Dict[str, Dict[str, np.ndarray]]


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
    self._experiment = experiment
    self._batch_size = experiment.evaluation.batch_size
    self._measure = None

  def transform(self, split: splits.Split) -> batches.Batch:
    """Turns the raw values of a split into numbers, once for all steps.

    Args:
      split: The split.

    Returns:
      A `Batch` of arrays with all its rows.
    """
    parts = [self.transform_raw({name: values[piece]
                                 for name, values in split.raw.items()})
             for piece in slices.each(len(split.labels.values),
                                      TRANSFORM_ROWS)]
    numbers, ids = [np.concatenate(arrays) if len(parts) > 1 else arrays[0]
                    for arrays in zip(*parts)]
    return batches.Batch(numbers, ids, *split.labels)

  def transform_raw(self, raw: Mapping[str, np.ndarray]
                    ) -> features.Transformed:
    """Transforms at most `TRANSFORM_ROWS` rows of raw values by input."""
    return self._session.run(self._model.transformed, {
        self._model.raw[name]: values for name, values in raw.items()})

  def predict(self, batch: batches.Batch) -> Dict[str, Dict[str, np.ndarray]]:
    """Returns the predictions on all rows, by task and key."""
    return self._run(batch)[0]

  def evaluate(self, batch: batches.Batch,
               groups: Optional[Mapping[str, np.ndarray]] = None
               ) -> measurement.Metrics:
    """Measures all tasks, each over the rows that bear its label.

    Args:
      batch: A `Batch` of arrays with all rows of a set.
      groups: Columns that rows are grouped by, where a metric asks for one.

    Returns:
      Metrics by name and task; `loss` is the task loss over the whole set.
    """
    return measurement.tasks(self._experiment, batch, *self._run(batch),
                             groups or {})

  def measure(self, batch: batches.Batch,
              groups: Optional[Mapping[str, np.ndarray]] = None
              ) -> measurement.Measured:
    """Measures all there is to measure, slices and confusions included.

    Args:
      batch: A `Batch` of arrays with all rows of a set.
      groups: Columns that rows are grouped by, where a metric or a slice asks
        for one.

    Returns:
      A `Measured`.
    """
    predictions, row_losses = self._run(batch)
    arguments = (self._experiment, batch, predictions, row_losses, groups or {})
    return measurement.Measured(
        measurement.tasks(*arguments), measurement.slices_of(*arguments),
        measurement.confusions(*arguments[:3]))

  def sample(self, split: splits.Split, rows: int = splits.SAMPLE_ROWS):
    """Returns some rows as they are served, and what the model says of them.

    Args:
      split: The split they are taken from.
      rows: How many at most.

    Returns:
      Raw values by feature, and predictions by task and key.
    """
    raw = {name: values[:rows] for name, values in split.raw.items()}
    batch = self.transform(splits.Split(
        raw, labels.Labels(*[values[:rows] for values in split.labels]), {}))
    return raw, self.predict(batch)

  def try_weights(self, weights: Mapping[str, np.ndarray], split: splits.Split,
                  batch: Optional[batches.Batch] = None,
                  groups: Optional[Mapping[str, np.ndarray]] = None) -> Trial:
    """Measures the model under other weights, and puts the old ones back.

    Args:
      weights: The other weights by name of the variable.
      split: The rows that a sample is taken of.
      batch: A `Batch` of arrays with all rows that are measured; None: the
        sample is.
      groups: Columns that they are grouped by, where a metric asks for one.

    Returns:
      A `Trial`.
    """
    with self._model.graph.as_default():
      variables = partitions.together(
          v for v in tf.global_variables() if partitions.name_of(v) in weights)
    before = whole_values.read(self._session, variables)
    whole_values.load(self._session, variables, weights)
    try:
      raw, predictions = self.sample(split)
      if batch is None:
        rows = len(next(iter(raw.values())))
        batch = self.transform(splits.Split(raw, labels.Labels(
            *[values[:rows] for values in split.labels]), {}))
        groups = {name: values[:rows] for name, values in split.groups.items()}
      return Trial(len(batch.labels), self.evaluate(batch, groups), predictions)
    finally:
      whole_values.load(self._session, variables, before)

  def _run(self, batch):
    """Returns predictions and losses on all rows."""
    if self._measure is None:
      self._measure = self._session.make_callable(
          [self._model.predictions, self._model.row_losses],
          [self._model.batch.numbers, self._model.batch.ids,
           self._model.batch.labels])
    def measure(piece):
      rows = batches.cast(batches.Batch(*[array[piece] for array in batch]))
      found = self._measure(rows.numbers, rows.ids, rows.labels)
      for array in batch:
        slices.forget(array)
      return found

    # Batches side by side use all cores, also where training has its ops use
    # one each.
    with futures.ThreadPoolExecutor(os.cpu_count()) as threads:
      predictions, row_losses = zip(*threads.map(
          measure, slices.each(len(batch.labels), self._batch_size)))
    merged = {
        task: {key: np.concatenate([p[task][key] for p in predictions])
               for key in predictions[0][task]}
        for task in predictions[0]}
    return merged, np.concatenate(row_losses)

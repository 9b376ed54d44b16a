"""What an export answers, in the forms that its signatures have."""

import collections
from typing import Dict, List, Mapping, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from mtl_graph import vocabularies
from mtl_graph.model import weighting
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import model_pb2
from mtl_graph.protos import serving_pb2

Predictions = Mapping[str, tf.Tensor]

# Which predictions a field of `Outputs` switches.
_SWITCHED = {"probability": "probabilities", "probabilities": "probabilities",
             "logit": "logits", "logits": "logits", "class": "classes"}


class Classification(NamedTuple):
  """What a server's Classify answers.

  Attributes:
    classes: Names of the classes, strings `[B, C]`.
    scores: Their probabilities, `[B, C]`.
  """
  classes: tf.Tensor
  scores: tf.Tensor


def extras(experiment: experiment_pb2.Experiment, network,
           predictions: Mapping[str, Predictions]) -> Dict[str, tf.Tensor]:
  """Makes what `serving.output` asks for beside the predictions.

  Args:
    experiment: The experiment, valid.
    network: The `graphs.Network`.
    predictions: Predictions by task.

  Returns:
    Tensors by name of the output; those of `class_names` are strings.
  """
  output = experiment.serving.output
  found = collections.OrderedDict()
  with tf.name_scope("outputs"):
    for task in experiment.model.task:
      if task.name in predictions:
        found.update(_of_classes(task, predictions[task.name], output))
    if output.representation:
      reads = {name: tensor for name, tensor in network.reads.items()
               if name in predictions}
      if len(reads) > 1 and len({t.name for t in reads.values()}) == 1:
        reads = {"shared": next(iter(reads.values()))}
      found.update({f"{name}/representation": tensor
                    for name, tensor in reads.items()})
    if output.gates:
      some = next(iter(next(iter(predictions.values())).values()))
      for scope, gate in network.gates.items():
        weights = gate.weights
        if weights.shape.rank == 1:  # One for all rows.
          weights = tf.broadcast_to(weights, [tf.shape(some)[0],
                                              len(gate.experts)])
        found[f"{scope}/weights"] = weights
    if output.sigma:
      found.update(_sigmas(experiment, predictions))
  return found


def _of_classes(task, predictions, output) -> Dict[str, tf.Tensor]:
  """Returns names and the first of a task's classes, where it has some."""
  found = {}
  if "class" not in predictions:
    return found
  names = vocabularies.class_names(task)
  if output.class_names:
    found["class_name"] = tf.gather(names, predictions["class"])
  if output.top_k:
    best = tf.math.top_k(predictions["probabilities"],
                         min(output.top_k, len(names)))
    found["top_probabilities"] = best.values
    found["top_classes"] = tf.cast(best.indices, tf.int64)
    if output.class_names:
      found["top_class_names"] = tf.gather(names, best.indices)
  return {f"{task.name}/{key}": tensor for key, tensor in found.items()}


def _sigmas(experiment, predictions) -> Dict[str, tf.Tensor]:
  """Returns the learned noise of regressions, in the label's own units.

  ```
    sigma = exp(s / 2) / scale,   times 1 + value under log1p
  ```

  s is learned for the label as the loss sees it; under log1p sigma is carried
  over by the slope of the inverse, expm1.
  """
  uncertainty = experiment.training.joint.loss.uncertainty
  found = {}
  for task in experiment.model.task:
    if task.WhichOneof("head") != "regression" or task.no_loss or (
        task.name not in predictions):
      continue
    s = tf.clip_by_value(
        weighting.log_variance(task.name, uncertainty.initial_log_variance),
        uncertainty.min_log_variance, uncertainty.max_log_variance)
    sigma = tf.exp(0.5 * s) / tf.constant(task.label.scale, tf.float32)
    value = predictions[task.name]["value"]
    found[f"{task.name}/sigma"] = (
        sigma * (1.0 + value) if task.label.log1p
        else tf.fill(tf.shape(value), sigma))
  return found


def chosen(key: str, output: serving_pb2.Outputs) -> bool:
  """Returns whether a key of predictions, such as "logits", is an output."""
  field = _SWITCHED.get(key)
  return field is None or getattr(output, field)


def classification(task: model_pb2.Task, predictions: Predictions
                   ) -> Optional[Classification]:
  """Makes what a server's Classify answers, None of a task without classes."""
  names = vocabularies.class_names(task)
  if not names:
    return None
  scores = (_both(predictions["probability"])
            if task.WhichOneof("head") == "binary"
            else predictions["probabilities"])
  return Classification(tf.broadcast_to(tf.constant([names]), tf.shape(scores)),
                        scores)


def regression(task: model_pb2.Task, predictions: Predictions
               ) -> Optional[tf.Tensor]:
  """Returns what a server's Regress answers, [B]; None of any other task."""
  head = task.WhichOneof("head")
  if head == "regression" and task.regression.size == 1:
    return predictions["value"]
  return predictions["rate"] if head == "count" else None


def of_multi_head(task: model_pb2.Task, predictions: Predictions
                  ) -> Dict[str, tf.Tensor]:
  """Makes what Estimator's heads called what `<head>/predict` answers.

  Args:
    task: The `Task` message.
    predictions: Its predictions.

  Returns:
    `logits`, `logistic`, `probabilities`, `class_ids` and `classes`, two
    columns of probabilities and one of the others, of a binary task; of other
    tasks with classes the same without `logistic`; else `predictions`
    `[B, D]`.
  """
  head = task.WhichOneof("head")
  if head == "binary":
    found = {"logits": predictions["logit"][:, tf.newaxis],
             "logistic": predictions["probability"][:, tf.newaxis],
             "probabilities": _both(predictions["probability"])}
    ids = tf.cast(found["logits"] > 0, tf.int64)
  elif head in vocabularies.HEADS_WITH_CLASSES:
    found = {key: predictions[key] for key in ("logits", "probabilities")}
    ids = predictions["class"][:, tf.newaxis]
  else:
    values = next(iter(predictions.values()))
    return {"predictions": values if values.shape.rank == 2
            else values[:, tf.newaxis]}
  return {**found, "class_ids": ids,
          "classes": tf.gather(vocabularies.class_names(task), ids)}


def _both(probability):
  return tf.stack([1.0 - probability, probability], 1)

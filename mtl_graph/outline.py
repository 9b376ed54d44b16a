"""The names an experiment gives rise to, known before any graph is built."""

import collections
from typing import Dict, List, Optional, Sequence

from mtl_graph.protos import data_pb2
from mtl_graph.protos import experiment_pb2
from mtl_graph.protos import model_pb2

# The metrics of a task by the kind of its head, `loss` being its task loss.
METRICS = {
    "binary": ("loss", "auc", "log_loss", "accuracy", "f1", "calibration"),
    "multiclass": ("loss", "log_loss", "accuracy", "f1"),
    "regression": ("loss", "rmse", "mae", "r2", "normalized_mse"),
}

# The forms in which an estimate can be fed forward, by the kind of head.
ESTIMATE_FORMS = {
    "binary": (model_pb2.Estimate.PROBABILITY, model_pb2.Estimate.LOGIT),
    "multiclass": (model_pb2.Estimate.PROBABILITY, model_pb2.Estimate.LOGIT),
    "regression": (model_pb2.Estimate.VALUE,),
}

# variables: name to shape, of every trainable variable, in order of creation.
# tensors: name to width, of every tensor that `model.stop_gradient` may name.
Outline = collections.namedtuple("Outline", ["variables", "tensors"])


def build(experiment: experiment_pb2.Experiment) -> Outline:
  """Goes through an experiment as the graph is built, over shapes alone.

  An experiment with problems is gone through as far as it makes sense, so that
  names can be checked beside everything else.

  Args:
    experiment: The experiment, valid or not.

  Returns:
    An `Outline`.
  """
  variables, tensors = collections.OrderedDict(), collections.OrderedDict()
  model = experiment.model
  width = 0
  for feature in experiment.data.feature:
    if feature.WhichOneof("kind") == "categorical":
      categorical = feature.categorical
      variables[f"embedding/{feature.name}/embeddings"] = [
          category_count(categorical) + 1, categorical.embedding_dimension]
      tensors[f"embedding/{feature.name}"] = categorical.embedding_dimension
      width += categorical.embedding_dimension
    else:
      width += feature.numeric.size
  width = _stack(model.hard_sharing.trunk, "trunk", width, variables, tensors)
  tasks = {task.name: task for task in model.task}
  for name in estimate_order(model.task):
    task = tasks[name]
    task_width = width + sum(
        _estimate_width(tasks.get(e.task), e.form) for e in task.estimate)
    task_width = _stack(task.tower, f"tower/{name}", task_width, variables,
                        tensors)
    units = logit_count(task)
    variables[f"head/{name}/kernel"] = [task_width, units]
    variables[f"head/{name}/bias"] = [units]
    tensors[f"head/{name}"] = units
  if experiment.training.joint.loss.WhichOneof("kind") == "uncertainty":
    for task in model.task:
      variables[f"log_variance/{task.name}"] = []
  return Outline(variables, tensors)


def layer_names(stack: model_pb2.LayerStack) -> List[str]:
  """Names the layers of a stack by kind, numbered as tf.layers did.

  Args:
    stack: The layers.

  Returns:
    A name per layer: `dense`, `dense_1`, `dropout`, `dense_2`, ...
  """
  seen, names = collections.Counter(), []
  for layer in stack.layer:
    kind = layer.WhichOneof("kind") or "layer"
    names.append(f"{kind}_{seen[kind]}" if seen[kind] else kind)
    seen[kind] += 1
  return names


def estimate_order(tasks: Sequence[model_pb2.Task]) -> List[str]:
  """Orders tasks so that each comes after those whose estimates it reads.

  Args:
    tasks: The tasks.

  Returns:
    Their names, in the order of the experiment where estimates leave a choice.
    Tasks on a cycle come last; `estimate_cycle` finds it.
  """
  remaining = {task.name: {e.task for e in task.estimate} for task in tasks}
  order = []
  while remaining:
    ready = [name for name, needs in remaining.items()
             if not needs & remaining.keys()]
    if not ready:
      return order + list(remaining)
    # One at a time: the first ready task may free an earlier one.
    order.append(ready[0])
    del remaining[ready[0]]
  return order


def estimate_cycle(tasks: Sequence[model_pb2.Task]) -> List[str]:
  """Returns the names along a cycle of estimates, or an empty list."""
  needs = {task.name: [e.task for e in task.estimate] for task in tasks}
  for start in needs:
    path, seen = [start], set()
    stack = [iter(needs[start])]
    while stack:
      name = next(stack[-1], None)
      if name is None:
        stack.pop()
        path.pop()
      elif name == start:
        return path + [start]
      elif name in needs and name not in seen:
        seen.add(name)
        path.append(name)
        stack.append(iter(needs[name]))
  return []


def vocabulary(message) -> List[str]:
  """Reads the vocabulary of a `Categorical` or a `Multiclass`.

  Args:
    message: A message with the fields `vocabulary` and `vocabulary_file`.

  Returns:
    The entries, in line or one per line of the file; empty where the message
    has neither.

  Raises:
    OSError, UnicodeDecodeError: If the file cannot be read.
  """
  if message.vocabulary_file:
    with open(message.vocabulary_file, encoding="utf-8-sig") as file:
      return [line for line in file.read().split("\n") if line]
  return list(message.vocabulary)


def with_vocabularies(experiment: experiment_pb2.Experiment
                      ) -> experiment_pb2.Experiment:
  """Returns a copy of an experiment that needs no vocabulary file any more.

  What a run keeps must not change its meaning when a file does.

  Args:
    experiment: The experiment, valid.

  Returns:
    A copy with the entries of each `vocabulary_file` under `vocabulary`.
  """
  copy = experiment_pb2.Experiment()
  copy.CopyFrom(experiment)
  for message in ([feature.categorical for feature in copy.data.feature]
                  + [task.multiclass for task in copy.model.task]):
    if message.vocabulary_file:
      message.vocabulary.extend(vocabulary(message))
      message.ClearField("vocabulary_file")
  return copy


def category_count(categorical: data_pb2.Categorical) -> int:
  """Returns how many categories there are, the unknown one not counted."""
  return (categorical.num_buckets or categorical.hash_buckets
          or len(_vocabulary_or_empty(categorical)))


def logit_count(task: model_pb2.Task) -> int:
  """Returns the width of a task's head."""
  if task.WhichOneof("head") == "multiclass":
    return (task.multiclass.num_classes
            or len(_vocabulary_or_empty(task.multiclass)))
  return 1


def metric_names(tasks: Sequence[model_pb2.Task]) -> List[str]:
  """Returns every metric as `<task>/<metric>`."""
  return [f"{task.name}/{metric}" for task in tasks
          for metric in METRICS.get(task.WhichOneof("head"), ())]


def _vocabulary_or_empty(message):
  try:
    return vocabulary(message)
  except (OSError, UnicodeDecodeError):
    return []  # Validation reports the file by itself.


def _estimate_width(task: Optional[model_pb2.Task], form) -> int:
  if task is None:
    return 0
  forms = ESTIMATE_FORMS.get(task.WhichOneof("head"), ())
  return logit_count(task) if form in forms else 0


def _stack(stack: model_pb2.LayerStack, scope: str, width: int,
           variables: Dict, tensors: Dict) -> int:
  """Adds the names of a stack and returns the width of its output."""
  for layer, name in zip(stack.layer, layer_names(stack)):
    if layer.WhichOneof("kind") == "dense":
      variables[f"{scope}/{name}/kernel"] = [width, layer.dense.units]
      if layer.dense.use_bias:
        variables[f"{scope}/{name}/bias"] = [layer.dense.units]
      width = layer.dense.units
    tensors[f"{scope}/{name}"] = width
  return width

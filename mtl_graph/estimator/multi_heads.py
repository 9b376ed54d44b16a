"""Several heads of an Estimator as one."""

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.estimator import export
from mtl_graph.estimator import head as head_lib
from mtl_graph.estimator import specs


def multi_head(heads: Sequence[head_lib.Head],
               head_weights: Optional[Sequence[float]] = None) -> "MultiHead":
  """Returns a head of several, each with its own logits and labels.

  Args:
    heads: The heads, each with a name of its own. The first is what
      "serving_default" answers.
    head_weights: Factor on the loss of each; None: 1.

  Returns:
    The head.

  Raises:
    ValueError: If there is none, one has no name, or there are not as many
      weights as heads.
  """
  names = [head.name for head in heads]
  if not heads or not all(names) or len(set(names)) < len(names):
    raise ValueError(f"heads: found the names {names}; allowed: at least one "
                     "head, each with a name of its own")
  if head_weights and len(head_weights) != len(heads):
    raise ValueError(f"head_weights: found {len(head_weights)}; allowed: "
                     f"{len(heads)}, one per head")
  return MultiHead(heads, list(head_weights or ()))


class MultiHead:
  """Several heads; see `multi_head`."""

  def __init__(self, heads: Sequence[head_lib.Head], weights: List[float]):
    self._heads, self._weights = list(heads), weights

  @property
  def name(self) -> str:
    """The names of the heads, joined."""
    return "_".join(head.name for head in self._heads)

  @property
  def logits_dimension(self) -> int:
    """How many logits a row has, of all heads together."""
    return sum(head.logits_dimension for head in self._heads)

  def create_loss(self, features: Any, mode: str, logits: Any, labels: Any
                  ) -> head_lib.LossSpec:
    """Computes the sum of the heads' losses, each times its weight.

    Args:
      features: Tensors by name.
      mode: One of `ModeKeys`.
      logits: Logits by head, or those of all side by side.
      labels: Labels by head.

    Returns:
      A `LossSpec`, all of whose fields but the loss are dicts by head.
    """
    logits = self._by_head(logits)
    found = {head.name: head.create_loss(features, mode, logits[head.name],
                                         labels[head.name])
             for head in self._heads}
    weights = dict(zip(found, self._weights or [1.0] * len(found)))
    return head_lib.LossSpec(
        self._merged([one.training_loss for one in found.values()]),
        {name: one.unreduced_loss * weights[name]
         for name, one in found.items()},
        {name: one.weights * weights[name] for name, one in found.items()},
        {name: one.processed_labels for name, one in found.items()})

  def create_estimator_spec(
      self, features: Any, mode: str, logits: Any, labels: Any = None,
      optimizer: Optional[tf.train.Optimizer] = None,
      train_op_fn: Optional[Callable[[tf.Tensor], tf.Operation]] = None,
      regularization_losses: Optional[Sequence[tf.Tensor]] = None
      ) -> specs.EstimatorSpec:
    """Builds what an Estimator needs of the specs of all heads.

    Args:
      features: Tensors by name.
      mode: One of `ModeKeys`.
      logits: Logits by head, or those of all side by side.
      labels: Labels by head, unless the mode is to predict.
      optimizer: Minimizes the loss in training.
      train_op_fn: Makes the training op of the loss, in place of `optimizer`.
      regularization_losses: Further losses, scalars, added to the sum.

    Returns:
      An `EstimatorSpec`. Its predictions have pairs of a head and a key for
      keys.

    Raises:
      ValueError: If a head lacks its logits or labels, and as of a head.
    """
    logits = self._by_head(logits)
    if labels is not None:
      _check_heads(labels, "labels", self._heads)
    own = {head.name: head.create_estimator_spec(
        features=features, mode=mode, logits=logits[head.name],
        labels=None if labels is None else labels[head.name],
        train_op_fn=None if mode != specs.ModeKeys.TRAIN
        else lambda unused_loss: tf.no_op()) for head in self._heads}
    predictions = {(name, key): value for name, spec in own.items()
                   for key, value in spec.predictions.items()}
    if mode == specs.ModeKeys.PREDICT:
      return specs.EstimatorSpec(mode, predictions,
                                 export_outputs=_outputs(own))
    with tf.name_scope("merge_losses"):
      losses = {name: spec.loss for name, spec in own.items()}
      loss = self._merged(list(losses.values()))
      if regularization_losses:
        loss = tf.add_n([loss, *regularization_losses])
    if mode == specs.ModeKeys.EVAL:
      metrics = {f"loss/{name}": tf.metrics.mean(value)
                 for name, value in losses.items()}
      for spec in own.values():
        metrics.update(spec.eval_metric_ops)
      return specs.EstimatorSpec(mode, predictions, loss,
                                 eval_metric_ops=metrics)
    train_op = head_lib.make_train_op(loss, optimizer, train_op_fn)
    with tf.name_scope(None):
      tf.summary.scalar("loss", loss)
    # The updates of a head went with the op that it would have had by itself.
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
      train_op = tf.group(train_op)
    return specs.EstimatorSpec(mode, predictions, loss, train_op)

  def _merged(self, losses) -> tf.Tensor:
    if self._weights:
      losses = [loss * weight for loss, weight in zip(losses, self._weights)]
    return tf.add_n(losses)

  def _by_head(self, logits) -> Dict[str, tf.Tensor]:
    if isinstance(logits, Mapping):
      _check_heads(logits, "logits", self._heads)
      return dict(logits)
    logits = tf.convert_to_tensor(logits)
    if logits.shape[-1] != self.logits_dimension:
      raise ValueError(f"logits: found shape {logits.shape}; allowed: [B, "
                       f"{self.logits_dimension}], or logits by head")
    return dict(zip([head.name for head in self._heads], tf.split(
        logits, [head.logits_dimension for head in self._heads], -1)))


def _check_heads(by_head, what, heads) -> None:
  names = [head.name for head in heads]
  if not isinstance(by_head, Mapping) or not set(names) <= set(by_head):
    found = (", ".join(map(str, by_head)) if isinstance(by_head, Mapping)
             else type(by_head).__name__)
    raise ValueError(f"{what}: found {found}; allowed: {what} by the names of "
                     f"all heads, {', '.join(names)}")


def _outputs(own) -> Dict[str, Any]:
  """Returns the outputs of all heads: <head>, <head>/predict and so on."""
  outputs, together = {}, {}
  for name, spec in own.items():
    for key, output in spec.export_outputs.items():
      outputs[name if key == head_lib.DEFAULT else f"{name}/{key}"] = output
    together.update((f"{name}/{key}", value) for key, value in
                    spec.export_outputs[head_lib.PREDICT].outputs.items())
  first = next(iter(own.values()))
  return {head_lib.DEFAULT: first.export_outputs[head_lib.DEFAULT], **outputs,
          head_lib.PREDICT: export.PredictOutput(together)}

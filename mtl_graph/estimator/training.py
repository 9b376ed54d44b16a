"""Training with an evaluation now and then, on one machine."""

import collections
import json
import os
from typing import Any, Dict, List, Tuple

import tensorflow.compat.v1 as tf

from mtl_graph.estimator import estimators
from mtl_graph.estimator import exporters as exporters_lib


class TrainSpec(collections.namedtuple(
    "TrainSpec", ["input_fn", "max_steps", "hooks"])):
  """What is trained on, up to which step; None: as many as there are batches.
  """

  def __new__(cls, input_fn, max_steps=None, hooks=None):
    if max_steps is not None and max_steps < 1:
      raise ValueError(f"max_steps: found {max_steps}; allowed: at least 1")
    return super().__new__(cls, input_fn, max_steps, tuple(hooks or ()))


class EvalSpec(collections.namedtuple("EvalSpec", [
    "input_fn", "steps", "name", "hooks", "exporters", "start_delay_secs",
    "throttle_secs"])):
  """What is measured, and how many seconds apart at least.

  `start_delay_secs` stands for nothing on one machine.
  """

  def __new__(cls, input_fn, steps=100, name=None, hooks=None, exporters=None,
              start_delay_secs=120, throttle_secs=600):
    if steps is not None and steps < 1:
      raise ValueError(f"steps: found {steps}; allowed: at least 1, or None")
    if throttle_secs < 0:
      raise ValueError(f"throttle_secs: found {throttle_secs}; allowed: at "
                       "least 0")
    exporters = exporters or ()
    if not isinstance(exporters, (list, tuple)):
      exporters = (exporters,)
    return super().__new__(cls, input_fn, steps, name, tuple(hooks or ()),
                           tuple(exporters), start_delay_secs, throttle_secs)


def train_and_evaluate(estimator: estimators.Estimator, train_spec: TrainSpec,
                       eval_spec: EvalSpec) -> Tuple[Dict[str, Any], List[Any]]:
  """Trains, and measures checkpoints on the way and the last one.

  Args:
    estimator: The Estimator.
    train_spec: What it is trained on.
    eval_spec: What it is measured on.

  Returns:
    The metrics of the last checkpoint, and what exporters returned of it.

  Raises:
    ValueError: If TF_CONFIG names a cluster.
  """
  cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster")
  if cluster:
    raise ValueError(f"TF_CONFIG: found a cluster of {', '.join(cluster)}; "
                     "allowed: one machine, or training.cluster of an "
                     "experiment")
  measured = _Measured(estimator, eval_spec)
  estimator.train(train_spec.input_fn, train_spec.hooks,
                  max_steps=train_spec.max_steps, saving_listeners=[measured])
  return measured.last()


class _Measured(tf.train.CheckpointSaverListener):
  """Measures checkpoints once they are saved."""

  def __init__(self, estimator, spec):
    self._estimator, self._spec = estimator, spec
    self._timer = tf.train.SecondOrStepTimer(every_secs=spec.throttle_secs)
    self._is_first, self._step, self._found = True, None, None

  def after_save(self, session, global_step_value):
    """Measures, but not what training starts from."""
    del session
    if self._is_first:
      self._is_first = False
    elif self._timer.should_trigger_for_step(global_step_value):
      self._timer.update_last_triggered_step(global_step_value)
      self._measure(False)

  def last(self):
    """Measures the last checkpoint; returns what came out."""
    self._measure(True)
    return self._found

  def _measure(self, is_final) -> None:
    spec = self._spec
    checkpoint = self._estimator.latest_checkpoint()
    if self._found is None or self._step != checkpoint:
      metrics = self._estimator.evaluate(
          spec.input_fn, spec.steps, spec.hooks, checkpoint, spec.name)
      self._step = checkpoint
    else:
      metrics = self._found[0]
    self._found = (metrics, exporters_lib.export_all(
        spec.exporters, self._estimator, checkpoint, metrics, is_final))

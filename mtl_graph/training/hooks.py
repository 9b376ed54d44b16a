"""Runs users' `SessionRunHook`s around training steps, as MonitoredSession."""

import math
from typing import Any, Dict, List, Mapping, Optional, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.model import train_step

# What hooks may ask for by name, by the field of a step's report.
_NAMES = {"task_losses": "loss", "task_weights": "task_weight",
          "gradient_norms": "gradient_norm", "learning_rates": "learning_rate"}


class Hooks:
  """The hooks of one run, in the order in which a MonitoredSession calls them.

  `begin` once the graph is built, `start` once the session has its variables,
  `run` at every step, `end` where training ends in an orderly way; as a context
  manager it ends the threads that hooks have given to their coordinator. What a
  hook raises goes through. There is no recovery of lost sessions, and the
  graph is not finalized.

  Attributes:
    stopped_by: Name of the class of the hook that has asked for training to
      stop, or None.
  """

  def __init__(self, hooks: Sequence[tf.train.SessionRunHook] = ()):
    """Takes the hooks.

    Args:
      hooks: The hooks. Without any, none of the methods does anything.

    Raises:
      TypeError: If one is no `SessionRunHook`.
    """
    for hook in hooks:
      if not isinstance(hook, tf.train.SessionRunHook):
        raise TypeError(f"hooks: found {hook!r}; allowed: instances of "
                        "tf.train.SessionRunHook")
    self.stopped_by: Optional[str] = None
    self._hooks = list(hooks)
    self._coordinator = tf.train.Coordinator(clean_stop_exception_types=[])
    self._initialize_locals = self._session = None

  def __len__(self) -> int:
    return len(self._hooks)

  def __enter__(self) -> "Hooks":
    return self

  def __exit__(self, *unused_exception) -> None:
    self._coordinator.request_stop()
    self._coordinator.join(ignore_live_threads=True)

  @property
  def names(self) -> List[str]:
    """Returns the names of the hooks' classes."""
    return [type(hook).__name__ for hook in self._hooks]

  def begin(self) -> None:
    """Lets hooks add to the current graph, which has all else by now.

    Hooks that look for a saver in the graph find one of all variables. The
    run's own checkpoints, made before, leave out the variables that hooks add:
    these start anew in every process, and no run depends on having them.
    """
    if not self._hooks:
      return
    before = {v.ref() for v in tf.local_variables()}
    for hook in self._hooks:
      hook.begin()
    # The run's local variables hold its rows, and are not for hooks to reset.
    self._initialize_locals = tf.variables_initializer(
        [v for v in tf.local_variables() if v.ref() not in before])
    if not tf.get_collection(tf.GraphKeys.SAVERS):
      tf.add_to_collection(tf.GraphKeys.SAVERS, tf.train.Saver())

  def start(self, session: tf.Session) -> None:
    """Hands the session over, its variables initialized or restored."""
    self._session = session
    if not self._hooks:
      return
    with session.graph.as_default():
      session.run(self._initialize_locals)
      for hook in self._hooks:
        hook.after_create_session(session, self._coordinator)
    self._note_coordinator()

  def steps_until_due(self, step: int) -> float:
    """Returns in how many steps hooks have to be called, at least 1.

    Of TensorFlow's own hooks that go by the global step it is known when they
    act: `StopAtStepHook` at its last step, `CheckpointSaverHook` and
    `StepCounterHook` at every so many. Any other hook may do anything, and is
    called at every step.

    Args:
      step: The global step.

    Returns:
      The number of the step, 1 for the next one, at which one of them acts;
      infinity if none ever does.
    """
    return min([_steps_until_due(hook, step) for hook in self._hooks],
               default=math.inf)

  def run(self, fetches: Any, feeds: Optional[Mapping[Any, Any]] = None) -> Any:
    """Runs one step, or a block, with what hooks fetch and feed beside it.

    Args:
      fetches: What the step fetches.
      feeds: What the step itself is fed.

    Returns:
      What came of the step's own fetches.

    Raises:
      RuntimeError: If two hooks feed one tensor.
    """
    with self._session.graph.as_default():
      context = tf.train.SessionRunContext(
          tf.train.SessionRunArgs(fetches), self._session)
      requests = []
      for hook in self._hooks:
        requests.append(hook.before_run(context) or tf.train.SessionRunArgs(
            None))
        self._note_stop(hook, context)
      options = _merge_options([r.options for r in requests if r.options])
      metadata = tf.RunMetadata()
      results = self._session.run(
          {"step": fetches, **{i: request.fetches
                               for i, request in enumerate(requests)
                               if request.fetches is not None}},
          {**self._merge_feeds(requests), **(feeds or {})}, options, metadata)
      for i, hook in enumerate(self._hooks):
        hook.after_run(context, tf.train.SessionRunValues(
            results.get(i), options, metadata))
        self._note_stop(hook, context)
    self._note_coordinator()
    return results["step"]

  def end(self) -> None:
    """Tells hooks that training has ended, the session as it left it."""
    if not self._hooks:
      return
    with self._session.graph.as_default():
      for hook in self._hooks:
        hook.end(self._session)

  def _note_stop(self, hook, context) -> None:
    if context.stop_requested and self.stopped_by is None:
      self.stopped_by = type(hook).__name__

  def _note_coordinator(self) -> None:
    self._coordinator.raise_requested_exception()
    if self._coordinator.should_stop() and self.stopped_by is None:
      self.stopped_by = " or ".join(self.names)

  def _merge_feeds(self, requests) -> Dict[Any, Any]:
    feeds, owners = {}, {}
    for hook, request in zip(self.names, requests):
      for tensor, value in (request.feed_dict or {}).items():
        name = getattr(tensor, "name", tensor)
        if name in owners:
          raise RuntimeError(f"hooks: found a feed of '{name}' by "
                             f"{owners[name]} and by {hook}; allowed: one")
        feeds[tensor], owners[name] = value, hook
    return feeds


def _steps_until_due(hook, step: int) -> int:
  """Returns in how many steps one hook has to be called, at least 1."""
  # These classes have no public way to ask for their numbers.
  # pylint: disable=protected-access
  if type(hook) is tf.train.StopAtStepHook:  # Not one derived from it.
    return max(hook._last_step - step, 1)
  if type(hook) in (tf.train.CheckpointSaverHook, tf.train.StepCounterHook):
    last = hook._timer.last_triggered_step()
    if hook._timer._every_steps and last is not None:
      return max(last + hook._timer._every_steps - step, 1)
  return 1


def name_report(step: train_step.Step, scope: str = "step") -> None:
  """Gives names to what a step measures, for hooks to ask for.

  Adds the scalars `step/loss/total`, `step/loss/<task>`,
  `step/task_weight/<task>`, `step/gradient_norm/<group>` and
  `step/learning_rate/<group>` to the current graph: a hook fetches
  "step/loss/total:0".

  Args:
    step: The step.
    scope: What stands in place of `step`: `step/<task>` in independent
      training. Asked for beside another task's step, a number is of the step
      that comes next for its own.
  """
  parts = step.sizes._make(tf.split(step.report, list(step.sizes)))
  with tf.name_scope(f"{scope}/"):
    tf.reshape(parts.total, [], name="loss/total")
    for field, tag in _NAMES.items():
      names = (step.tasks_of_group
               if field in ("gradient_norms", "learning_rates") else step.tasks)
      for name, value in zip(names, tf.unstack(getattr(parts, field))):
        tf.identity(value, name=f"{tag}/{name}")


def _merge_options(requested: Sequence[tf.RunOptions]) -> tf.RunOptions:
  """Merges options as MonitoredSession does: the larger number, either flag."""
  merged = tf.RunOptions()
  for options in requested:
    largest = {name: max(getattr(merged, name), getattr(options, name))
               for name in ("trace_level", "timeout_in_ms",
                            "inter_op_thread_pool")}
    merged.MergeFrom(options)
    for name, value in largest.items():
      setattr(merged, name, value)
  return merged

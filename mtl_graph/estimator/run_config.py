"""How an Estimator runs."""

import collections
from typing import Any, Optional

import tensorflow.compat.v1 as tf

_UNSET = object()

# What a model starts from: a checkpoint or its folder; which variables (a
# regular expression, a list of names or of variables); vocabularies, by
# variable; and the name in the checkpoint of those called otherwise there.
WarmStartSettings = collections.namedtuple("WarmStartSettings", [
    "ckpt_to_initialize_from", "vars_to_warm_start", "var_name_to_vocab_info",
    "var_name_to_prev_var_name"], defaults=[".*", None, None])


class RunConfig:
  """How an Estimator runs on one machine.

  Attributes are those of its arguments.
  """

  def __init__(self, model_dir: Optional[str] = None,
               tf_random_seed: Optional[int] = None,
               save_summary_steps: Optional[int] = 100,
               save_checkpoints_steps: Any = _UNSET,
               save_checkpoints_secs: Any = _UNSET,
               session_config: Optional[tf.ConfigProto] = None,
               keep_checkpoint_max: int = 5,
               keep_checkpoint_every_n_hours: float = 10000,
               log_step_count_steps: Optional[int] = 100):
    """States it.

    Args:
      model_dir: Folder of checkpoints and summaries.
      tf_random_seed: Seed of the graph.
      save_summary_steps: Steps from one summary to the next.
      save_checkpoints_steps: Steps from one checkpoint to the next.
      save_checkpoints_secs: Seconds from one to the next, in place of steps;
        600 unless one of them is stated. Both None: no checkpoints.
      session_config: Configuration of sessions.
      keep_checkpoint_max: How many checkpoints are kept.
      keep_checkpoint_every_n_hours: Hours from one that is kept for good to the
        next.
      log_step_count_steps: Steps from one line of the log to the next.

    Raises:
      ValueError: If both steps and seconds are stated.
    """
    stated = (save_checkpoints_steps, save_checkpoints_secs)
    if _UNSET not in stated and None not in stated:
      raise ValueError("save_checkpoints_steps: found it beside "
                       "save_checkpoints_secs; allowed: one of them")
    if save_checkpoints_secs is _UNSET:
      save_checkpoints_secs = 600 if save_checkpoints_steps is _UNSET else None
    if save_checkpoints_steps is _UNSET:
      save_checkpoints_steps = None
    self.model_dir = model_dir
    self.tf_random_seed = tf_random_seed
    self.save_summary_steps = save_summary_steps
    self.save_checkpoints_steps = save_checkpoints_steps
    self.save_checkpoints_secs = save_checkpoints_secs
    self.session_config = session_config
    self.keep_checkpoint_max = keep_checkpoint_max
    self.keep_checkpoint_every_n_hours = keep_checkpoint_every_n_hours
    self.log_step_count_steps = log_step_count_steps
    # Of one machine, for code that asks.
    self.is_chief, self.task_type, self.task_id = True, "worker", 0
    self.num_worker_replicas, self.num_ps_replicas, self.master = 1, 0, ""

  def replace(self, **changes: Any) -> "RunConfig":
    """Returns a copy with other values."""
    names = ("model_dir", "tf_random_seed", "save_summary_steps",
             "save_checkpoints_steps", "save_checkpoints_secs",
             "session_config", "keep_checkpoint_max",
             "keep_checkpoint_every_n_hours", "log_step_count_steps")
    for name in changes:
      if name not in names:
        raise ValueError(f"{name}: cannot be replaced; allowed: "
                         + ", ".join(names))
    return RunConfig(**{**{name: getattr(self, name) for name in names},
                        **changes})

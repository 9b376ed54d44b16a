"""The Estimator: a `model_fn` trained, evaluated, asked and exported."""

import inspect
import os
import shutil
import tempfile
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence
from typing import Union

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.estimator import export as export_lib
from mtl_graph.estimator import reading
from mtl_graph.estimator import run_config
from mtl_graph.estimator import specs
from mtl_graph.serving import contract
from mtl_graph.serving import versions

_KEYS = specs.ModeKeys
Hooks = Optional[Sequence[tf.train.SessionRunHook]]


class Estimator:
  """Runs a `model_fn` on one machine, as `tf.estimator.Estimator` did."""

  def __init__(self, model_fn: Callable[..., specs.EstimatorSpec],
               model_dir: Optional[str] = None,
               config: Optional[run_config.RunConfig] = None,
               params: Optional[Dict[str, Any]] = None,
               warm_start_from: Union[
                   None, str, run_config.WarmStartSettings] = None):
    """Takes what it runs.

    Args:
      model_fn: Function of `features` and, if it has such parameters, `labels`,
        `mode`, `params` and `config`, which returns an `EstimatorSpec`.
      model_dir: Folder of checkpoints and summaries; unset: that of `config`,
        or a new one among temporary files.
      config: How it runs.
      params: What `model_fn` gets for `params`.
      warm_start_from: A checkpoint, its folder, or `WarmStartSettings`: what
        variables start from where there is no checkpoint of its own.

    Raises:
      ValueError: If `config` names another folder, or `model_fn` lacks a
        parameter.
    """
    config = config or run_config.RunConfig()
    if model_dir and config.model_dir and model_dir != config.model_dir:
      raise ValueError(f"model_dir: found '{model_dir}' beside config.model_dir"
                       f" '{config.model_dir}'; allowed: one folder")
    model_dir = model_dir or config.model_dir
    if not model_dir:
      model_dir = tempfile.mkdtemp()
      tf.logging.warning("Using temporary folder as model_dir: %s", model_dir)
    self._config = config.replace(model_dir=model_dir)
    self._parameters = set(inspect.signature(model_fn).parameters)
    if "features" not in self._parameters:
      raise ValueError("model_fn: found parameters "
                       f"{', '.join(sorted(self._parameters))}; allowed: "
                       "features and, if it likes, labels, mode, params, "
                       "config")
    if params is not None and "params" not in self._parameters:
      raise ValueError("model_fn: found no parameter 'params'; required, as "
                       "params are given")
    self._model_fn = model_fn
    self._params = dict(params or {})
    if isinstance(warm_start_from, str):
      warm_start_from = run_config.WarmStartSettings(warm_start_from)
    self._warm_start = warm_start_from

  @property
  def model_dir(self) -> str:
    """The folder of checkpoints and summaries."""
    return self._config.model_dir

  @property
  def config(self) -> run_config.RunConfig:
    """How it runs."""
    return self._config

  @property
  def params(self) -> Dict[str, Any]:
    """A copy of what `model_fn` gets."""
    return dict(self._params)

  @property
  def model_fn(self) -> Callable[..., specs.EstimatorSpec]:
    """The function."""
    return self._model_fn

  def latest_checkpoint(self) -> Optional[str]:
    """Returns the path of the newest checkpoint, or None."""
    return tf.train.latest_checkpoint(self.model_dir)

  def get_variable_names(self) -> List[str]:
    """Returns the names of the variables of the newest checkpoint."""
    return [name for name, _ in tf.train.list_variables(
        self._checkpoint(None))]

  def get_variable_value(self, name: str) -> np.ndarray:
    """Returns a variable of the newest checkpoint."""
    return tf.train.load_variable(self._checkpoint(None), name)

  def train(self, input_fn: Callable[..., Any], hooks: Hooks = None,
            steps: Optional[int] = None, max_steps: Optional[int] = None,
            saving_listeners: Optional[Sequence[Any]] = None) -> "Estimator":
    """Trains, from the newest checkpoint on.

    Args:
      input_fn: Returns a dataset, or features and labels.
      hooks: Hooks around steps.
      steps: How many steps; None: as many as there are batches.
      max_steps: The step at which training ends, in place of `steps`.
      saving_listeners: `tf.train.CheckpointSaverListener`s.

    Returns:
      The Estimator.

    Raises:
      ValueError: If both `steps` and `max_steps` are stated, or one is below 1.
    """
    for name, value in (("steps", steps), ("max_steps", max_steps)):
      if value is not None and value < 1:
        raise ValueError(f"{name}: found {value}; allowed: at least 1")
    if steps is not None and max_steps is not None:
      raise ValueError("steps: found it beside max_steps; allowed: one of them")
    if max_steps is not None and self._step() >= max_steps:
      tf.logging.info("Skipping training since max_steps has already saved.")
      return self
    hooks = list(hooks or ())
    if steps is not None or max_steps is not None:
      hooks.append(tf.train.StopAtStepHook(steps, max_steps))
    config = self._config
    with tf.Graph().as_default() as graph:
      spec = self._build(graph, input_fn, _KEYS.TRAIN, hooks)
      if self._warm_start is not None and not self.latest_checkpoint():
        tf.train.warm_start(*self._warm_start)
      tf.add_to_collection(tf.GraphKeys.LOSSES, spec.loss)
      if not any(s.op.name == "loss" for s in tf.get_collection(
          tf.GraphKeys.SUMMARIES)):
        tf.summary.scalar("loss", spec.loss)
      hooks += [*spec.training_hooks, *spec.training_chief_hooks,
                tf.train.NanTensorHook(spec.loss)]
      if config.log_step_count_steps:
        hooks.append(tf.train.LoggingTensorHook(
            {"loss": spec.loss, "step": tf.train.get_global_step()},
            every_n_iter=config.log_step_count_steps))
      self._add_saver(spec, hooks, saving_listeners)
      with tf.train.MonitoredTrainingSession(
          checkpoint_dir=self.model_dir, scaffold=spec.scaffold, hooks=hooks,
          save_checkpoint_secs=None, save_checkpoint_steps=None,
          save_summaries_steps=config.save_summary_steps,
          save_summaries_secs=None, config=self._session_config(),
          log_step_count_steps=config.log_step_count_steps) as session:
        while not session.should_stop():
          session.run([spec.train_op, spec.loss])
    return self

  def evaluate(self, input_fn: Callable[..., Any], steps: Optional[int] = None,
               hooks: Hooks = None, checkpoint_path: Optional[str] = None,
               name: Optional[str] = None) -> Dict[str, Any]:
    """Measures a checkpoint.

    Args:
      input_fn: Returns a dataset, or features and labels.
      steps: How many batches; None: all there are.
      hooks: Hooks around batches.
      checkpoint_path: The checkpoint; None: the newest.
      name: Name of the rows; summaries go to `eval_<name>`, else to `eval`.

    Returns:
      Metrics by name, among them `loss`, the mean over batches, and
      `global_step`. They are written to summaries as well.

    Raises:
      ValueError: If there is no checkpoint, or `steps` is below 1.
    """
    if steps is not None and steps < 1:
      raise ValueError(f"steps: found {steps}; allowed: at least 1")
    checkpoint, hooks = self._checkpoint(checkpoint_path), list(hooks or ())
    with tf.Graph().as_default() as graph:
      spec = self._build(graph, input_fn, _KEYS.EVAL, hooks)
      metrics = dict(spec.eval_metric_ops)
      if "loss" in metrics:
        raise ValueError("eval_metric_ops: found 'loss'; allowed: any other "
                         "name, as that is the mean of the loss")
      metrics["loss"] = tf.metrics.mean(spec.loss)
      final = tf.train.FinalOpsHook({
          **{key: value for key, (value, _) in metrics.items()},
          "global_step": tf.train.get_global_step()})
      update = tf.group(*[_op(update) for _, update in metrics.values()])
      with tf.train.MonitoredSession(tf.train.ChiefSessionCreator(
          spec.scaffold, config=self._session_config(),
          checkpoint_filename_with_path=checkpoint),
                                     [*hooks, *spec.evaluation_hooks, final]
                                     ) as session:
        done = 0
        while not session.should_stop() and done != steps:
          session.run(update)
          done += 1
    found = {key: value if np.ndim(value) else value.item() if isinstance(
        value, np.integer) else value
             for key, value in final.final_ops_values.items()}
    _write_summary(os.path.join(self.model_dir, f"eval_{name}" if name
                                else "eval"), found)
    return found

  def predict(self, input_fn: Callable[..., Any],
              predict_keys: Union[None, str, Sequence[str]] = None,
              hooks: Hooks = None, checkpoint_path: Optional[str] = None,
              yield_single_examples: bool = True) -> Iterator[Any]:
    """Predicts.

    Args:
      input_fn: Returns a dataset, or features; labels are left out.
      predict_keys: Keys of the predictions that are wanted; None: all.
      hooks: Hooks around batches.
      checkpoint_path: The checkpoint; None: the newest.
      yield_single_examples: Whether rows come one by one, else batches.

    Yields:
      What the `model_fn` predicts: an array, or arrays by key.

    Raises:
      ValueError: If there is no checkpoint, or nothing of `predict_keys`.
    """
    checkpoint, hooks = self._checkpoint(checkpoint_path), list(hooks or ())
    with tf.Graph().as_default() as graph:
      spec = self._build(graph, input_fn, _KEYS.PREDICT, hooks)
      predictions = spec.predictions
      if predict_keys and isinstance(predictions, dict):
        keys = [predict_keys] if isinstance(predict_keys, str) else predict_keys
        predictions = {key: value for key, value in predictions.items()
                       if key in keys}
        if not predictions:
          raise ValueError(f"predict_keys: found {predict_keys}; allowed: "
                           + ", ".join(map(str, spec.predictions)))
      with tf.train.MonitoredSession(tf.train.ChiefSessionCreator(
          spec.scaffold, config=self._session_config(),
          checkpoint_filename_with_path=checkpoint),
                                     [*hooks, *spec.prediction_hooks]
                                     ) as session:
        while not session.should_stop():
          batch = session.run(predictions)
          if not yield_single_examples:
            yield batch
          elif not isinstance(batch, dict):
            yield from batch
          else:
            for i in range(len(next(iter(batch.values())))):
              yield {key: value[i] for key, value in batch.items()}

  def export_saved_model(
      self, export_dir_base: str,
      serving_input_receiver_fn: Callable[[], export_lib.ServingInputReceiver],
      assets_extra: Optional[Dict[str, str]] = None, as_text: bool = False,
      checkpoint_path: Optional[str] = None, strip_default_attrs: bool = True
      ) -> str:
    """Writes a SavedModel.

    Args:
      export_dir_base: Folder of the versions.
      serving_input_receiver_fn: Receives requests.
      assets_extra: Files to copy: paths by their path within assets.extra.
      as_text: Whether the graph is written as text.
      checkpoint_path: The checkpoint; None: the newest.
      strip_default_attrs: Whether attributes at their default are left out.

    Returns:
      Path of the version, which is named by the time in seconds.

    Raises:
      ValueError: If there is no checkpoint, nothing is exported, or the graph
        calls what a server cannot.
    """
    checkpoint = self._checkpoint(checkpoint_path)
    with versions.writing(export_dir_base) as aside:
      with tf.Graph().as_default() as graph:
        self._started(graph)
        receiver = serving_input_receiver_fn()
        spec = self._call(receiver.features, None, _KEYS.PREDICT)
        found, refused = export_lib.signatures(receiver,
                                               spec.export_outputs or {})
        for name, problem in refused.items():
          tf.logging.info("Signature '%s' is left out: %s", name, problem)
        if not found:
          raise ValueError("export_outputs: found none that can be served; "
                           "allowed: at least one" + "".join(
                               f"; '{n}': {p}" for n, p in refused.items()))
        with tf.Session(config=self._session_config()) as session:
          main_op = spec.scaffold.local_init_op
          if main_op is None:
            main_op = tf.group(tf.local_variables_initializer(),
                               tf.tables_initializer())
          saver = spec.scaffold.saver or tf.train.Saver(sharded=True)
          saver.restore(session, checkpoint)
          builder = tf.saved_model.Builder(aside)
          builder.add_meta_graph_and_variables(
              session, [tf.saved_model.tag_constants.SERVING], found,
              tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS), main_op=main_op,
              clear_devices=True, strip_default_attrs=strip_default_attrs,
              saver=saver)
          builder.save(as_text)
      for inside, source in (assets_extra or {}).items():
        path = os.path.join(aside, "assets.extra", inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copyfile(source, path)
      problems = [] if as_text else contract.ops_beyond_the_graph(aside)
      if problems:
        raise ValueError("\n".join(problems))
      return versions.publish(aside, export_dir_base)

  def export_savedmodel(self, export_dir_base: str,
                        serving_input_receiver_fn: Callable[..., Any],
                        assets_extra: Optional[Dict[str, str]] = None,
                        as_text: bool = False,
                        checkpoint_path: Optional[str] = None,
                        strip_default_attrs: bool = False) -> str:
    """Writes a SavedModel; the older name of `export_saved_model`."""
    return self.export_saved_model(
        export_dir_base, serving_input_receiver_fn, assets_extra, as_text,
        checkpoint_path, strip_default_attrs)

  def _started(self, graph) -> None:
    """Seeds a graph and makes its global step."""
    graph.seed = self._config.tf_random_seed
    tf.train.create_global_step()

  def _build(self, graph, input_fn, mode, hooks) -> specs.EstimatorSpec:
    """Builds inputs and the model; a hook that starts them joins the hooks."""
    self._started(graph)
    features, labels = reading.read(input_fn, mode, {
        "mode": mode, "params": self.params, "config": self._config}, hooks)
    return self._call(features, labels, mode)

  def _call(self, features, labels, mode) -> specs.EstimatorSpec:
    offered = {"mode": mode, "params": self.params, "config": self._config}
    values = {name: value for name, value in offered.items()
              if name in self._parameters}
    if "labels" in self._parameters:
      values["labels"] = labels
    elif labels is not None:
      raise ValueError("model_fn: found no parameter 'labels'; required, as "
                       "input_fn returns labels")
    spec = self._model_fn(features=features, **values)
    if not isinstance(spec, specs.EstimatorSpec):
      raise ValueError(f"model_fn: returned {type(spec).__name__}; allowed: "
                       "EstimatorSpec")
    return spec

  def _add_saver(self, spec, hooks, listeners) -> None:
    """Adds the hook that saves checkpoints, and the saver it goes by."""
    config = self._config
    if not (spec.scaffold.saver or tf.get_collection(tf.GraphKeys.SAVERS)):
      tf.add_to_collection(tf.GraphKeys.SAVERS, tf.train.Saver(
          sharded=True, max_to_keep=config.keep_checkpoint_max,
          keep_checkpoint_every_n_hours=config.keep_checkpoint_every_n_hours,
          defer_build=True, save_relative_paths=True))
    if config.save_checkpoints_secs or config.save_checkpoints_steps:
      hooks.append(tf.train.CheckpointSaverHook(
          self.model_dir, save_secs=config.save_checkpoints_secs,
          save_steps=config.save_checkpoints_steps, scaffold=spec.scaffold,
          listeners=list(listeners or ())))

  def _session_config(self) -> tf.ConfigProto:
    return self._config.session_config or tf.ConfigProto(
        allow_soft_placement=True)

  def _checkpoint(self, path) -> str:
    path = path or self.latest_checkpoint()
    if not path:
      raise ValueError(f"model_dir: no checkpoint in '{self.model_dir}'; "
                       "allowed: the folder of a model that was trained")
    return path

  def _step(self) -> int:
    path = self.latest_checkpoint()
    return int(tf.train.load_variable(
        path, tf.GraphKeys.GLOBAL_STEP)) if path else 0


def _op(update) -> tf.Operation:
  return update.op if isinstance(update, tf.Tensor) else update


def _write_summary(folder, metrics) -> None:
  """Writes metrics for TensorBoard."""
  summary = tf.Summary()
  for key, value in sorted(metrics.items()):
    if key != "global_step" and not np.ndim(value) and np.issubdtype(
        np.asarray(value).dtype, np.number):
      summary.value.add(tag=key, simple_value=float(value))
  # A writer of its own per graph would hold one file open for each.
  with tf.Graph().as_default(), tf.summary.FileWriter(folder) as writer:
    writer.add_summary(summary, metrics["global_step"])

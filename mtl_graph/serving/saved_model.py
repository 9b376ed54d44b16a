"""Exports a checkpoint as a SavedModel, checked before it is published."""

import os
from typing import Dict, Mapping, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import sessions
from mtl_graph.evaluation import measurement
from mtl_graph.model import graphs
from mtl_graph.protos import experiment_pb2
from mtl_graph.serving import call_guide
from mtl_graph.serving import manifest
from mtl_graph.serving import predictor
from mtl_graph.serving import publishing
from mtl_graph.serving import versions
from mtl_graph.serving import warmup

# Another graph, with other batch sizes, may round differently: this much.
_TOLERANCE = 1e-5


class ExportError(Exception):
  """An export that cannot be written, or does not answer as it should."""


def export(experiment: experiment_pb2.Experiment, checkpoint: str,
           export_dir: str, raw: Optional[Mapping[str, np.ndarray]] = None,
           expected: Optional[Mapping[str, Mapping[str, np.ndarray]]] = None,
           record: Optional[measurement.Record] = None,
           unless_in_place: bool = False) -> str:
  """Publishes a checkpoint as the next version of a SavedModel.

  It is written under another name, loaded again, compared with what the
  training graph answers on real rows, and only then given its number, so that a
  server never sees half of it or a wrong one; `serving.publishing` says more.

  Args:
    experiment: The experiment, valid.
    checkpoint: Path of the checkpoint.
    export_dir: Folder of the versions.
    raw: Real rows by feature to check the export on; None: not checked.
    expected: What the training graph answers on them, by task and key.
    record: What is known of the checkpoint; None: nothing.
    unless_in_place: Whether nothing is published if the newest version is this
      very model.

  Returns:
    Path of the version.

  Raises:
    CheckpointError: If the checkpoint does not fit the experiment.
    ExportError: If the export cannot be written, or answers differently.
    HeldBack: If the gate does not let it pass.
  """
  settings = experiment.serving.publishing
  try:
    with versions.writing(export_dir) as aside:
      _write(experiment, checkpoint, aside)
      place = unless_in_place and publishing.in_place(aside, export_dir)
      if place:
        return place
      step = publishing.step_for(settings, record)
      versions.check_step(export_dir, step)
      publishing.check_gate(settings, export_dir, record)
      if raw is not None:
        _check(aside, raw, expected)
      content = manifest.write(aside, experiment, record)
      call_guide.write(aside, content, raw or {})
      if raw is not None and experiment.serving.warmup_requests:
        warmup.write(aside, experiment.name, raw,
                     experiment.serving.warmup_requests)
        warmup.replay(aside)
      if experiment.serving.HasField("batching"):
        with open(os.path.join(aside, "batching_params.pbtxt"), "w",
                  encoding="utf-8") as file:
          file.write(publishing.batching_text(experiment.serving.batching))
      path = versions.publish(
          aside, export_dir, step, lambda number: call_guide.fill_in(
              aside, number, versions.newest(export_dir)))
    versions.remove_old(export_dir, settings.keep)
  except (versions.VersionError, warmup.WarmupError) as error:
    raise ExportError(str(error)) from error
  except (OSError, tf.errors.OpError) as error:
    raise ExportError(
        f"{export_dir}: cannot be written: {checkpoints.reason_of(error)}; "
        "allowed: a folder of your own with space in it") from error
  return path


def _write(experiment, checkpoint, path):
  with tf.Graph().as_default() as graph:
    serving = graphs.build_serving(experiment)
    with sessions.open_session(graph) as session:
      checkpoints.restore_into(session, tf.train.Saver(serving.variables),
                               checkpoint)
      builder = tf.saved_model.Builder(path)
      outputs = {f"{task}/{key}": tensor
                 for task, keyed in serving.predictions.items()
                 for key, tensor in keyed.items()}
      signature = tf.saved_model.build_signature_def(
          {n: tf.saved_model.build_tensor_info(t)
           for n, t in serving.raw.items()},
          {n: tf.saved_model.build_tensor_info(t) for n, t in outputs.items()},
          tf.saved_model.signature_constants.PREDICT_METHOD_NAME)
      builder.add_meta_graph_and_variables(
          session, [tf.saved_model.tag_constants.SERVING],
          {predictor.SIGNATURE: signature}, main_op=tf.tables_initializer(),
          clear_devices=True, strip_default_attrs=True)
      builder.save()
  extra = os.path.join(path, "assets.extra")
  os.makedirs(extra)
  config.write(experiment, os.path.join(extra, "experiment.pbtxt"))


def _check(path: str, raw, expected: Mapping[str, Mapping[str, np.ndarray]]):
  """Raises unless an export answers as the training graph did."""
  with predictor.Predictor(path) as loaded:
    answers: Dict[str, np.ndarray] = loaded.run(raw)
  for task, keyed in expected.items():
    for key, wanted in keyed.items():
      if f"{task}/{key}" not in answers:
        continue  # Of a task that is not exported.
      found = answers[f"{task}/{key}"]
      scale = np.maximum(1.0, np.abs(wanted))
      error = np.max(np.abs(found - wanted) / scale) if len(wanted) else 0.0
      # A class may flip where two logits are equal but for rounding.
      if key != "class" and not error <= _TOLERANCE:
        raise ExportError(
            f"{path}: output '{task}/{key}' differs from the training graph by "
            f"{error:.3g} on real rows; allowed: {_TOLERANCE:g}; not published")

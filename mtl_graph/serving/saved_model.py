"""Exports a checkpoint as a SavedModel, checked before it is published."""

import contextlib
import os
import tempfile
from typing import Callable, Dict, Mapping, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import vocabularies
from mtl_graph.checkpoints import checkpoints
from mtl_graph.checkpoints import sessions
from mtl_graph.evaluation import measurement
from mtl_graph.model import compressed_weights
from mtl_graph.model import graphs
from mtl_graph.protos import experiment_pb2
from mtl_graph.serving import call_guide
from mtl_graph.serving import contract
from mtl_graph.serving import lean_graph
from mtl_graph.serving import manifest
from mtl_graph.serving import predictor
from mtl_graph.serving import publishing
from mtl_graph.serving import signatures
from mtl_graph.serving import versions
from mtl_graph.serving import warmup
from mtl_graph.serving import weight_costs

# Another graph, with other batch sizes, may round differently: this much.
_TOLERANCE = 1e-5


class ExportError(Exception):
  """An export that cannot be written, or does not answer as it should."""


def export(experiment: experiment_pb2.Experiment, checkpoint: str,
           export_dir: str, raw: Optional[Mapping[str, np.ndarray]] = None,
           expected: Optional[Mapping[str, Mapping[str, np.ndarray]]] = None,
           record: Optional[measurement.Record] = None,
           try_weights: Optional[weight_costs.TryWeights] = None,
           unless_in_place: bool = False,
           log: Callable[[str], None] = print) -> str:
  """Publishes a checkpoint as the next version of a SavedModel.

  It is written under another name, held against the contract of serving, loaded
  again, compared with what the training graph answers on real rows, and only
  then given its number, so that a server never sees half of it or a wrong one;
  `serving.publishing` says more.

  Args:
    experiment: The experiment, valid.
    checkpoint: Path of the checkpoint.
    export_dir: Folder of the versions.
    raw: Real rows by feature to check the export on; None: not checked.
    expected: What the training graph answers on them, by task and key.
    record: What is known of the checkpoint; None: nothing.
    try_weights: Measures the model under other weights, where they are stored
      in fewer bits than they were trained in; None: not measured, and answers
      are not compared then.
    unless_in_place: Whether nothing is published if the newest version is this
      very model.
    log: Takes a line on what other weights cost.

  Returns:
    Path of the version.

  Raises:
    CheckpointError: If the checkpoint does not fit the experiment.
    ExportError: If the export cannot be written, or answers differently.
    HeldBack: If the gate does not let it pass.
  """
  settings = experiment.serving.publishing
  warms_up = raw is not None and experiment.serving.warmup_requests > 0
  try:
    with (versions.writing(export_dir) as aside,
          warmup.Replay() if warms_up else contextlib.nullcontext() as replay):
      rounded = _write(experiment, checkpoint, aside)
      _refuse(aside, contract.ops_beyond_the_graph(aside))
      place = unless_in_place and publishing.in_place(aside, export_dir)
      if place:
        return place
      step = publishing.step_for(settings, record)
      versions.check_step(export_dir, step)
      publishing.check_gate(settings, export_dir, record)
      if rounded:
        expected = weight_costs.measure(
            experiment.serving.weights.precision, rounded, try_weights, aside,
            log)
      if raw is not None and expected is not None:
        _check(aside, raw, expected)
      content = manifest.write(aside, experiment, record)
      call_guide.write(aside, content, raw or {})
      if warms_up:
        warmup.write(aside, experiment.name, raw,
                     experiment.serving.warmup_requests)
        replay.run(aside)
      if experiment.serving.HasField("batching"):
        with open(os.path.join(aside, "batching_params.pbtxt"), "w",
                  encoding="utf-8") as file:
          file.write(publishing.batching_text(experiment.serving.batching))
      _refuse(aside, contract.problems(aside, is_published=False))
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


def _refuse(path, problems) -> None:
  if problems:
    raise ExportError("\n".join(f"{path}: {line}; not published"
                                for line in problems))


def _write(experiment, checkpoint, path) -> weight_costs.Rounded:
  """Writes an export, and returns the weights that it has rounded, by name."""
  with tf.Graph().as_default() as graph, tempfile.TemporaryDirectory() as files:
    serving = graphs.build_serving(experiment, _write_vocabularies(
        experiment.data.feature, files))
    signature_defs = signatures.build(experiment, serving)
    with sessions.open_session(graph) as session:
      checkpoints.restore_into(session, tf.train.Saver(serving.variables),
                               checkpoint)
      rounded = _load_compressed(
          session, serving.compressed, experiment.serving.weights.precision,
          checkpoint)
      builder = tf.saved_model.Builder(path)
      builder.add_meta_graph_and_variables(
          session, [tf.saved_model.tag_constants.SERVING], signature_defs,
          tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS),
          main_op=tf.tables_initializer(), clear_devices=True,
          strip_default_attrs=True)
      builder.save()
      lean_graph.prune(path, _freezing(session) if
                       experiment.serving.weights.frozen else None)
  extra = os.path.join(path, "assets.extra")
  os.makedirs(extra)
  config.write(experiment, os.path.join(extra, "experiment.pbtxt"))
  return rounded


def _load_compressed(session, compressed, precision, checkpoint):
  """Loads weights in fewer bits, and returns what they are read as, by name."""
  reader, rounded = tf.train.load_checkpoint(checkpoint), {}
  for name, weights in compressed.items():
    try:
      stored = compressed_weights.compress(reader.get_tensor(name), precision)
    except ValueError as error:
      raise ExportError(f"{checkpoint}: variable '{name}': {error}") from error
    rounded[name] = compressed_weights.widen(stored)
    for variable, values in zip(weights.variables, stored):
      session.run(variable.initializer,
                  {variable.initializer.inputs[1]: values})
  return rounded


def _freezing(session) -> lean_graph.Freeze:
  def freeze(graph_def, nodes):
    return tf.graph_util.convert_variables_to_constants(session, graph_def,
                                                        nodes)
  return freeze


def _write_vocabularies(features, folder: str) -> Dict[str, str]:
  """Writes vocabularies, an entry a line, and returns the paths by feature.

  One with an entry that is more than a line stays in the graph.
  """
  paths = {}
  for feature in features:
    if feature.WhichOneof("kind") != "categorical":
      continue
    entries = vocabularies.entries(feature.categorical)
    if entries and not any(c in entry for entry in entries for c in "\r\n"):
      path = os.path.join(folder, f"{feature.name}.txt")
      with open(path, "w", encoding="utf-8", newline="") as file:
        file.write("".join(entry + "\n" for entry in entries))
      paths[feature.name] = path
  return paths


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

"""The requests that a server runs before it serves a model."""

import os
import subprocess
import sys
from typing import Dict, List, Mapping

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import importing
from mtl_graph.protos import warmup_pb2
from mtl_graph.serving import replay as replay_lib
from mtl_graph.serving import signature_calls
from mtl_graph.serving import signature_reader

_SECONDS = 600
# As `python -m` of it, but TensorFlow comes as launchers import it.
_REPLAY = f"""
import sys
from {importing.__package__} import importing
importing.start_tensorflow()
from {replay_lib.__package__} import replay
path = sys.stdin.read()
sys.exit(replay.main(["replay", path]) if path else 0)
"""


class WarmupError(Exception):
  """Requests that the export does not answer."""


def write(path: str, model: str, raw: Mapping[str, np.ndarray], count: int
          ) -> Dict[str, int]:
  """Writes requests for every signature of an export.

  Args:
    path: Folder of the version.
    model: Name of the model.
    raw: Raw values of real rows, by input.
    count: Requests for each signature, of one row each; fewer if there are
      fewer rows, or more requests in all than a server takes.

  Returns:
    How many were written by signature, "MultiInference" for requests of several
    at once; 0 where a signature takes what rows do not have.
  """
  with signature_calls.Calls(path) as calls:
    logs = requests(calls, model, raw, count)
  os.makedirs(os.path.dirname(os.path.join(path, replay_lib.FILE)),
              exist_ok=True)
  with tf.io.TFRecordWriter(os.path.join(path, replay_lib.FILE)) as writer:
    # In turn: each signature is warm after a few, whatever cuts them short.
    for place in range(max(map(len, logs.values()), default=0)):
      for some in logs.values():
        if place < len(some):
          writer.write(some[place].SerializeToString(deterministic=True))
  return {name: len(some) for name, some in logs.items()}


def requests(calls: signature_calls.Calls, model: str,
             raw: Mapping[str, np.ndarray], count: int
             ) -> Dict[str, List[warmup_pb2.PredictionLog]]:
  """Returns requests by signature; as `write`, which writes them."""
  together = multi_inference(calls.signatures)
  kinds = len(calls.signatures) + bool(together)
  rows = min(count, len(next(iter(raw.values()))),
             replay_lib.MAX_RECORDS // max(kinds, 1))
  raw = {key: values[:rows] for key, values in raw.items()}
  logs = {}
  for name, signature in calls.signatures.items():
    feed = calls.feed(name, raw) if rows else None
    logs[name] = [] if feed is None else [
        _request(model, signature, {key: values[row:row + 1]
                                    for key, values in feed.items()})
        for row in range(rows)]
  if together:
    examples, = (calls.feed(together[0], raw) if rows else {"": []}).values()
    logs["MultiInference"] = [
        _multi_request(model, [calls.signatures[name] for name in together],
                       example) for example in examples]
  return logs


def multi_inference(signatures: Mapping[str, signature_reader.Signature]
                    ) -> List[str]:
  """Returns the signatures that MultiInference can ask in one run.

  They classify or regress the same tensor; one, or none, is nothing to ask
  together.
  """
  by_tensor = {}
  for name, signature in signatures.items():
    if signature.method in (signature_reader.CLASSIFY,
                            signature_reader.REGRESS):
      by_tensor.setdefault(signature.only_input().name, []).append(name)
  most = max(by_tensor.values(), key=len, default=[])
  return most if len(most) > 1 else []


class Replay:
  """Runs the requests of an export in a process of its own.

  As a server would: without what this process knows, on a graph that nobody has
  touched. It is started ahead, as loading TensorFlow takes it longer than the
  requests do, and ends unasked at the end of a `with` block.
  """

  def __init__(self):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3",
                   "CUDA_VISIBLE_DEVICES": "-1",
                   "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    self._process = subprocess.Popen(
        [sys.executable, "-c", _REPLAY], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # Who interrupts training may well be waiting for its export.
        start_new_session=True)

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self._process.kill()
    self._process.communicate()

  def run(self, path: str) -> None:
    """Runs them, once.

    Args:
      path: Folder of the version.

    Raises:
      WarmupError: If one of them is not answered.
    """
    try:
      _, errors = self._process.communicate(path, _SECONDS)
    except subprocess.TimeoutExpired as error:
      raise WarmupError(f"{path}: warm-up requests were not answered within "
                        f"{_SECONDS} s; not published") from error
    if self._process.returncode:
      said = errors.strip() or f"exit code {self._process.returncode}"
      raise WarmupError(f"{path}: a warm-up request is not answered: "
                        f"{said.splitlines()[-1]}; not published")


def _spec(model, signature):
  return warmup_pb2.ModelSpec(name=model, signature_name=signature.name)


def _request(model, signature, feed):
  log = warmup_pb2.PredictionLog()
  if signature.method in (signature_reader.CLASSIFY, signature_reader.REGRESS):
    own = (log.classify_log if signature.method == signature_reader.CLASSIFY
           else log.regress_log)
    own.request.model_spec.CopyFrom(_spec(model, signature))
    values, = feed.values()
    own.request.input.example_list.examples.extend(values)
    return log
  request = log.predict_log.request
  request.model_spec.CopyFrom(_spec(model, signature))
  for key, values in feed.items():
    request.inputs[key] = tf.make_tensor_proto(
        values, signature.inputs[key].dtype).SerializeToString(
            deterministic=True)
  return log


def _multi_request(model, signatures, example):
  request = warmup_pb2.MultiInferenceRequest()
  for signature in signatures:
    request.tasks.add(model_spec=_spec(model, signature),
                      method_name=signature.method)
  request.input.example_list.examples.append(example)
  return warmup_pb2.PredictionLog(
      multi_inference_log=warmup_pb2.MultiInferenceLog(request=request))

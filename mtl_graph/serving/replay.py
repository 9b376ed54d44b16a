"""Runs an export's warm-up requests: `python -m mtl_graph.serving.replay PATH`.

As TensorFlow Serving does before it serves a version: one request that fails
fails the load.
"""

import os
import sys
import time
from typing import List

from google.protobuf import message
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.core.framework import tensor_pb2

from mtl_graph.checkpoints import checkpoints
from mtl_graph.protos import warmup_pb2
from mtl_graph.serving import signature_calls
from mtl_graph.serving import signature_reader

# Where a server looks for them, and how many it takes.
FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000
# Bytes around each record: its length, and two checksums.
_FRAME = 16


class ReplayError(Exception):
  """A request that is not answered."""


def replay(path: str) -> int:
  """Runs all requests of an export.

  Args:
    path: Path of a version.

  Returns:
    How many there are.

  Raises:
    LoadError: If the export cannot be loaded.
    ReplayError: If a request is not one that the export answers.
  """
  number, size, records = 0, 0, os.path.join(path, FILE)
  with signature_calls.Calls(path) as calls:
    for number, record in enumerate(tf.io.tf_record_iterator(records), 1):
      if number > MAX_RECORDS:
        raise ReplayError(f"found more than {MAX_RECORDS} requests")
      try:
        _answer(calls, warmup_pb2.PredictionLog.FromString(record))
      except (tf.errors.OpError, message.DecodeError, ValueError, TypeError,
              KeyError) as error:
        raise ReplayError(f"request {number}: "
                          f"{checkpoints.reason_of(error)}") from error
      size += len(record) + _FRAME
  # What is too short to be a record, TensorFlow takes for the end.
  if size != os.path.getsize(records):
    raise ReplayError(f"the file is damaged behind request {number}")
  return number


def _answer(calls, log):
  """Runs one request, and checks that the answer is one a server can send."""
  kind = log.WhichOneof("log_type")
  if kind is None:
    raise ValueError("it is of no kind that a server runs")
  request = getattr(log, kind).request
  if kind == "predict_log":
    name = request.model_spec.signature_name
    signature = _signature(calls, name, signature_reader.PREDICT)
    feed = {key: tf.make_ndarray(tensor_pb2.TensorProto.FromString(value))
            for key, value in request.inputs.items()}
    missing = set(signature.inputs) - set(feed) - set(signature.optional)
    if missing or set(feed) - set(signature.inputs):
      raise ValueError(f"signature '{name}' has the inputs "
                       f"{', '.join(signature.inputs)}, and the request has "
                       f"{', '.join(sorted(feed))}")
    rows = {len(values) for values in feed.values()}
    _check_rows(name, calls.ask(name, feed), rows)
    return
  examples = np.array(list(request.input.example_list.examples), object)
  if kind == "multi_inference_log":
    asked = {task.model_spec.signature_name: task.method_name
             for task in request.tasks}
    signatures = [_signature(calls, *one) for one in asked.items()]
    if len({s.only_input().name for s in signatures}) != 1:
      raise ValueError("signatures asked together have inputs of their own")
  else:
    method = (signature_reader.CLASSIFY if kind == "classify_log"
              else signature_reader.REGRESS)
    signatures = [_signature(calls, request.model_spec.signature_name, method)]
  answers = calls.ask_several({
      s.name: dict.fromkeys(s.inputs, examples) for s in signatures})
  for name, answer in answers.items():
    _check_rows(name, answer, {len(examples)})


def _signature(calls, name, method):
  signature = calls.signatures.get(name)
  if signature is None or signature.method != method:
    raise ValueError(f"found no signature '{name}' with the method {method}")
  return signature


def _check_rows(name, answer, rows):
  """Raises unless every output has an entry for each row of the request."""
  for key, values in answer.items():
    if np.ndim(values) < 1 or {len(values)} != rows:
      raise ValueError(f"signature '{name}': output '{key}' has shape "
                       f"{list(np.shape(values))} for {rows} rows")


def main(argv: List[str]) -> int:
  """Runs the requests of the export that `argv` names; returns an exit code."""
  tf.logging.set_verbosity(tf.logging.ERROR)
  started = time.monotonic()
  try:
    count = replay(argv[1])
  except (ReplayError, signature_calls.LoadError, OSError) as error:
    print(error, file=sys.stderr)
    return 1
  print(f"{count} warm-up requests answered in "
        f"{time.monotonic() - started:.2f} s")
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv))

"""Writes requests and answers as a server's REST interface has them."""

import base64
from typing import Any, Dict, Mapping

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.serving import signature_reader

# What is behind the colon of the address, by the method of a signature.
VERBS = {signature_reader.PREDICT: "predict",
          signature_reader.CLASSIFY: "classify",
          signature_reader.REGRESS: "regress"}


class Request:
  """A request to one signature about one row, and its answer.

  Attributes:
    body: What is sent, as JSON.
    answer: What comes back, as JSON.
  """

  def __init__(self, signature: signature_reader.Signature,
               feed: Mapping[str, np.ndarray],
               answer: Mapping[str, np.ndarray]):
    self.signature = signature
    self.verb = VERBS[signature.method]
    self.body = {"signature_name": signature.name}
    if signature.method == signature_reader.PREDICT:
      self.body["instances"] = [{key: _plain(values[0], signature.inputs[key])
                                 for key, values in feed.items()}]
    else:
      self.body["examples"] = [columns(next(iter(feed.values()))[0])]
    self.answer = _ANSWERS[signature.method](answer)


def columns(serialized: bytes) -> Dict[str, Any]:
  """Returns the columns of a serialized tf.Example as JSON has them."""
  columns = {}
  features = tf.train.Example.FromString(serialized).features.feature
  for key in sorted(features):
    kind = features[key].WhichOneof("kind")
    values = [_text(value) if kind == "bytes_list" else
              _number(np.float32(value)) if kind == "float_list" else value
              for value in getattr(features[key], kind).value]
    columns[key] = values[0] if len(values) == 1 else values
  return columns


def _plain(value, tensor=None):
  """Returns a value of an array as JSON has it."""
  # Not by way of numpy's own strings: they lose zeros at the end.
  if isinstance(value, (bytes, str)):
    return _text(value, is_request=tensor is not None)
  value = np.asarray(value)
  if value.ndim:
    return [_plain(one, tensor) for one in value]
  kind, value = value.dtype.kind, value[()]
  return (_number(value) if kind == "f" else bool(value) if kind == "b"
          else int(value))


def _text(value, is_request=False):
  """Returns text as JSON has it; bytes of a request in base 64."""
  if isinstance(value, str):
    return value
  if is_request:
    return {"b64": base64.b64encode(value).decode()}
  return value.decode()


def _number(value):
  """Returns a number with no more digits than its type holds."""
  return float(str(value))


def _of_predict(answer):
  rows = {key: _plain(values[0]) for key, values in answer.items()}
  return {"predictions": [next(iter(rows.values())) if len(rows) == 1
                          else rows]}


def _of_classify(answer):
  count = len(next(iter(answer.values()))[0])
  labels = _plain(answer["classes"][0]) if "classes" in answer else [""] * count
  scores = _plain(answer["scores"][0]) if "scores" in answer else [0.0] * count
  return {"results": [[list(pair) for pair in zip(labels, scores)]]}


def _of_regress(answer):
  values, = answer.values()
  return {"results": [_plain(np.reshape(values, [-1])[0])]}


_ANSWERS = {signature_reader.PREDICT: _of_predict,
            signature_reader.CLASSIFY: _of_classify,
            signature_reader.REGRESS: _of_regress}

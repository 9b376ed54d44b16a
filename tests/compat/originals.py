"""Measures the originals: run with TF_USE_LEGACY_KERAS=1 and tf-keras.

`python -m tests.compat.originals FILE` writes what it found, pickled, and a
checkpoint beside it. It runs under TensorFlow 1.15 too, Python 3.7 and all.
"""

import inspect
import pickle
import sys
import warnings

import tensorflow.compat.v1 as tf

from tests.compat import cell_cases
from tests.compat import layer_cases
from tests.compat import measuring
from tests.compat import slim_cases


def signature(function):
  """Returns the arguments of a function as text, comparable."""
  return [f"{p.name}={_plain(p.default)}"
          for p in inspect.signature(function).parameters.values()]


def _plain(default):
  """Returns what a default means: (1, 1) along two axes is 1."""
  if default in ((1, 1), (1, 1, 1)):
    return "1"
  if "<locals>" in getattr(default, "__qualname__", ""):
    return "an initializer"  # All that is made by a function here.
  if inspect.isfunction(default):
    return default.__name__
  if default is inspect.Parameter.empty or isinstance(default, type):
    return getattr(default, "__name__", "")
  return (type(default).__name__ if hasattr(default, "get_config")
          else repr(default))


def _measure(cases, namespace):
  return {(name, resources): measuring.measure(case, namespace, resources)
          for name, case in cases.CASES.items() for resources in (True, False)
          if resources or name in cases.WITH_REFERENCES}


def _signatures(namespace):
  members = {name: getattr(namespace, name) for name in dir(namespace)}
  return {name: signature(member) for name, member in members.items()
          if inspect.isfunction(member) or inspect.isclass(member)}


def _save(case, namespace, path):
  """Saves variables of a network as PATH.ckpt and returns its predictions."""
  with tf.Graph().as_default(), measuring.session() as session:
    outputs = case(namespace)
    measuring.load(session)
    tf.train.Saver().save(session, path + ".ckpt", write_meta_graph=False)
    return session.run(outputs)


def _slim():
  """Returns slim; tf_slim looks for some things where they are no more."""
  # pylint: disable=g-import-not-at-top
  import tensorflow
  if tensorflow.__version__.startswith("1."):
    return tensorflow.contrib.slim
  from tensorflow.python.framework import ops
  from tensorflow.python.ops import control_flow_ops
  ops.Tensor = tf.Tensor
  control_flow_ops.cond = tf.cond
  import tf_keras.src.legacy_tf_layers as layers
  from tf_keras.src.legacy_tf_layers import (
      base, convolutional, core, normalization, pooling)
  home = "tf_keras.legacy_tf_layers"
  sys.modules[home] = layers
  for module in (base, convolutional, core, normalization, pooling):
    sys.modules[f"{home}.{module.__name__.rpartition('.')[2]}"] = module
  import tf_slim
  return tf_slim


def main(path):
  tf.disable_eager_execution()
  tf_slim = _slim()
  warnings.simplefilter("ignore")  # That they are deprecated.
  found = {
      "layers": _measure(layer_cases, tf.layers),
      "cells": _measure(cell_cases, tf.nn.rnn_cell),
      "slim": _measure(slim_cases, tf_slim),
      "layer predictions": _save(layer_cases.network, tf.layers, path),
      "slim predictions": _save(slim_cases.network, tf_slim, path + ".slim"),
      "slim signatures": _signatures(tf_slim),
      "contrib signatures": _signatures(tf_slim.layers),
      "layer signatures": _signatures(tf.layers),
      "cell signatures": _signatures(tf.nn.rnn_cell),
  }
  with open(path, "wb") as file:
    pickle.dump(found, file)


if __name__ == "__main__":
  main(sys.argv[1])

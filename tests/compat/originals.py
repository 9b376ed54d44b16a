"""Measures the originals: run with TF_USE_LEGACY_KERAS=1 and tf-keras.

`python -m tests.compat.originals FILE` writes what it found, pickled, and a
checkpoint beside it.
"""

import inspect
import pickle
import sys
import warnings

import tensorflow.compat.v1 as tf

from tests.compat import cell_cases
from tests.compat import layer_cases
from tests.compat import measuring


def signature(function):
  """Returns the arguments of a function as text, comparable."""
  return [f"{p.name}={_plain(p.default)}"
          for p in inspect.signature(function).parameters.values()]


def _plain(default):
  """Returns what a default means: (1, 1) along two axes is 1."""
  if default in ((1, 1), (1, 1, 1)):
    return "1"
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


def main(path):
  tf.disable_eager_execution()
  warnings.simplefilter("ignore")  # That they are deprecated.
  found = {
      "layers": _measure(layer_cases, tf.layers),
      "cells": _measure(cell_cases, tf.nn.rnn_cell),
      "layer predictions": _save(layer_cases.network, tf.layers, path),
      "layer signatures": _signatures(tf.layers),
      "cell signatures": _signatures(tf.nn.rnn_cell),
  }
  with open(path, "wb") as file:
    pickle.dump(found, file)


if __name__ == "__main__":
  main(sys.argv[1])

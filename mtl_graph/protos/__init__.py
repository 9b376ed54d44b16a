"""The messages of an experiment, generated from protos/*.proto."""

import importlib.util

if importlib.util.find_spec("mtl_graph.protos.experiment_pb2") is None:
  raise ImportError(
      "mtl_graph is not installed: run `pip install -e .` in its folder, "
      "which generates mtl_graph/protos/*_pb2.py.")

"""The messages of an experiment, generated from protos/*.proto."""

import importlib.util
import sys

if importlib.util.find_spec("mtl_graph.protos.experiment_pb2") is None:
  _MESSAGE = ("mtl_graph is not installed: run `pip install -e .` in its "
              "folder, which generates mtl_graph/protos/*_pb2.py")
  _MAIN = getattr(sys.modules.get("__main__"), "__spec__", None)
  if _MAIN is not None and _MAIN.name.startswith("mtl_graph."):
    sys.exit(_MESSAGE)  # One line, for whoever runs python -m mtl_graph.train.
  raise ImportError(_MESSAGE)

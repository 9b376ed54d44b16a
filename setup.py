"""Builds and installs mtl_graph; compiles protos/ on the way."""

import pathlib
import re
import shutil

import setuptools
from setuptools.command import build_py

_ROOT = pathlib.Path(__file__).resolve().parent
_EXAMPLES = ("*.pbtxt", "*.py", "data/*")


def _compile_protos(target: pathlib.Path) -> None:
  """Compiles protos/*.proto into `target`/mtl_graph/protos/*_pb2.py."""
  # Only there while building: a requirement of pyproject.toml's build-system.
  from grpc_tools import protoc
  (target / "mtl_graph" / "protos").mkdir(parents=True, exist_ok=True)
  protos = sorted((_ROOT / "protos").glob("*.proto"))
  # Imports read "mtl_graph/protos/data.proto", which puts the generated
  # modules inside the package.
  arguments = ["protoc", f"-Imtl_graph/protos={_ROOT / 'protos'}",
               f"--python_out={target}", f"--pyi_out={target}"]
  if protoc.main(arguments + [str(p) for p in protos]):
    raise RuntimeError("protos/*.proto do not compile; see above")


class BuildPy(build_py.build_py):
  """Adds the generated modules and the examples to the package."""

  def run(self):
    super().run()
    if self.editable_mode:
      _compile_protos(_ROOT)
      return
    target = pathlib.Path(self.build_lib)
    _compile_protos(target)
    for pattern in _EXAMPLES:
      for path in sorted((_ROOT / "protos" / "examples").glob(pattern)):
        copy = (target / "mtl_graph" / "protos" / "examples"
                / path.relative_to(_ROOT / "protos" / "examples"))
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _version() -> str:
  text = (_ROOT / "mtl_graph" / "__init__.py").read_text(encoding="utf-8")
  return re.search(r'^__version__ = "(.+)"', text, re.MULTILINE).group(1)


setuptools.setup(
    name="mtl-graph",
    version=_version(),
    description="Multi-task learning in TensorFlow 1 style on today's "
    "TensorFlow.",
    long_description=(_ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=setuptools.find_packages(include=["mtl_graph", "mtl_graph.*"]),
    package_data={"mtl_graph": ["py.typed"]},
    install_requires=[
        "tensorflow~=2.21.0",
        "numpy>=1.26,<3",
        "absl-py>=2.1,<3",
        # What protoc of grpcio-tools 1.76 generates loads from 6.31.1 on.
        "protobuf>=6.31.1,<8",
    ],
    extras_require={
        # Reads Parquet files.
        "parquet": ["pyarrow>=17,<27"],
        # Read an export without TensorFlow: tests of other runtimes.
        "onnx": ["tf2onnx>=1.17,<2", "onnxruntime>=1.20,<2"],
        "lite": ["ai-edge-litert>=2.1,<3"],
        "openvino": ["openvino>=2026.1,<2027"],
        # The protos of TensorFlow Serving, for clients in Python.
        "serving": ["tensorflow-serving-api==2.21.0"],
        # Runs the tests: scikit-learn is the metrics' independent reference,
        # data frames come from pandas, a tool draws with matplotlib, requests
        # are compared with TensorFlow Serving's own. What hangs is ended.
        "test": ["pytest>=8,<10", "pytest-xdist>=3.5,<4",
                 "pytest-timeout>=2.3,<3",
                 "scikit-learn>=1.5,<2", "grpcio-tools==1.76.0",
                 "pandas>=2.2,<4", "pyarrow>=17,<27", "matplotlib>=3.8,<4",
                 "tensorflow-serving-api==2.21.0"],
        # The originals of mtl_graph.compat, for the tests that compare. Not
        # in "test": where tf-keras is installed, TensorFlow starts with it.
        "legacy": ["tf-keras~=2.21.0", "tf-slim>=1.1,<2"],
        # Runs tools/compare_*.py.
        "compare": ["scikit-learn>=1.5,<2", "matplotlib>=3.8,<4"],
        # Runs tools/benchmark.py: PyTorch is a rival, of one version so that
        # dated results compare; matplotlib draws.
        "benchmark": ["torch==2.13.0", "torchjd[full]>=0.18,<0.19",
                      "matplotlib>=3.8,<4"],
    },
    cmdclass={"build_py": BuildPy},
)

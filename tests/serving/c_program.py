"""Runs exports by a C program, which knows nothing of this project."""

import functools
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
from typing import Dict, List, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.serving import lean_graph

SOURCE = pathlib.Path(__file__).absolute().parent / "read_export.c"
_PACKAGE = os.path.dirname(tf.sysconfig.get_include())


@functools.cache
def _built() -> Tuple[str, tempfile.TemporaryDirectory]:
  """Compiles the program once; its folder goes with the process."""
  folder = tempfile.TemporaryDirectory()
  path = os.path.join(folder.name, "read_export")
  command = ["gcc", "-O1", "-Wall", "-Wno-unused-result", str(SOURCE), "-o",
             path, f"-I{_PACKAGE}/include", f"-L{_PACKAGE}",
             "-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2",
             f"-Wl,-rpath,{_PACKAGE}"]
  if shutil.which("ld.gold"):  # Several times faster on a library as large.
    command.append("-fuse-ld=gold")
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  if done.returncode:
    raise RuntimeError(done.stderr)
  return path, folder


def is_there() -> bool:
  """Returns whether there is a compiler."""
  return shutil.which("gcc") is not None


def run(export: str, requests: Sequence[Tuple[str, Dict[str, np.ndarray]]]
        ) -> List[Dict[str, np.ndarray]]:
  """Answers requests.

  Args:
    export: Path of the version.
    requests: Pairs of a signature and its inputs by key.

  Returns:
    The outputs of each by key.
  """
  signatures = lean_graph.read(export).meta_graphs[0].signature_def
  written = b"".join(_request(signatures[name], inputs)
                     for name, inputs in requests)
  with tempfile.TemporaryDirectory() as folder:
    paths = [os.path.join(folder, name) for name in ("requests", "answers")]
    pathlib.Path(paths[0]).write_bytes(written)
    done = subprocess.run([_built()[0], export, *paths], capture_output=True,
                          text=True, check=False)
    if done.returncode:
      raise RuntimeError(done.stderr)
    answers = _Reader(pathlib.Path(paths[1]).read_bytes())
  return [{key: answers.tensor() for key in sorted(signatures[name].outputs)}
          for name, _ in requests]


def _request(signature, inputs) -> bytes:
  parts = [_number(len(inputs))]
  for key, values in inputs.items():
    info = signature.inputs[key]
    parts += [_text(info.name.encode()), _tensor(values, info.dtype)]
  parts.append(_number(len(signature.outputs)))
  return b"".join(parts + [_text(signature.outputs[key].name.encode())
                           for key in sorted(signature.outputs)])


def _number(value) -> bytes:
  return struct.pack("q", value)


def _text(value: bytes) -> bytes:
  return _number(len(value)) + value


def _tensor(values, dtype) -> bytes:
  values = np.asarray(values)
  head = b"".join(map(_number, (dtype, values.ndim, *values.shape)))
  if dtype != tf.string.as_datatype_enum:
    return head + values.astype(tf.as_dtype(dtype).as_numpy_dtype).tobytes()
  return head + b"".join(
      _text(value if isinstance(value, bytes) else value.encode())
      for value in values.ravel().tolist())


class _Reader:
  """Takes answers apart."""

  def __init__(self, data: bytes):
    self._data = data
    self._place = 0

  def _take(self, length: int) -> bytes:
    self._place += length
    return self._data[self._place - length:self._place]

  def _number(self) -> int:
    return struct.unpack("q", self._take(8))[0]

  def tensor(self) -> np.ndarray:
    """Returns the next tensor; strings as bytes."""
    dtype = tf.as_dtype(self._number())
    shape = [self._number() for _ in range(self._number())]
    count = int(np.prod(shape))
    if dtype == tf.string:
      flat = np.empty(count, object)
      flat[:] = [self._take(self._number()) for _ in range(count)]
      return flat.reshape(shape)
    return np.frombuffer(self._take(count * dtype.size),
                         dtype.as_numpy_dtype).reshape(shape)

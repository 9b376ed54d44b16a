"""Makes the small data set of protos/examples/document.pbtxt.

Task a is a number that depends on the features through a tanh, with Gaussian
noise; task b is 1 with a probability that falls as a rises. The file's bytes
depend on the seed alone.
"""

import io
import os
import sys
import zipfile

from absl import flags
import numpy as np

from mtl_graph import launching

_FLAGS = flags.FlagValues()
flags.DEFINE_string("output", "protos/examples/data/document.npz",
                    "Path of the file.", flag_values=_FLAGS)
flags.DEFINE_integer("rows", 1000, "How many rows.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("seed", 3, "Seed of the data.", lower_bound=0,
                     flag_values=_FLAGS)
flags.DEFINE_boolean("dry_run", False, "Say what would be written, write "
                     "nothing.", flag_values=_FLAGS)


def make(rows: int, seed: int):
  """Draws the arrays.

  Args:
    rows: How many rows, N.
    seed: Seed.

  Returns:
    A dict of float32 arrays: x [N, 4], a [N] and b [N].
  """
  # RandomState, because NumPy promises never to change its stream.
  random = np.random.RandomState(seed)
  x = random.randn(rows, 4)
  a = np.tanh(x[:, 0] + 0.5 * x[:, 1]) + 0.1 * random.randn(rows)
  probability = 1 / (1 + np.exp(2 * a - x[:, 2]))
  b = random.rand(rows) < probability
  return {"x": x.astype(np.float32), "a": a.astype(np.float32),
          "b": b.astype(np.float32)}


def write(arrays, path: str) -> None:
  """Writes arrays as .npz without the time of day that numpy.savez puts in."""
  with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
    for name, array in arrays.items():
      buffer = io.BytesIO()
      np.save(buffer, array, allow_pickle=False)
      archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)),
                       buffer.getvalue(), zipfile.ZIP_DEFLATED)


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _make, __doc__)


def _make():
  if os.path.exists(_FLAGS.output):
    raise flags.Error(
        f"--output: '{_FLAGS.output}' exists; allowed: a new file")
  if not _FLAGS.dry_run:
    write(make(_FLAGS.rows, _FLAGS.seed), _FLAGS.output)
  print(f"{'would write' if _FLAGS.dry_run else 'wrote'} {_FLAGS.output}: "
        f"{_FLAGS.rows} rows of x, a and b")


if __name__ == "__main__":
  sys.exit(main(sys.argv))

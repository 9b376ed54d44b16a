"""Makes MultiMNIST: two digits on one canvas, two tasks.

A left digit lies at [0:28, 0:28] of a canvas of 36 x 36 pixels, a right one at
[6:34, 6:34]; where they overlap the brighter pixel counts. The canvas is then
brought to 28 x 28 (Sabour et al. 2017 and Sener and Koltun 2018 did much the
same). Reads t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz.

Of the 10,000 digits, the first `TRAIN_DIGITS` of a random order are drawn from
for training, the others for validation: no digit is on both sides. Each side
pairs every digit about equally often with random others. Writes train.npz and
validation.npz with `image`, uint8 [N, 28, 28], `left` and `right`, int32 [N].
The arrays depend on the seed alone.
"""

import gzip
import os
import sys
from typing import Dict, Tuple
import zlib

from absl import flags
import numpy as np

from mtl_graph import launching
from mtl_graph.data import table

_FLAGS = flags.FlagValues()
flags.DEFINE_string("input_dir", "../shared/data/mnist",
                    "Folder of the two files.", flag_values=_FLAGS)
flags.DEFINE_string("output_dir", None, "Where to write.", flag_values=_FLAGS)
flags.DEFINE_integer("seed", 1, "Seed of the pairs.", 0, 2**32 - 1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("train_pairs", 60000, "Rows to train on.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("validation_pairs", 10000, "Rows held out.",
                     lower_bound=1, flag_values=_FLAGS)
flags.DEFINE_boolean("dry_run", False, "Say what would be written, write "
                     "nothing.", flag_values=_FLAGS)
flags.mark_flag_as_required("output_dir", flag_values=_FLAGS)

FILES = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
TRAIN_DIGITS = 0.8  # Share of the digits that training pairs are made of.
_SIZE = 28
_CANVAS = 36
_RIGHT = 6  # Where the right digit begins, from the left and from above.
_BLOCK = 5000  # Pairs drawn at once, for the memory's sake.


def read_idx(path: str, dimensions: int) -> np.ndarray:
  """Reads a gzip file of unsigned bytes in idx format.

  Args:
    path: Path of the file.
    dimensions: How many dimensions the array has.

  Returns:
    The array, uint8.

  Raises:
    DataError: If the file cannot be read, or is not such an array.
  """
  try:
    with gzip.open(path) as file:
      data = file.read()
  except (OSError, EOFError, zlib.error) as error:
    raise table.DataError(f"{path}: found no gzip file that can be read "
                          f"({error}); allowed: the data as published")
  # Two zeros, 8 for unsigned bytes, the number of dimensions; then the
  # dimensions, each in four bytes, the most significant first.
  magic = bytes([0, 0, 8, dimensions])
  if data[:4] != magic:
    raise table.DataError(f"{path}: found {data[:4]!r} at the beginning; "
                          f"allowed: {magic!r}")
  begin = 4 + 4 * dimensions
  shape = [int.from_bytes(data[i:i + 4], "big") for i in range(4, begin, 4)]
  if len(data) != begin + np.prod(shape, dtype=int):
    raise table.DataError(f"{path}: found {len(data)} bytes; allowed: "
                          f"{begin + np.prod(shape, dtype=int)} for shape "
                          f"{shape}")
  return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)


def read(folder: str) -> Tuple[np.ndarray, np.ndarray]:
  """Reads the digits, uint8 [N, 28, 28], and their labels, uint8 [N]."""
  paths = [os.path.join(folder, name) for name in FILES]
  images, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
  if images.shape != (len(labels), _SIZE, _SIZE):
    raise table.DataError(f"{paths[0]}: found shape {images.shape}; allowed: "
                          f"{(len(labels), _SIZE, _SIZE)}, an image per label")
  return images, labels


def area_weights(source: int, target: int) -> np.ndarray:
  """Returns the matrix that resizes a line of pixels by area.

  Pixel i of the target covers [i s, (i + 1) s) of the source, with
  s = source / target; it is the mean of what it covers:

  ```
    weight_ij = |[i s, (i + 1) s) and [j, j + 1)| / s
  ```

  Args:
    source: Pixels there are.
    target: Pixels wanted, at most as many.

  Returns:
    The weights, shape `[target, source]`; each row adds up to 1.
  """
  scale = source / target
  i = np.arange(target)[:, np.newaxis]
  j = np.arange(source)[np.newaxis]
  covered = np.minimum((i + 1) * scale, j + 1) - np.maximum(i * scale, j)
  return np.maximum(covered, 0) / scale


def compose(left: np.ndarray, right: np.ndarray) -> np.ndarray:
  """Puts pairs of digits on one canvas each.

  Args:
    left: Digits on the left, uint8 `[N, 28, 28]`.
    right: Digits on the right, uint8 `[N, 28, 28]`.

  Returns:
    Images, uint8 `[N, 28, 28]`.
  """
  canvas = np.zeros((len(left), _CANVAS, _CANVAS), np.float32)
  canvas[:, :_SIZE, :_SIZE] = left
  there = canvas[:, _RIGHT:_RIGHT + _SIZE, _RIGHT:_RIGHT + _SIZE]
  np.maximum(there, right, out=there)
  weights = area_weights(_CANVAS, _SIZE).astype(np.float32)
  return np.rint(weights @ canvas @ weights.T).astype(np.uint8)


def draw(digits: np.ndarray, pairs: int,
         random: np.random.RandomState) -> Tuple[np.ndarray, np.ndarray]:
  """Draws pairs of digits, each about equally often on each side.

  Args:
    digits: Numbers of the digits to draw from, shape `[D]`.
    pairs: How many pairs, N.
    random: Where randomness comes from.

  Returns:
    Numbers of the left digits and of the right ones, both shape `[N]`.
  """
  def side():
    rounds = -(-pairs // len(digits))
    return np.concatenate(
        [random.permutation(digits) for _ in range(rounds)])[:pairs]
  return side(), side()


def make(images: np.ndarray, labels: np.ndarray, pairs: Dict[str, int],
         seed: int) -> Dict[str, Dict[str, np.ndarray]]:
  """Makes the columns of each split.

  Args:
    images: The digits, uint8 `[N, 28, 28]`.
    labels: What they are, uint8 `[N]`.
    pairs: Rows wanted by split, "train" and "validation".
    seed: Seed.

  Returns:
    `image`, `left` and `right` by split.
  """
  # RandomState, because NumPy promises never to change its stream.
  random = np.random.RandomState(seed)
  order = random.permutation(len(images))
  cut = int(TRAIN_DIGITS * len(images))
  digits = {"train": order[:cut], "validation": order[cut:]}
  made = {}
  for split, count in pairs.items():
    left, right = draw(digits[split], count, random)
    blocks = [slice(i, i + _BLOCK) for i in range(0, count, _BLOCK)]
    made[split] = {
        "image": np.concatenate([compose(images[left[block]],
                                         images[right[block]])
                                 for block in blocks]),
        "left": labels[left].astype(np.int32),
        "right": labels[right].astype(np.int32)}
  return made


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _make, __doc__)


def _make():
  images, labels = read(_FLAGS.input_dir)
  pairs = {"train": _FLAGS.train_pairs, "validation": _FLAGS.validation_pairs}
  paths = {split: os.path.join(_FLAGS.output_dir, f"{split}.npz")
           for split in pairs}
  launching.check_new(paths.values())
  if not _FLAGS.dry_run:
    os.makedirs(_FLAGS.output_dir, exist_ok=True)
    for split, columns in make(images, labels, pairs, _FLAGS.seed).items():
      np.savez_compressed(paths[split], **columns)
  for split, count in pairs.items():
    print(f"{'would write' if _FLAGS.dry_run else 'wrote'} {paths[split]}: "
          f"{count} pairs of digits")


if __name__ == "__main__":
  sys.exit(main(sys.argv))

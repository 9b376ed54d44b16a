"""Makes the Tox21 data set of protos/examples/large/tox21.pbtxt.

Reads fingerprints and labels of 8,006 molecules from an .npz file: `X_packed`,
the bits of each fingerprint packed into bytes; `Y`, a label per molecule and
assay, NaN where it was not measured; `tasks`, the assays; and
`scaffold_split_0train_1valid_2test`. Writes train.npz, validation.npz and
test.npz by that split, which keeps molecules of one scaffold together: at
random the same molecule would come up on both sides.

Each file has `fingerprint`, uint8 [N, 1024], and an array per assay, float32
[N], called like the assay in lower case with underscores: nr_ar, sr_p53.
"""

import os
import sys
from typing import Dict, Mapping
import zipfile

from absl import flags
import numpy as np

from mtl_graph import launching
from mtl_graph.data import table

_FLAGS = flags.FlagValues()
flags.DEFINE_string("input", None, "Path of derived_ecfp4_1024.npz.",
                    flag_values=_FLAGS)
flags.DEFINE_string("output_dir", None, "Where to write.", flag_values=_FLAGS)
flags.DEFINE_boolean("dry_run", False, "Say what would be written, write "
                     "nothing.", flag_values=_FLAGS)
flags.mark_flags_as_required(["input", "output_dir"], flag_values=_FLAGS)

SPLITS = ("train", "validation", "test")
_SPLIT = "scaffold_split_0train_1valid_2test"


def read(path: str) -> Dict[str, np.ndarray]:
  """Reads the arrays of the file.

  Args:
    path: Path of the file.

  Returns:
    `X_packed` [N, B], `Y` [N, T], `tasks` [T] and the split [N], by name.

  Raises:
    DataError: If the file cannot be read, lacks an array, or they do not go
      together.
  """
  try:
    # On what is no archive numpy.load leaves a half-made object behind, which
    # complains as it is collected.
    if os.path.exists(path) and not zipfile.is_zipfile(path):
      raise zipfile.BadZipFile("it is no zip archive, or is cut off")
    with np.load(path) as file:
      arrays = {name: file[name] for name in file.files}
  except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
    raise table.DataError(f"{path}: found no .npz file that can be read "
                          f"({error}); allowed: the data as published")
  for name in ("X_packed", "Y", "tasks", _SPLIT):
    if name not in arrays:
      raise table.DataError(f"{path}: found {', '.join(sorted(arrays))}; "
                            f"allowed: {name} among them")
  rows, tasks = len(arrays["X_packed"]), len(arrays["tasks"])
  for name, shape in (("Y", (rows, tasks)), (_SPLIT, (rows,))):
    if arrays[name].shape != shape:
      raise table.DataError(f"{path}: {name}: found shape {arrays[name].shape}"
                            f"; allowed: {shape}")
  allowed = set(range(len(SPLITS)))
  if set(np.unique(arrays[_SPLIT])) != allowed:
    raise table.DataError(
        f"{path}: {_SPLIT}: found {np.unique(arrays[_SPLIT])}; allowed: each "
        f"of {sorted(allowed)}")
  return arrays


def task_name(assay: str) -> str:
  """Returns the name of the task of an assay."""
  return assay.lower().replace("-", "_")


def make(arrays: Mapping[str, np.ndarray]) -> Dict[str, Dict[str, np.ndarray]]:
  """Makes the columns of each split from the arrays that `read` returns."""
  fingerprints = np.unpackbits(arrays["X_packed"], axis=1)
  made = {}
  for i, split in enumerate(SPLITS):
    chosen = arrays[_SPLIT] == i
    made[split] = {"fingerprint": fingerprints[chosen]}
    for t, assay in enumerate(arrays["tasks"]):
      made[split][task_name(str(assay))] = (
          arrays["Y"][chosen, t].astype(np.float32))
  return made


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _make, __doc__)


def _make():
  made = make(read(_FLAGS.input))
  paths = {split: os.path.join(_FLAGS.output_dir, f"{split}.npz")
           for split in made}
  launching.check_new(paths.values())
  if not _FLAGS.dry_run:
    os.makedirs(_FLAGS.output_dir, exist_ok=True)
  for split, columns in made.items():
    if not _FLAGS.dry_run:
      np.savez_compressed(paths[split], **columns)
    labels = [v for name, v in columns.items() if name != "fingerprint"]
    print(f"{'would write' if _FLAGS.dry_run else 'wrote'} {paths[split]}: "
          f"{len(labels[0])} molecules, {len(labels)} assays, "
          f"{np.isnan(labels).mean():.1%} of labels missing")


if __name__ == "__main__":
  sys.exit(main(sys.argv))

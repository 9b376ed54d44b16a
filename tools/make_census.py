"""Makes the census data set from the UCI Census-Income (KDD) data.

Takes one of the two files as published, rows of 42 fields separated by ", "
without a header, and writes its rows unchanged to census-train.csv.gz (80 %),
census-validation.csv.gz and census-test.csv.gz (10 % each, unless --bounds says
otherwise), with census-columns.txt, which names the columns, and education.txt,
which lists the classes of the column `education` in the order of schooling.

A hash of the row decides where it goes: some rows occur several times, and all
of them must be on one side. The files' bytes depend on the input alone.
"""

import gzip
import hashlib
import io
import os
import sys
from typing import Dict, List, Mapping, Sequence, Tuple
import zlib

from absl import flags

from mtl_graph import launching
from mtl_graph.data import table

_FLAGS = flags.FlagValues()
flags.DEFINE_string("input", None, "Path of census-income.test.gz or "
                    "census-income.data.gz.", flag_values=_FLAGS)
flags.DEFINE_string("output_dir", None, "Where to write.", flag_values=_FLAGS)
flags.DEFINE_list("bounds", ["0.8", "0.9"], "Two numbers: rows whose hash, "
                  "from 0 to 1, is below the first are for training, others "
                  "below the second for validation.", flag_values=_FLAGS)
flags.DEFINE_boolean("dry_run", False, "Say what would be written, write "
                     "nothing.", flag_values=_FLAGS)
flags.mark_flags_as_required(["input", "output_dir"], flag_values=_FLAGS)

COLUMNS = (
    "age", "class_worker", "det_ind_code", "det_occ_code", "education",
    "wage_per_hour", "hs_college", "marital_stat", "major_ind_code",
    "major_occ_code", "race", "hisp_origin", "sex", "union_member",
    "unemp_reason", "full_or_part_emp", "capital_gains", "capital_losses",
    "stock_dividends", "tax_filer_stat", "region_prev_res", "state_prev_res",
    "det_hh_fam_stat", "det_hh_summ", "instance_weight", "mig_chg_msa",
    "mig_chg_reg", "mig_move_reg", "mig_same", "mig_prev_sunbelt", "num_emp",
    "fam_under_18", "country_father", "country_mother", "country_self",
    "citizenship", "own_or_self", "vet_question", "vet_benefits",
    "weeks_worked", "year", "income_50k")

EDUCATION = (
    "Children", "Less than 1st grade", "1st 2nd 3rd or 4th grade",
    "5th or 6th grade", "7th and 8th grade", "9th grade", "10th grade",
    "11th grade", "12th grade no diploma", "High school graduate",
    "Some college but no degree", "Associates degree-occup /vocational",
    "Associates degree-academic program", "Bachelors degree(BA AB BS)",
    "Masters degree(MA MS MEng MEd MSW MBA)",
    "Prof school degree (MD DDS DVM LLB JD)", "Doctorate degree(PhD EdD)")


def read(path: str) -> List[bytes]:
  """Reads the rows of a gzip file as published, without their line ends.

  Args:
    path: Path of the file.

  Returns:
    The rows, each with a value for every one of `COLUMNS`.

  Raises:
    DataError: If the file cannot be read, or is not the data as published.
  """
  try:
    with gzip.open(path) as file:
      lines = file.read().splitlines()
  except (OSError, EOFError, zlib.error) as error:
    raise table.DataError(f"{path}: found no gzip file that can be read "
                          f"({error}); allowed: the data as published")
  if not lines:
    raise table.DataError(f"{path}: found no rows; allowed: at least one")
  known = {name.encode() for name in EDUCATION}
  education = COLUMNS.index("education")
  for i, line in enumerate(lines):
    fields = line.split(b",")
    if len(fields) != len(COLUMNS):
      raise table.DataError(f"{path}, line {i + 1}: found {len(fields)} "
                            f"fields; allowed: {len(COLUMNS)}")
    if fields[education].strip() not in known:
      found = fields[education].strip().decode(errors="replace")
      raise table.DataError(f"{path}, line {i + 1}: column `education`: found "
                            f"'{found}'; allowed: {', '.join(EDUCATION)}")
  return lines


def split(rows: Sequence[bytes], bounds: Tuple[float, float] = (0.8, 0.9)
          ) -> Dict[str, List[bytes]]:
  """Splits rows by a hash of each.

  Args:
    rows: The rows.
    bounds: What the hashes of rows for training are below, and of those for
      validation.

  Returns:
    The rows of each split, in the order in which they come.
  """
  splits = {"train": [], "validation": [], "test": []}
  for row in rows:
    # 48 bits, which a float holds exactly: it is never rounded up to 1.
    place = int.from_bytes(hashlib.sha256(row).digest()[:6], "big") / 2**48
    some = zip(splits.values(), (*bounds, 1.0))
    next(part for part, bound in some if place < bound).append(row)
  return splits


def encode(rows: Sequence[bytes]) -> bytes:
  """Encodes rows as gzip, with neither time nor file name in its header."""
  packed = io.BytesIO()
  with gzip.GzipFile("", "wb", 9, packed, mtime=0) as file:
    file.write(b"".join(row + b"\n" for row in rows))
  return packed.getvalue()


def make(splits: Mapping[str, Sequence[bytes]]) -> Dict[str, bytes]:
  """Makes the bytes of each file, by its name, of what `split` returned."""
  files = {f"census-{name}.csv.gz": encode(some)
           for name, some in splits.items()}
  for name, lines in (("census-columns.txt", COLUMNS),
                      ("education.txt", EDUCATION)):
    files[name] = "".join(line + "\n" for line in lines).encode()
  return files


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _make, __doc__)


def _make():
  bounds = _bounds()
  splits = split(read(_FLAGS.input), bounds)
  counts = {f"census-{name}.csv.gz": len(some)
            for name, some in splits.items()}
  files = {os.path.join(_FLAGS.output_dir, name): data
           for name, data in make(splits).items()}
  launching.check_new(files)
  if not _FLAGS.dry_run:
    os.makedirs(_FLAGS.output_dir, exist_ok=True)
  for path, data in files.items():
    if not _FLAGS.dry_run:
      with open(path, "xb") as file:
        file.write(data)
    count = counts.get(os.path.basename(path))
    print(f"{'would write' if _FLAGS.dry_run else 'wrote'} {path}: "
          + (f"{len(data)} bytes" if count is None else f"{count} rows"))


def _bounds():
  """Returns what --bounds says."""
  try:
    train, validation = map(float, _FLAGS.bounds)
  except ValueError:
    train = validation = -1.0
  if not 0 < train < validation < 1:
    raise flags.Error(f"--bounds: found '{','.join(_FLAGS.bounds)}'; allowed: "
                      "two rising numbers between 0 and 1")
  return train, validation


if __name__ == "__main__":
  sys.exit(main(sys.argv))

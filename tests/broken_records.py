"""Broken TFRecord, Parquet and image files, and what must be said of each."""

import functools
import os

import numpy as np

from tests import image_experiment
from tests import small_experiment

_lines = functools.partial(small_experiment.line_case, code=1)
_FLAGS = ("--allow_changes",)
_KINDS = {"age": float, "income": float, "spent": float, "weight": int,
          "clicked": int, "hour": int}
_RECORDS = ("records of serialized tf.Example, as tf.io.TFRecordWriter writes "
            "them, gzip only if the file ends in .gz")
_NUMBER = "a number, or nothing where it is missing"


def _rows():
  """Returns the rows of train.csv, each a dict from column to its values."""
  names, rows = small_experiment.rows_of("train.csv")
  return [{name: [_KINDS.get(name, str)(field)] if field else []
           for name, field in zip(names, row)} for row in rows]


def _serialized(row):
  """Writes a row as a tf.Example."""
  import tensorflow.compat.v1 as tf
  example = tf.train.Example()
  for name, values in row.items():
    feature = example.features.feature[name]
    for value in values:
      if isinstance(value, float):
        feature.float_list.value.append(value)
      elif isinstance(value, int):
        feature.int64_list.value.append(value)
      else:
        feature.bytes_list.value.append(
            value if isinstance(value, bytes) else value.encode())
  return example.SerializeToString()


def _write(path, rows):
  """Writes rows, or bytes that are none, as a TFRecord file."""
  import tensorflow.compat.v1 as tf
  options = tf.io.TFRecordOptions("GZIP" if path.endswith(".gz") else "")
  with tf.io.TFRecordWriter(path, options) as writer:
    for row in rows:
      writer.write(row if isinstance(row, bytes) else _serialized(row))


def _records(name, change, *lines, path="train.tfrecord", then=None, **more):
  """A TFRecord file of other rows, or of other bytes.

  Args:
    name: Name of the case.
    change: Called with the rows; may change them, or return what is written.
    *lines: What must be said.
    path: Path of the file.
    then: If given, changes the bytes of the file.
    **more: Further fields of the case.

  Returns:
    The case.
  """
  def prepare():
    rows = _rows()
    _write(path, change(rows) or rows)
    if then is not None:
      small_experiment.bytes_of(then, path)()
  return _lines(name, f"data.train={{tfrecord {{path: '{path}'}} weight_column:"
                " 'weight'}", *lines, prepare=(prepare,), flags=_FLAGS, **more)


def _put(row, **values):
  """Puts values into one row."""
  return lambda rows: rows[row - 1].update(values)


def _same(rows):
  del rows


def _cut(data):
  return data[:-9]


def _flip(data):
  return data[:200] + bytes(255 - b for b in data[200:204]) + data[204:]


_UNREADABLE = f"allowed: {_RECORDS}"

RECORDS = (
    _records("records_cut_off", _same, "train.tfrecord, record 60: cannot be "
             "read: truncated record at ...", then=_cut, process=True),
    _records("records_cut_off_between_two_numbers", _same, "train.tfrecord, "
             f"record 1: cannot be read: it is cut off; {_UNREADABLE}",
             then=lambda data: data[:5]),
    _records("records_zipped_and_cut_off", _same,
             "train.tfrecord.gz, record 61: cannot be read: Compressed file "
             "ended before the end-of-stream marker was reached; ...",
             path="train.tfrecord.gz", then=_cut),
    _records("records_damaged", _same, "train.tfrecord, record 2: cannot be "
             "read: corrupted record at ...", then=_flip),
    _records("records_zipped_and_damaged", _same,
             "train.tfrecord.gz, record ...", path="train.tfrecord.gz",
             then=_flip),
    _records("records_that_are_text", _same, "train.tfrecord, record 1: cannot "
             "be read: ...", then=lambda data: b"age,income\n1,2\n"),
    _records("records_not_zipped", _same, "train.tfrecord.gz, record 1: cannot "
             "be read: ...", path="train.tfrecord.gz",
             then=lambda data: b"age,income\n1,2\n"),
    _records("records_none", lambda rows: [b""][:0], "train.tfrecord: found no "
             "rows; allowed: at least one (data.train)",
             then=lambda data: b""),
    _records("record_no_example", lambda rows: [*rows[:4], b"\xff\xff\xff"],
             "train.tfrecord, record 5: found 3 bytes that are no tf.Example; "
             f"{_UNREADABLE}"),
    _records("record_of_another_message",
             lambda rows: [b"\x12\x04city", *rows],
             "train.tfrecord, record 1: found 6 bytes that are no tf.Example; "
             f"{_UNREADABLE}"),
    _records("record_changes_its_kind", _put(9, age=[41]),
             "train.tfrecord, record 9: feature 'age' is a int64_list; allowed:"
             " float_list, as in the records before"),
    _records("record_becomes_text", _put(7, hour=["noon"]),
             "train.tfrecord, record 7: feature 'hour' is a bytes_list; "
             "allowed: int64_list, as in the records before"),
    _records("record_not_utf8", _put(3, city=[b"Z\xfcrich"]),
             "train.tfrecord, record 3: feature 'city' holds bytes that are not"
             " UTF-8: b'Z\\xfcrich'; allowed: UTF-8 text"),
    _records("record_of_two_values", _put(5, age=[1.0, 2.0]),
             "train.tfrecord, row 5, column 'age': found 2 values; allowed: one"
             " value, or nothing where it is missing"),
    _records("record_without_a_number", _put(6, age=[]),
             "train.tfrecord, row 6, column 'age': found 'nan'; allowed: a "
             "number; feature 'age' has no missing_value to stand for a missing"
             " one"),
    _records("record_infinite", _put(6, income=[float("inf")]),
             "train.tfrecord, row 6, column 'income': found 'inf'; allowed: a "
             "finite number"),
    _records("record_of_an_unknown_class", _put(8, tier=["silber"]),
             "train.tfrecord, row 8, column 'tier': found 'silber'; allowed: an"
             " entry of the vocabulary; nearest: 'silver'"),
    _records("column_in_no_record",
             lambda rows: [row.pop("income") for row in rows] and None,
             "train.tfrecord: no column 'income' (data.train); allowed: age, "
             "..."),
    _lines("records_are_a_folder",
           "data.train={tfrecord {path: 'folder'} weight_column: 'weight'}",
           "folder, record 1: cannot be read: ...", flags=_FLAGS,
           prepare=(lambda: os.mkdir("folder"),)),
)


def _table(name, change, *lines, then=None, **more):
  """A Parquet file of other columns, or of other bytes.

  Args:
    name: Name of the case.
    change: Called with the columns, each a list with None where a value is
      missing; may change them, or return what is written.
    *lines: What must be said.
    then: If given, changes the bytes of the file.
    **more: Further fields of the case.

  Returns:
    The case.
  """
  def prepare():
    import pyarrow
    from pyarrow import parquet
    columns = {column: [row[column][0] if row[column] else None
                        for row in _rows()] for column in _rows()[0]}
    written = change(columns) or columns
    if isinstance(written, dict):
      written = pyarrow.table(written)
    parquet.write_table(written, "train.parquet")
    if then is not None:
      small_experiment.bytes_of(then, "train.parquet")()
  return _lines(name, "data.train={parquet {path: '*.parquet'} weight_column: "
                "'weight'}", *lines, prepare=(prepare,), flags=_FLAGS, **more)


def _twice(columns):
  """Names two columns alike."""
  import pyarrow
  table = pyarrow.table(columns)
  return table.append_column("age", table.column("hour"))


def _second_file(columns):
  """Writes a second file, whose column holds text."""
  import pyarrow
  from pyarrow import parquet
  parquet.write_table(pyarrow.table({**columns, "hour": ["noon"] * 60}),
                      "more.parquet")


TABLES = (
    _table("parquet_is_text", _same, "train.parquet: cannot be read: ...",
           then=lambda data: b"age,income\n1,2\n"),
    _table("parquet_cut_off", _same, "train.parquet: cannot be read: Parquet "
           "magic bytes not found in footer. Either the file is corrupted or "
           "this is not a parquet file; allowed: a Parquet file",
           then=lambda data: data[:len(data) // 2]),
    _table("parquet_damaged", _same, "train.parquet: cannot be read: ...",
           then=lambda data: data[:-40] + b"?" * 20 + data[-20:]),
    _table("parquet_is_empty", _same, "train.parquet: cannot be read: ...",
           then=lambda data: b""),
    _table("parquet_lacks_a_column", lambda columns: {
        c: values for c, values in columns.items() if c != "device"},
           "train.parquet: no column 'device' (data.train); allowed: age, ..."),
    _table("parquet_of_no_rows", lambda columns: {
        c: values[:0] for c, values in columns.items()},
           "train.parquet: found no rows; allowed: at least one (data.train)"),
    _table("parquet_nested", lambda columns: columns.update(
        age=[{"years": 5}] * 60), "train.parquet: column 'age' is of type "
           "struct<years: int64>: ..."),
    _table("parquet_of_lists_of_lists", lambda columns: columns.update(
        city=[[["a"], ["b"]]] * 60), "train.parquet: column 'city' is of type "
           "list<element: list<element: string>>: ..."),
    _table("parquet_of_lists", lambda columns: columns.update(
        age=[[1.0]] * 59 + [[1.0, 2.0]]), "train.parquet, row 60, column 'age':"
           " found 2 values; allowed: one value, or nothing where it is "
           "missing"),
    _table("parquet_column_twice", _twice, "train.parquet: column 'age' is "
           "named more than once; allowed: each name once"),
    _table("parquet_null", lambda columns: columns["age"].__setitem__(3, None),
           "train.parquet, row 4, column 'age': found 'nan'; allowed: a number;"
           " feature 'age' has no missing_value to stand for a missing one"),
    _table("parquet_of_words", lambda columns: columns.update(
        age=["old"] * 60), "train.parquet, row 1, column 'age': found 'old'; "
           f"allowed: {_NUMBER}"),
    _table("parquet_not_utf8", lambda columns: columns.update(
        device=[b"phone"] * 5 + [b"\xff\xfe"] * 55), "train.parquet, row 6, "
           "column 'device': found bytes that are not UTF-8: b'\\xff\\xfe'; "
           "allowed: UTF-8 text"),
    _table("parquet_of_numbers_and_text", _second_file,
           "more.parquet, train.parquet: column 'hour' holds numbers in one "
           "file, text in another; allowed: one type"),
)


def _image(name, change, *lines, path="train.npz", **more):
  """An archive with other arrays."""
  def prepare():
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, **change(arrays)})
  return _lines(name, (), *lines, prepare=(prepare,), flags=_FLAGS,
                base="image", **more)


def _with(column, place, value):
  """Puts a value into one entry of an array."""
  def change(arrays):
    array = arrays[column].astype(np.float64)
    array[place] = value
    return {column: array}
  return change


def _photos(count):
  """Writes images as records; the second has another number of pixels."""
  def prepare():
    arrays = image_experiment.make_arrays(1, 5)
    _write("train.tfrecord", [
        {name: np.ravel(array[i]).tolist()[:count if name == "photo" and i == 1
                                           else None]
         for name, array in arrays.items()} for i in range(5)])
  return prepare


_OF_PHOTO = "as feature 'photo' is an image of 8 x 6 x 2"
_PHOTOS = "data.train={tfrecord {path: 'train.tfrecord'}}"

IMAGES = (
    _image("images_of_another_height", lambda arrays: {
        "photo": arrays["photo"][:, :7]}, "train.npz: column 'photo' has shape "
           f"[30, 7, 6, 2]; allowed: [30, 8, 6, 2], {_OF_PHOTO}"),
    _image("images_without_channels", lambda arrays: {
        "photo": arrays["photo"][..., 0]}, "train.npz: column 'photo' has shape"
           f" [30, 8, 6]; allowed: [30, 8, 6, 2], {_OF_PHOTO}"),
    _image("images_channels_first", lambda arrays: {
        "photo": arrays["photo"].transpose(0, 3, 1, 2)}, "train.npz: column "
           "'photo' has shape [30, 2, 8, 6]; allowed: [30, 8, 6, 2], "
           f"{_OF_PHOTO}"),
    _image("images_one_number_each", lambda arrays: {
        "photo": arrays["photo"][:, 0, 0, 0]}, "train.npz: column 'photo' has "
           f"shape [30]; allowed: [30, 8, 6, 2], {_OF_PHOTO}"),
    _image("image_with_a_missing_pixel", _with("depth", (4, 1, 1), np.nan),
           "train.npz, row 5, column 'depth': found 'nan'; allowed: numbers; "
           "an image has no missing ones"),
    _image("image_with_an_infinite_pixel", _with("depth", (4, 1, 1), -np.inf),
           "train.npz, row 5, column 'depth': found '-inf'; allowed: a finite "
           "number"),
    _image("image_that_overflows", _with("depth", (6, 0, 0), 1e300),
           "train.npz, row 7, column 'depth': found '1e+300'; allowed: a number"
           " that fits 32-bit floating point"),
    _image("images_of_words", lambda arrays: {
        "photo": np.full([30, 8, 6, 2], "x")}, "train.npz, row 1, column "
           f"'photo': found 'x'; allowed: {_NUMBER}"),
    _image("images_of_several_sizes", lambda arrays: {"photo": np.fromiter(
        (np.zeros([8, 6 + i % 2, 2]) for i in range(30)), object)},
           "train.npz: cannot be read: Object arrays cannot be loaded ..."),
    _image("images_of_validation_too_wide", lambda arrays: {
        "photo": np.zeros([10, 8, 7, 2])}, "validation.npz: column 'photo' has "
           f"shape [10, 8, 7, 2]; allowed: [10, 8, 6, 2], {_OF_PHOTO}",
           path="validation.npz"),
    _image("vectors_too_long", lambda arrays: {"place": np.zeros([30, 3])},
           "train.npz: column 'place' has shape [30, 3]; allowed: [30, 2]..."),
    _image("vectors_of_one_number", lambda arrays: {"place": np.zeros(30)},
           "train.npz, row 1, column 'place': found 1 values; allowed: 2 "
           "numbers, or nothing"),
    _image("classes_as_vectors", lambda arrays: {"kind": np.eye(30)[:, :3]},
           "train.npz: column 'kind' has shape [30, 3]; allowed: one value per "
           "row"),
    _image("class_beyond_the_last", _with("kind", 11, 3),
           "train.npz, row 12, column 'kind': found '3.0'; allowed: 0 to 2, or "
           "nothing where there is no label"),
    _image("target_overflows", _with("size", 11, 1e40), "train.npz, row 12, "
           "column 'size': found '1e+40'; allowed: a number that fits 32-bit "
           "floating point"),
    _image("images_without_rows", lambda arrays: {
        name: array[:0] for name, array in arrays.items()},
           "train.npz: found no rows; allowed: at least one (data.train)"),
    _lines("image_of_a_record_cut_off", _PHOTOS,
           "train.tfrecord, row 2, column 'photo': found 95 values; allowed: "
           "96 numbers, or nothing", base="image", flags=_FLAGS,
           prepare=(_photos(95),)),
    _lines("image_of_a_record_missing", _PHOTOS,
           "train.tfrecord, row 2, column 'photo': found '[]'; allowed: numbers"
           "; an image has no missing ones", base="image", flags=_FLAGS,
           prepare=(_photos(0),)),
)

CASES = RECORDS + TABLES + IMAGES

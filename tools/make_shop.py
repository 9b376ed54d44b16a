"""Makes the rows of an invented online shop, which docs/recipes.md reads.

Nothing here was measured: users, what they were shown and what they did are
drawn at random, few enough that each recipe runs in seconds. What users do
depends on who they are and what they see, so that a model can learn it. The
same rows are written as CSV, whole, split by day, in shards and without a
header; as arrays, as TFRecords and, where pyarrow is installed, as Parquet. The
bytes depend on the number of rows and on the seed alone.
"""

import csv
import importlib.util
import io
import os
import sys
from typing import Any, Dict, List
import zipfile

from absl import flags
import numpy as np

from mtl_graph import importing
from mtl_graph import launching

_FLAGS = flags.FlagValues()
flags.DEFINE_string("output_dir", None, "Where to write.", flag_values=_FLAGS)
flags.DEFINE_integer("rows", 2000, "How many rows.", lower_bound=100,
                     flag_values=_FLAGS)
flags.DEFINE_integer("seed", 1, "Seed of the rows.", lower_bound=0,
                     upper_bound=2**32 - 1, flag_values=_FLAGS)
flags.DEFINE_boolean("dry_run", False, "Say what would be written, write "
                     "nothing.", flag_values=_FLAGS)
flags.mark_flag_as_required("output_dir", flag_values=_FLAGS)

CITIES = ("Aarhus", "Bergen", "Cork", "Delft", "Espoo", "Ghent")
CATEGORIES = ("books", "games", "shoes", "tools", "garden")
TAGS = ("gift", "new", "rare", "sale")
PAYMENTS = ("card", "invoice", "transfer")
COLOURS = ("red", "green", "blue")
SPLITS = ("train", "validation", "test")
DAYS = 30
SHARDS = 3

Columns = Dict[str, Any]


def make(rows: int, seed: int) -> Columns:
  """Draws the rows, in the order of days.

  Args:
    rows: How many rows, N.
    seed: Seed.

  Returns:
    A dict from column to an array: numbers [N], NaN where one is missing,
    `profile` [N, 4], `photo` [N, 8, 8], text [N], "" where it is missing; or to
    a list of N lists.
  """
  # RandomState, because NumPy promises never to change its stream.
  random = np.random.RandomState(seed)
  columns = _features(rows, random)
  columns.update(_labels(columns, random))
  age = columns["age"]
  age[random.rand(rows) < 0.05] = np.nan
  return columns


def _features(rows, random) -> Columns:
  users = max(rows // 10, 10)
  user = random.randint(users, size=rows)
  day = np.sort(random.randint(1, DAYS + 1, size=rows))
  # The last category is new in the shop from day 11 on.
  known = np.where(day > 10, len(CATEGORIES), len(CATEGORIES) - 1)
  category = (random.rand(rows) * known).astype(int)
  favourite = random.randint(len(CATEGORIES), size=users)[user]
  seen = [random.randint(k, size=random.randint(7)) for k in known]
  for i, visited in enumerate(seen):
    if len(visited) and random.rand() < 0.5:
      visited[-1] = category[i]
  tags = random.rand(rows, len(TAGS)) < 0.35
  light = random.rand(rows)
  photo = np.clip(255 * (light[:, None, None] + 0.2 * random.randn(rows, 8, 8)),
                  0, 255)
  return {
      # By day, as what comes later is what a model is asked about.
      "set": np.array(SPLITS)[np.digitize(day, [21, 26])],
      "day": day,
      "user": np.array([f"user{u}" for u in user]),
      "age": random.randint(18, 80, size=users)[user].astype(float),
      "city": np.array(CITIES)[
          (len(CITIES) * random.rand(users) ** 2).astype(int)][user],
      "category": np.array(CATEGORIES)[category],
      "favourite": np.array(CATEGORIES)[favourite],
      "price": np.exp(2.5 + 0.3 * category + 0.5 * random.randn(rows)).round(2),
      "tags": [[TAGS[j] for j in np.flatnonzero(row)] for row in tags],
      "tag_weights": [random.uniform(0.5, 2, row.sum()).round(2).tolist()
                      for row in tags],
      "history": [[CATEGORIES[c] for c in visited] for visited in seen],
      "profile": random.randn(rows, 4).round(3).astype(np.float32),
      "photo": photo.astype(np.uint8),
  }


def _labels(columns, random) -> Columns:
  """Draws what users do, given who they are and what they see."""
  rows = len(columns["day"])
  price = np.log(columns["price"]) - 3
  old = (columns["age"] - 48) / 18
  profile = columns["profile"].astype(float)
  place = np.array([CITIES.index(city) for city in columns["city"]])
  kind = np.array([CATEGORIES.index(c) for c in columns["category"]])
  liked = columns["category"] == columns["favourite"]
  again = np.array([bool(seen) and seen[-1] == category for seen, category
                    in zip(columns["history"], columns["category"])])
  sale = np.array([sum(w for tag, w in zip(*tagged) if tag == "sale")
                   for tagged in zip(columns["tags"], columns["tag_weights"])])
  light = columns["photo"].mean(axis=(1, 2)) / 255
  clicked = _happens(-2 + 1.5 * again + liked + sale - price
                     + 2 * (light - 0.5) + profile[:, 0], random)
  bought = clicked & _happens(0.5 + sale - price + old, random)
  payment = np.array(PAYMENTS)[np.argmax(
      np.stack([-old, old, price], axis=1)
      + random.gumbel(size=[rows, len(PAYMENTS)]), axis=1)]
  stars = np.digitize(liked + 2 * profile[:, 1] + random.logistic(size=rows),
                      [-2, -0.5, 0.5, 2.5]) + 1.0
  colours = _happens(2 * profile[:, :len(COLOURS)], random)
  sent = 1 + (1 + place) * random.gamma(2, 0.5, size=rows)
  return {
      "clicked": clicked.astype(int),
      "bought": bought.astype(int),
      # Of those who bought; stars of those who clicked.
      "payment": np.where(bought, payment, ""),
      "stars": np.where(clicked, stars, np.nan),
      "trust": random.uniform(0.1, 1, size=rows).round(2),
      # 0 is the smallest.
      "size": np.digitize(old - profile[:, 2]
                          + random.logistic(size=rows), [-1.5, 0, 1.5]),
      "pieces": random.poisson(np.exp(0.3 + 0.6 * sale - 0.6 * price)),
      "colours": [[COLOURS[j] for j in np.flatnonzero(row)]
                  for row in colours],
      "spent": np.expm1(np.maximum(
          2 + price + 0.5 * old + 0.4 * random.randn(rows), 0)).round(2),
      "width": (10 + 8 * kind + 2 * random.randn(rows)).round(1),
      "height": (30 - 3 * kind + 5 * price + random.randn(rows)).round(1),
      # Days on the way; -1 where nothing was sent.
      "delivery": np.where(bought | (random.rand(rows) < 0.5), sent,
                           -1).round(1),
      "weight": random.choice([0.5, 1, 2], size=rows),
  }


def _happens(logits, random) -> np.ndarray:
  return random.rand(*logits.shape) < 1 / (1 + np.exp(-logits))


def names() -> List[str]:
  """Returns the names of the files."""
  parquet = ["shop.parquet"] if importlib.util.find_spec("pyarrow") else []
  return ["shop.csv", *(f"shop-{split}.csv" for split in SPLITS), *_shards(),
          "shop-without-header.csv", "shop-columns.txt", "cities.txt",
          "shop.npz", "shop.tfrecord.gz", *parquet]


def _shards():
  return [f"shop-{i:05d}-of-{SHARDS:05d}.csv" for i in range(SHARDS)]


def write(columns: Columns, folder: str) -> None:
  """Writes the rows into a folder, as every one of `names`."""
  texts = {name: _texts(values) for name, values in columns.items()
           if name != "photo"}
  rows = np.arange(len(columns["day"]))
  parts = {"shop.csv": rows, **dict(zip(_shards(),
                                        np.array_split(rows, SHARDS)))}
  for split in SPLITS:
    parts[f"shop-{split}.csv"] = np.flatnonzero(columns["set"] == split)
  for name, part in parts.items():
    _write_csv(texts, part, os.path.join(folder, name))
  with open(os.path.join(folder, "shop-without-header.csv"), "x",
            encoding="utf-8") as file:
    for row in zip(*texts.values()):
      file.write(", ".join(field or "NA" for field in row) + "\n")
  for name, lines in (("shop-columns.txt", texts), ("cities.txt", CITIES)):
    with open(os.path.join(folder, name), "x", encoding="utf-8") as file:
      file.writelines(f"{line}\n" for line in lines)
  _write_npz(columns, texts, os.path.join(folder, "shop.npz"))
  _write_tfrecord(columns, os.path.join(folder, "shop.tfrecord.gz"))
  if "shop.parquet" in names():
    _write_parquet(columns, os.path.join(folder, "shop.parquet"))


def _texts(values) -> List[str]:
  """Returns a column as fields of a CSV file, lists with "|" in between."""
  rows = values if isinstance(values, list) else values.tolist()
  return ["|".join(map(_text, row)) if isinstance(row, list) else _text(row)
          for row in rows]


def _text(value) -> str:
  if isinstance(value, float):
    return "" if value != value else f"{value:.3f}".rstrip("0").rstrip(".")
  return str(value)


def _write_csv(texts, rows, path) -> None:
  with open(path, "x", encoding="utf-8", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(texts)
    writer.writerows([values[i] for values in texts.values()] for i in rows)


def _write_npz(columns, texts, path) -> None:
  """Writes arrays without the time of day that numpy.savez puts in."""
  with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
    for name, values in columns.items():
      buffer = io.BytesIO()
      np.save(buffer, np.array(texts[name]) if isinstance(values, list)
              else values, allow_pickle=False)
      archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)),
                       buffer.getvalue(), zipfile.ZIP_DEFLATED)


def _lists(values) -> List[List[Any]]:
  """Returns the values that each row of a column holds, none if missing."""
  if isinstance(values, list):
    return values
  flat = values.reshape(len(values), -1).tolist()
  return [[value for value in row if value == value and value != ""]
          for row in flat]


def _write_tfrecord(columns, path) -> None:
  import tensorflow.compat.v1 as tf  # pylint: disable=g-import-not-at-top
  kinds = {"int": ("int64_list", tf.train.Int64List),
           "float": ("float_list", tf.train.FloatList),
           "str": ("bytes_list", tf.train.BytesList)}
  lists = {name: _lists(values) for name, values in columns.items()}
  with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions("GZIP")) as writer:
    for i in range(len(columns["day"])):
      example = tf.train.Example()
      for name, rows in lists.items():
        if rows[i]:
          field, kind = kinds[type(rows[i][0]).__name__]
          example.features.feature[name].CopyFrom(tf.train.Feature(
              **{field: kind(value=[v.encode() if isinstance(v, str) else v
                                    for v in rows[i]])}))
      writer.write(example.SerializeToString(deterministic=True))


def _write_parquet(columns, path) -> None:
  import pyarrow  # pylint: disable=g-import-not-at-top
  from pyarrow import parquet  # pylint: disable=g-import-not-at-top
  taken = {}
  for name, values in columns.items():
    several = isinstance(values, list) or values.ndim > 1
    rows = _lists(values)
    taken[name] = rows if several else [row[0] if row else None for row in rows]
  with open(path, "xb") as file:
    parquet.write_table(pyarrow.table(taken), file)


def main(argv) -> int:
  """Runs the tool and returns its exit code."""
  return launching.run(argv, _FLAGS, _make, __doc__)


def _make():
  paths = [os.path.join(_FLAGS.output_dir, name) for name in names()]
  launching.check_new(paths)
  columns = make(_FLAGS.rows, _FLAGS.seed)
  if not _FLAGS.dry_run:
    importing.start_tensorflow()
    os.makedirs(_FLAGS.output_dir, exist_ok=True)
    write(columns, _FLAGS.output_dir)
  for path in paths:
    print(f"{'would write' if _FLAGS.dry_run else 'wrote'} {path}")
  print(f"{_FLAGS.rows} invented rows: {(columns['set'] == 'train').sum()} to "
        f"train on, {columns['clicked'].sum()} clicks, "
        f"{columns['bought'].sum()} bought")


if __name__ == "__main__":
  sys.exit(main(sys.argv))

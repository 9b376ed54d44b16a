"""Times an export of flights.pbtxt beside the same weights written by hand:
`python tools/benchmark_serving.py --export_dir=runs/flights/export/<version>`.

--export_dir may be given again, as for the same weights frozen. All are run by
tests/serving/read_export.c, through TensorFlow's C API. The graph by hand is
frozen and has no more ops than the answers need. They take turns; of a turn the
run that 10 of 100 are faster than counts. A process is fast or slow as a whole,
so a ratio is the median of the turns' own ratios.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import Dict, List

from absl import flags
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph import launching
from mtl_graph.data import raw_values
from mtl_graph.data import sources
from mtl_graph.serving import lean_graph

_FLAGS = flags.FlagValues()
flags.DEFINE_multi_string("export_dir", None, "A version of an export of "
                          "flights; the first has its weights as variables.",
                          flag_values=_FLAGS)
flags.DEFINE_string("rows", "protos/examples/data/flights-test.csv.gz",
                    "CSV file of rows that are asked about.",
                    flag_values=_FLAGS)
flags.DEFINE_integer("rounds", 12, "Turns of each graph.", lower_bound=1,
                     flag_values=_FLAGS)
flags.DEFINE_integer("runs", 2000, "Requests of one row in a turn; a tenth of "
                     "it of 512 rows.", lower_bound=10, flag_values=_FLAGS)
flags.mark_flag_as_required("export_dir", flag_values=_FLAGS)

_BATCHES = {1: 1, 512: 10}  # By how much a turn of this many rows is shorter.
_TARGETS = {1: 1.15, 512: 1.05}
_HAND = "by hand"
_SOURCE = (pathlib.Path(__file__).absolute().parent.parent / "tests" / "serving"
           / "read_export.c")


def by_hand(variables, path: str, origins: List[str], buckets: Dict[str, int]
            ) -> None:
  """Writes the model of flights.pbtxt as an export, the leanest way there is.

  Args:
    variables: Reader of the export's variables.
    path: Folder of the export; it must not exist.
    origins: The vocabulary of `origin`.
    buckets: Rows of known categories by hashed or numbered feature.
  """
  get = variables.get_tensor

  def dense(x, name):
    return tf.nn.bias_add(tf.matmul(x, get(f"{name}/kernel")),
                          get(f"{name}/bias"))

  with tf.Graph().as_default(), tf.Session() as session:
    raw = {name: tf.placeholder(dtype, [None], name) for dtype, names in (
        (tf.int64, ("month", "hour")), (tf.string, ("carrier", "origin", "dest")
                                        ),
        (tf.float32, ("distance", "wind_speed", "precip"))) for name in names}
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(
        origins, np.arange(len(origins))), len(origins))
    ids = {"origin": table.lookup(raw["origin"])}
    for name in ("month", "hour"):
      known = tf.logical_and(raw[name] >= 0, raw[name] < buckets[name])
      ids[name] = tf.where_v2(known, raw[name], buckets[name])
    for name in ("carrier", "dest"):
      ids[name] = tf.where_v2(
          tf.equal(raw[name], ""), np.int64(buckets[name]),
          tf.strings.to_hash_bucket_fast(raw[name], buckets[name]))
    parts = [tf.gather(get(f"embedding/{name}/embeddings"), ids[name])
             for name in ("month", "hour", "carrier", "origin", "dest")]
    wind, rain = (tf.where_v2(tf.is_nan(raw[name]), 0.0, raw[name])
                  for name in ("wind_speed", "precip"))
    for name, values in (("distance", raw["distance"]), ("wind_speed", wind)):
      parts.append((values[:, tf.newaxis] - get(f"statistics/{name}/mean"))
                   / get(f"statistics/{name}/stddev"))
    parts.append(tf.log1p(tf.maximum(rain, 0.0))[:, tf.newaxis])
    trunk = tf.concat(parts, 1)
    for name in ("trunk/dense", "trunk/dense_1"):
      trunk = tf.nn.relu(dense(trunk, name))
    outputs = {}
    for task in ("late", "cancelled"):
      tower = tf.nn.relu(dense(trunk, f"tower/{task}/dense"))
      logit = tf.squeeze(dense(tower, f"head/{task}"), 1)
      outputs[f"{task}/logit"] = logit
      outputs[f"{task}/probability"] = tf.nn.sigmoid(logit)
    estimate = outputs["late/probability"][:, tf.newaxis]
    tower = tf.nn.relu(dense(tf.concat([trunk, estimate], 1),
                             "tower/arr_delay/dense"))
    outputs["arr_delay/value"] = tf.squeeze(
        dense(tower, "head/arr_delay"), 1) / np.float32(0.0166667)
    builder = tf.saved_model.Builder(path)
    info = tf.saved_model.build_tensor_info
    builder.add_meta_graph_and_variables(
        session, ["serve"], {"serving_default": tf.saved_model.build_signature_def(
            {name: info(t) for name, t in raw.items()},
            {name: info(t) for name, t in outputs.items()},
            "tensorflow/serving/predict")},
        main_op=tf.tables_initializer(), strip_default_attrs=True)
    builder.save()


def _build(folder: str) -> str:
  """Compiles the program, and returns its path."""
  package = os.path.dirname(tf.sysconfig.get_include())
  path = os.path.join(folder, "read_export")
  gold = ["-fuse-ld=gold"] if shutil.which("ld.gold") else []
  subprocess.run(
      ["gcc", "-O2", "-Wno-unused-result", str(_SOURCE), "-o", path,
       f"-I{package}/include", f"-L{package}", "-l:libtensorflow_cc.so.2",
       "-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{package}", *gold],
      check=True)
  return path


def _request(export: str, raw: Dict[str, np.ndarray]) -> bytes:
  """Writes a request of `serving_default` as the program reads it."""
  signature = lean_graph.read(export).meta_graphs[0].signature_def[
      "serving_default"]

  def number(*values):
    return np.array(values, np.int64).tobytes()

  def text(value):
    return number(len(value)) + value

  parts = [number(len(raw))]
  for key, values in raw.items():
    info = signature.inputs[key]
    parts += [text(info.name.encode()), number(info.dtype, values.ndim,
                                               *values.shape)]
    if values.dtype == object:
      parts += [text(value.encode()) for value in values]
    else:
      parts.append(values.tobytes())
  parts.append(number(len(signature.outputs)))
  return b"".join(parts + [text(signature.outputs[key].name.encode())
                           for key in sorted(signature.outputs)])


def _values(answers: bytes, rows: int) -> np.ndarray:
  """Returns outputs, all of one number per row, shape `[outputs, rows]`."""
  found = np.frombuffer(answers, np.uint8).reshape(-1, 3 * 8 + 4 * rows)
  return np.ascontiguousarray(found[:, 3 * 8:]).view(np.float32)


def _compare(folder, exports, raw, rows, runs):
  """Lets exports take turns on some rows; prints times and their ratio."""
  requests = os.path.join(folder, "requests")
  times = {name: [] for name in exports}
  loads = {name: [] for name in exports}
  answers = {}
  for _ in range(_FLAGS.rounds):
    for name, path in exports.items():
      pathlib.Path(requests).write_bytes(_request(path, {
          key: values[:rows] for key, values in raw.items()}))
      printed = subprocess.run(
          [os.path.join(folder, "read_export"), path, requests,
           os.path.join(folder, "answers"), str(runs)], check=True,
          capture_output=True, text=True).stdout.split("\n")
      loads[name].append(float(printed[0].split()[1]) / 1e3)
      # What else runs on the machine makes runs longer, never shorter.
      times[name].append(float(np.percentile([
          float(line.split()[1]) for line in printed[1 + runs // 5:-1]], 10)))
      answers[name] = pathlib.Path(folder, "answers").read_bytes()
  hand = _values(answers[_HAND], rows)
  for name, path in exports.items():
    found = _values(answers[name], rows)
    # Near zero a value in minutes has the rounding errors of its largest.
    if found.shape != hand.shape or np.any(
        np.abs(found - hand).max(1) > 1e-5 * np.abs(hand).max(1)):
      raise config.ConfigError("--export_dir", f"found in {path} other answers "
                               "than those of the first by hand; allowed: "
                               "exports of flights.pbtxt with its weights")
    ratio = np.median(np.divide(times[name], times[_HAND]))
    print(f"{rows:4} rows: {np.median(times[name]):8.1f} us, ratio {ratio:.3f} "
          f"(target {_TARGETS[rows]}), loaded in {min(loads[name]):.1f} ms: "
          f"{name}")


def main(argv) -> int:
  """Runs the benchmark and returns its exit code."""
  return launching.run(argv, _FLAGS, _benchmark, __doc__)


def _benchmark():
  path = _FLAGS.export_dir[0]
  experiment = config.load(os.path.join(path, "assets.extra",
                                        "experiment.pbtxt"))
  features = experiment.data.feature
  source = type(experiment.data.train)()
  source.csv.path.append(_FLAGS.rows)
  raw = raw_values.read(features, sources.read(
      source, raw_values.columns_of(features), "--rows"))
  with tempfile.TemporaryDirectory() as folder:
    exports = {**{path: path for path in _FLAGS.export_dir},
               _HAND: os.path.join(folder, "1")}
    by_hand(tf.train.load_checkpoint(os.path.join(path, "variables",
                                                  "variables")),
            exports[_HAND],
            next(list(f.categorical.vocabulary) for f in features
                 if f.name == "origin"),
            {f.name: f.categorical.num_buckets or f.categorical.hash_buckets
             for f in features})
    _build(folder)
    for rows, shorter in _BATCHES.items():
      _compare(folder, exports, raw, rows, max(_FLAGS.runs // shorter, 10))


if __name__ == "__main__":
  sys.exit(main(sys.argv))

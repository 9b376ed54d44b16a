"""A small hand-written export that is asked in every way a server knows."""

import os
from typing import Dict

import numpy as np
import tensorflow.compat.v1 as tf

ROWS = {
    "x": np.float32([0.5, -1.25, 3.0, 0.0, 2.5]),
    "hour": np.int64([0, 5, 23, -1, 7]),
    "city": np.array(["oslo", "bern", "", "rom, e", "oslo"], object),
    "sizes": np.float32([[1, 2], [3, np.nan], [0, 1], [4, 4], [5, 6]]),
}
CITIES = ("oslo", "bern")
CLASSES = ("cold", "mild", "hot")


def late(raw: Dict[str, np.ndarray]) -> np.ndarray:
  """Returns the probability of the task `late`, in numpy."""
  cities = [CITIES.index(city) if city in CITIES else 2 for city in raw["city"]]
  logit = (raw["x"] + np.where(raw["hour"] < 0, 12, raw["hour"]) / 24
           + np.float32([0.5, -0.5, 0.25])[cities])
  return 1 / (1 + np.exp(-logit.astype(np.float64)))


def delay(raw: Dict[str, np.ndarray]) -> np.ndarray:
  """Returns the value of the task `delay`, in numpy."""
  return 60 * late(raw) + np.nan_to_num(raw["sizes"].astype(np.float64)).sum(1)


def write(path: str, shift: float = 0.0, rename: str = "delay") -> str:
  """Writes the export.

  `serving_default` takes raw values; `predict_examples`, `late` and `warm`
  (which classify) and `delay` (which regresses) take tf.Example, and
  `late/predict` under the key `examples`; `after_lookups` starts behind the
  strings.

  Args:
    path: Folder of the version.
    shift: What is added to the logit, to have another model.
    rename: What the task `delay` is called.

  Returns:
    The path.
  """
  with tf.Graph().as_default(), tf.Session() as session:
    raw = {"x": tf.placeholder(tf.float32, [None], "x"),
           "hour": tf.placeholder(tf.int64, [None], "hour"),
           "city": tf.placeholder(tf.string, [None], "city"),
           "sizes": tf.placeholder(tf.float32, [None, 2], "sizes")}
    serialized = tf.placeholder(tf.string, [None], "serialized")
    parsed = tf.io.parse_example(serialized, {
        "x": tf.io.FixedLenFeature([], tf.float32),
        "hour": tf.io.FixedLenFeature([], tf.int64, -1),
        "city": tf.io.FixedLenFeature([], tf.string, ""),
        "sizes": tf.io.FixedLenFeature([2], tf.float32)})
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant(CITIES), tf.range(2, dtype=tf.int64)), 2)
    weights = tf.get_variable("weights", initializer=[0.5, -0.5, 0.25])
    bias = tf.get_variable("bias", initializer=shift)
    session.run(tf.global_variables_initializer())

    def answer(raw, ids):
      hours = tf.where_v2(raw["hour"] < 0, tf.constant(12, tf.int64),
                          raw["hour"])
      logit = (raw["x"] + tf.cast(hours, tf.float32) / 24
               + tf.gather(weights, ids) + bias)
      probability = tf.sigmoid(logit)
      sizes = tf.where_v2(tf.is_nan(raw["sizes"]), 0.0, raw["sizes"])
      return {"late/probability": probability,
              f"{rename}/value": 60 * probability + tf.reduce_sum(sizes, 1),
              "warm/probabilities": tf.nn.softmax(
                  tf.stack([-logit, 0 * logit, logit], 1))}

    ids = table.lookup(raw["city"])
    from_raw = answer(raw, ids)
    from_examples = answer(parsed, table.lookup(parsed["city"]))
    binary = tf.stack([1 - from_examples["late/probability"],
                       from_examples["late/probability"]], 1)
    rows = tf.shape(serialized)[:1]

    def names(labels):
      return tf.broadcast_to([list(labels)], tf.concat([rows, [len(labels)]],
                                                       0))
    constants = tf.saved_model.signature_constants
    predict, classify, regress = (constants.PREDICT_METHOD_NAME,
                                  constants.CLASSIFY_METHOD_NAME,
                                  constants.REGRESS_METHOD_NAME)
    signatures = {
        "serving_default": (raw, from_raw, predict),
        "predict_examples": ({"examples": serialized}, from_examples, predict),
        "late": ({"inputs": serialized}, {
            "classes": names("01"), "scores": binary}, classify),
        "warm": ({"inputs": serialized}, {
            "classes": names(CLASSES),
            "scores": from_examples["warm/probabilities"]}, classify),
        rename: ({"inputs": serialized}, {
            "outputs": from_examples[f"{rename}/value"]}, regress),
        "late/predict": ({"examples": serialized}, {
            "probabilities": binary}, predict),
        "after_lookups": ({**raw, "city": ids}, from_raw, predict),
    }
    builder = tf.saved_model.Builder(path)
    builder.add_meta_graph_and_variables(
        session, [tf.saved_model.tag_constants.SERVING], {
            name: tf.saved_model.build_signature_def(
                *[{key: tf.saved_model.build_tensor_info(tensor)
                   for key, tensor in tensors.items()}
                  for tensors in (inputs, outputs)], method)
            for name, (inputs, outputs, method) in signatures.items()},
        main_op=tf.tables_initializer(), strip_default_attrs=True)
    builder.save()
  return path


def versions_folder(folder: str, number: int, **more) -> str:
  """Writes the export as a version; returns its path."""
  os.makedirs(folder, exist_ok=True)
  return write(os.path.join(folder, str(number)), **more)

"""Graphs as they were written for TensorFlow 1, saved in every old format."""

import os
from typing import Dict, List, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

KINDS = ("lookup", "rnn", "rnn_v2", "batch_norm")
FORMATS = ("meta", "pb", "pbtxt", "saved_model", "graph_pbtxt")
WORDS = ("oslo", "bern", "rome")


class Old(NamedTuple):
  """A graph, saved.

  Attributes:
    paths: Where it is, by format; "checkpoint" is that of its variables.
    signature: How to state what it answers.
    rows: Rows by key of the signature.
    answer: What the original answers.
    constants: Flags beside.
  """
  paths: Dict[str, str]
  signature: str
  rows: Dict[str, np.ndarray]
  answer: np.ndarray
  constants: List[str]


def lookup(folder):
  """Words to rows of an embedding, by a table that a file fills."""
  vocabulary = os.path.join(folder, "words.txt")
  with open(vocabulary, "w", encoding="utf-8") as file:
    file.writelines(f"{word}\n" for word in WORDS)
  words = tf.placeholder(tf.string, [None], "words")
  table = tf.lookup.StaticVocabularyTable(
      tf.lookup.TextFileInitializer(
          vocabulary, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
          tf.lookup.TextFileIndex.LINE_NUMBER), 2)
  embeddings = tf.get_variable("emb/weights", [5, 3])
  rows = tf.nn.embedding_lookup(embeddings, table.lookup(words))
  score = tf.sigmoid(tf.reduce_sum(rows, 1), "score")
  return {"words": (words, np.array([b"rome", b"oslo", b"paris", b""]))}, score


def rnn(folder):
  """A recurrent cell in a tf.while_loop, with a cond within."""
  del folder
  x = tf.placeholder(tf.float32, [None, 6, 2], "x")
  kernel = tf.get_variable("rnn/cell/kernel", [5, 3])
  bias = tf.get_variable("rnn/cell/bias", [3])
  def body(t, state, outputs):
    state = tf.tanh(tf.matmul(tf.concat([x[:, t], state], 1), kernel) + bias)
    state = tf.cond(tf.equal(t % 2, 0), lambda: state * 0.5,
                    lambda: state + bias)
    return t + 1, state, outputs.write(t, state)
  _, state, outputs = tf.while_loop(
      lambda t, *unused: t < 6, body,
      [0, tf.zeros([tf.shape(x)[0], 3]), tf.TensorArray(tf.float32, 6)])
  score = tf.add(state, tf.reduce_sum(outputs.stack(), 0), "score")
  rows = np.random.RandomState(0).randn(5, 6, 2).astype(np.float32)
  return {"x": (x, rows)}, score


def batch_norm(folder):
  """Batch normalization and dropout that a placeholder turns."""
  del folder
  x = tf.placeholder(tf.float32, [None, 4], "x")
  is_training = tf.placeholder(tf.bool, [], "is_training")
  h = tf.matmul(x, tf.get_variable("fc/weights", [4, 3]))
  gamma, beta, mean, variance = (
      tf.get_variable(f"BatchNorm/{name}", [3], trainable=name < "h",
                      initializer=tf.random_uniform_initializer(0.5, 2))
      for name in ("gamma", "beta", "moving_mean", "moving_variance"))
  def train():
    batch_mean, batch_variance = tf.nn.moments(h, [0])
    return tf.nn.batch_normalization(h, batch_mean, batch_variance, beta, gamma,
                                     1e-3)
  normalized = tf.cond(is_training, train, lambda: tf.nn.batch_normalization(
      h, mean, variance, beta, gamma, 1e-3))
  normalized = tf.cond(is_training, lambda: tf.nn.dropout(normalized, rate=0.5),
                       lambda: tf.identity(normalized))
  tf.add_to_collection("what_rows_become", normalized)
  score = tf.nn.softmax(normalized, name="score")
  loss = tf.reduce_sum(tf.square(score))
  with tf.control_dependencies([mean.assign_add(tf.ones([3]))]):
    tf.train.AdamOptimizer(0.1).minimize(loss)
  rows = np.random.RandomState(1).randn(5, 4).astype(np.float32)
  return {"x": (x, rows)}, score


def save(kind: str, folder: str) -> Old:
  """Builds, initializes and saves a graph with plain TensorFlow.

  Args:
    kind: One of `KINDS`.
    folder: A new folder.

  Returns:
    An `Old`.
  """
  os.makedirs(folder)
  build = {"lookup": lookup, "rnn": rnn, "rnn_v2": rnn,
           "batch_norm": batch_norm}[kind]
  was_v2 = tf.control_flow_v2_enabled()
  (tf.enable_control_flow_v2 if kind == "rnn_v2"
   else tf.disable_control_flow_v2)()
  try:
    with tf.Graph().as_default(), tf.device("/device:CPU:0"), (
        tf.variable_scope("", use_resource=kind == "rnn_v2",
                          initializer=tf.random_normal_initializer(seed=4))):
      return _saved(build(folder), folder, kind)
  finally:
    (tf.enable_control_flow_v2 if was_v2 else tf.disable_control_flow_v2)()


def _saved(built, folder, kind) -> Old:
  fed, score = built
  training = kind == "batch_norm"
  feed = {tensor: value for tensor, value in fed.values()}
  if training:
    feed["is_training:0"] = False
  with tf.Session() as session:
    session.run([tf.global_variables_initializer(), tf.tables_initializer()])
    answer = session.run(score, feed)
    checkpoint = tf.train.Saver().save(session, os.path.join(folder, "model"))
    graph = tf.get_default_graph()
    roots = [score.op.name] + [
        op.name for op in tf.get_collection(tf.GraphKeys.TABLE_INITIALIZERS)]
    frozen = tf.graph_util.convert_variables_to_constants(
        session, graph.as_graph_def(), roots)
    tf.io.write_graph(frozen, folder, "frozen.pb", as_text=False)
    tf.io.write_graph(frozen, folder, "frozen.pbtxt")
    tf.io.write_graph(graph.as_graph_def(), folder, "graph.pbtxt")
    saved_model = os.path.join(folder, "saved_model")
    builder = tf.saved_model.Builder(saved_model)
    builder.add_meta_graph_and_variables(
        session, ["serve", "old"], {"wrong": tf.saved_model.build_signature_def(
            {}, {"y": tf.saved_model.build_tensor_info(score)})},
        tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS),
        main_op=tf.tables_initializer())
    builder.save()
  inputs = ", ".join(f"{key}={tensor.name}"
                     for key, (tensor, _) in fed.items())
  return Old({
      "checkpoint": checkpoint, "meta": checkpoint + ".meta",
      "pb": os.path.join(folder, "frozen.pb"), "saved_model": saved_model,
      "pbtxt": os.path.join(folder, "frozen.pbtxt"),
      "graph_pbtxt": os.path.join(folder, "graph.pbtxt")},
             f"serving_default: {inputs} -> score={score.name}",
             {key: value for key, (_, value) in fed.items()}, answer,
             ["--constant=is_training=false"] if training else [])

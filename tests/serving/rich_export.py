"""An export with every kind of task, output and signature."""

import os

import numpy as np
import tensorflow.compat.v1 as tf

import mtl_graph

TEXT = """
name: "rich" seed: 3
data {
  batch_size: 16
  feature { name: "x" column: "temperature"
            numeric { normalization: Z_SCORE missing_value: 4 } }
  feature { name: "amount" numeric { normalization: LOG1P } }
  feature { name: "pair" numeric { size: 2 missing_value: 0 } }
  feature { name: "hour" categorical { num_buckets: 24 embedding_dimension: 2 } }
  feature { name: "city" categorical { vocabulary: ["oslo", "bern"]
                                       embedding_dimension: 2 } }
  feature { name: "dest" categorical { hash_buckets: 9 embedding_dimension: 2 } }
  feature { name: "both" cross { feature: ["city", "hour"] hash_buckets: 7
                                 embedding_dimension: 2 } }
  feature { name: "tags" categorical {
    vocabulary: ["a", "b", "c"] embedding_dimension: 2
    values { max_values: 3 weight_column: "w" } } }
}
model {
  mixture_of_experts { num_experts: 2
                       expert { layer { dense { units: 6 activation: TANH } } } }
  task { name: "late" binary {} }
  task { name: "delay" label { log1p: true scale: 0.5 } regression {}
         estimate { task: "late" form: PROBABILITY } }
  task { name: "kind" multiclass { vocabulary: ["Ä", "b", "c"] } }
  task { name: "labels" multilabel { num_labels: 2 } }
  task { name: "stars" ordinal { num_classes: 4 } }
  task { name: "events" count {} }
  task { name: "place" regression { size: 2 } label { scale: 2 } }
  task { name: "range" quantiles { level: [0.1, 0.5, 0.9] } }
}
training {
  num_steps: 20
  joint { loss { uncertainty { max_log_variance: 0.3 } } }
  default_optimizer { adam { learning_rate { constant: 0.05 } } }
  summaries { enabled: false }
}
serving {
  output { class_names: true top_k: 2 representation: true gates: true
           sigma: true }
  signature { multi_head_aliases: true after_lookups: true }
}
"""


def columns(seed: int, count: int):
  """Makes rows; some numbers and words are missing."""
  random = np.random.default_rng(seed)
  x = random.normal(5, 3, count)
  tags = random.choice(["a", "b", "c", "new", ""], [count, 3])
  return {
      "temperature": np.where(random.random(count) < 0.2, np.nan, x),
      "amount": np.abs(x), "pair": random.normal(size=[count, 2]),
      "hour": random.integers(0, 24, count),
      "city": random.choice(["oslo", "bern", "rome", ""], count),
      "dest": random.choice(["JFK", "LGA", "Zürich", ""], count),
      "tags": tags, "w": np.where(tags == "", np.nan, random.random([count, 3])),
      "late": x > 5, "delay": np.abs(2 * x),
      "kind": random.choice(["Ä", "b", "c"], count),
      "labels": np.stack([x > 3, x > 6], 1).astype(int),
      "stars": np.digitize(x, [2, 4, 6]), "events": random.poisson(3, count),
      "place": np.stack([x, -x], 1), "range": x}


def requests(rows):
  """Returns rows as `serving_default` takes them."""
  text = {name: np.array(rows[name].tolist(), object)
          for name in ("city", "dest", "tags")}
  return {"x": np.float32(rows["temperature"]),
          "amount": np.float32(rows["amount"]),
          "pair": np.float32(rows["pair"]), "hour": np.int64(rows["hour"]),
          "tags/weights": np.float32(rows["w"]), **text}


def examples(rows):
  """Returns rows as serialized tf.Example; what is missing is left out."""
  found = []
  for i in range(len(rows["hour"])):
    example = tf.train.Example()
    feature = example.features.feature
    for name in ("temperature", "amount", "pair"):
      values = np.ravel(rows[name][i])
      if not np.isnan(values).any():
        feature[name].float_list.value.extend(values)
    feature["hour"].int64_list.value.append(int(rows["hour"][i]))
    for name in ("city", "dest"):
      if rows[name][i]:
        feature[name].bytes_list.value.append(rows[name][i].encode())
    for tag, weight in zip(rows["tags"][i], rows["w"][i]):
      feature["tags"].bytes_list.value.append(tag.encode())
      feature["w"].float_list.value.append(weight)
    found.append(example.SerializeToString())
  return found


def train(folder: str, *overrides: str):
  """Trains the experiment into a folder and exports it; returns the result."""
  return mtl_graph.train(TEXT, columns(0, 64), os.path.join(folder, "run"),
                         overrides, log=lambda line: None)


class Server:
  """An export in a session, called by signature; usable as a context."""

  def __init__(self, path: str):
    self.graph = tf.Graph()
    self._session = tf.Session(graph=self.graph)
    with self.graph.as_default():
      self.signatures = tf.saved_model.load(
          self._session, ["serve"], path).signature_def

  def __enter__(self):
    return self

  def __exit__(self, *unused_exception):
    self._session.close()

  def feed(self, name, inputs):
    """Returns what a server feeds: a default for an input that is left out."""
    signature = self.signatures[name]
    return {info.name: inputs[key] if key in inputs else tf.make_ndarray(
        signature.defaults[key]) for key, info in signature.inputs.items()
            if key in inputs or key in signature.defaults}

  def run(self, name, inputs):
    """Runs one signature, and returns its outputs by name."""
    return self._session.run(
        {key: info.name for key, info in self.signatures[name].outputs.items()},
        self.feed(name, inputs))

  def run_all(self, names, inputs):
    """Runs several signatures at once, as MultiInference does."""
    feed = {}
    for name in names:
      feed.update(self.feed(name, inputs))
    return self._session.run(
        {name: {key: info.name for key, info in
                self.signatures[name].outputs.items()} for name in names}, feed)

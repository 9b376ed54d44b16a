"""An experiment with a part of every kind, and rows for it."""

from typing import Dict, Sequence

import numpy as np

TEXT = """
name: "everything" seed: 3
data {
  batch_size: 20
  feature { name: "x" numeric { normalization: MIN_MAX } use: WIDE_AND_DEEP }
  feature { name: "v" numeric { size: 3 normalization: Z_SCORE
                                missing_value: 0 } use: WIDE_AND_DEEP }
  feature { name: "amount" numeric { normalization: LOG1P } }
  feature { name: "city" categorical {
    counted_vocabulary { capacity: 6 min_count: 2 } embedding_dimension: 2 } }
  feature { name: "kind" use: WIDE_AND_DEEP categorical {
    num_buckets: 5 embedding_dimension: 3 regularization { l2: 0.1 }
    initializer { truncated_normal: 0.1 } } }
  feature { name: "part" column: "x" categorical {
    quantile_buckets: 4 one_hot {} } }
  feature { name: "cut" column: "x" categorical {
    boundary: [-1, 0, 1] embedding_dimension: 2 } }
  feature { name: "tags" use: WIDE_AND_DEEP categorical {
    vocabulary: ["p", "q", "r"] capacity: 5 embedding_dimension: 2
    values { max_values: 3 weight_column: "tag_weights" combiner: SQRTN } } }
  feature { name: "topics" categorical {
    hash_buckets: 4 multi_hot {} values { max_values: 2 } } }
  feature { name: "path" categorical {
    num_buckets: 6 embedding_dimension: 2
    values { max_values: 4 lstm { units: 2 } } }
    encoder { layer { dense { units: 3 activation: ELU } } } }
  feature { name: "steps" column: "path" categorical {
    num_buckets: 6 one_hot {} values { max_values: 3 gru { units: 2 } } } }
  feature { name: "home" categorical {
    vocabulary: ["a", "b"] embedding_dimension: 2 shared_embedding: "team" } }
  feature { name: "away" categorical {
    vocabulary: ["a", "b"] embedding_dimension: 2 shared_embedding: "team" } }
  feature { name: "hour" categorical { hash_buckets: 3 } use: CROSS_ONLY }
  feature { name: "kind_hour" use: WIDE
            cross { feature: "kind" feature: "hour" hash_buckets: 9 } }
  feature { name: "home_away" cross {
    feature: "home" feature: "away" hash_buckets: 8 embedding_dimension: 2
    regularization { l1: 0.01 } } }
  feature {
    name: "image" image { height: 6 width: 6 channels: 2 }
    encoder {
      layer { conv2d { filters: 3 kernel_size: 3 activation: RELU
                       regularization { l2: 0.01 } } }
      layer { batch_normalization { momentum: 0.9 } }
      layer { max_pooling { size: 2 stride: 1 } }
      layer { residual {
        layer { conv2d { filters: 4 kernel_size: 2 stride: 2 use_bias: false } }
        activation: GELU } }
      layer { average_pooling { size: 2 stride: 1 } }
      layer { flatten {} }
    } }
  drop_rows { column: "amount" greater_than: 1000 }
  resampling { task: "yes" fraction: [0.5, 0.5] }
}
model {
  hard_sharing { trunk {
    layer { dense { units: 8 activation: SWISH initializer { he_normal {} }
                    regularization { l1: 0.001 } } }
    layer { batch_normalization { scale: false } }
    layer { residual { layer { dense { units: 8 activation: MISH } }
                       layer { dropout { rate: 0.1 } } } }
    layer { residual { layer { dense { units: 6 } } activation: TANH } }
    layer { layer_normalization {} }
    layer { activation { function: SOFTSIGN } }
  } }
  task { name: "yes" binary { pos_weight: 2 label_smoothing: 0.1 focal {} }
         additional_loss { weight: 0.5 binary {} }
         tower { layer { dense { units: 4 } } layer { dropout { rate: 0.2 } } }}
  task { name: "level" ordinal { num_classes: 4 }
         estimate { task: "labels" form: PROBABILITY }
         estimate { task: "events" form: VALUE stop_gradient: false } }
  task { name: "class" multiclass { num_classes: 3 class_weight: [1, 2, 1] }
         estimate { task: "yes" form: LOGIT } }
  task { name: "labels" multilabel { vocabulary: ["p", "q", "r"] }
         label { column: "tags" separator: "|" } }
  task { name: "value" regression { loss: HUBER } label { log1p: true scale: 2
                                                        column: "amount" } }
  task { name: "vector" regression { size: 3 } label { scale: 0.5 }
         estimate { task: "level" form: PROBABILITY } }
  task { name: "events" count {} }
  task { name: "range" quantiles { level: [0.1, 0.5, 0.9] }
         label { column: "y" only_when { task: "yes" } }
         estimate { task: "value" form: VALUE } }
}
training {
  num_epochs: 2
  joint { loss { uncertainty {} } }
  default_optimizer { adamw { learning_rate {
    cosine_decay { initial: 0.01 decay_steps: 60 } warm_up { steps: 3 } } } }
  moving_average { decay: 0.9 }
  accumulate_batches: 2
  log_every_steps: 2
  checkpoint { every_steps: 3 }
  summaries { enabled: false }
}
evaluation {
  every_steps: 2
  best { metric: "yes/grouped_auc" goal: MAXIMIZE }
  task_metrics { task: "yes" threshold: [0.25, 0.5] k: 10 group_column: "city"
                 confusion_matrix: true }
  task_metrics { task: "class" k: 2 confusion_matrix: true }
  task_metrics { task: "value" quantile: 0.5 }
  slice { column: "city" max_values: 2 }
}
serving {}
"""


def rows(seed: int, count: int = 60, cities: Sequence[str] = (
    "oslo", "bern", "rome")) -> Dict[str, np.ndarray]:
  """Returns columns by name; some labels and values are missing."""
  random = np.random.default_rng(seed)
  x = random.normal(size=count)

  def some(values, share=0.1):
    return np.where(random.random(count) < share, np.nan, values)

  def lists(entries, most):
    return ["|".join(random.choice(entries, random.integers(0, most + 1), False)
                     ) for _ in range(count)]

  vector = np.stack([x, -x, 2 * x], 1)
  vector[:5, 1] = np.nan
  tags = lists(["p", "q", "r"], 3)
  amount = random.exponential(3, count)
  amount[-1] = 5000
  return {
      "x": x, "v": random.normal(size=[count, 3]), "amount": amount,
      "city": random.choice([*cities, ""], count),
      "kind": some(random.integers(0, 5, count)), "tags": np.array(tags),
      "tag_weights": np.array(
          ["|".join("1.5" for tag in text.split("|") if tag) for text in tags]),
      "topics": np.array(lists(["s", "t", "u"], 2)),
      "path": np.array(["|".join(map(str, random.integers(0, 6, length)))
                        for length in random.integers(0, 6, count)]),
      "home": random.choice(["a", "b", "c"], count),
      "away": random.choice(["a", "b"], count),
      "hour": random.choice(["7", "8", "9", ""], count),
      "image": random.integers(0, 256, [count, 6, 6, 2]).astype(np.uint8),
      "yes": some(x > 0.5), "level": some(np.digitize(x, [-1, 0, 1])),
      "class": some(random.integers(0, 3, count)),
      "vector": vector, "events": some(random.poisson(np.exp(x / 2))),
      "y": x + random.normal(size=count),
  }

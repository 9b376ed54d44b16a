"""A valid experiment of many columns, kinds of features and kinds of heads."""

import os

import numpy as np

from tests import small_experiment

TEXT = """\
name: "wide"
seed: 3
data {
  train {
    csv { path: "rows@2.csv" missing_value: "NA" strip_spaces: true }
    part { key_column: "user" to: 0.7 }
  }
  validation {
    csv { path: "rows@2.csv" missing_value: "NA" strip_spaces: true }
    part { key_column: "user" from: 0.7 }
  }
  batch_size: 8
  drop_rows { column: "age" greater_than: 85 }
  drop_rows { column: "country" one_of: "nowhere" }
  resampling { task: "tier" fraction: [0.5, 0.25, 0.25] }
  feature {
    name: "age" numeric { normalization: MIN_MAX missing_value: 40 }
    use: WIDE_AND_DEEP
  }
  feature {
    name: "scores"
    numeric { size: 3 separator: ";" normalization: Z_SCORE missing_value: 0 }
    encoder {
      layer { dense { units: 4 initializer { he_normal {} } } }
      layer { residual { layer { dense { units: 4 activation: GELU } } } }
    }
  }
  feature {
    name: "city"
    categorical { vocabulary: ["bern", "oslo", "rome"] capacity: 5 one_hot {} }
  }
  feature { name: "hour" categorical { num_buckets: 24 } use: CROSS_ONLY }
  feature {
    name: "city_hour" use: WIDE_AND_DEEP
    cross { feature: ["city", "hour"] hash_buckets: 11 embedding_dimension: 2 }
  }
  feature {
    name: "tags"
    categorical {
      counted_vocabulary { capacity: 6 min_count: 2 } embedding_dimension: 3
      values { max_values: 3 weight_column: "tag_weights" combiner: SQRTN }
      regularization { l2: 0.001 }
    }
  }
  feature {
    name: "home"
    categorical {
      num_buckets: 9 embedding_dimension: 2 shared_embedding: "place"
    }
  }
  feature {
    name: "visits"
    categorical {
      num_buckets: 9 embedding_dimension: 2 shared_embedding: "place"
      values { max_values: 4 lstm { units: 3 } }
    }
  }
  feature { name: "height" categorical { boundary: [1.5, 1.8] } use: WIDE }
  feature {
    name: "income" categorical { quantile_buckets: 4 embedding_dimension: 2 }
  }
  feature {
    name: "hobbies"
    categorical { hash_buckets: 7 multi_hot {} values { max_values: 2 } }
  }
}
model {
  hard_sharing {
    trunk {
      layer { dense { units: 6 } }
      layer { batch_normalization {} }
      layer { activation { function: SWISH } }
    }
  }
  task {
    name: "click" label { column: "clicked" ignore_value: -1 }
    binary { pos_weight: 2 } tower { layer { layer_normalization {} } }
    additional_loss { weight: 0.5 binary { focal { gamma: 1 } } }
  }
  task {
    name: "spent" regression {}
    label {
      log1p: true weight_column: "spent_weight" only_when { task: "click" }
      only_when { column { column: "country" missing: true negate: true } }
    }
  }
  task {
    name: "offset" label { column: ["dx", "dy"] }
    regression { size: 2 loss: HUBER huber_delta: 2 }
  }
  task {
    name: "tier"
    multiclass {
      vocabulary: ["bronze", "silver", "gold"] class_weight: [1, 2, 0.5]
    }
  }
  task {
    name: "topics" multilabel { vocabulary: ["art", "law", "sea"] }
    estimate { task: "tier" form: PROBABILITY }
  }
  task { name: "flags" multilabel { num_labels: 2 pos_weight: [1, 3] } }
  task { name: "events" count {} label { ignore_value: 99 } }
  task { name: "grade" ordinal { num_classes: 4 } }
  task { name: "delay" quantiles { level: [0.1, 0.5, 0.9] } }
}
training {
  num_epochs: 0.2
  accumulate_batches: 2
  joint { loss { sum {} } }
  default_optimizer {
    adamw { learning_rate { constant: 0.01 warm_up { steps: 3 } } }
  }
  group {
    name: "shared" scope: ["trunk", "embedding", "encoder"]
    clipping { norm: 5 } weight_decay: 0.01
  }
  group {
    name: "wide" scope: "wide" start_step: 1
    optimizer { ftrl { learning_rate { constant: 0.1 } l1: 0.01 } }
  }
  group { name: "own" scope: ["tower", "head"] clipping { value: 1 } }
  moving_average { decay: 0.9 }
  execution { intra_op_threads: 1 inter_op_threads: 1 }
  summaries { enabled: false }
}
evaluation {
  every_steps: 1
  best { metric: "click/grouped_auc" goal: MAXIMIZE }
  task_metrics { task: "click" threshold: 0.5 k: 5 group_column: "user" }
  task_metrics { task: "tier" k: 2 confusion_matrix: true }
  task_metrics { task: "spent" quantile: 0.5 }
  slice { column: "country" max_values: 2 }
}
"""


def make_rows(count: int):
  """Returns a header and rows of strings."""
  random = np.random.RandomState(5)

  def several(values, most, separator="|"):
    return [separator.join(random.choice(values, random.randint(1, most + 1)))
            for _ in range(count)]

  tags = several(["red", "blue", "green", "grey"], 3)
  columns = {
      "user": random.randint(0, 20, count),
      "country": random.choice(["ch", "no", "it"], count),
      "age": random.randint(18, 80, count),
      "scores": [";".join(map(str, row)) for row in
                 random.randint(0, 9, [count, 3])],
      "city": random.choice(["bern", "oslo", "rome", ""], count),
      "hour": random.randint(0, 24, count),
      "tags": tags,
      "tag_weights": ["|".join("1" for _ in tag.split("|")) for tag in tags],
      "home": random.randint(0, 9, count),
      "visits": several(list("012345678"), 4),
      "height": np.round(random.uniform(1.4, 2, count), 2),
      "income": random.randint(1, 90, count),
      "hobbies": several(["chess", "skiing", "tea"], 2),
      "clicked": random.choice([-1, 0, 1, 1], count),
      "spent": random.randint(0, 50, count),
      "spent_weight": random.randint(1, 3, count),
      "dx": random.randint(-5, 5, count),
      "dy": random.randint(-5, 5, count),
      "tier": random.choice(["bronze", "silver", "gold", "NA"], count),
      "topics": several(["art", "law", "sea"], 2),
      "flags": several(["0", "1"], 1),
      "events": random.choice([0, 1, 2, 99], count),
      "grade": random.randint(0, 4, count),
      "delay": random.randint(0, 60, count),
  }
  columns["flags"] = [f"{a}|{b}" for a, b in zip(columns["flags"],
                                                 several(["0", "1"], 1))]
  return list(columns), [list(map(str, row)) for row in zip(*columns.values())]


def write(folder: str, text: str) -> None:
  """Writes an experiment as `wide.pbtxt`, and its files, into a folder."""
  with open(os.path.join(folder, "wide.pbtxt"), "w", encoding="utf-8") as file:
    file.write(text)
  names, rows = make_rows(80)
  for i in range(2):
    small_experiment.write_csv(
        os.path.join(folder, f"rows-0000{i}-of-00002.csv"), names,
        rows[40 * i:40 * (i + 1)])

"""A valid experiment of tasks that share a trunk and read each other."""

from tests import small_experiment

TEXT = """\
name: "sharing"
seed: 11
data {
  train { csv { path: "train.csv" } weight_column: "weight" }
  validation { csv { path: "validation.csv" } weight_column: "weight" }
  batch_size: 16
  feature { name: "age" numeric { normalization: Z_SCORE } }
  feature {
    name: "city"
    categorical { vocabulary: ["bern", "oslo", "rome"] embedding_dimension: 2 }
  }
}
model {
  hard_sharing { trunk { layer { dense { units: 4 activation: RELU } } } }
  task {
    name: "click" label { column: "clicked" } binary {}
    tower { layer { dense { units: 3 activation: RELU } } }
  }
  task {
    name: "buy" binary {} no_loss: true
    tower { layer { dense { units: 3 activation: RELU } } }
  }
  task {
    name: "sale" label { column: "spent" greater_than: 5 } binary {}
    product { task: ["click", "buy"] }
  }
  task {
    name: "spent" regression {}
    tower { layer { dense { units: 2 } } } transfer { task: "click" }
  }
  task {
    name: "tier" multiclass { vocabulary: ["bronze", "silver", "gold"] }
    estimate { task: "sale" form: LOGIT }
  }
}
training {
  num_steps: 4
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.01 } } }
  checkpoint { every_steps: 1 keep: 2 }
  summaries { enabled: false }
}
evaluation {
  every_steps: 1
  best { metric: "sale/auc" goal: MAXIMIZE }
}
"""


def write(folder: str, text: str) -> None:
  """Writes an experiment as `sharing.pbtxt`, and its files, into a folder."""
  small_experiment.write(folder, text, "sharing")

"""Valid experiments that between them use every message that is built."""

import os

TEXT = """\
name: "everything"
data {
  train {
    npz { path: "rows" } weight_column: "w" part { row_hash {} to: 0.8 }
  }
  validation { tfrecord { path: "rows" } part { key_column: "u" from: 0.8 } }
  test { parquet { path: "rows" } part { column: "u" value: "a" } }
  feature { name: "n" numeric { missing_value: 0 } }
  feature { name: "id" categorical { num_buckets: 3 embedding_dimension: 2 } }
  feature {
    name: "words" use: WIDE_AND_DEEP
    categorical {
      hash_buckets: 5 embedding_dimension: 1 shared_embedding: "t"
      initializer { uniform: 0.1 } regularization { l1: 1 l2: 1 }
      values { max_values: 2 combiner: SUM }
    }
  }
  feature {
    name: "word"
    categorical {
      hash_buckets: 5 embedding_dimension: 1 shared_embedding: "t"
      initializer { uniform: 0.1 } regularization { l1: 1 l2: 1 }
    }
  }
  feature {
    name: "past"
    categorical {
      counted_vocabulary { capacity: 4 min_count: 1 } one_hot {}
      values { max_values: 3 lstm { units: 2 } }
    }
  }
  feature {
    name: "tags" categorical {
      vocabulary: ["a", "b"] capacity: 4 multi_hot {} values { max_values: 3 }
    }
  }
  feature {
    name: "steps" categorical {
      quantile_buckets: 3 embedding_dimension: 2
      initializer { truncated_normal: 0.1 }
      values { max_values: 1 gru { units: 1 } }
    }
  }
  feature {
    name: "level" use: CROSS_ONLY categorical { boundary: [0, 1] }
  }
  feature {
    name: "both"
    cross {
      feature: ["level", "id"] hash_buckets: 7 embedding_dimension: 2
      initializer { normal: 0.1 } regularization { l2: 1 }
    }
  }
  feature {
    name: "photo" image { height: 8 width: 8 channels: 1 divisor: 255 }
    encoder {
      layer {
        conv2d {
          filters: 2 kernel_size: [3, 2] stride: [1, 1]
          initializer { orthogonal: 1 } regularization { l1: 0 }
        }
      }
      layer { max_pooling { size: [2, 2] stride: [1, 2] } }
      layer { average_pooling { size: 1 stride: 1 } }
      layer { batch_normalization {} } layer { layer_normalization {} }
      layer { residual { layer { activation { function: SWISH } } } }
      layer { flatten {} }
    }
  }
  feature {
    name: "chart" image { height: 2 width: 2 }
    encoder {
      layer { global_max_pooling {} }
    }
  }
  drop_rows { column: "u" one_of: ["x"] } drop_rows { column: "n" less_than: 0 }
  resampling { task: "yes" fraction: [0.5, 0.5] }
}
model {
  hard_sharing {
    trunk {
      layer { dropout { rate: 0.5 } }
      layer { dense { units: 4 initializer { glorot_normal {} } } }
    }
  }
  task {
    name: "yes" binary { pos_weight: 2 label_smoothing: 0.1 focal {} }
    label { weight_column: "w" only_when { column { column: "u" one_of: "a" } }}
    additional_loss { weight: 1 binary { pos_weight: 3 } }
  }
  task {
    name: "no" binary {}
    label { column: "n" greater_than: 3 only_when { task: "yes" } }
  }
  task {
    name: "kind"
    multiclass { num_classes: 3 class_weight: [1, 1, 2] label_smoothing: 0.1 }
    additional_loss { multiclass { focal { gamma: 1 } } }
    estimate { task: "yes" form: LOGIT }
  }
  task {
    name: "size" regression { loss: HUBER huber_delta: 2 size: 2 }
    label { column: ["n", "id"] scale: 2 }
    additional_loss { regression { loss: HUBER huber_delta: 3 } }
  }
  task {
    name: "one" regression {} label { column: "n" }
  }
  task {
    name: "set" multilabel { num_labels: 2 pos_weight: [1, 2] focal {} }
  }
  task { name: "events" count {} }
  task { name: "stars" ordinal { num_classes: 4 } }
  task { name: "range" quantiles { level: [0.1, 0.9] } }
}
training {
  num_steps: 2
  joint { loss { sum {} } }
  default_optimizer { adam { learning_rate { constant: 0.1 } } }
  group {
    name: "deep" clipping { global_norm: 1 } weight_decay: 0.1 start_step: 1
    scope: ["embedding", "encoder", "trunk"]
  }
  group { name: "heads" scope: ["head", "wide"] clipping { norm: 1 } }
  checkpoint { keep: 1 }
  execution { steps_per_block: 1 gpu_memory_fraction: 1 }
  summaries {}
  accumulate_batches: 2
  moving_average { decay: 0.9 }
  warm_start {
    checkpoint: "runs/other" scope: "trunk"
    rename { saved: "column/yes" here: "trunk" } missing: WARN
    rule { regex: "^net/" replacement: "trunk/" } ignore: "a" drop: "b"
    preset: KERNEL_BIAS shape_mismatch: SLICE
  }
}
evaluation {
  every_steps: 1
  best { metric: "yes/auc" goal: MAXIMIZE }
  early_stopping { metric: "yes/loss" goal: MINIMIZE patience: 2 min_delta: 1 }
  task_metrics { task: "yes" threshold: [0.5] k: [3] group_column: "u" }
  task_metrics { task: "kind" k: [2] }
  task_metrics { task: "one" quantile: [0.5] }
  slice { column: "u" }
}
serving {
  warmup_requests: 1
  publishing { keep: 2 every_best {}
               gate { metric: "yes/auc" goal: MAXIMIZE margin: 0.1 } }
  batching { max_batch_size: 8 batch_timeout_micros: 1 max_enqueued_batches: 1
             num_batch_threads: 1 allowed_batch_sizes: [1, 8] }
  output { logits: false class_names: true top_k: 2 representation: true }
  signature { multi_head_aliases: true after_lookups: true }
  weights { precision: INT8 frozen: true }
}
"""

_DEFAULT = "training.default_optimizer={ %s { learning_rate { %s } } }"
_NO_COUNT = "model.task[name=events]={ name: 'events' binary {} }"
_NO_DECAY = "training.group[0].weight_decay=0"

# Rows of two sources; the rest of the experiment then has to do with less.
_SOURCES = (
    "data={ feature { name: 'n' numeric {} } source { name: 'a' task: ['yes', "
    "'no'] train { npz { path: 'rows' } } validation { csv { path: 'rows' } "
    "part { row_hash {} } } %s } source { name: 'b' test { npz { path: 'rows' }"
    " } train { parquet { path: 'rows' } } %s at_end: STOP } %s }")
_ANY_GROUPS = (
    "training={ num_steps: 2 joint { loss { sum {} } } default_optimizer { adam"
    " { learning_rate { constant: 1 } } } }")

# Needs --allow_python=tests.
_FUNCTION = (
    "layer { python { function: 'tests.legacy_network:trunk' units: 5 argument "
    "{ name: 'hidden' integer: 5 } argument { name: 'l2' number: 0.1 } argument"
    " { name: 'activation' text: 'tanh' } } }")
# What tasks share in place of the trunk.
_DENSE = "layer { dense { units: 4 } }"
_FIRST = "layer { name: 'first' dense { units: 4 } }"
_FACTOR = "layer { name: 'first' weight: 2 }"
_SHARINGS = (
    f"soft_sharing={{ column {{ {_FIRST} {_DENSE} }} parameter_distance {{ "
    f"weight: 1 to: MEAN {_FACTOR} }} trace_norm {{ weight: 1 flattening: "
    f"TUCKER epsilon: 1 {_FACTOR} }} cross_stitch {{ after: 'first' own_share: "
    "0.8 } }",
    f"soft_sharing={{ column {{ {_FIRST} {_DENSE} }} sluice {{}} }}",
    f"mixture_of_experts={{ num_experts: 2 expert {{ {_DENSE} }} gate {{ "
    "softmax { use_bias: true initializer { constant: 0 } } "
    f"{_DENSE} }} }}",
    f"customized_gate_control={{ expert {{ {_DENSE} }} gate {{ dselect_k {{ "
    "num_selected: 1 } } }",
    f"progressive_layered_extraction={{ level {{ expert {{ {_DENSE} }} }} "
    f"level {{ task_experts: 2 expert {{ {_DENSE} }} }} gate {{}} }}",
    f"task_attention={{ block {{ first {{ {_DENSE} }} second {{ {_DENSE} }} "
    f"transition {{ {_DENSE} }} attention_units: 2 }} block {{ first {{ "
    f"{_DENSE} }} forward {{ {_DENSE} }} attention_units: 3 }} }}",
)
_BRANCHES_AND_CHAINS = (
    f"model.hard_sharing={{ trunk {{ {_DENSE} }} branch {{ name: 'deep' reads: "
    f"['trunk/dense', 'features'] {_DENSE} }} }}",
    "model.task[name=one].reads=['branch/deep', 'trunk']",
    "model.task[name=yes].no_loss=true",
    "model.task[name=yes].additional_loss=[]",
    "model.task[name=no].transfer={ task: 'yes' calibration_weight: 1 }",
    "model.task[name=set]={ name: 'set' binary {} product { task: ['yes', "
    "'no'] } }",
    "serving={ task: 'set' }",
)
_INDEPENDENT = """training={
  num_rounds: 2 default_optimizer { adam { learning_rate { constant: 1 } } }
  group { name: "held" scope: "trunk" frozen: true }
  independent {
    order: INTERLEAVED
    task {
      name: "no" iterations: 3 batch_size: 4 clipping { norm: 1 }
      weight_decay: 0.1 source: "a"
      optimizer { momentum { learning_rate { constant: 1 } } }
      early_stopping {
        metric: "no/loss" goal: MINIMIZE patience: 2 min_delta: 1
      }
    }
    %s
  }
}""" % " ".join(f"task {{ name: '{name}' }}" for name in (
    "yes", "kind", "size", "one", "set", "events", "stars", "range"))

# Overrides, each tuple of which makes another valid experiment of `TEXT`.
VARIANTS = (
    ("data.test={ csv { path: 'rows' } }",),
    *((_ANY_GROUPS, f"model.{sharing}") for sharing in _SHARINGS),
    (_ANY_GROUPS, *_BRANCHES_AND_CHAINS),
    (_SOURCES % ("", "", ""), _INDEPENDENT),
    ("training.joint.loss={ weighted_sum {} }",
     "model.task[name=yes].weight=2"),
    ("training.joint.loss={ uncertainty {} }", "serving.output.sigma=true"),
    *((f"training.joint.loss={{ {loss} }}", _NO_COUNT,
       "training.accumulate_batches=1") for loss in (
           "dynamic_weight_average { window_steps: 1 }", "geometric_mean {}",
           "log_sum {}", "random_weights {}", "grad_norm {}", "famo {}",
           "smooth_chebyshev { warm_up_steps: 1 }")),
    *((f"training.joint.gradient_balancing={{ {method} }}",
       "training.accumulate_batches=1") for method in (
        "pcgrad {}", "gradvac {}", "mgda {}", "cagrad {}", "imtl_g {}",
        "graddrop {}", "nash_mtl {}", "fairgrad {}", "aligned_mtl {}",
        "upgrad {}", "dual_proj {}", "config {}", "moco {}", "excess_mtl {}",
        "sdmgrad {}", "db_mtl {}")),
    ("training.joint.loss={ weighted_sum { schedule { task: 'yes' factor { "
     "constant: 1 } } } }",),
    ("serving.publishing={ every_steps: 1 }",),
    ("training={ num_epochs: 2 joint { loss { sum {} } } default_optimizer { "
     "adam { learning_rate { constant: 1 } } } }",),
    *((_SOURCES % more, _ANY_GROUPS) for more in (
        ("rate: 2", "rate: 1", "mixing { stated {} }"), ("", "", ""),
        ("", "", "mixing { temperature: 2 }"),
        ("", "", "input { kind: STREAMED shuffle_buffer: 5 }"))),
    ("training.group[1].clipping={ value: 1 }",),
    ("data.train={ python { function: 'tests.legacy_network:input_fn' } }",),
    *((f"training.cluster={{ {strategy} {{}} }}",
       "training.accumulate_batches=1") for strategy in (
           "asynchronous", "synchronous", "all_reduce")),
    (f"model.hard_sharing={{ trunk {{ {_FUNCTION} }} }}",
     "model.task[name=yes].head_function={ function: "
     "'tests.legacy_network:drawn' }", "model.task[name=no].loss_function={ "
     "function: 'tests.legacy_network:hinge' }"),
    ("training.group[1].optimizer={ lazy_adam { learning_rate { constant: 1 } "
     "} }", "training.accumulate_batches=1"),
    *((_DEFAULT % (rule, "constant: 1"),) for rule in (
        "adamw", "gradient_descent", "momentum", "rmsprop", "adagrad",
        "adadelta", "proximal_gradient_descent", "proximal_adagrad")),
    *((_DEFAULT % (rule, "constant: 1"), _NO_DECAY)
      for rule in ("adagrad_da", "ftrl")),
    *((_DEFAULT % ("adam", schedule),) for schedule in (
        "constant: 1 warm_up { steps: 2 }",
        "exponential_decay { initial: 1 decay_steps: 2 decay_rate: 0.5 }",
        "piecewise { boundary: [1, 2] value: [1, 2, 3] }",
        "cosine_decay { initial: 1 decay_steps: 2 }",
        "cosine_restarts { initial: 1 first_decay_steps: 2 }",
        "polynomial_decay { initial: 1 decay_steps: 2 }",
        "inverse_square_root { initial: 1 decay_steps: 2 }")),
)


def write_files(folder: str) -> None:
  """Makes the file that all sources name; nothing reads it."""
  with open(os.path.join(folder, "rows"), "wb"):
    pass

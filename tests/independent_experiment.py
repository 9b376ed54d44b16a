"""A valid experiment in which each task is trained by itself, and its rows."""

import os
import shutil

from tests import small_experiment
from tests import sources_experiment

_BEFORE = small_experiment.edited(
    sources_experiment.TEXT.partition("training {")[0], [
        ('name: "sources"', 'name: "independent"'),
        ('"spent"] rate: 2', '"spent"]'), ('"tier" rate: 1', '"tier"'),
        ("  mixing { stated {} }\n", "")])
TEXT = _BEFORE + """\
training {
  num_rounds: 2
  independent {
    order: INTERLEAVED
    task {
      name: "click" iterations: 3 source: "ads" clipping { norm: 5 }
      optimizer { adam { learning_rate { constant: 0.01 } } }
      early_stopping {
        metric: "click/log_loss" goal: MINIMIZE patience: 9
      }
    }
    task { name: "spent" batch_size: 8 }
    task { name: "tier" iterations: 2 source: "shop" weight_decay: 0.01 }
  }
  group { name: "held" scope: "embedding/hour" frozen: true }
  default_optimizer { momentum { learning_rate { constant: 0.01 } } }
  checkpoint { every_steps: 4 keep: 2 }
  summaries { enabled: false }
}
evaluation { every_steps: 2 }
serving { task: ["tier", "click"] }
"""


def write(folder: str, text: str) -> None:
  """Writes an experiment as `independent.pbtxt`, and its files, into a folder.
  """
  sources_experiment.write(folder, text)
  shutil.move(os.path.join(folder, "sources.pbtxt"),
              os.path.join(folder, "independent.pbtxt"))

"""A valid experiment on images in an archive of arrays."""

import os

import numpy as np

TEXT = """\
name: "image"
seed: 3
data {
  train { npz { path: "train.npz" } }
  validation { npz { path: "validation.npz" } }
  batch_size: 8
  feature { name: "photo" image { height: 8 width: 6 channels: 2 } }
  feature { name: "depth" image { height: 8 width: 6 divisor: 1 } }
  feature {
    name: "place" numeric { size: 2 }
    use: WIDE
  }
}
model {
  hard_sharing {
    trunk {
      layer { conv2d { filters: 4 kernel_size: 3 activation: RELU } }
      layer { batch_normalization { momentum: 0.9 } }
      layer { max_pooling { size: 2 } }
      layer {
        residual {
          layer { conv2d { filters: 5 kernel_size: [3, 1] stride: 2 } }
          layer { dropout { rate: 0.1 } }
        }
      }
      layer { average_pooling { size: 2 stride: 1 padding: SAME } }
      layer { flatten {} }
    }
  }
  task { name: "kind" multiclass { num_classes: 3 label_smoothing: 0.1 } }
  task {
    name: "size" regression {} tower { layer { dense { units: 3 } } }
    additional_loss { regression { loss: ABSOLUTE } }
  }
}
training {
  num_steps: 2
  joint { loss { weighted_sum {} } }
  default_optimizer { momentum { learning_rate { constant: 0.01 } } }
  summaries { enabled: false }
}
"""


def make_arrays(seed: int, count: int):
  """Returns arrays by column."""
  random = np.random.RandomState(seed)
  return {
      "photo": random.randint(0, 256, [count, 8, 6, 2], dtype=np.uint8),
      "depth": random.rand(count, 8, 6),
      "place": random.rand(count, 2),
      "kind": random.randint(0, 3, count),
      "size": random.rand(count),
  }


def write(folder: str, text: str) -> None:
  """Writes an experiment as `image.pbtxt`, and its files, into a folder."""
  with open(os.path.join(folder, "image.pbtxt"), "w",
            encoding="utf-8") as file:
    file.write(text)
  for name, seed, count in (("train", 1, 30), ("validation", 2, 10)):
    np.savez(os.path.join(folder, name + ".npz"), **make_arrays(seed, count))

"""Every architecture, in small experiments of one table, and their rows."""

import math
from typing import Tuple

import numpy as np

from mtl_graph import outline
from mtl_graph.data import batches
from mtl_graph.protos import experiment_pb2
from tests.model import resident_run

_DENSE = "layer { dense { units: 4 activation: TANH } }"
_TWO = """layer { dense { units: 6 activation: TANH } }
  layer { dropout { rate: 0.1 } }
  layer { name: "last" dense { units: 6 activation: RELU } }"""
_CONV = """layer { conv2d { filters: 4 kernel_size: 3 activation: RELU } }
  layer { max_pooling { size: 2 } }
  layer { name: "deep" conv2d { filters: 6 kernel_size: 1 } }"""
_FLAT = "layer { flatten {} }"
_TOWER = "tower { layer { dense { units: 3 activation: TANH } } }"

VECTORS = 'feature { name: "x" numeric { size: 4 } }'
IMAGES = 'feature { name: "i" image { height: 6 width: 4 channels: 2 } }'

TASK_A = f'task {{ name: "a" binary {{}} label {{}} {_TOWER} }}'
TWO_TASKS = TASK_A + 'task { name: "b" regression {} label {} }'
THREE_TASKS = TWO_TASKS + """
  task { name: "c" multiclass { num_classes: 3 } label {} }"""
_TASKS_OF_IMAGES = f"""
  task {{ name: "a" binary {{}} label {{}} tower {{ {_FLAT} }} }}
  task {{ name: "b" regression {{}} label {{}}
         tower {{ layer {{ global_average_pooling {{}} }} }} }}"""

_HARD = f"hard_sharing {{ trunk {{ {_DENSE} }} }}"
_MIXTURE = f"""mixture_of_experts {{
  num_experts: 3 expert {{ {_DENSE} }} }}"""
_LEVEL = f"level {{ expert {{ {_DENSE} }} }}"
_BLOCKS = """task_attention {
  block { first { %s } second { %s } attention_units: 3 %s }
  block { first { %s } forward { %s } attention_units: 2 } }"""

# The features and the model of each.
TABLE = {
    "trunk": (VECTORS, _HARD + TWO_TASKS),
    "branches": (VECTORS, f"""
        hard_sharing {{
          trunk {{ {_TWO} }}
          branch {{ name: "ab" reads: "trunk/dense" reads: "features" {_TWO} }}
          branch {{ name: "b" reads: "branch/ab" {_DENSE} }}
          branch {{ name: "c" {_DENSE} }} }}
        task {{ name: "a" binary {{}} label {{}} reads: "branch/ab/dense" }}
        task {{ name: "b" binary {{}} label {{}}
               reads: "branch/b" reads: "branch/ab" }}
        task {{ name: "c" regression {{}} label {{}} reads: "branch/c" }}"""),
    "branches_of_images": (IMAGES, f"""
        hard_sharing {{
          trunk {{ {_CONV} }}
          branch {{ name: "early" reads: "trunk/conv2d" {_FLAT} {_DENSE} }} }}
        task {{ name: "a" binary {{}} label {{}} reads: "branch/early" }}
        task {{ name: "b" regression {{}} label {{}} tower {{ {_FLAT} }} }}"""),
    "columns": (VECTORS, f"""
        soft_sharing {{ column {{ {_TWO} }} parameter_distance {{ weight: 0.1 }}
                       trace_norm {{ weight: 0.1 }} }}""" + THREE_TASKS),
    "cross_stitch": (VECTORS, f"""
        soft_sharing {{ column {{ {_TWO} }} cross_stitch {{}} }}"""
                     + THREE_TASKS),
    "cross_stitch_in_the_middle": (VECTORS, f"""
        soft_sharing {{ column {{ {_TWO} layer {{ batch_normalization {{}} }} }}
          cross_stitch {{ after: "dense" granularity: PER_LAYER }} }}"""
                                   + TWO_TASKS),
    "cross_stitch_on_images": (IMAGES, f"""
        soft_sharing {{ column {{ {_CONV} }} cross_stitch {{}} }}"""
                               + _TASKS_OF_IMAGES),
    "sluice": (VECTORS, f"""
        soft_sharing {{ column {{ {_TWO} {_DENSE} }}
          sluice {{ subspaces: 3 after: "dense" after: "last" }} }}"""
               + THREE_TASKS),
    "sluice_on_images": (IMAGES, f"""
        soft_sharing {{ column {{
          layer {{ conv2d {{ filters: 4 kernel_size: 3 }} }}
          layer {{ conv2d {{ filters: 4 kernel_size: 1 }} }} }}
          sluice {{}} }}""" + _TASKS_OF_IMAGES),
    "experts": (VECTORS, _MIXTURE + THREE_TASKS),
    "one_gate": (VECTORS, f"""
        mixture_of_experts {{
          num_experts: 2 expert {{ {_TWO} }} one_gate: true
          gate {{ softmax {{ use_bias: true }} {_DENSE} }} }}""" + TWO_TASKS),
    "experts_of_images": (IMAGES, f"""
        mixture_of_experts {{ num_experts: 2 expert {{ {_CONV} }}
          gate {{ layer {{ global_max_pooling {{}} }} }} }}"""
                          + _TASKS_OF_IMAGES),
    "dselect_k": (VECTORS, f"""
        mixture_of_experts {{ num_experts: 5 expert {{ {_DENSE} }}
          gate {{ dselect_k {{ num_selected: 2 entropy: 0.1 }} {_DENSE} }} }}"""
                  + TWO_TASKS),
    "dselect_k_of_all_rows": (VECTORS, f"""
        mixture_of_experts {{ num_experts: 3 expert {{ {_DENSE} }}
          gate {{ dselect_k {{ num_selected: 2 per_example: false }} }} }}"""
                              + TWO_TASKS),
    "own_experts": (VECTORS, f"""
        customized_gate_control {{
          shared_experts: 2 expert {{ {_DENSE} }} }}""" + THREE_TASKS),
    "own_experts_alone": (VECTORS, f"""
        customized_gate_control {{ shared_experts: 0 task_experts: 2
          expert {{ {_DENSE} }} }}""" + TWO_TASKS),
    "one_level": (VECTORS, f"progressive_layered_extraction {{ {_LEVEL} }}"
                  + TWO_TASKS),
    "two_levels": (VECTORS, f"""
        progressive_layered_extraction {{ {_LEVEL}
          level {{ shared_experts: 2 expert {{ {_TWO} }} }} }}"""
                   + THREE_TASKS),
    "three_levels": (VECTORS, f"""
        progressive_layered_extraction {{ {_LEVEL} {_LEVEL} {_LEVEL} }}"""
                     + THREE_TASKS),
    "levels_without_own_experts": (VECTORS, f"""
        progressive_layered_extraction {{ {_LEVEL}
          level {{ task_experts: 0 expert {{ {_DENSE} }} }} {_LEVEL} }}"""
                                   + TWO_TASKS),
    "attention": (VECTORS, _BLOCKS % (_DENSE, _TWO, "", _DENSE, _DENSE)
                  + TWO_TASKS),
    "attention_on_images": (IMAGES, _BLOCKS % (
        "layer { conv2d { filters: 3 kernel_size: 3 } }", "",
        "transition { layer { max_pooling { size: 2 } } } "
        "batch_normalization: false",
        "layer { conv2d { filters: 4 kernel_size: 3 } }",
        "layer { conv2d { filters: 2 kernel_size: 1 } } "
        "layer { batch_normalization {} } layer { max_pooling { size: 2 } }")
                            + _TASKS_OF_IMAGES),
    "product": (VECTORS, _MIXTURE + f"""
        task {{ name: "a" binary {{}} label {{}} {_TOWER} }}
        task {{ name: "b" binary {{}} no_loss: true {_TOWER} }}
        task {{ name: "ab" binary {{}} label {{}}
               product {{ task: "a" task: "b" }} }}"""),
    "product_of_columns": (VECTORS, f"""
        soft_sharing {{ column {{ {_DENSE} }} cross_stitch {{}} }}
        task {{ name: "ab" binary {{}} label {{}}
               product {{ task: "a" task: "b" }} }}
        task {{ name: "a" binary {{}} label {{}} {_TOWER} }}
        task {{ name: "b" binary {{}} no_loss: true {_TOWER} }}"""),
    "transfer": (VECTORS, _HARD + f"""
        task {{ name: "a" binary {{}} label {{}} {_TOWER}
               transfer {{ task: "b" calibration_weight: 0.6 }} }}
        task {{ name: "b" binary {{}} label {{}} tower {{ {_DENSE} }} }}
        task {{ name: "c" binary {{}} label {{}} {_TOWER}
               transfer {{ task: "a" stop_gradient: true }} }}"""),
}

JOINT = """num_steps: 20 joint { loss { sum {} } }"""
_EXPERIMENT = """
name: "small" seed: 5
data { batch_size: 8 %s }
model { %s }
training {
  %s
  default_optimizer { gradient_descent { learning_rate { constant: 0.05 } } }
}
"""
_ROWS = 22


def experiment(entry: Tuple[str, str], *overrides: str, training: str = JOINT
               ) -> experiment_pb2.Experiment:
  """Returns an experiment, valid.

  Args:
    entry: Its features and its model, as `TABLE` has them.
    *overrides: What is changed of it, as `--set` takes it.
    training: What it says of its training.

  Returns:
    The experiment.
  """
  return resident_run.parse(_EXPERIMENT % (*entry, training), *overrides)


def data(message: experiment_pb2.Experiment) -> batches.Batch:
  """Returns rows of an experiment, all of them labelled."""
  random = np.random.default_rng(0)
  width = sum(math.prod(outline.feature_shape(feature))
              for feature in message.data.feature)
  numbers = random.normal(size=[_ROWS, width])
  labels = [random.integers(0, outline.class_count(task), _ROWS)
            if outline.class_count(task) else random.normal(size=_ROWS)
            for task in message.model.task]
  return batches.Batch(
      numbers.astype(np.float32), np.zeros([_ROWS, 0], np.int32),
      np.stack(labels, 1).astype(np.float32),
      np.ones([_ROWS, len(labels)], np.float32))


def run(entry: Tuple[str, str], *overrides: str, training: str = JOINT
        ) -> resident_run.ResidentRun:
  """Returns a session that trains an experiment; see `experiment`."""
  message = experiment(entry, *overrides, training=training)
  return resident_run.ResidentRun(message, data(message))

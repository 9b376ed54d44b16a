"""Expert sharing: experts mixed by gates, in one level or several."""

import collections
from typing import Dict, List, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph.model import stacks
from mtl_graph.model.sharing import gates
from mtl_graph.protos import sharing_pb2

# The owner of what belongs to no task; no task may be called like it.
_SHARED = "shared"


def mixture_of_experts(config: sharing_pb2.MixtureOfExperts, inputs: tf.Tensor,
                       wanted: Sequence[str], mode: stacks.Mode
                       ) -> Dict[str, tf.Tensor]:
  """Builds experts that all tasks share, and a gate per task (or one).

  ```
    f^k(x) = sum_i  g^k(x)_i f_i(x),   g^k(x) = softmax(x W_k)
  ```

  See "Modeling Task Relationships in Multi-task Learning with Multi-gate
  Mixture-of-Experts" by Ma et al., 2018, section 4
  (https://doi.org/10.1145/3219819.3220007). With one gate for all tasks it is
  the paper's OMoE.

  Args:
    config: The `MixtureOfExperts` message.
    inputs: The features, shape `[B, D]`, or `[B, H, W, C]` of images.
    wanted: Names of the tasks wanted.
    mode: A `stacks.Mode`.

  Returns:
    A dict from task wanted to what it reads.
  """
  experts = gates.build_experts(
      config.expert, inputs, [f"expert/{i}" for i in range(config.num_experts)],
      mode)
  owners = [_SHARED] if config.one_gate else wanted
  mixed = {owner: gates.mix(config.gate, experts, inputs, f"gate/{owner}",
                            owner, mode) for owner in owners}
  return {task: mixed[_SHARED if config.one_gate else task] for task in wanted}


def customized_gate_control(config: sharing_pb2.CustomizedGateControl,
                            inputs: tf.Tensor, wanted: Sequence[str],
                            mode: stacks.Mode) -> Dict[str, tf.Tensor]:
  """Builds shared experts, each task's own ones, and a gate per task.

  ```
    g^k(x) = w^k(x) S^k(x),   w^k(x) = softmax(x W_k)
  ```

  with S^k the outputs of the task's own experts and of the shared ones.

  See "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL)
  Model for Personalized Recommendations" by Tang et al., 2020, section 4.1
  (https://doi.org/10.1145/3383313.3412236).

  Args:
    config: The `CustomizedGateControl` message.
    inputs: The features, shape `[B, D]`, or `[B, H, W, C]` of images.
    wanted: Names of the tasks wanted.
    mode: A `stacks.Mode`.

  Returns:
    A dict from task wanted to what it reads.
  """
  level = _Level(config, config.gate, "", wanted, mode)
  return {task: level.mix(task, {_SHARED: inputs, task: inputs})
          for task in wanted}


def progressive_layered_extraction(
    config: sharing_pb2.ProgressiveLayeredExtraction, inputs: tf.Tensor,
    tasks: Sequence[str], wanted: Sequence[str], mode: stacks.Mode
    ) -> Dict[str, tf.Tensor]:
  """Builds levels of customized gate control.

  ```
    g^{k,j}(x) = w^{k,j}(g^{k,j-1}(x)) S^{k,j}(x)
  ```

  A task's experts and gate of level j read what its gate made in level j - 1,
  the shared experts what the shared gate made, which weighs all experts of its
  level. The last level has no shared gate.

  See "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL)
  Model for Personalized Recommendations" by Tang et al., 2020, section 4.2
  (https://doi.org/10.1145/3383313.3412236).

  Args:
    config: The `ProgressiveLayeredExtraction` message.
    inputs: The features, shape `[B, D]`, or `[B, H, W, C]` of images.
    tasks: Names of all tasks.
    wanted: Names of the tasks wanted.
    mode: A `stacks.Mode`.

  Returns:
    A dict from task wanted to what it reads.
  """
  outputs = {owner: inputs for owner in (*tasks, _SHARED)}
  for i, owners in enumerate(_owners(config.level, tasks, wanted)):
    level = _Level(config.level[i], config.gate, f"level_{i}/", tasks, mode)
    outputs = {owner: level.mix(owner, outputs) for owner in owners}
  return outputs


def _owners(levels, tasks, wanted) -> List[List[str]]:
  """Returns for whom each level has to make something."""
  owners = [list(wanted)]
  for level in reversed(levels[1:]):
    # Other tasks count by way of the shared gate, where they have experts.
    by_all = _SHARED in owners[0] and level.task_experts
    owners.insert(0, [*(tasks if by_all else wanted), _SHARED])
  return owners


class _Level:
  """One level: its experts, each built when it is first asked for."""

  def __init__(self, config, gate, prefix, tasks, mode):
    self._config = config
    self._gate = gate
    self._prefix = prefix
    self._tasks = tasks
    self._mode = mode
    self._experts = {}

  def mix(self, owner: str, inputs: Dict[str, tf.Tensor]) -> tf.Tensor:
    """Mixes the experts that a task reads, or all of them for "shared".

    Args:
      owner: The task, or "shared".
      inputs: What the experts of each owner read, of those that are asked for.

    Returns:
      The mixture.
    """
    owners = ([_SHARED, *self._tasks] if owner == _SHARED
              else [owner, _SHARED])
    experts = collections.OrderedDict()
    for each in owners:
      experts.update(self._experts_of(each, inputs))
    return gates.mix(self._gate, experts, inputs[owner],
                     f"{self._prefix}gate/{owner}", owner, self._mode)

  def _experts_of(self, owner, inputs):
    if owner not in self._experts:
      scopes = ([f"{self._prefix}expert/{i}"
                 for i in range(self._config.shared_experts)]
                if owner == _SHARED else
                [f"{self._prefix}expert/{owner}/{i}"
                 for i in range(self._config.task_experts)])
      self._experts[owner] = gates.build_experts(
          self._config.expert, inputs[owner] if scopes else None, scopes,
          self._mode)
    return self._experts[owner]

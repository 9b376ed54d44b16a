"""Gates: what weighs experts, for each row or for all."""

from typing import List, Mapping, Sequence

import tensorflow.compat.v1 as tf

from mtl_graph import config
from mtl_graph.layers import dense
from mtl_graph.layers import initializers
from mtl_graph.model import initial_values
from mtl_graph.model import stacks
from mtl_graph.ops import expert_mixing
from mtl_graph.protos import sharing_pb2

# How far from zero the selectors' mixing logits start, and the digits' logits
# as a part of the step's width.
_SELECTOR_LIMIT = 0.05
_DIGIT_LIMIT = 0.01


def mix(gate: sharing_pb2.Gate, experts: Mapping[str, tf.Tensor],
        inputs: tf.Tensor, scope: str, owner: str, mode: stacks.Mode
        ) -> tf.Tensor:
  """Builds a gate and the mixture that it makes of experts.

  Args:
    gate: The `Gate` message.
    experts: Outputs of the experts by their scopes, shape `[B, ...]`.
    inputs: What the gate reads, shape `[B, D]`, or images where its layers make
      a vector of them.
    scope: Variable scope of the gate.
    owner: The task that it belongs to, or "shared".
    mode: A `stacks.Mode`; its notes take the gate, and its penalties.

  Returns:
    The mixture, of the shape of the experts' outputs.
  """
  weights = _weights(gate, inputs, len(experts), scope, owner, mode)
  mode.gates[scope] = stacks.Gate(weights, list(experts))
  with tf.name_scope(f"{scope}/mixture"):
    return expert_mixing.mix(list(experts.values()), weights)


def _weights(gate, inputs, num_experts, scope, owner, mode) -> tf.Tensor:
  kind = gate.WhichOneof("kind")
  read = stacks.build(gate.layer, inputs, scope, mode)
  if kind in (None, "softmax"):
    logits = dense.dense(read, num_experts, None, gate.softmax.use_bias,
                         mode.seed, scope, initial_values.build(gate.softmax))
    return tf.nn.softmax(logits)
  if kind == "dselect_k":
    return _dselect_k(gate.dselect_k, read, num_experts, scope, owner, mode)
  raise config.ConfigError(f"gate.{kind}", "found a gate of this kind; allowed:"
                           " one that this version builds")


def _dselect_k(dselect_k, inputs, num_experts, scope, owner, mode):
  """Builds the selectors of a DSelect-k gate; see `expert_mixing.dselect_k`."""
  count, digits = (
      dselect_k.num_selected, expert_mixing.num_digits(num_experts))

  def logits(name: str, size: int, limit: float) -> tf.Tensor:
    if size == 0:
      return tf.zeros([0])
    if dselect_k.per_example:
      return dense.dense(
          inputs, size, seed=mode.seed, name=f"{scope}/{name}",
          initializer=lambda seed, variable: initializers.uniform(
              seed, variable, limit))
    with tf.variable_scope(scope) as variable_scope:
      return tf.get_variable(name, [size], initializer=initializers.uniform(
          mode.seed, f"{variable_scope.name}/{name}", limit))

  selector = logits("selector", count, _SELECTOR_LIMIT)
  digit = logits("digit", count * digits, _DIGIT_LIMIT * dselect_k.gamma)
  rows = [tf.shape(inputs)[0]] if dselect_k.per_example else []
  digit = tf.reshape(digit, [*rows, count, digits])
  output = expert_mixing.dselect_k(digit, selector, num_experts,
                                   dselect_k.gamma)
  if mode.training:
    _add_penalties(dselect_k, output.selectors, num_experts, digits, owner,
                   mode)
  return output.weights


def _add_penalties(dselect_k, selectors, num_experts, digits, owner, mode):
  found: List[tf.Tensor] = []
  if dselect_k.entropy:
    found.append(dselect_k.entropy * expert_mixing.selector_entropy(selectors))
  if num_experts != 2 ** digits:
    found.append(expert_mixing.reachability(selectors))
  mode.penalties.extend(stacks.Penalty(owner, value) for value in found)


def build_experts(expert, inputs: tf.Tensor, scopes: Sequence[str],
                  mode: stacks.Mode) -> Mapping[str, tf.Tensor]:
  """Builds experts that read one tensor.

  They differ from the start: initial values are a function of a variable's
  name.

  Args:
    expert: The `LayerStack` message of each.
    inputs: What they read.
    scopes: Their scopes.
    mode: A `stacks.Mode`.

  Returns:
    Their outputs by scope.
  """
  return {scope: stacks.build(expert.layer, inputs, scope, mode)
          for scope in scopes}

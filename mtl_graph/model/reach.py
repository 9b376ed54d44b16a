"""What a gradient flows through, found by following the graph."""

from typing import Dict, Iterable, List, Sequence, Set

import tensorflow.compat.v1 as tf

# Ops through which no gradient flows although their output is a float.
_BARRIERS = frozenset(["StopGradient", "PreventGradient", "Ceil", "Floor",
                       "Rint", "Round"])


def reached(tensor: tf.Tensor, variables: Sequence[tf.Variable],
            stop_gradients: Sequence[tf.Tensor] = ()) -> Set[str]:
  """Finds the variables that a gradient of a tensor can flow into.

  Follows the graph backwards from the tensor, over floating-point tensors only,
  and stops at `tf.stop_gradient` and at rounding. Adds no op, unlike asking
  `tf.gradients`.

  Args:
    tensor: Where to start, such as a loss.
    variables: Variables to look for, resource or reference.
    stop_gradients: Tensors to stop at as well, as in `tf.gradients`.

  Returns:
    Names of those that are reached.
  """
  sources = {_source(v): v.op.name for v in variables}
  return {sources[op] for op in _behind(tensor, stop_gradients)
          if op in sources}


def border(losses: Sequence[tf.Tensor], variables: Sequence[tf.Variable]
           ) -> List[tf.Tensor]:
  """Finds the tensors in which what is shared meets what is one task's own.

  An op is shared if two losses or more depend on it. The border are the outputs
  of shared ops that an op of a single loss reads, where a variable lies behind
  them. Every way from a loss to such a variable leads through one of them, so
  that

  ```
    dL / d variable  =  sum over the border  dL / d tensor  d tensor / d variable
  ```

  the first of these with the rest of the border held, as one tensor of it may
  lie behind another.

  Args:
    losses: The losses, in the current graph.
    variables: The shared variables, each behind two losses or more.

  Returns:
    The tensors, in the order in which the losses come by them. One that is the
    handle of a variable says that a task's part reads it by itself.
  """
  behind = [_behind(loss) for loss in losses]
  uses: Dict[tf.Operation, int] = {}
  for ops in behind:
    for op in ops:
      uses[op] = uses.get(op, 0) + 1
  leads = _leading_to({_source(v) for v in variables}, uses)
  found = {}
  for ops in behind:
    for op in ops:
      if uses[op] > 1:
        continue
      for tensor in _inputs(op):
        if uses.get(tensor.op, 0) > 1 and tensor.op in leads:
          found[tensor.ref()] = tensor
  return list(found.values())


def _behind(tensor: tf.Tensor, stop_gradients: Sequence[tf.Tensor] = ()
            ) -> Dict[tf.Operation, None]:
  """Returns the ops that a gradient of a tensor flows through, in order."""
  stops = {t.ref() for t in stop_gradients}
  seen: Dict[tf.Operation, None] = {}
  pending = [tensor]
  while pending:
    tensor = pending.pop()
    if tensor.ref() in stops or not _carries_gradient(tensor.dtype):
      continue
    op = tensor.op
    if op in seen or op.type in _BARRIERS:
      continue
    seen[op] = None
    pending.extend(_inputs(op))
  return seen


def _inputs(op: tf.Operation) -> List[tf.Tensor]:
  """Returns an op's inputs; of a function's argument, what was captured."""
  if op.type == "Placeholder" and hasattr(op.graph, "captures"):
    return [outer for outer, inner in op.graph.captures if inner.op is op]
  return list(op.inputs)


def _leading_to(sources: Iterable[tf.Operation], ops: Iterable[tf.Operation]
                ) -> Set[tf.Operation]:
  """Returns those of some ops behind which a source lies."""
  readers: Dict[tf.Operation, List[tf.Operation]] = {}
  for op in ops:
    for tensor in _inputs(op):
      if _carries_gradient(tensor.dtype):
        readers.setdefault(tensor.op, []).append(op)
  found, pending = set(), list(sources)
  while pending:
    op = pending.pop()
    if op not in found:
      found.add(op)
      pending.extend(readers.get(op, []))
  return found


def _carries_gradient(dtype: tf.DType) -> bool:
  # A resource is the handle of a variable, a variant may be a TensorArray.
  return (dtype.base_dtype.is_floating or dtype.base_dtype.is_complex
          or dtype in (tf.resource, tf.variant))


def _source(variable: tf.Variable) -> tf.Operation:
  """Returns the op whose output stands for a variable in the graph."""
  handle = getattr(variable, "handle", None)
  return handle.op if handle is not None else variable.op

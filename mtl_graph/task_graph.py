"""Which tasks read which, and in what order they can be built."""

from typing import List, Sequence

from mtl_graph.protos import model_pb2


def with_layers(tasks: Sequence[model_pb2.Task]) -> List[str]:
  """Returns the names of the tasks that have layers: all but products."""
  return [task.name for task in tasks if not task.HasField("product")]


def with_loss(tasks: Sequence[model_pb2.Task]) -> List[str]:
  """Returns the names of the tasks that have a loss."""
  return [task.name for task in tasks if not task.no_loss]


def read_by(task: model_pb2.Task) -> List[str]:
  """Returns the names of the tasks that a task reads, each once."""
  names = [e.task for e in task.estimate] + list(task.product.task)
  if task.HasField("transfer"):
    names.append(task.transfer.task)
  return list(dict.fromkeys(names))


def needed(tasks: Sequence[model_pb2.Task], wanted: Sequence[str]) -> List[str]:
  """Returns the tasks that it takes to build some of them.

  Args:
    tasks: The tasks.
    wanted: Names of those that are wanted.

  Returns:
    Names of these and of all that they read, in the order of `order`.
  """
  found, pending = set(), list(wanted)
  reads = {task.name: read_by(task) for task in tasks}
  while pending:
    name = pending.pop()
    if name not in found:
      found.add(name)
      pending += reads[name]
  return [name for name in order(tasks) if name in found]


def order(tasks: Sequence[model_pb2.Task]) -> List[str]:
  """Orders tasks so that each comes after those that it reads.

  Args:
    tasks: The tasks.

  Returns:
    Their names, in the order of the experiment where there is a choice. Tasks
    on a cycle come last; `cycle` finds it.
  """
  remaining = {task.name: set(read_by(task)) for task in tasks}
  ordered = []
  while remaining:
    ready = [name for name, needs in remaining.items()
             if not needs & remaining.keys()]
    if not ready:
      return ordered + list(remaining)
    # One at a time: the first ready task may free an earlier one.
    ordered.append(ready[0])
    del remaining[ready[0]]
  return ordered


def cycle(tasks: Sequence[model_pb2.Task]) -> List[str]:
  """Returns names along a cycle of tasks that read each other, or none."""
  needs = {task.name: read_by(task) for task in tasks}
  for start in needs:
    path, seen = [start], set()
    stack = [iter(needs[start])]
    while stack:
      name = next(stack[-1], None)
      if name is None:
        stack.pop()
        path.pop()
      elif name == start:
        return path + [start]
      elif name in needs and name not in seen:
        seen.add(name)
        path.append(name)
        stack.append(iter(needs[name]))
  return []

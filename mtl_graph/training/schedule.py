"""Says whose iteration comes next in independent training."""

import math
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from mtl_graph.protos import training_pb2


def order(iterations: Sequence[int], kind: int) -> np.ndarray:
  """Returns whose turn it is at each place of a round.

  Interleaved, iteration k of n of a task stands at (k + 1/2) / n of the round;
  where two stand at the same place, the task listed first goes first.

  Args:
    iterations: Iterations of each task in a round, shape `[T]`.
    kind: A value of `Independent.Order`.

  Returns:
    Number of the task, int32, shape `[sum(iterations)]`.
  """
  turns = np.repeat(np.arange(len(iterations), dtype=np.int32), iterations)
  if kind == training_pb2.Independent.SEQUENTIAL:
    return turns
  places = np.concatenate([(np.arange(n) + 0.5) / max(n, 1)
                           for n in iterations])
  return turns[np.argsort(places, kind="stable")]


class Schedule:
  """The iterations of a run, round after round.

  A task that has stopped, or has seen all that its rows allow, is passed over;
  the others come as before.
  """

  def __init__(self, tasks: Sequence[str], turns: Sequence[int], rounds: int,
               limits: Optional[Mapping[str, int]] = None):
    """Starts at the first iteration.

    Args:
      tasks: Names of the tasks.
      turns: Whose turn it is at each place of a round, as `order` returns it.
      rounds: How many rounds there are.
      limits: Most iterations of a task, of those that have a limit.
    """
    self._tasks = list(tasks)
    self._turns = [int(t) for t in turns]
    self._rounds = rounds
    self._limits = dict(limits or {})
    self._position = 0  # In all rounds, iterations passed over included.
    self._done = {task: 0 for task in tasks}
    self._stopped: List[str] = []

  @classmethod
  def joint(cls, step: int, num_steps: int) -> "Schedule":
    """Returns the schedule of joint training: one step like the other."""
    schedule = cls([""], [0], num_steps)
    schedule._position = step  # pylint: disable=protected-access
    return schedule

  def next(self) -> int:
    """Returns the number of the task whose iteration comes now, and goes on.

    Raises:
      StopIteration: If no iteration is left.
    """
    length = len(self._turns)
    while self._position < self._rounds * length:
      number = self._turns[self._position % length]
      self._position += 1
      if self._left(self._tasks[number]):
        self._done[self._tasks[number]] += 1
        return number
    raise StopIteration

  def remaining(self) -> int:
    """Returns how many iterations are left."""
    whole, place = self._place()
    if whole >= self._rounds:
      return 0
    total = np.bincount(self._turns, minlength=len(self._tasks))
    gone = np.bincount(self._turns[:place], minlength=len(self._tasks))
    places = (self._rounds - whole) * total - gone
    return int(sum(min(count, self._left(task))
                   for task, count in zip(self._tasks, places)))

  def stop(self, task: str) -> None:
    """Takes a task's iterations out of what is left."""
    if task not in self._stopped:
      self._stopped.append(task)

  @property
  def stopped(self) -> List[str]:
    """Returns the names of the tasks that have no iteration left for them."""
    return [task for task in self._tasks if not self._left(task)]

  def to_json(self) -> Dict[str, Any]:
    """Returns where it stands as values that JSON has."""
    whole, place = self._place()
    return {"round": whole, "place": place, "done": self._done}

  def take_up(self, saved: Mapping[str, Any], same: bool = True) -> None:
    """Goes on where an earlier process stood, as `to_json` returned it.

    Args:
      saved: Where it stood; which tasks had stopped is not part of it.
      same: Whether rounds are what they were then. If not, the one that was
        under way begins anew.
    """
    self._position = saved["round"] * len(self._turns) + (
        saved["place"] if same else 0)
    self._done.update((task, count) for task, count in saved["done"].items()
                      if task in self._done)

  def _place(self) -> Tuple[int, int]:
    """Returns whole rounds gone, and the place in the one under way."""
    return divmod(self._position, max(len(self._turns), 1))

  def _left(self, task: str) -> float:
    """Returns how many iterations a task may have yet."""
    if task in self._stopped:
      return 0
    return self._limits.get(task, math.inf) - self._done[task]

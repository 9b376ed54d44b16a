"""This engine's contestant of the benchmark: `api.train` as users call it.

Training is held at a line of its log until more steps are asked for, so what is
timed is all that the engine does between two lines, the lines included.
"""

import os
import re
import tempfile
import time
from typing import Mapping

from mtl_graph import importing
from tools.benchmarking import cases
from tools.benchmarking import pipe

importing.start_tensorflow()
# pylint: disable=wrong-import-position
from mtl_graph import api
from mtl_graph import config
from tools.benchmarking import worker

# How rows are read while training goes on, in place of held in the graph.
_STREAMED = "input { kind: STREAMED }"


class _Ended(Exception):
  """The benchmark has no more requests."""


def run(case: cases.Case, options: Mapping[str, str], threads: int,
        folder: str, conversation: pipe.Conversation) -> None:
  """Trains, as many steps at a time as are asked for.

  Args:
    case: The model.
    options: "mode", one of training.execution.mode; "source" where rows are
      streamed, "csv" or "tfrecord"; "balancing" where gradients are balanced,
      the fields of a `GradientBalancing` message; "loss", those of a
      `LossIntegration`.
    threads: Threads within an op.
    folder: Where `benchmark.py` has written rows and files.
    conversation: The pipe.
  """
  source = options.get("source")
  columns = None if source else cases.columns(
      case, worker.load(folder, case))
  log = _Log(case, conversation)
  with tempfile.TemporaryDirectory() as model_dir:
    try:
      api.train(experiment(case, options["mode"], threads, source, folder,
                           options.get("balancing", ""),
                           options.get("loss", "sum {}")),
                columns, model_dir, log=log)
    except _Ended:
      pass
    except (config.ConfigError, config.ConfigErrors) as error:
      conversation.refuse(str(error).splitlines()[0])


class _Log:
  """Takes the lines of the log, and holds training between them."""

  def __init__(self, case, conversation):
    self._case = case
    self._conversation = conversation
    self._began = time.monotonic()
    self._graph_seconds = self._execution = None
    # The last request: when it came, at which step, and up to which.
    self._since = self._from = self._until = None
    self._parameters = None

  def __call__(self, line: str) -> None:
    """Looks at a line; returns once training is to go on."""
    now = time.monotonic()
    table = re.search(r"^\s*\d+ variables\s+([\d,]+)", line, re.MULTILINE)
    if table:
      self._parameters = int(table[1].replace(",", ""))
      self._graph_seconds = now - self._began
    chosen = re.search(r"execution: (.*)", line)
    if chosen:
      self._execution = chosen[1]
    step = re.match(r"step (\d+)/", line)
    if step is None:
      return
    step = int(step[1])
    if self._since is None:
      self._since = now
    elif self._from is None:
      # The second interval has the steps alone: what the first took beyond
      # them is the start.
      steps = self._case.line_steps
      interval = now - self._since
      self._conversation.ready(
          self._parameters, interval + interval * (steps - 1) / steps,
          graph_seconds=self._graph_seconds, execution=self._execution)
      self._ask(step)
    elif step >= self._until:
      self._conversation.done(step - self._from, now - self._since)
      self._ask(step)

  def _ask(self, step):
    """Waits for a request."""
    count = self._conversation.next()
    if count is None:
      raise _Ended
    self._from, self._until = step, step + count
    self._since = time.monotonic()


def experiment(case: cases.Case, mode: str, threads: int,
               source: str = None, folder: str = "", balancing: str = "",
               loss: str = "sum {}") -> str:
  """Writes the experiment of a case.

  Args:
    case: The model.
    mode: A mode of training.execution.
    threads: Threads within an op.
    source: None for arrays; "csv" or "tfrecord": streamed from such files.
    folder: Where the files are.
    balancing: Fields of a `GradientBalancing` message; none: gradients add up.
    loss: Fields of a `LossIntegration` message.

  Returns:
    The text of an `Experiment`.
  """
  features = [f'feature {{ name: "x{i}" numeric {{ size: {size} }} }}'
              for i, size in enumerate(case.numbers)]
  features += [
      f'feature {{ name: "c{c}" categorical {{ num_buckets: {rows} '
      f'embedding_dimension: {size} }} }}'
      for c, (rows, size) in enumerate(case.categories)]
  if source:
    path = os.path.join(folder, f"{case.name}.{source}")
    features = [f'train {{ {source} {{ path: "{path}" }} }}', _STREAMED,
                *features]
  layer = f"layer {{ dense {{ units: {case.trunk} activation: RELU }} }}"
  sharing = f"hard_sharing {{ trunk {{ {layer} }} }}"
  if case.experts:
    sharing = (f"mixture_of_experts {{ num_experts: {case.experts} "
               f"expert {{ {layer} }} }}")
  tasks = [
      f'task {{ name: "{task}" {"binary" if case.binary else "regression"} {{}}'
      f" tower {{ layer {{ dense {{ units: {case.tower} activation: RELU }} }} "
      "} }" for task in cases.task_names(case)]
  shared = ["expert" if case.experts else "trunk"]
  groups = []
  if case.categories and case.lazy:
    groups.append(_group("embedding", ["embedding"],
                         cases.SHARED_RATE, "lazy_adam"))
  elif case.categories:
    shared.append("embedding")
  groups.append(_group("shared", shared, cases.SHARED_RATE))
  for t, task in enumerate(cases.task_names(case)):
    own = ["gate"] * bool(case.experts) + ["tower", "head"]
    groups.append(_group(task, [f"{scope}/{task}" for scope in own],
                         cases.rate(t)))
  if loss.startswith("uncertainty"):
    groups.append(_group("learned", ["log_variance"], cases.SHARED_RATE))
  newline = "\n  "
  if balancing:
    balancing = f"gradient_balancing {{ {balancing} }}"
  return f"""
name: "benchmark"
seed: 1
data {{
  batch_size: {case.batch_size}
  {newline.join(features)}
}}
model {{
  {sharing}
  {newline.join(tasks)}
}}
training {{
  num_steps: 1000000000
  joint {{ loss {{ {loss} }} {balancing} }}
  {newline.join(groups)}
  checkpoint {{ every_steps: 0 }}
  execution {{ mode: {mode} intra_op_threads: {threads} }}
  log_every_steps: {case.line_steps}
  summaries {{ enabled: false }}
}}
"""


def _group(name, scopes, rate, kind="adam") -> str:
  listed = " ".join(f'scope: "{scope}"' for scope in scopes)
  return (f'group {{ name: "{name}" {listed} optimizer {{ {kind} {{ '
          f"learning_rate {{ constant: {rate} }} }} }} }}")

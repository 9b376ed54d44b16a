"""What becomes of each use of TensorFlow 1 under the one that is installed."""

import collections
from typing import Dict, Iterable, List, NamedTuple, Optional

from mtl_graph import config
from mtl_graph.porting import installed as installed_lib
from mtl_graph.porting import own_names
from mtl_graph.porting import python_files
from mtl_graph.porting import replacements
from mtl_graph.porting import tf_keras_names
from mtl_graph.porting import uses as uses_lib

# Every verdict, the least work first, with what it means.
MEANINGS = collections.OrderedDict([
    ("works", "is there under tensorflow.compat.v1"),
    ("deprecated", "works, but an argument is marked to go"),
    ("private", "works, but is no public name and may go without notice"),
    ("unchecked", "depends on what only a run can tell"),
    ("import", "must become import tensorflow.compat.v1"),
    ("argument", "is there, but does not take these arguments"),
    ("tf-keras", "works with tf-keras and TF_USE_LEGACY_KERAS=1 only"),
    ("ours", "is gone; this project has what to take instead"),
    ("replaced", "is gone; something else does the same"),
    ("gone", "is gone, and nothing has taken its place"),
    ("unreadable", "is no file that Python 3 reads"),
])
FAILING = ("import", "argument", "tf-keras", "ours", "replaced", "gone",
           "unreadable")
# Where files of TensorFlow's own went.
_MOVED = [(("tensorflow", "python", "training", old),
           ("tensorflow", "python", new))
          for old in ("tracking", "checkpointable")
          for new in ("trackable", "checkpoint")] + [
              (("tensorflow", "python", "training", "training_ops"),
               ("tensorflow", "python", "ops", "gen_training_ops"))]
# Minutes of work, a guess: per distinct name, and per place.
_EFFORT = {
    "import": (0, 0.5), "argument": (5, 3), "tf-keras": (5, 0.5),
    "ours": (20, 3), "replaced": (20, 3), "gone": (120, 5),
    "unreadable": (0, 15), "unchecked": (0, 5),
}
# Of a name that the same call has elsewhere.
_REWRITTEN = (2, 0.5)


class Finding(NamedTuple):
  """One use, judged.

  Attributes:
    path: Path of the file.
    line: Line, from 1.
    column: Column, from 1.
    name: The name, as "tf.nn.relu".
    text: How it is written there.
    verdict: One of `MEANINGS`.
    message: What to do about it, or what is wrong.
    guarded: Whether the code catches its failing.
    target: The name to take instead, where the same call works, led by `tf.` or
      `mtl_graph.`; else "".
    use: The use itself; None for a file that cannot be read.
  """
  path: str
  line: int
  column: int
  name: str
  text: str
  verdict: str
  message: str
  guarded: bool
  target: str
  use: Optional[uses_lib.Use]


class Judge:
  """Judges uses, each distinct name once."""

  def __init__(self, installed: installed_lib.Installed):
    """Takes what is installed."""
    self._installed = installed
    self._table = replacements.Table()
    self._judged = {}

  def judge(self, use: uses_lib.Use) -> Optional[Finding]:
    """Judges one use.

    Args:
      use: The use.

    Returns:
      The finding; None if it names nothing that could fail, as a module that
      is passed on.
    """
    order = list(MEANINGS)
    candidates = [self._name(name) for name in sorted(use.names)]
    verdict, found, message, target = min(
        candidates, key=lambda candidate: order.index(candidate[0]))
    if use.kind == "wildcard" and verdict not in ("works", "private") and (
        len(use.names | use.others) > 1):
      return None  # Nobody knows which of the wildcards it came from.
    if use.kind == "dynamic":
      return self._finding(use, found, "unchecked",
                           "the name is known only when it runs", "")
    is_module = found.is_module
    if use.bare and use.kind == "name" and (
        is_module or verdict in FAILING and use.call is None):
      return None  # Passed on; its import is judged.
    if verdict in ("works", "private") and use.call is not None:
      problems = self._installed.wrong_arguments(found, use.call)
      if problems:
        return self._finding(use, found, "argument", "; ".join(problems), "")
      old = self._installed.deprecated_arguments(found, use.call)
      if old and verdict == "works":
        verdict, message = "deprecated", f"{', '.join(old)} still works"
    if target.startswith("tf.") and use.call is not None and self._installed.wrong_arguments(
        self._installed.find(installed_lib.split("tensorflow" + target[2:])),
        use.call):
      target = ""
    if use.others and verdict in FAILING:
      message += f"; elsewhere it is {', '.join(sorted(use.others))}"
    return self._finding(use, found, verdict, message, target)

  def _finding(self, use, found, verdict, message, target):
    return Finding(use.path, use.line, use.column, found.name.shown, use.text,
                   verdict, message, use.guarded, target, use)

  def _name(self, name):
    if name not in self._judged:
      self._judged[name] = self._judge_name(installed_lib.split(name))
    return self._judged[name]

  def _judge_name(self, name):
    """Returns verdict, `Found`, message and target of a name."""
    found = self._installed.find(name)
    if name.space == "slim":
      return self._slim(found)
    if found.state == "there":
      if name.space == "file" and not found.is_module:
        return "private", found, self._public(found), ""
      return "works", found, "", ""
    whole = found._replace(name=name)  # What is missing may have members.
    inner = name.inner
    ours = own_names.find(inner)
    if ours is not None:
      return "ours", whole, f"{ours} ({own_names.note(ours)})", ours
    if name.space != "file" and tf_keras_names.has(inner):
      return ("tf-keras", found, "pip install tf-keras, and "
              "TF_USE_LEGACY_KERAS=1 in the environment", "")
    line = self._table.find(inner)
    if line is None and name.space == "file":
      return self._moved(name, whole)
    if line is None:
      return "gone", found, "is not there" + self._nearest(found), ""
    return self._replaced(line, whole)

  def _replaced(self, line, found):
    target = next((t for t in line.targets
                   if own_names.is_installed(t, self._has)), None)
    note = f" ({line.note})" if line.note and line.targets else ""
    if target is None:
      return "gone", found, line.note, ""
    if target == replacements.EXPERIMENT:
      return "ours", found, f"an experiment says it{note}", ""
    if target.startswith("mtl_graph"):
      return "ours", found, f"{target}{note}", ""
    if target.startswith("tf.") and not self._installed.has(
        target.partition("(")[0][len("tf."):]):
      return ("tf-keras", found, f"{target} with tf-keras and "
              f"TF_USE_LEGACY_KERAS=1{note}", target if line.same else "")
    exact = line.same and line.pattern == found.name.inner
    return "replaced", found, f"{target}{note}", target if exact else ""

  def _has(self, inner):
    return self._installed.has(inner) or tf_keras_names.has(inner)

  def _slim(self, found):
    inner = found.name.inner
    if inner in installed_lib.SLIM_BROKEN:
      return ("ours", found, "mtl_graph.compat.slim.batch_norm (the same "
              "arguments, as normalizer_fn of tf_slim's layers too; in a list "
              "of arg_scope that must be mtl_graph.compat's); tf_slim's raises "
              "ModuleNotFoundError, with tf-keras too", "")
    if inner in installed_lib.SLIM_GONE:
      return ("gone", found, "tf_slim 1.1 has it, and it raises AttributeError",
              "")
    if found.state == "unknown":
      if inner == "tf_slim" or inner.rpartition(".")[2] in (
          installed_lib.SLIM_WORKS):
        return "works", found, "with tf_slim 1.1", ""
      return "unchecked", found, "tf_slim is not installed", ""
    if found.state == "missing":
      return "gone", found, "tf_slim 1.1 does not have it", ""
    return "works", found, "", ""

  def _public(self, found):
    """Says which public name a private one goes by, if it is the same."""
    name = self._installed.public_name(found.name, found.value)
    return f"its public name is {name}" if name else "no public name is the same"

  def _nearest(self, found):
    """Proposes the name in another module, or what is spelled much the same."""
    there = self._installed.elsewhere(found.name)
    if there:
      return f"; {there} is"
    around = self._installed.find(found.name._replace(
        parts=found.name.parts[:-1]))
    return config.nearest(found.name.parts[-1], [
        n for n in dir(around.value) if not n.startswith("_")])

  def _moved(self, name, found):
    """Judges a file of TensorFlow's own that is no more where it was."""
    for before, after in _MOVED:
      if name.parts[:len(before)] == before:
        other = name._replace(parts=after + name.parts[len(before):])
        if self._installed.find(other).state == "there":
          return "replaced", found, f"{other.shown}, private too", ""
    last = name.parts[-1]
    heads = {"training": "train.", "nn": "nn.", "nn_ops": "nn.",
             "client": "", "metrics": "metrics.", "losses": "losses.",
             "summary": "summary."}
    tried = [heads[p] for p in name.parts if p in heads] + [""]
    if len(name.parts) > 3:  # A member, no file.
      for head in tried:
        if self._installed.has(head + last):
          return "replaced", found, f"tf.{head}{last}", ""
    return "gone", found, "it was no public name", ""


def judge_all(sources: Iterable[python_files.Source],
              uses: Iterable[uses_lib.Use],
              installed: Optional[installed_lib.Installed]) -> List[Finding]:
  """Judges every use, and every file that cannot be read.

  Args:
    sources: The files.
    uses: What `uses.gather` found in them.
    installed: What is installed; None where there is no use.

  Returns:
    The findings, file by file.
  """
  by_path: Dict[str, List[Finding]] = {}
  for source in sources:
    by_path[source.path] = [] if source.tree is not None else [Finding(
        source.path, source.line, 1, "", "", "unreadable", source.problem,
        False, "", None)]
  judge = None
  for use in uses:
    judge = judge or Judge(installed)
    finding = judge.judge(use)
    if finding is not None:
      by_path[use.path].append(finding)
  for path, findings in by_path.items():
    by_path[path] = _imports(findings, installed)
  return [finding for findings in by_path.values() for finding in findings]


def _imports(findings, installed):
  """Marks the imports of tensorflow whose names mean another thing there.

  `import tensorflow` brings the names of TensorFlow 2. A file may keep it if
  all the names that it uses are the same there.
  """
  differ = [f for f in findings if f.use is not None and f.use.kind != "import"
            and f.name.startswith("tf.")
            and not f.name.startswith("tf.compat.")
            and (f.target.startswith("tf.") or f.verdict in (
                "works", "deprecated", "argument", "tf-keras")
                 and not installed.is_same(f.name[len("tf."):]))]
  result = []
  for finding in findings:
    use = finding.use
    plain = use is not None and use.kind in ("import", "from") and any(
        n == "tensorflow" or n.startswith("tensorflow.")
        and not n.startswith("tensorflow.compat.") for n in use.names)
    if plain and finding.verdict == "works" and finding.name in ("tf",) and (
        differ):
      names = sorted({f.name for f in differ})
      finding = finding._replace(
          verdict="import", message="import tensorflow.compat.v1: "
          f"{', '.join(names[:3])}{' and others' if names[3:] else ''} are "
          "not the same in tensorflow itself")
    elif plain and finding.verdict == "works" and use.kind == "from" and (
        finding.name.startswith("tf.")
        and not installed.is_same(finding.name[len("tf."):])):
      finding = finding._replace(
          verdict="import", message="import it from tensorflow.compat.v1")
    result.append(finding)
  return result


def effort(findings: Iterable[Finding]) -> float:
  """Returns hours of work, estimated.

  Each distinct name costs once, each place a little, by its verdict.
  """
  minutes, seen = 0.0, set()
  for finding in findings:
    per_name, per_place = (_REWRITTEN if finding.target else
                           _EFFORT.get(finding.verdict, (0, 0)))
    if (finding.name, finding.verdict) not in seen:
      seen.add((finding.name, finding.verdict))
      minutes += per_name
    minutes += per_place
  return minutes / 60

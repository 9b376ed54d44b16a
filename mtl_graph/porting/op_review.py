"""Lists the ops of a foreign graph that reach beyond it, or are unknown.

A graph is a program: it may read and write files, open connections and call
Python. What of that is in one is said before anything of it runs.
"""

import re
from typing import Collection, Dict, Iterator, List, NamedTuple, Set

from tensorflow.core.framework import graph_pb2

from mtl_graph.porting import graph_checks
from mtl_graph.porting import python_files

# What ops do, by a pattern of their names; the first that matches counts.
_RISKS = tuple((re.compile(pattern), what) for pattern, what in (
    (r"(Eager|Stateless)?PyFunc.*", "calls Python"),
    (r"WriteFile|WriteAudioSummary|WriteGraphSummary|WriteHistogramSummary|"
     r"WriteImageSummary|WriteRawProtoSummary|WriteScalarSummary|WriteSummary|"
     r"CreateSummary(File|Db)Writer|ImportEvent|"
     r"Save(V2|Slices)?|ShardedSave|MergeV2Checkpoints|DistributedSave|"
     r"(Save|Snapshot|Cache)Dataset.*|SnapshotNestedDatasetReader",
     "writes files"),
    (r"ReadFile|MatchingFiles|Restore(V2|Slice)?|ImmutableConst|"
     r"(Fixed|Text|TF|LMDB|WholeFile|Identity).*Reader(V2)?|Reader.+|"
     r"(TFRecord|TextLine|FixedLengthRecord|LMDB|MatchingFiles|Load|CSV|"
     r"Sql|ParquetDataset).*Dataset.*|ExperimentalSqlDataset|"
     r"ExperimentalLMDBDataset|ExperimentalMatchingFilesDataset|"
     r"ExperimentalCSVDataset|(Encode|Decode)Proto.*|GenerateVocabRemapping|"
     r"LoadAndRemapMatrix", "reads files"),
    (r"Print(V2)?|StringFormatPrint", "writes to the log"),
    (r"DebugIdentity.*|DebugNan.*|DebugNumeric.*|DebugGradient.*|Copy(Host)?",
     "sends tensors to a debugger"),
    (r".*DataService.*|Rpc.*|TryRpc.*|BigQuery.*|Bigtable.*|Collective.*|"
     r"NcclAll.*|NcclBroadcast|NcclReduce|RemoteCall|_?(Host)?(Send|Recv).*|"
     r"_Host(Send|Recv)|GcsConfigure.*|.*TPU.*|WorkerHeartbeat|"
     r"RegisterDataset.*|DistributedSave", "opens connections"),
    (r"Abort", "ends the process"),
))
# Of a table's file, which becomes an asset.
_OF_TABLES = re.compile(r"InitializeTableFromTextFile(V2)?")


class Finding(NamedTuple):
  """An op that is risky or unknown.

  Attributes:
    node: The node, behind the function that it is in, if it is in one.
    op: The op.
    what: What it does.
    is_needed: Whether an output needs it.
  """
  node: str
  op: str
  what: str
  is_needed: bool

  def __str__(self) -> str:
    return f"node '{self.node}': {self.op}: {self.what}" + (
        "" if self.is_needed else "; no output needs it, it is left out")


def review(graph: graph_pb2.GraphDef, needed: Collection[str],
           assets: Collection[str] = ()) -> List[Finding]:
  """Lists what is risky or unknown, what is needed first.

  Args:
    graph: The graph, checked.
    needed: Names of the nodes that outputs need.
    assets: Names of nodes with the paths of files that become assets.

  Returns:
    The findings.
  """
  functions = {f.signature.name: f for f in graph.library.function}
  found = []
  for node in graph.node:
    is_needed = node.name in needed
    found += _of_node(node, node.name, functions, is_needed)
    if _OF_TABLES.fullmatch(node.op) and is_needed and (
        graph_checks.node_of(node.input[1]) not in assets):
      found.append(Finding(node.name, node.op, "reads a file whose path is "
                           "computed", True))
  called = reached_functions((n for n in graph.node if n.name in needed),
                             functions)
  for name, function in functions.items():
    for node in function.node_def:
      found += _of_node(node, f"{name}/{node.name}", functions, name in called)
  return sorted(found, key=lambda finding: not finding.is_needed)


def reached_functions(nodes, functions: Dict[str, object]) -> Set[str]:
  """Returns the names of the functions that nodes call, and those call."""
  found, queue = set(), [name for node in nodes
                         for name in graph_checks.functions_of(node)]
  while queue:
    name = queue.pop()
    if name in functions and name not in found:
      found.add(name)
      queue += [called for node in functions[name].node_def
                for called in graph_checks.functions_of(node)]
  return found


def _of_node(node, name, functions, is_needed) -> Iterator[Finding]:
  for pattern, what in _RISKS:
    if pattern.fullmatch(node.op):
      yield Finding(name, node.op, what, is_needed)
      return
  if graph_checks.definition(node.op) is None and node.op not in functions:
    yield Finding(name, node.op, "this TensorFlow does not know it", is_needed)


def refuse(findings: List[Finding], allowed: Collection[str]) -> None:
  """Raises a PortingError if something that is needed is not allowed."""
  bad = [f for f in findings if f.is_needed and f.op not in allowed]
  unknown = [f for f in findings if f.is_needed
             and graph_checks.definition(f.op) is None and "not know" in f.what]
  if unknown:
    raise python_files.PortingError(
        f"{unknown[0]}; allowed: registered ops, or --op_library with the "
        "library that has it"
        + (f" ({len(unknown)} such nodes)" if len(unknown) > 1 else ""))
  if bad:
    names = sorted({f.op for f in bad})
    raise python_files.PortingError(
        f"{bad[0]}; allowed: ops that stay within the graph, or "
        + " ".join(f"--allow_op={name}" for name in names))

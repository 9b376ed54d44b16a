"""Says what a scan found: as text, JSON, SARIF, or a sample to be judged."""

import collections
import csv
import io
import json
import random
from typing import Any, Dict, List, NamedTuple, Sequence

from mtl_graph.porting import python_files
from mtl_graph.porting import verdicts

SAMPLE_FIELDS = ("package", "file", "line", "name", "verdict", "message",
                 "source", "judgement", "why")
_LEVELS = {"works": "none", "deprecated": "note", "private": "note",
           "unchecked": "warning", "import": "error", "argument": "error",
           "tf-keras": "error", "ours": "error", "replaced": "error",
           "gone": "error", "unreadable": "error"}


class Scan(NamedTuple):
  """What was scanned, and what was found.

  Attributes:
    root: The folder or file.
    sources: Its sources.
    findings: What was found in them, uses that work included.
    version: Version of the TensorFlow that names were looked up in; "" if none
      had to be.
  """
  root: str
  sources: List[python_files.Source]
  findings: List[verdicts.Finding]
  version: str

  def failing(self) -> List[verdicts.Finding]:
    """Returns what would fail."""
    return [f for f in self.findings if f.verdict in verdicts.FAILING]

  def reported(self) -> List[verdicts.Finding]:
    """Returns everything but what simply works."""
    return [f for f in self.findings if f.verdict != "works"]


def totals(scan: Scan) -> Dict[str, Any]:
  """Returns the counts of a scan."""
  places = collections.Counter(f.verdict for f in scan.findings)
  names = collections.defaultdict(set)
  for finding in scan.findings:
    names[finding.verdict].add(finding.name)
  return {
      "files": len(scan.sources),
      "lines": sum(s.text.count("\n") for s in scan.sources),
      "places": {v: places[v] for v in verdicts.MEANINGS if places[v]},
      "names": {v: len(names[v]) for v in verdicts.MEANINGS if places[v]},
      "guarded": sum(f.guarded for f in scan.failing()),
      "hours": round(verdicts.effort(scan.findings), 1),
      "tensorflow": scan.version,
  }


def as_text(scan: Scan) -> str:
  """Returns one line per place, then a table of totals."""
  lines = []
  for f in scan.reported():
    what = f"{f.name}: " if f.name else ""
    message = f" -- {f.message}" if f.message and f.verdict != "unreadable" else (
        f.message)
    caught = " [its failing is caught]" if f.guarded else ""
    verdict = "" if f.verdict == "unreadable" else f.verdict
    lines.append(f"{f.path}:{f.line}:{f.column}: {what}{verdict}{message}"
                 f"{caught}")
  counts = totals(scan)
  lines += ["", f"{scan.root}: {counts['files']:,} files, "
            f"{counts['lines']:,} lines"
            + (f"; TensorFlow {scan.version}" if scan.version else "")]
  for verdict, number in counts["places"].items():
    lines.append(f"  {verdict:<11}{number:>7,} places "
                 f"{counts['names'][verdict]:>5,} names  "
                 f"{verdicts.MEANINGS[verdict]}")
  lines.append(f"  effort, a guess: {counts['hours']} hours; {counts['guarded']}"
               " of what fails stands where that is caught")
  return "\n".join(lines)


def as_json(scans: Sequence[Scan]) -> str:
  """Returns everything but what simply works, and the totals, as JSON."""
  return json.dumps([{
      "root": scan.root,
      "totals": totals(scan),
      "findings": [{
          "path": f.path, "line": f.line, "column": f.column, "name": f.name,
          "text": f.text, "verdict": f.verdict, "message": f.message,
          "guarded": f.guarded, "rewritten_to": f.target or None,
      } for f in scan.reported()],
      "working_names": sorted({f.name for f in scan.findings
                               if f.verdict == "works"}),
  } for scan in scans], indent=1)


def as_sarif(scans: Sequence[Scan]) -> str:
  """Returns everything but what simply works as SARIF 2.1.0."""
  return json.dumps({
      "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
      "version": "2.1.0",
      "runs": [{
          "tool": {"driver": {
              "name": "scan_source",
              "rules": [{"id": verdict, "shortDescription": {"text": meaning}}
                        for verdict, meaning in verdicts.MEANINGS.items()]}},
          "columnKind": "unicodeCodePoints",
          "results": [{
              "ruleId": f.verdict,
              "level": _LEVELS[f.verdict],
              "message": {"text": f"{f.name or f.path}: "
                          + (f.message or verdicts.MEANINGS[f.verdict])},
              "locations": [{"physicalLocation": {
                  "artifactLocation": {"uri": f.path.replace("\\", "/")},
                  "region": {"startLine": f.line, "startColumn": f.column},
              }}],
          } for f in scan.reported()],
      } for scan in scans],
  }, indent=1)


def sample(scans: Sequence[Scan], size: int, seed: int) -> str:
  """Draws findings at random, for someone to judge.

  Args:
    scans: The scans; what simply works is not drawn.
    size: How many to draw.
    seed: Seed of the draw.

  Returns:
    A CSV file with `SAMPLE_FIELDS`, the last two of them empty.
  """
  every = [(scan, f) for scan in scans for f in scan.reported()]
  drawn = random.Random(seed).sample(range(len(every)), min(size, len(every)))
  output = io.StringIO()
  writer = csv.writer(output, lineterminator="\n")
  writer.writerow(SAMPLE_FIELDS)
  for index in sorted(drawn):
    scan, f = every[index]
    text = next(s.text for s in scan.sources if s.path == f.path)
    lines = text.split("\n")
    line = lines[f.line - 1].strip() if f.line <= len(lines) else ""
    writer.writerow([scan.root, f.path, f.line, f.name, f.verdict, f.message,
                     line, "", ""])
  return output.getvalue()

"""Says in one line whom a session has lost, of the error that tells it."""

import re
from typing import Optional

from mtl_graph import cluster as cluster_lib
from mtl_graph.checkpoints import checkpoints
from mtl_graph.training import waiting

_DEVICE = r"/job:(\w+)/replica:\d+/task:(\d+)"
# What gRPC says of whom it called, what it says of where it could not connect,
# and how TensorFlow mentions who is not who he was.
_CALLED = re.compile(r"from remote target " + _DEVICE)
_ADDRESS = re.compile(r"\bipv[46]:(?:%5B)?([\w.:%\[\]]+:\d+)")
_MENTIONED = re.compile(_DEVICE)
# Who reports the error: he is there.
_REPORTS = re.compile(rf"^(?:[A-Z_]+: )?From {_DEVICE}:$", re.MULTILINE)
_LONGEST = 200


def explain(error: Exception, cluster: cluster_lib.Cluster) -> str:
  """Says what has happened to whom, and what is to be done.

  Args:
    error: An error of a session, its message as TensorFlow words it: traces of
      ops, who reports it, what is wrong, and what gRPC knows of it.
    cluster: The cluster, seen from the process that has got the error.

  Returns:
    A clause, such as "ps 0 at c:2222: Connection refused; ...".
  """
  reason = _short(checkpoints.reason_of(error))
  peer = _peer(getattr(error, "message", None) or str(error), cluster)
  if peer is None:
    return f"{reason}; the logs of the others say who has ended"
  return (f"{peer}: {reason}; its own log says why it has ended; once it runs "
          "again, all go on")


def _peer(text: str, cluster: cluster_lib.Cluster) -> Optional[str]:
  """Returns who is named, if anybody else than this process is."""
  text = _REPORTS.sub("", text)
  for pattern in (_CALLED, _MENTIONED):
    for job, index in pattern.findall(text):
      device = f"/job:{job}/task:{index}"
      address = cluster.addresses.get(device)
      if address and device != cluster.device:
        return f"{waiting.title(device)} at {address}"
    if pattern is _CALLED:
      found = _ADDRESS.search(text)
      if found:
        return _at(found[1], cluster)
  return None


def _at(address: str, cluster: cluster_lib.Cluster) -> str:
  """Returns who is at an address, of which gRPC has looked up the host."""
  same = [device for device, known in cluster.addresses.items()
          if known == address]
  return f"{waiting.title(same[0])} at {address}" if same else address


def _short(reason: str) -> str:
  """Returns the last words of a chain of reasons, which say most, short."""
  reason = reason.rpartition("last error: ")[2]
  return (reason if len(reason) <= _LONGEST
          else reason[:_LONGEST - 3].rstrip() + "...")

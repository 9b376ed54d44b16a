"""Reads who is who in a cluster, from TF_CONFIG or from flags."""

import json
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from mtl_graph import config

# The jobs of a cluster; "master" is what TensorFlow once called the chief.
_JOBS = ("chief", "worker", "ps", "evaluator")
_LEGACY = "master"
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\],]+):(\d{1,5})")
_SOURCE = "TF_CONFIG"


class Cluster(NamedTuple):
  """A cluster, and which of its processes this one is.

  Attributes:
    jobs: Addresses "host:port" by job and index; no evaluator, which talks to
      nobody. Without a job "chief" worker 0 is the chief.
    job: The job of this process: chief, worker, ps or evaluator.
    index: Its index within the job.
  """
  jobs: Dict[str, Dict[int, str]]
  job: str
  index: int

  @property
  def workers(self) -> Dict[str, str]:
    """Addresses of all that train, by device, the chief first."""
    return {f"/job:{job}/task:{index}": address for job in ("chief", "worker")
            for index, address in sorted(self.jobs.get(job, {}).items())}

  @property
  def addresses(self) -> Dict[str, str]:
    """Addresses of all processes, by device."""
    return {f"/job:{job}/task:{index}": address
            for job, some in self.jobs.items()
            for index, address in some.items()}

  @property
  def ranks(self) -> Dict[int, str]:
    """Devices of all that train, by rank."""
    return {self._replace(job=job, index=index).rank: f"/job:{job}/task:{index}"
            for job in ("chief", "worker") for index in self.jobs.get(job, {})}

  @property
  def ps(self) -> List[str]:
    """Devices of the parameter servers."""
    return [f"/job:ps/task:{index}" for index in sorted(self.jobs.get("ps", {}))]

  @property
  def device(self) -> str:
    """The device of this process."""
    return f"/job:{self.job}/task:{self.index}"

  @property
  def address(self) -> str:
    """The address of this process; "" of an evaluator."""
    return self.jobs.get(self.job, {}).get(self.index, "")

  @property
  def chief(self) -> str:
    """The device of the chief."""
    return "/job:chief/task:0" if "chief" in self.jobs else "/job:worker/task:0"

  @property
  def is_chief(self) -> bool:
    """Whether this process is the chief."""
    return self.device == self.chief

  @property
  def rank(self) -> int:
    """The place of this process among those that train, 0 of the chief."""
    return self.index + (self.job == "worker" and "chief" in self.jobs)


def from_environment(text: Optional[str]) -> Optional[Cluster]:
  """Reads TF_CONFIG, as Kubeflow, Slurm's scripts and TensorFlow write it.

  ```
    {"cluster": {"chief": ["host:port"], "worker": [...], "ps": [...]},
     "task": {"type": "worker", "index": 0}}
  ```

  A job may be a dict from index to address, of which a worker may be told its
  own only; "master" is another name of the chief; a cluster may list an
  evaluator, or only the task be one.

  Args:
    text: Value of the variable; None: it is not set.

  Returns:
    The cluster; None where this process is to train alone.

  Raises:
    ConfigError: With the first thing that is wrong.
  """
  if not text or not text.strip():
    return None
  try:
    stated = json.loads(text)
  except ValueError as error:
    raise config.ConfigError(_SOURCE, f"found {_short(text)}, which is no JSON "
                             f"({error}); allowed: an object with 'cluster' and"
                             " 'task'") from error
  _expect(stated, dict, _SOURCE, "an object with 'cluster' and 'task'")
  jobs = stated.get("cluster", {})
  _expect(jobs, dict, f"{_SOURCE}.cluster", "an object of addresses by job")
  if not jobs:
    return None
  task = stated.get("task")
  if task is None:
    raise config.ConfigError(f"{_SOURCE}.task", "found nothing; required beside"
                             " 'cluster': 'type' and 'index'")
  _expect(task, dict, f"{_SOURCE}.task", "an object with 'type' and 'index'")
  return _checked(jobs, task.get("type"), task.get("index", 0),
                  f"{_SOURCE}.cluster.{{}}", f"{_SOURCE}.task.type",
                  f"{_SOURCE}.task.index")


def from_flags(job: Optional[str], index: int,
               hosts: Mapping[str, Sequence[str]]) -> Optional[Cluster]:
  """Makes a cluster of --job_name, --task_index and --<job>_hosts.

  Args:
    job: The job of this process; None: the flag is not given.
    index: Its index.
    hosts: Addresses by job.

  Returns:
    The cluster; None where no flag is given.

  Raises:
    ConfigError: With the first thing that is wrong.
  """
  jobs = {name: list(some) for name, some in hosts.items() if some}
  if job is None and not jobs:
    return None
  return _checked(jobs, job, index, "--{}_hosts", "--job_name", "--task_index")


def choose(from_flag: Optional[Cluster], from_variable: Optional[Cluster]
           ) -> Optional[Cluster]:
  """Returns the one cluster that was stated, in whichever way.

  Raises:
    ConfigError: If there are two.
  """
  if from_flag is not None and from_variable is not None:
    raise config.ConfigError("--job_name", "found it beside TF_CONFIG; allowed: "
                             "one of them")
  return from_flag or from_variable


def _checked(stated, job, index, path, path_of_job, path_of_index
             ) -> Optional[Cluster]:
  """Returns the cluster, if all is well; None if it is of one process."""
  stated = dict(stated)
  if _LEGACY in stated:
    if "chief" in stated:
      raise config.ConfigError(path.format(_LEGACY), "found it beside 'chief'; "
                               "allowed: one of them")
    stated["chief"] = stated.pop(_LEGACY)
  jobs, seen = {}, {}
  for name, addresses in stated.items():
    where = path.format(name)
    if name not in _JOBS:
      raise config.ConfigError(where, f"found '{name}'; allowed: "
                               f"{', '.join(_JOBS)}"
                               + config.nearest(name, _JOBS))
    found = _addresses(addresses, where, seen)
    if found and name != "evaluator":
      jobs[name] = found
  if len(jobs.get("chief", {})) > 1:
    raise config.ConfigError(path.format("chief"), f"found "
                             f"{len(jobs['chief'])}; allowed: one")
  job = "chief" if job == _LEGACY else job
  if job not in _JOBS:
    found = "nothing" if job is None else _short(job)
    raise config.ConfigError(path_of_job, f"found {found}; allowed: "
                             f"{', '.join(_JOBS)}")
  if isinstance(index, str) and index.isdecimal():
    index = int(index)  # As shells write it.
  if not isinstance(index, int) or isinstance(index, bool) or index < 0:
    raise config.ConfigError(path_of_index, f"found {_short(index)}; allowed: a "
                             "whole number from 0 on")
  if job != "evaluator" and index not in jobs.get(job, {}):
    have = ", ".join(map(str, sorted(jobs.get(job, {})))) or "none"
    raise config.ConfigError(
        path_of_index, f"found {index}, and job '{job}' has no such address; "
        f"allowed: {have}")
  if "chief" not in jobs and 0 not in jobs.get("worker", {}):
    raise config.ConfigError(path.format("worker"), "found neither a chief nor "
                             "a worker 0; allowed: one of them at least")
  alone = sum(map(len, jobs.values())) == 1
  return None if alone and job != "evaluator" else Cluster(jobs, job, index)


def _addresses(addresses: Any, path: str, seen: Dict[str, str]
               ) -> Dict[int, str]:
  """Returns the addresses of a job by index."""
  _expect(addresses, (list, dict), path, "a list of 'host:port', or an object "
          "from index to it")
  if isinstance(addresses, dict):
    for key in addresses:
      if not str(key).isdecimal():
        raise config.ConfigError(path, f"found {_short(key)} for an index; "
                                 "allowed: whole numbers from 0 on")
    addresses = {int(key): value for key, value in addresses.items()}
  else:
    addresses = dict(enumerate(addresses))
  for index, address in addresses.items():
    where = f"{path}[{index}]"
    match = isinstance(address, str) and _ADDRESS.fullmatch(address)
    if not match or not 0 < int(match[1]) < 65536:
      raise config.ConfigError(where, f"found {_short(address)}; allowed: "
                               "'host:port' with a port from 1 to 65535")
    if address in seen:
      raise config.ConfigError(where, f"found '{address}', which is that of "
                               f"{seen[address]}; allowed: each address once")
    seen[address] = where
  return addresses


def _expect(value, kinds, path, allowed) -> None:
  if not isinstance(value, kinds):
    raise config.ConfigError(path, f"found {_short(value)}; allowed: {allowed}")


def _short(value) -> str:
  """Returns a value as a reader may take in, on one line."""
  text = repr(value)
  return text if len(text) <= 60 else text[:57] + "..."

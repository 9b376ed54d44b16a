"""The folder of an export's versions: numbers, one atomic rename, no remains.

A server takes up every folder whose name is a number, as soon as it is there.
So a version is written under another name and renamed; one that is removed is
renamed first. What a killed process leaves bears no number, and is told from
what another process is writing by a lock that ends with its process.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from typing import Callable, Dict, Iterator, List, Optional

_WRITING = "writing-"
_REMOVING = "removing-"
_LARGEST = 2 ** 63 - 1
_MANIFEST = os.path.join("assets.extra", "experiment.pbtxt")


class VersionError(Exception):
  """A version that cannot have its number."""


def number_of(name: str) -> Optional[int]:
  """Returns the number that a server reads in a folder's name, or None."""
  if not (name.isascii() and name.isdigit()):
    return None
  number = int(name)
  return number if number <= _LARGEST else None


def numbered(export_dir: str) -> Dict[int, str]:
  """Returns the paths of all that bears a number, whole or not, rising."""
  found = {}
  if os.path.isdir(export_dir):
    for name in sorted(os.listdir(export_dir)):
      number = number_of(name)
      if number is not None:
        found[number] = os.path.join(export_dir, name)
  return dict(sorted(found.items()))


def newest(export_dir: str) -> Optional[str]:
  """Returns the path of the highest version that holds a model, or None."""
  found = [path for path in numbered(export_dir).values() if _is_model(path)]
  return found[-1] if found else None


@contextlib.contextmanager
def writing(export_dir: str) -> Iterator[str]:
  """Makes a folder to write a version into; whatever of it is left goes.

  Also removes what exports that were killed have left.

  Args:
    export_dir: Folder of the versions; made if need be.

  Yields:
    Path of the folder, which no server looks at.
  """
  os.makedirs(export_dir, exist_ok=True)
  with contextlib.ExitStack() as stack:
    with _locked(export_dir):
      _remove_remains(export_dir)
      aside = tempfile.mkdtemp(prefix=_WRITING, dir=export_dir)
      stack.callback(shutil.rmtree, aside, ignore_errors=True)
      os.chmod(aside, 0o755)  # mkdtemp leaves it to its owner alone.
      stack.enter_context(_locked(aside))
    yield aside


def publish(aside: str, export_dir: str, step: Optional[int] = None,
            complete: Callable[[int], None] = lambda number: None) -> str:
  """Gives what was written its number.

  Args:
    aside: The folder that `writing` made, complete.
    export_dir: Folder of the versions.
    step: The number; None: the time in seconds, or one more than the highest.
    complete: Called with the number that it is going to have.

  Returns:
    Path of the version.

  Raises:
    VersionError: If the number is taken, or below the highest.
    OSError: If the folder cannot be renamed.
  """
  with _locked(export_dir):
    check_step(export_dir, step)
    number = step
    if number is None:
      number = max([int(time.time())] + [n + 1 for n in numbered(export_dir)])
    path = os.path.join(export_dir, str(number))
    complete(number)
    _flush(aside)
    os.rename(aside, path)
    _flush_folder(export_dir)
  return path


def check_step(export_dir: str, step: Optional[int]) -> None:
  """Raises `VersionError` if a step cannot be the number of a version."""
  found = numbered(export_dir)
  if step is None or not found:
    return
  if step in found:
    raise VersionError(
        f"{found[step]}: exists; allowed: a step that has no version yet, "
        "another folder, or serving.publishing.version: TIME")
  if step < max(found):
    raise VersionError(
        f"{export_dir}: found step {step} below version {max(found)}, in place "
        "of which no server would take it; allowed: a later step, another "
        "folder, or serving.publishing.version: TIME")


def remove_old(export_dir: str, keep: int) -> List[str]:
  """Removes all but the newest versions, of those that this project wrote.

  Args:
    export_dir: Folder of the versions.
    keep: How many are kept; 0: all.

  Returns:
    Paths of those that were removed.
  """
  if not keep:
    return []
  with _locked(export_dir):
    ours = [path for path in numbered(export_dir).values() if _is_model(path)
            and os.path.isfile(os.path.join(path, _MANIFEST))]
    removed = ours[:-keep]
    for path in removed:
      aside = os.path.join(export_dir, _REMOVING + os.path.basename(path))
      os.rename(path, aside)
      shutil.rmtree(aside, ignore_errors=True)
  return removed


def _is_model(path: str) -> bool:
  return os.path.isfile(os.path.join(path, "saved_model.pb"))


def _remove_remains(export_dir: str) -> None:
  """Removes what processes that are gone were writing or removing."""
  for name in os.listdir(export_dir):
    path = os.path.join(export_dir, name)
    if name.startswith((_WRITING, _REMOVING)) and os.path.isdir(path) and (
        not os.path.islink(path)):
      with _locked(path, wait=False) as locked:
        if locked:
          shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: str, wait: bool = True) -> Iterator[bool]:
  """Holds the lock of a folder; the system ends it with the process.

  Yields:
    Whether it is held: not if another process has it and `wait` is not set, nor
    on a file system that has none. Then only the rename itself keeps two
    exports apart, and no remains are removed.
  """
  descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
  try:
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
      held = True
    except OSError as error:
      if error.errno not in (errno.EWOULDBLOCK, errno.ENOLCK, errno.EBADF,
                             errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
        raise
      held = False
    yield held
  finally:
    os.close(descriptor)


def _flush(folder: str) -> None:
  """Has all files of a folder on the disk before it is given its number."""
  for path, _, names in os.walk(folder):
    for name in names:
      with open(os.path.join(path, name), "rb") as file:
        os.fsync(file.fileno())
    _flush_folder(path)


def _flush_folder(folder: str) -> None:
  descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)

"""The folder of a run, which one process at a time may write to."""

import contextlib
import fcntl
import os
from typing import Iterator

import tensorflow.compat.v1 as tf


class ModelDirError(Exception):
  """A folder that cannot be trained into."""


@contextlib.contextmanager
def writing(model_dir: str) -> Iterator[None]:
  """Turns what goes wrong in writing to a run's folder into one line.

  Args:
    model_dir: The run's folder.

  Yields:
    Nothing.

  Raises:
    ModelDirError: If a write fails, for want of space or of the right say.
  """
  try:
    yield
  except (OSError, tf.errors.OpError) as error:
    reason = getattr(error, "message", None) or str(error)
    raise ModelDirError(f"{model_dir}: cannot be written to: "
                        f"{reason.splitlines()[0]}; allowed: a folder of your "
                        "own with space in it") from error


@contextlib.contextmanager
def lock(model_dir: str) -> Iterator[None]:
  """Makes the folder and keeps other runs out of it.

  The operating system lets go of the lock when the process ends, however it
  ends, so a killed run leaves nothing to clean up.

  Args:
    model_dir: The run's folder.

  Yields:
    Nothing, while the lock is held.

  Raises:
    ModelDirError: If the folder cannot be made, or another run holds it.
  """
  if any(character in model_dir for character in "*?[]\\"):
    raise ModelDirError(f"{model_dir}: found one of * ? [ ] \\ in its name, "
                        "which TensorFlow takes for a pattern; allowed: a "
                        "folder without them")
  path = os.path.join(model_dir, "lock")
  try:
    os.makedirs(model_dir, exist_ok=True)
    file = open(path, "a+", encoding="utf-8")
  except OSError as error:
    raise ModelDirError(f"{model_dir}: cannot be written to: {error.strerror}; "
                        "allowed: a folder of your own") from error
  with file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
      file.seek(0)
      owner = file.read().strip() or "another process"
      raise ModelDirError(f"{model_dir}: {owner} is training here; allowed: "
                          "one run per --model_dir") from error
    file.truncate(0)
    file.write(f"process {os.getpid()}")
    file.flush()
    yield

"""How a program imports TensorFlow: quickly and without a word."""

import contextlib
import gc
import importlib.util
import os
import sys
import tempfile

# Which Keras TensorFlow imports along.
_LEGACY_KERAS = "TF_USE_LEGACY_KERAS"


def start_tensorflow() -> None:
  """Imports TensorFlow without Keras and without notes about the machine.

  What it makes is left out of garbage collections.

  The notes are written before any of its log levels counts, straight to the
  file descriptor of standard error, and would drown the run's own lines. If
  the import fails they are shown, as they may say why.
  """
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  sys.stderr.flush()
  kept = os.dup(2)
  with tempfile.TemporaryFile() as notes:
    os.dup2(notes.fileno(), 2)
    try:
      with _without_keras(), _without_garbage_collection():
        import tensorflow.compat.v1 as tf
    except BaseException:
      notes.seek(0)
      os.write(kept, notes.read())
      raise
    finally:
      os.dup2(kept, 2)
      os.close(kept)
  # What is deprecated for TensorFlow 2 is what this project is about.
  tf.logging.set_verbosity(tf.logging.ERROR)


@contextlib.contextmanager
def _without_keras():
  """Keeps TensorFlow from importing Keras along, which takes about as long.

  Nothing here uses Keras. Sent for the older one, which is another package,
  TensorFlow goes on without any where that is not installed. Afterwards
  `tf.keras` is imported once it is used, as if nothing had been.
  """
  if _LEGACY_KERAS in os.environ or importlib.util.find_spec("tf_keras"):
    yield
    return
  os.environ[_LEGACY_KERAS] = "1"
  try:
    yield
  finally:
    del os.environ[_LEGACY_KERAS]


@contextlib.contextmanager
def _without_garbage_collection():
  """Keeps Python from looking for garbage in what is imported, then and later.

  That is 400,000 objects that live as long as the process. Looking through them
  as they are made and once more at the end is 2.5 s of the 6 s that a process
  takes which does nothing but import them.
  """
  if not gc.isenabled() or "tensorflow" in sys.modules:
    yield
    return
  gc.disable()
  try:
    yield
    gc.freeze()
  finally:
    gc.enable()

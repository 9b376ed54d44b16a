"""What pytest does once per process, before and after it reads the tests."""

import gc
import os

import pytest

from mtl_graph import importing

# What XLA makes of a graph is what is tested; how well LLVM then optimizes it
# is not, and is a third of the time that compiling takes. A process that a test
# starts may go without, as that of training/compiled_process_test.py does.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 "
                      "--xla_llvm_disable_expensive_passes=true")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
  """Gives each process half of the tests, and what the other leaves undone.

  In order: tests that share a run stay in one process.
  """
  from xdist import scheduler
  return scheduler.WorkStealingScheduling(config, log)


def pytest_collection(session):
  """Imports TensorFlow as the launchers do, which is faster.

  Not in the process that hands tests out to others (pytest-xdist), as it runs
  none.
  """
  if hasattr(session.config, "workerinput") or not (
      getattr(session.config.option, "numprocesses", None)):
    importing.start_tensorflow()


def pytest_collection_finish():
  """Has garbage collections leave out what lives as long as the process.

  That is some million objects of TensorFlow and others, which each graph's
  garbage would have looked through again.
  """
  gc.collect()
  gc.freeze()
  # Graphs are large: looking for garbage every 700 objects is looking at each
  # of them many times.
  gc.set_threshold(50_000, 20, 20)

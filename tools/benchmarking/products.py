"""The bound of the benchmark: a step's matrix products, and nothing else."""

from typing import Callable, Dict

import numpy as np

from tools.benchmarking import cases
from tools.benchmarking import pipe


def build(case: cases.Case, arrays: cases.Arrays,
          values: Dict[str, np.ndarray], threads: int, library: str,
          towers_only: bool = False) -> pipe.Rival:
  """Prepares the products of a step.

  Args:
    case: The model.
    arrays: Not looked at; products are of numbers of their own.
    values: Not looked at.
    threads: Threads within a product; NumPy's come from the environment.
    library: "numpy", "torch" or "tensorflow".
    towers_only: Whether to leave out the layers that tasks share.

  Returns:
    A `Rival`, without losses.
  """
  del arrays, values
  random = np.random.default_rng(4)
  pairs = [[random.standard_normal(shape, np.float32)
            for shape in ((m, k), (k, n))]
           for m, k, n in cases.products(case, towers_only)]
  step = {"numpy": _numpy, "torch": _torch, "tensorflow": _tensorflow}[
      library](pairs, threads)

  def run(count):
    for _ in range(count):
      step()
    return count

  return pipe.Rival(None, run, lambda count: [])


def _numpy(pairs, threads) -> Callable[[], None]:
  del threads
  outputs = [np.empty([len(a), b.shape[1]], np.float32) for a, b in pairs]

  def step():
    for (a, b), output in zip(pairs, outputs):
      np.matmul(a, b, out=output)
  return step


def _torch(pairs, threads) -> Callable[[], None]:
  import torch  # Not where another library is asked for.
  torch.set_num_threads(threads)
  pairs = [[torch.from_numpy(array) for array in pair] for pair in pairs]
  outputs = [torch.empty(len(a), b.shape[1]) for a, b in pairs]

  def step():
    for (a, b), output in zip(pairs, outputs):
      torch.mm(a, b, out=output)
  return step


def _tensorflow(pairs, threads) -> Callable[[], None]:
  from mtl_graph import importing
  importing.start_tensorflow()
  import tensorflow.compat.v1 as tf
  with tf.Graph().as_default():
    products = []
    for i, pair in enumerate(pairs):
      a, b = [tf.get_variable(f"factor_{i}_{j}", initializer=array)
              for j, array in enumerate(pair)]
      products.append(tf.matmul(a, b).op)
    config = tf.ConfigProto(intra_op_parallelism_threads=threads)
    # Else products whose values nobody asks for would be left out.
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    session = tf.Session(config=config)
    session.run(tf.global_variables_initializer())
    # None waits for another: where one leaves a core free the next one goes.
    return session.make_callable(tf.group(*products))

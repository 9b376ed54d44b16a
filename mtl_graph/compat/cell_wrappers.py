"""Cells of tf.nn.rnn_cell made of cells: stacked, with dropout, residual."""

import hashlib
import itertools

import tensorflow.compat.v1 as tf

from mtl_graph.compat import cells as cells_lib
from mtl_graph.compat import layer
from mtl_graph.compat import lstm_cells


class MultiRNNCell(cells_lib.RNNCell):
  """Cells on top of each other, in scopes `cell_0`, `cell_1`, ..."""

  def __init__(self, cells, state_is_tuple=True):
    super().__init__()
    if not isinstance(cells, (list, tuple)) or not cells:
      raise (TypeError if cells else ValueError)(
          f"MultiRNNCell: `cells` must be a list of cells, found {cells!r}.")
    self._cells = list(cells)
    self._state_is_tuple = state_is_tuple
    if not state_is_tuple and any(
        tf.nest.is_nested(cell.state_size) for cell in self._cells):
      raise ValueError(
          "MultiRNNCell: `state_is_tuple` must be True of cells whose states "
          f"are tuples, found {[cell.state_size for cell in self._cells]}.")

  @property
  def state_size(self):
    """The states of the cells, a tuple, or how wide they are together."""
    sizes = tuple(cell.state_size for cell in self._cells)
    return sizes if self._state_is_tuple else sum(sizes)

  @property
  def output_size(self):
    """That of the last cell."""
    return self._cells[-1].output_size

  @property
  def trainable_weights(self):
    """Those of the cells."""
    return sum((cell.trainable_weights for cell in self._cells
                if isinstance(cell, layer.Layer) and self.trainable), [])

  @property
  def non_trainable_weights(self):
    """Those of the cells."""
    inner = [cell for cell in self._cells if isinstance(cell, layer.Layer)]
    kept = [] if self.trainable else sum(
        (cell.trainable_weights for cell in inner), [])
    return kept + sum((cell.non_trainable_weights for cell in inner), [])

  def zero_state(self, batch_size, dtype):
    """Returns a state of zeros."""
    if not self._state_is_tuple:
      return super().zero_state(batch_size, dtype)
    with tf.name_scope("MultiRNNCellZeroState"):
      return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)

  def call(self, inputs, state):
    """Does one step of each cell; its outputs are the inputs of the next."""
    if self._state_is_tuple:
      if not tf.nest.is_nested(state) or len(state) != len(self._cells):
        raise ValueError(f"{self.name}: `state` must be a tuple of "
                         f"{len(self._cells)}, found {state!r}.")
      states = state
    else:
      states = tf.split(state, [cell.state_size for cell in self._cells], 1)
    after = []
    for i, (cell, part) in enumerate(zip(self._cells, states)):
      with tf.variable_scope(f"cell_{i}"):
        inputs, part = cell(inputs, part)
      after.append(part)
    return inputs, (tuple(after) if self._state_is_tuple
                    else tf.concat(after, 1))


class _Wrapper(cells_lib.RNNCell):
  """A cell with something around it, which makes no variables."""

  def __init__(self, cell, **kwargs):
    super().__init__(**kwargs)
    missing = [name for name in ("output_size", "state_size", "zero_state")
               if not hasattr(cell, name)]
    if missing or not callable(cell):
      raise TypeError(f"{type(self).__name__}: `cell` must be a cell, found "
                      f"{cell!r}.")
    self.cell = cell

  wrapped_cell = property(lambda self: self.cell)
  state_size = property(lambda self: self.cell.state_size)
  output_size = property(lambda self: self.cell.output_size)
  trainable_weights = property(lambda self: self.cell.trainable_weights)
  non_trainable_weights = property(lambda self: self.cell.non_trainable_weights)

  def zero_state(self, batch_size, dtype):
    """Returns a state of zeros."""
    with tf.name_scope(type(self).__name__ + "ZeroState"):
      return self.cell.zero_state(batch_size, dtype)


class ResidualWrapper(_Wrapper):
  """Adds its inputs to the outputs of a cell."""

  def __init__(self, cell, residual_fn=None, **kwargs):
    super().__init__(cell, **kwargs)
    self._residual_fn = residual_fn

  def __call__(self, inputs, state, scope=None):
    """Does one step."""
    outputs, state = self.cell(inputs, state, scope=scope)
    if self._residual_fn is not None:
      return self._residual_fn(inputs, outputs), state
    tf.nest.assert_same_structure(inputs, outputs)
    for before, after in zip(*map(tf.nest.flatten, (inputs, outputs))):
      if not before.shape.is_compatible_with(after.shape):
        raise ValueError(f"ResidualWrapper: outputs must have the shape of the "
                         f"inputs, {before.shape}, found {after.shape}.")
    return tf.nest.map_structure(tf.add, inputs, outputs), state


class DeviceWrapper(_Wrapper):
  """Runs a cell on a device."""

  def __init__(self, cell, device, **kwargs):
    super().__init__(cell, **kwargs)
    self._device = device

  def zero_state(self, batch_size, dtype):
    """Returns a state of zeros, made on the device."""
    with tf.device(self._device):
      return super().zero_state(batch_size, dtype)

  def __call__(self, inputs, state, scope=None):
    """Does one step."""
    with tf.device(self._device):
      return self.cell(inputs, state, scope=scope)


def _drops_h(state):
  """Says which parts of a state dropout is for: not `c`, as TensorFlow 1."""
  if isinstance(state, lstm_cells.LSTMStateTuple):
    return lstm_cells.LSTMStateTuple(c=False, h=True)
  return not isinstance(state, tf.TensorArray)


class DropoutWrapper(_Wrapper):
  """Dropout on the inputs, the states and the outputs of a cell.

  With `variational_recurrent` one mask serves all steps, and all rows.

  See "A Theoretically Grounded Application of Dropout in Recurrent Neural
  Networks" by Gal and Ghahramani, 2016 (https://arxiv.org/abs/1512.05287).
  """

  def __init__(self, cell, input_keep_prob=1.0, output_keep_prob=1.0,
               state_keep_prob=1.0, variational_recurrent=False,
               input_size=None, dtype=None, seed=None,
               dropout_state_filter_visitor=None, **kwargs):
    super().__init__(cell, dtype=dtype, **kwargs)
    self._filter = dropout_state_filter_visitor or _drops_h
    self._seed = seed
    self._variational = variational_recurrent
    self._keep = {}
    for part, keep in (("input", input_keep_prob), ("state", state_keep_prob),
                       ("output", output_keep_prob)):
      known = tf.get_static_value(tf.convert_to_tensor(keep))
      if known is not None and not 0 <= known <= 1:
        raise ValueError(f"DropoutWrapper: `{part}_keep_prob` must be between "
                         f"0 and 1, found {known}.")
      self._keep[part] = keep if known is None else float(known)
    self._noise = {"input": None, "state": None, "output": None}
    if variational_recurrent:
      if dtype is None:
        raise ValueError("DropoutWrapper: `dtype` must be given with "
                         "`variational_recurrent`.")
      if self._drops("input"):
        if input_size is None:
          raise ValueError("DropoutWrapper: `input_size` must be given with "
                           "`variational_recurrent` and `input_keep_prob`.")
        self._noise["input"] = self._draw("input", input_size, dtype)
      self._noise["state"] = self._draw("state", cell.state_size, dtype)
      self._noise["output"] = self._draw("output", cell.output_size, dtype)

  def _drops(self, part):
    return not isinstance(self._keep[part], float) or self._keep[part] < 1

  def _draw(self, part, sizes, dtype):
    """Returns numbers between 0 and 1, one row, for each tensor of a part."""
    numbers = itertools.count()

    def draw(size):
      return tf.random.uniform([1, *tf.TensorShape(size).as_list()],
                               seed=self._seed_of(part, next(numbers)),
                               dtype=dtype)

    return tf.nest.map_structure(draw, sizes)

  def _seed_of(self, part, number):
    """Returns the seed of a part's tensor, as TensorFlow 1 made it."""
    if self._seed is None:
      return None
    text = f"{self._seed}{part}_{number}".encode()
    return int(hashlib.md5(text).hexdigest()[:8], 16) & 0x7FFFFFFF

  def _drop(self, part, value, number, noise):
    keep = self._keep[part]
    if not self._variational:
      return tf.nn.dropout(value, rate=1.0 - keep,
                           seed=self._seed_of(part, number))
    dropped = value / keep * tf.floor(keep + noise)
    dropped.set_shape(value.shape)
    return dropped

  def _drop_all(self, part, values):
    noise = self._noise[part]
    flat = tf.nest.flatten(values)
    noises = tf.nest.flatten(noise) if self._variational else [None] * len(flat)
    return tf.nest.pack_sequence_as(values, [
        self._drop(part, value, i, n)
        for i, (value, n) in enumerate(zip(flat, noises))])

  def _drop_state(self, state):
    """Drops the parts of a state that the filter points to."""
    numbers = itertools.count()

    def walk(part, noise, wanted):
      nested = tf.nest.is_nested(part)
      if not nested or wanted is False:
        number = next(numbers)  # Counted even where it is left as it is.
        return self._drop("state", part, number, noise) if wanted else part
      flags = [True] * len(part) if wanted is True else list(wanted)
      noises = noise if self._variational else [None] * len(part)
      parts = [walk(p, n, flag and self._filter(p))
               for p, n, flag in zip(part, noises, flags)]
      return (type(part)(*parts) if hasattr(part, "_fields")
              else type(part)(parts))

    return walk(state, self._noise["state"], self._filter(state))

  def __call__(self, inputs, state, scope=None):
    """Does one step."""
    if self._drops("input"):
      inputs = self._drop_all("input", inputs)
    outputs, state = self.cell(inputs, state, scope=scope)
    if self._drops("state"):
      state = self._drop_state(state)
    if self._drops("output"):
      outputs = self._drop_all("output", outputs)
    return outputs, state

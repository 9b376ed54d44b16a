"""Long short-term memory cells of tf.nn.rnn_cell and tf.contrib.rnn."""

import collections

import tensorflow.compat.v1 as tf

from mtl_graph.compat import cells
from mtl_graph.compat import named_choices

# The cell state `c` and the output `h` of a step.
LSTMStateTuple = collections.namedtuple("LSTMStateTuple", ["c", "h"])


class _TwoStates(cells.LayerCell):
  """A cell whose state is `c` and `h`, as a tuple or side by side."""

  _state_is_tuple = True

  @property
  def state_size(self):
    """The widths of `c` and `h`, or their sum."""
    sizes = LSTMStateTuple(self._num_units, self.output_size)
    return sizes if self._state_is_tuple else sum(sizes)

  @property
  def output_size(self):
    """The width of `h`."""
    return self._num_units

  def _split(self, state):
    if self._state_is_tuple:
      return state
    return tf.split(state, [self._num_units, self.output_size], 1)

  def _join(self, c, h):
    return (LSTMStateTuple(c, h) if self._state_is_tuple
            else tf.concat([c, h], 1))


class BasicLSTMCell(_TwoStates):
  """A long short-term memory.

  ```
    i, j, f, o = [x, h] kernel + bias
    c = c sigmoid(f + forget_bias) + sigmoid(i) activation(j)
    h = sigmoid(o) activation(c)
  ```

  See "Recurrent Neural Network Regularization" by Zaremba, Sutskever and
  Vinyals, 2014, section 3.1 (https://arxiv.org/abs/1409.2329).
  """

  def __init__(self, num_units, forget_bias=1.0, state_is_tuple=True,
               activation=None, reuse=None, name=None, dtype=None, **kwargs):
    super().__init__(num_units, activation, reuse, name, dtype, **kwargs)
    self._forget_bias = forget_bias
    self._state_is_tuple = state_is_tuple

  def _add(self, depth):
    units = self._num_units
    self._kernel = self.add_weight("kernel", [depth + units, 4 * units])
    self._bias = self.add_weight("bias", [4 * units],
                                 initializer=tf.zeros_initializer())

  def call(self, inputs, state):
    """Does one step."""
    c, h = self._split(state)
    i, j, f, o = tf.split(
        self._affine(inputs, h, self._kernel, self._bias), 4, 1)
    # Functions where operators would do: their ops are called Add and Mul.
    kept = tf.multiply(c, tf.sigmoid(tf.add(
        f, tf.constant(self._forget_bias, f.dtype))))
    c = tf.add(kept, tf.multiply(tf.sigmoid(i), self._activation(j)))
    h = tf.multiply(self._activation(c), tf.sigmoid(o))
    return h, self._join(c, h)


class LSTMCell(_TwoStates):
  """A long short-term memory with peepholes, clipping and a projection.

  ```
    i, j, f, o = [x, h] kernel + bias
    c = c sigmoid(f + forget_bias + w_f_diag c)
        + sigmoid(i + w_i_diag c) activation(j)      clipped by cell_clip
    h = sigmoid(o + w_o_diag c) activation(c)
    h = h projection/kernel                          clipped by proj_clip
  ```

  The diagonals are there with `use_peepholes`, the projection with `num_proj`.

  See "Long Short-Term Memory Recurrent Neural Network Architectures for Large
  Scale Acoustic Modeling" by Sak, Senior and Beaufays, 2014, section 2
  (https://arxiv.org/abs/1402.1128).
  """

  def __init__(self, num_units, use_peepholes=False, cell_clip=None,
               initializer=None, num_proj=None, proj_clip=None,
               num_unit_shards=None, num_proj_shards=None, forget_bias=1.0,
               state_is_tuple=True, activation=None, reuse=None, name=None,
               dtype=None, **kwargs):
    super().__init__(num_units, activation, reuse, name, dtype, **kwargs)
    self._use_peepholes = use_peepholes
    self._cell_clip = cell_clip
    self._initializer = named_choices.initializer(initializer)
    self._num_proj = num_proj
    self._proj_clip = proj_clip
    self._num_unit_shards = num_unit_shards
    self._num_proj_shards = num_proj_shards
    self._forget_bias = forget_bias
    self._state_is_tuple = state_is_tuple

  @property
  def output_size(self):
    """The width of `h`: that of the projection, if there is one."""
    return self._num_proj if self._num_proj else self._num_units

  def _add(self, depth):
    units = self._num_units
    self._kernel = self._add_kernel(
        "kernel", [depth + self.output_size, 4 * units], self._num_unit_shards)
    self._bias = self.add_weight("bias", [4 * units],
                                 initializer=tf.zeros_initializer())
    if self._use_peepholes:
      self._w_f, self._w_i, self._w_o = [
          self.add_weight(f"w_{gate}_diag", [units],
                          initializer=self._initializer) for gate in "fio"]
    if self._num_proj:
      self._projection = self._add_kernel(
          "projection/kernel", [units, self._num_proj], self._num_proj_shards)

  def _add_kernel(self, name, shape, shards):
    return self.add_weight(
        name, shape, initializer=self._initializer,
        partitioner=tf.fixed_size_partitioner(shards) if shards else None)

  def call(self, inputs, state):
    """Does one step."""
    c, h = self._split(state)
    i, j, f, o = tf.split(
        self._affine(inputs, h, self._kernel, self._bias), 4, 1)
    f = f + self._forget_bias
    if self._use_peepholes:
      f, i = f + self._w_f * c, i + self._w_i * c
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * self._activation(j)
    if self._cell_clip is not None:
      c = tf.clip_by_value(c, -self._cell_clip, self._cell_clip)
    if self._use_peepholes:
      o = o + self._w_o * c
    h = tf.sigmoid(o) * self._activation(c)
    if self._num_proj:
      h = tf.matmul(h, self._projection)
      if self._proj_clip is not None:
        h = tf.clip_by_value(h, -self._proj_clip, self._proj_clip)
    return h, self._join(c, h)


class LayerNormBasicLSTMCell(cells.RNNCell):
  """tf.contrib.rnn's long short-term memory with normalized gates.

  The equations of `BasicLSTMCell`, where each of `i`, `j`, `f`, `o` and the new
  `c` is brought to one mean and one variance in each row and has a gain `gamma`
  and a shift `beta`, in place of the bias; and dropout on `activation(j)`.

  See "Layer Normalization" by Ba, Kiros and Hinton, 2016, section 3.1
  (https://arxiv.org/abs/1607.06450), and "Recurrent Dropout without Memory
  Loss" by Semeniuta et al., 2016 (https://arxiv.org/abs/1603.05118).
  """

  def __init__(self, num_units, forget_bias=1.0, input_size=None,
               activation=tf.tanh, layer_norm=True, norm_gain=1.0,
               norm_shift=0.0, dropout_keep_prob=1.0, dropout_prob_seed=None,
               reuse=None):
    super().__init__(_reuse=reuse)
    del input_size  # TensorFlow 1 ignored it as well.
    self._num_units = num_units
    self._forget_bias = forget_bias
    self._activation = named_choices.activation(activation)
    self._layer_norm = layer_norm
    self._norm_gain = norm_gain
    self._norm_shift = norm_shift
    self._keep_prob = dropout_keep_prob
    self._seed = dropout_prob_seed

  @property
  def state_size(self):
    """The widths of `c` and `h`."""
    return LSTMStateTuple(self._num_units, self._num_units)

  @property
  def output_size(self):
    """The units."""
    return self._num_units

  def _normalize(self, x, scope):
    with tf.variable_scope(scope):
      width = x.shape.as_list()[-1:]
      gamma = tf.get_variable(
          "gamma", width, x.dtype.base_dtype,
          initializer=tf.constant_initializer(self._norm_gain))
      beta = tf.get_variable(
          "beta", width, x.dtype.base_dtype,
          initializer=tf.constant_initializer(self._norm_shift))
      mean, variance = tf.nn.moments(x, [1], keep_dims=True)
      return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)

  def call(self, inputs, state):
    """Does one step."""
    c, h = state
    joined = tf.concat([inputs, h], 1)
    kernel = tf.get_variable(
        "kernel", [joined.shape.as_list()[1], 4 * self._num_units],
        joined.dtype)
    gates = tf.matmul(joined, kernel)
    if not self._layer_norm:
      gates += tf.get_variable("bias", [4 * self._num_units], joined.dtype)
    gates = tf.split(gates, 4, 1)
    if self._layer_norm:
      gates = [self._normalize(gate, scope) for gate, scope in zip(
          gates, ("input", "transform", "forget", "output"))]
    i, j, f, o = gates
    g = self._activation(j)
    if not isinstance(self._keep_prob, float) or self._keep_prob < 1:
      g = tf.nn.dropout(g, rate=1 - self._keep_prob, seed=self._seed)
    c = c * tf.sigmoid(f + self._forget_bias) + tf.sigmoid(i) * g
    if self._layer_norm:
      c = self._normalize(c, "state")
    h = self._activation(c) * tf.sigmoid(o)
    return h, LSTMStateTuple(c, h)

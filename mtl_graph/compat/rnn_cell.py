"""`tf.nn.rnn_cell` of TensorFlow 1.15, under its own names: see docs/compat.md.

And of `tf.contrib.rnn`: the same, and the layer-normalized one.
"""

from mtl_graph.compat import cell_wrappers as _cell_wrappers
from mtl_graph.compat import cells as _cells
from mtl_graph.compat import lstm_cells as _lstm_cells

BasicLSTMCell = _lstm_cells.BasicLSTMCell
BasicRNNCell = _cells.BasicRNNCell
DeviceWrapper = _cell_wrappers.DeviceWrapper
DropoutWrapper = _cell_wrappers.DropoutWrapper
GRUCell = _cells.GRUCell
LSTMCell = _lstm_cells.LSTMCell
LSTMStateTuple = _lstm_cells.LSTMStateTuple
LayerNormBasicLSTMCell = _lstm_cells.LayerNormBasicLSTMCell
MultiRNNCell = _cell_wrappers.MultiRNNCell
RNNCell = _cells.RNNCell
ResidualWrapper = _cell_wrappers.ResidualWrapper

"""`tf.contrib.layers` of TensorFlow 1.15, under its own names.

Not all of it: see docs/compat.md.
"""

from mtl_graph.compat import contrib_convolution as _convolution
from mtl_graph.compat import contrib_dense as _dense
from mtl_graph.compat import contrib_initializers as _initializers
from mtl_graph.compat import contrib_normalization as _normalization

avg_pool2d = _convolution.avg_pool2d
avg_pool3d = _convolution.avg_pool3d
conv1d = _convolution.conv1d
conv2d = _convolution.conv2d
conv2d_transpose = _convolution.conv2d_transpose
conv3d = _convolution.conv3d
conv3d_transpose = _convolution.conv3d_transpose
convolution = _convolution.convolution
convolution1d = _convolution.convolution1d
convolution2d = _convolution.convolution2d
convolution2d_transpose = _convolution.convolution2d_transpose
convolution3d = _convolution.convolution3d
convolution3d_transpose = _convolution.convolution3d_transpose
max_pool2d = _convolution.max_pool2d
max_pool3d = _convolution.max_pool3d
separable_conv2d = _convolution.separable_conv2d
separable_convolution2d = _convolution.separable_convolution2d

bias_add = _dense.bias_add
dropout = _dense.dropout
embed_sequence = _dense.embed_sequence
embedding_lookup_unique = _dense.embedding_lookup_unique
flatten = _dense.flatten
fully_connected = _dense.fully_connected
linear = _dense.linear
one_hot_encoding = _dense.one_hot_encoding
relu = _dense.relu
relu6 = _dense.relu6
repeat = _dense.repeat
softmax = _dense.softmax
stack = _dense.stack
unit_norm = _dense.unit_norm

apply_regularization = _initializers.apply_regularization
l1_l2_regularizer = _initializers.l1_l2_regularizer
l1_regularizer = _initializers.l1_regularizer
l2_regularizer = _initializers.l2_regularizer
sum_regularizer = _initializers.sum_regularizer
variance_scaling_initializer = _initializers.variance_scaling_initializer
xavier_initializer = _initializers.xavier_initializer
xavier_initializer_conv2d = _initializers.xavier_initializer_conv2d

batch_norm = _normalization.batch_norm
layer_norm = _normalization.layer_norm

"""`tf.layers` of TensorFlow 1.15, under its own names: see docs/compat.md."""

from mtl_graph.compat import batch_normalization as _batch_normalization
from mtl_graph.compat import convolution as _convolution
from mtl_graph.compat import dense as _dense
from mtl_graph.compat import input_spec as _input_spec
from mtl_graph.compat import layer as _layer
from mtl_graph.compat import pooling as _pooling
from mtl_graph.compat import separable_convolution as _separable_convolution

# From the least to the most: what all are, then kind by kind.
InputSpec = _input_spec.InputSpec
Layer = _layer.Layer

Dense = _dense.Dense
Dropout = _dense.Dropout
Flatten = _dense.Flatten
dense = _dense.dense
dropout = _dense.dropout
flatten = _dense.flatten

Conv1D = _convolution.Conv1D
Conv2D = _convolution.Conv2D
Conv3D = _convolution.Conv3D
Conv2DTranspose = _convolution.Conv2DTranspose
Conv3DTranspose = _convolution.Conv3DTranspose
SeparableConv1D = _separable_convolution.SeparableConv1D
SeparableConv2D = _separable_convolution.SeparableConv2D
conv1d = _convolution.conv1d
conv2d = _convolution.conv2d
conv3d = _convolution.conv3d
conv2d_transpose = _convolution.conv2d_transpose
conv3d_transpose = _convolution.conv3d_transpose
separable_conv1d = _separable_convolution.separable_conv1d
separable_conv2d = _separable_convolution.separable_conv2d

AveragePooling1D = _pooling.AveragePooling1D
AveragePooling2D = _pooling.AveragePooling2D
AveragePooling3D = _pooling.AveragePooling3D
MaxPooling1D = _pooling.MaxPooling1D
MaxPooling2D = _pooling.MaxPooling2D
MaxPooling3D = _pooling.MaxPooling3D
average_pooling1d = _pooling.average_pooling1d
average_pooling2d = _pooling.average_pooling2d
average_pooling3d = _pooling.average_pooling3d
max_pooling1d = _pooling.max_pooling1d
max_pooling2d = _pooling.max_pooling2d
max_pooling3d = _pooling.max_pooling3d

BatchNormalization = _batch_normalization.BatchNormalization
batch_normalization = _batch_normalization.batch_normalization

"""`tf.contrib.slim` of TensorFlow 1.15, under its own names.

Its layers, variables and scopes: see docs/compat.md.
"""

import tensorflow.compat.v1 as _tf

from mtl_graph.compat import arg_scope as _arg_scope
from mtl_graph.compat import contrib_layers as _layers
from mtl_graph.compat import end_points as _end_points
from mtl_graph.compat import model_variables as _variables

layers = _layers
utils = _end_points

avg_pool2d = _layers.avg_pool2d
avg_pool3d = _layers.avg_pool3d
batch_norm = _layers.batch_norm
bias_add = _layers.bias_add
conv1d = _layers.conv1d
conv2d = _layers.conv2d
conv2d_transpose = _layers.conv2d_transpose
conv3d = _layers.conv3d
conv3d_transpose = _layers.conv3d_transpose
convolution = _layers.convolution
convolution1d = _layers.convolution1d
convolution2d = _layers.convolution2d
convolution2d_transpose = _layers.convolution2d_transpose
convolution3d = _layers.convolution3d
convolution3d_transpose = _layers.convolution3d_transpose
dropout = _layers.dropout
flatten = _layers.flatten
fully_connected = _layers.fully_connected
l1_l2_regularizer = _layers.l1_l2_regularizer
l1_regularizer = _layers.l1_regularizer
l2_regularizer = _layers.l2_regularizer
layer_norm = _layers.layer_norm
max_pool2d = _layers.max_pool2d
max_pool3d = _layers.max_pool3d
one_hot_encoding = _layers.one_hot_encoding
repeat = _layers.repeat
separable_conv2d = _layers.separable_conv2d
separable_convolution2d = _layers.separable_convolution2d
softmax = _layers.softmax
stack = _layers.stack
unit_norm = _layers.unit_norm
variance_scaling_initializer = _layers.variance_scaling_initializer
xavier_initializer = _layers.xavier_initializer
xavier_initializer_conv2d = _layers.xavier_initializer_conv2d

add_arg_scope = _arg_scope.add_arg_scope
arg_scope = _arg_scope.arg_scope
arg_scope_func_key = _arg_scope.arg_scope_func_key
arg_scoped_arguments = _arg_scope.arg_scoped_arguments
current_arg_scope = _arg_scope.current_arg_scope
has_arg_scope = _arg_scope.has_arg_scope

add_model_variable = _variables.add_model_variable
assign_from_checkpoint_fn = _variables.assign_from_checkpoint_fn
filter_variables = _variables.filter_variables
get_local_variables = _variables.get_local_variables
get_model_variables = _variables.get_model_variables
get_trainable_variables = _variables.get_trainable_variables
get_unique_variable = _variables.get_unique_variable
get_variables = _variables.get_variables
get_variables_by_name = _variables.get_variables_by_name
get_variables_by_suffix = _variables.get_variables_by_suffix
get_variables_to_restore = _variables.get_variables_to_restore
model_variable = _variables.model_variable
variable = _variables.variable

# What TensorFlow still has itself.
assert_global_step = _tf.train.assert_global_step
create_global_step = _tf.train.create_global_step
get_global_step = _tf.train.get_global_step
get_or_create_global_step = _tf.train.get_or_create_global_step

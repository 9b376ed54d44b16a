"""What tf.contrib had, and what to take instead; read as `replaced_names`."""

TABLE = """
# contrib: layers and slim.
contrib.layers.safe_embedding_lookup_sparse => tf.nn.safe_embedding_lookup_sparse
contrib.layers.optimize_loss -> tf.train.Optimizer.apply_gradients -- behind compute_gradients and tf.clip_by_global_norm; learning_rate, clip_gradients and summaries are no arguments there; tf_slim's raises AttributeError
contrib.layers.summarize_tensor -> tf.summary.histogram -- or tf_slim
contrib.layers.sparse_column_with_hash_bucket -> tf.feature_column.categorical_column_with_hash_bucket
contrib.layers.sparse_column_with_keys -> tf.feature_column.categorical_column_with_vocabulary_list
contrib.layers.sparse_column_with_integerized_feature -> tf.feature_column.categorical_column_with_identity
contrib.layers.sparse_column_with_vocabulary_file -> tf.feature_column.categorical_column_with_vocabulary_file
contrib.layers.real_valued_column -> tf.feature_column.numeric_column
contrib.layers.bucketized_column -> tf.feature_column.bucketized_column
contrib.layers.embedding_column -> tf.feature_column.embedding_column
contrib.layers.one_hot_column -> tf.feature_column.indicator_column
contrib.layers.crossed_column -> tf.feature_column.crossed_column
contrib.layers.input_from_feature_columns -> tf.feature_column.input_layer
contrib.layers.create_feature_spec_for_parsing -> tf.feature_column.make_parse_example_spec
contrib.layers.instance_norm x write it with tf.nn.moments and tf.nn.batch_normalization
contrib.layers.group_norm x write it with tf.nn.moments and tf.nn.batch_normalization
contrib.layers.recompute_grad -> tf.recompute_grad
contrib.layers.rev_block x copy rev_block_lib from TensorFlow 1.15
contrib.layers.gdn x copy it from TensorFlow 1.15
contrib.layers.GDN x copy it from TensorFlow 1.15
contrib.layers.bow_encoder x copy it from TensorFlow 1.15
contrib.layers.check_feature_columns x copy it from TensorFlow 1.15
contrib.layers.embedding_lookup_sparse_with_distributed_aggregation x copy it from TensorFlow 1.15
contrib.layers.infer_real_valued_columns x copy it from TensorFlow 1.15
contrib.layers.joint_weighted_sum_from_feature_columns x copy it from TensorFlow 1.15
contrib.layers.make_place_holder_tensors_for_base_features x copy it from TensorFlow 1.15
contrib.layers.multi_class_target x copy it from TensorFlow 1.15
contrib.layers.parse_feature_columns_from_examples x copy it from TensorFlow 1.15
contrib.layers.parse_feature_columns_from_sequence_examples x copy it from TensorFlow 1.15
contrib.layers.scattered_embedding_column x copy it from TensorFlow 1.15
contrib.layers.scattered_embedding_lookup x copy it from TensorFlow 1.15
contrib.layers.scattered_embedding_lookup_sparse x copy it from TensorFlow 1.15
contrib.layers.sequence_input_from_feature_columns x copy it from TensorFlow 1.15
contrib.layers.transform_features x copy it from TensorFlow 1.15
contrib.layers.shared_embedding_columns -> tf.feature_column.shared_embedding_columns
contrib.layers.weighted_sparse_column -> tf.feature_column.weighted_categorical_column
contrib.layers.weighted_sum_from_feature_columns -> tf.feature_column.linear_model
contrib.layers.collect_named_outputs -> mtl_graph.compat.slim.utils.collect_named_outputs
contrib.layers.convert_collection_to_dict -> mtl_graph.compat.slim.utils.convert_collection_to_dict
contrib.layers.get_tensor_aliases -> mtl_graph.compat.slim.utils.get_tensor_aliases
contrib.layers.last_dimension -> mtl_graph.compat.slim.utils.last_dimension
contrib.layers.* -> tf_slim
contrib.slim.nets.* -> tf_slim.nets -- those with batch normalization (resnet, inception, mobilenet) raise, as tf_slim.batch_norm does
contrib.slim.python.slim.nets.* -> tf_slim.nets -- those with batch normalization (resnet, inception, mobilenet) raise, as tf_slim.batch_norm does
contrib.slim.* -> tf_slim
# contrib: framework.
contrib.framework.nest.is_sequence -> tf.nest.is_nested
contrib.framework.nest.flatten => tf.nest.flatten
contrib.framework.nest.map_structure => tf.nest.map_structure
contrib.framework.nest.pack_sequence_as => tf.nest.pack_sequence_as
contrib.framework.nest.assert_same_structure => tf.nest.assert_same_structure
contrib.framework.nest.* -> tensorflow.python.util.nest -- private
contrib.framework.nest -> tensorflow.python.util.nest -- private; tf.nest has the most common of its functions
contrib.framework.argsort => tf.argsort
contrib.framework.sort => tf.sort
contrib.framework.py_func -> tf.py_func
contrib.framework.is_tensor -> tf.is_tensor
contrib.framework.get_global_step => tf.train.get_global_step
contrib.framework.create_global_step => tf.train.create_global_step
contrib.framework.get_or_create_global_step => tf.train.get_or_create_global_step
contrib.framework.assert_global_step => tf.train.assert_global_step
contrib.framework.load_checkpoint => tf.train.load_checkpoint
contrib.framework.list_variables => tf.train.list_variables
contrib.framework.load_variable => tf.train.load_variable
contrib.framework.init_from_checkpoint => tf.train.init_from_checkpoint
contrib.framework.assert_scalar -> tf.assert_scalar
contrib.framework.assert_same_float_dtype => tf.debugging.assert_same_float_dtype
contrib.framework.is_numeric_tensor => tf.is_numeric_tensor
contrib.framework.is_non_decreasing => tf.is_non_decreasing
contrib.framework.is_strictly_increasing => tf.is_strictly_increasing
contrib.framework.TensorSpec => tf.TensorSpec
contrib.framework.get_name_scope -> tf.get_default_graph().get_name_scope()
contrib.framework.get_trainable_variables -> tf.trainable_variables
contrib.framework.get_variables -> tf.global_variables -- or tf_slim
contrib.framework.get_local_variables -> tf.local_variables
contrib.framework.smart_cond -> tf.cond -- or an if where pred is a Python bool
contrib.framework.smart_constant_value -> tf.get_static_value
contrib.framework.smart_case -> tf.case
contrib.framework.zero_initializer -> tf.zeros_initializer
contrib.framework.load_and_remap_matrix_initializer x read it with tf.train.load_variable and remap in numpy
contrib.framework.load_embedding_initializer x read it with tf.train.load_variable and remap in numpy
contrib.framework.load_variable_slot_initializer x read it with tf.train.load_variable
contrib.framework.add_arg_scope -> mtl_graph.compat.slim.add_arg_scope -- for the functions of mtl_graph.compat, and for those that its add_arg_scope decorates; not for tf_slim's
contrib.framework.arg_scope -> mtl_graph.compat.slim.arg_scope -- for the functions of mtl_graph.compat, and for those that its add_arg_scope decorates; not for tf_slim's
contrib.framework.arg_scoped_arguments -> mtl_graph.compat.slim.arg_scoped_arguments -- for the functions of mtl_graph.compat, and for those that its add_arg_scope decorates; not for tf_slim's
contrib.framework.has_arg_scope -> mtl_graph.compat.slim.has_arg_scope -- for the functions of mtl_graph.compat, and for those that its add_arg_scope decorates; not for tf_slim's
contrib.framework.assign_from_checkpoint_fn -> mtl_graph.compat.slim.assign_from_checkpoint_fn
contrib.framework.get_model_variables -> mtl_graph.compat.slim.get_model_variables
contrib.framework.get_variables_to_restore -> mtl_graph.compat.slim.get_variables_to_restore
contrib.framework.model_variable -> mtl_graph.compat.slim.model_variable
contrib.framework.variable -> mtl_graph.compat.slim.variable
contrib.framework.deprecated x from absl or the warnings module
contrib.framework.fuse_op x nothing has taken its place
contrib.framework.RecordInput x tf.data.TFRecordDataset reads records
contrib.framework.assert_scalar_int x copy it from TensorFlow 1.15
contrib.framework.convert_to_tensor_or_sparse_tensor x copy it from TensorFlow 1.15
contrib.framework.convolutional_delta_orthogonal x copy it from TensorFlow 1.15
contrib.framework.convolutional_orthogonal_1d x copy it from TensorFlow 1.15
contrib.framework.convolutional_orthogonal_2d x copy it from TensorFlow 1.15
contrib.framework.convolutional_orthogonal_3d x copy it from TensorFlow 1.15
contrib.framework.deprecated_arg_values x copy it from TensorFlow 1.15
contrib.framework.deprecated_args x copy it from TensorFlow 1.15
contrib.framework.get_placeholders x copy it from TensorFlow 1.15
contrib.framework.load_linear_multiclass_bias_initializer x copy it from TensorFlow 1.15
contrib.framework.prepend_name_scope x copy it from TensorFlow 1.15
contrib.framework.print_op x copy it from TensorFlow 1.15
contrib.framework.reduce_sum_n x copy it from TensorFlow 1.15
contrib.framework.remove_squeezable_dimensions x copy it from TensorFlow 1.15
contrib.framework.strip_name_scope x copy it from TensorFlow 1.15
contrib.framework.with_same_shape x copy it from TensorFlow 1.15
contrib.framework.with_shape x copy it from TensorFlow 1.15
contrib.framework -> tf_slim -- for its variables; its nest is tf.nest, its arg_scope mtl_graph.compat.slim.arg_scope
contrib.framework.* -> tf_slim
# contrib: recurrent networks.
contrib.rnn.static_rnn => tf.nn.static_rnn
contrib.rnn.static_state_saving_rnn => tf.nn.static_state_saving_rnn
contrib.rnn.static_bidirectional_rnn => tf.nn.static_bidirectional_rnn
contrib.rnn.LSTMBlockCell -> mtl_graph.compat.rnn_cell.LSTMCell -- its forget_bias and peepholes; the op is tf.raw_ops.LSTMBlockCell
contrib.rnn.LSTMBlockFusedCell -> tf.raw_ops.BlockLSTM
contrib.rnn.GRUBlockCell -> mtl_graph.compat.rnn_cell.GRUCell -- the op is tf.raw_ops.GRUBlockCell
contrib.rnn.GRUBlockCellV2 -> mtl_graph.compat.rnn_cell.GRUCell -- the op is tf.raw_ops.GRUBlockCell
contrib.rnn.transpose_batch_time -> tf.transpose
contrib.rnn.stack_bidirectional_dynamic_rnn -> tf.nn.bidirectional_dynamic_rnn -- layer by layer
contrib.rnn.stack_bidirectional_rnn -> tf.nn.static_bidirectional_rnn -- layer by layer
contrib.rnn.* x copy the cell from TensorFlow 1.15, on mtl_graph.compat.rnn_cell.RNNCell
contrib.cudnn_rnn.* -> tf.raw_ops.CudnnRNNV3 -- CudnnCompatibleLSTMCell: tf.nn.rnn_cell.LSTMCell
contrib.grid_rnn.* x copy the cell from TensorFlow 1.15
contrib.recurrent.* x copy it from TensorFlow 1.15
contrib.seq2seq.sequence_loss -> tf.nn.sparse_softmax_cross_entropy_with_logits -- times the weights
contrib.seq2seq.* x TensorFlow Addons had it, which has ended and does not run with Keras 3
contrib.legacy_seq2seq.sequence_loss -> tf.nn.sparse_softmax_cross_entropy_with_logits -- times the weights
contrib.legacy_seq2seq.sequence_loss_by_example -> tf.nn.sparse_softmax_cross_entropy_with_logits -- times the weights
contrib.legacy_seq2seq.* x copy it from TensorFlow 1.15
contrib.crf.* x copy it from TensorFlow 1.15; TensorFlow Addons, which had it, has ended
# contrib: data.
contrib.data.AUTOTUNE => tf.data.experimental.AUTOTUNE
contrib.data.Counter => tf.data.experimental.Counter
contrib.data.CsvDataset => tf.data.experimental.CsvDataset
contrib.data.SqlDataset => tf.data.experimental.SqlDataset
contrib.data.RandomDataset => tf.data.experimental.RandomDataset
contrib.data.TFRecordWriter => tf.data.experimental.TFRecordWriter
contrib.data.Dataset -> tf.data.Dataset
contrib.data.Iterator -> tf.data.Iterator
contrib.data.TFRecordDataset -> tf.data.TFRecordDataset
contrib.data.TextLineDataset -> tf.data.TextLineDataset
contrib.data.FixedLengthRecordDataset -> tf.data.FixedLengthRecordDataset
contrib.data.batch_and_drop_remainder -> tf.data.Dataset.batch -- drop_remainder=True
contrib.data.padded_batch_and_drop_remainder -> tf.data.Dataset.padded_batch -- drop_remainder=True
contrib.data.read_batch_features -> tf.data.experimental.make_batched_features_dataset
contrib.data.sloppy_interleave -> tf.data.experimental.parallel_interleave -- sloppy=True
contrib.data.assert_element_shape -> tf.ensure_shape -- inside a map
contrib.data.sliding_window_batch -> tf.data.Dataset.window
contrib.data.reduce_dataset -> tf.data.Dataset.reduce
contrib.data.LMDBDataset x tensorflow_io has a reader
contrib.data.StatsAggregator x gone from tf.data too
contrib.data.bucket_by_sequence_length => tf.data.experimental.bucket_by_sequence_length
contrib.data.choose_from_datasets => tf.data.experimental.choose_from_datasets
contrib.data.copy_to_device => tf.data.experimental.copy_to_device
contrib.data.dense_to_sparse_batch => tf.data.experimental.dense_to_sparse_batch
contrib.data.enumerate_dataset => tf.data.experimental.enumerate_dataset
contrib.data.get_single_element => tf.data.experimental.get_single_element
contrib.data.group_by_reducer => tf.data.experimental.group_by_reducer
contrib.data.group_by_window => tf.data.experimental.group_by_window
contrib.data.ignore_errors => tf.data.experimental.ignore_errors
contrib.data.make_batched_features_dataset => tf.data.experimental.make_batched_features_dataset
contrib.data.make_csv_dataset => tf.data.experimental.make_csv_dataset
contrib.data.make_saveable_from_iterator => tf.data.experimental.make_saveable_from_iterator
contrib.data.map_and_batch => tf.data.experimental.map_and_batch
contrib.data.parallel_interleave => tf.data.experimental.parallel_interleave
contrib.data.parse_example_dataset => tf.data.experimental.parse_example_dataset
contrib.data.prefetch_to_device => tf.data.experimental.prefetch_to_device
contrib.data.rejection_resample => tf.data.experimental.rejection_resample
contrib.data.sample_from_datasets => tf.data.experimental.sample_from_datasets
contrib.data.scan => tf.data.experimental.scan
contrib.data.shuffle_and_repeat => tf.data.experimental.shuffle_and_repeat
contrib.data.unbatch => tf.data.experimental.unbatch
contrib.data.unique => tf.data.experimental.unique
contrib.data -> tf.data.experimental
contrib.data.* x see tf.data and tf.data.experimental
# contrib: training, optimizers, metrics, losses.
contrib.training.HParams x copy hparam.py, a file of its own, from TensorFlow 1.15 or tensor2tensor
contrib.training.parse_values x copy hparam.py, a file of its own, from TensorFlow 1.15 or tensor2tensor
contrib.training.create_train_op -> tf_slim.learning.create_train_op
contrib.training.train -> tf.train.MonitoredTrainingSession
contrib.training.get_or_create_eval_step -> tf_slim.evaluation.get_or_create_eval_step
contrib.training.checkpoints_iterator => tf.train.checkpoints_iterator
contrib.training.wait_for_new_checkpoint -> tf_slim.evaluation.wait_for_new_checkpoint
contrib.training.evaluate_once -> tf_slim.evaluation.evaluate_once
contrib.training.evaluate_repeatedly -> tf_slim.evaluation.evaluate_repeatedly
contrib.training.StopAfterNEvalsHook -> tf_slim.evaluation.StopAfterNEvalsHook
contrib.training.SummaryAtEndHook -> tf_slim.evaluation.SummaryAtEndHook
contrib.training.add_gradients_summaries -> tf_slim.learning.add_gradients_summaries
contrib.training.clip_gradient_norms -> tf_slim.learning.clip_gradient_norms
contrib.training.multiply_gradients -> tf_slim.learning.multiply_gradients
contrib.training.bucket_by_sequence_length -> tf.data.experimental.bucket_by_sequence_length
contrib.training.rejection_sample -> tf.data.experimental.rejection_resample
contrib.training.* x copy it from TensorFlow 1.15
contrib.opt.LazyAdamOptimizer -> mtl_graph.model.lazy_adam.LazyAdamOptimizer
contrib.opt.AdamWOptimizer -> experiment -- optimizer { adam { } } with weight_decay; else copy it
contrib.opt.MomentumWOptimizer -> experiment -- optimizer { momentum { } } with weight_decay; else copy it
contrib.opt.ScipyOptimizerInterface x tensorflow_probability has L-BFGS
contrib.opt.MovingAverageOptimizer -> tf.train.ExponentialMovingAverage
contrib.opt.* x copy the optimizer from TensorFlow 1.15: it needs tf.train.Optimizer only
contrib.optimizer_v2.* -> tf.train.Optimizer
contrib.metrics.accuracy -> tf.metrics.accuracy -- or the mean of tf.equal
contrib.metrics.confusion_matrix -> tf.confusion_matrix
contrib.metrics.set_intersection => tf.sets.intersection
contrib.metrics.set_difference => tf.sets.difference
contrib.metrics.set_union => tf.sets.union
contrib.metrics.set_size => tf.sets.size
contrib.metrics.streaming_accuracy -> tf.metrics.accuracy -- labels come first there
contrib.metrics.streaming_auc -> tf.metrics.auc -- labels come first there
contrib.metrics.streaming_mean => tf.metrics.mean
contrib.metrics.streaming_mean_tensor => tf.metrics.mean_tensor
contrib.metrics.streaming_mean_iou -> tf.metrics.mean_iou -- labels come first there
contrib.metrics.streaming_mean_absolute_error -> tf.metrics.mean_absolute_error -- labels come first there
contrib.metrics.streaming_mean_squared_error -> tf.metrics.mean_squared_error -- labels come first there
contrib.metrics.streaming_root_mean_squared_error -> tf.metrics.root_mean_squared_error -- labels come first there
contrib.metrics.streaming_mean_relative_error -> tf.metrics.mean_relative_error -- labels come first there
contrib.metrics.streaming_mean_cosine_distance -> tf.metrics.mean_cosine_distance -- labels come first there
contrib.metrics.streaming_precision -> tf.metrics.precision -- labels come first there
contrib.metrics.streaming_recall -> tf.metrics.recall -- labels come first there
contrib.metrics.streaming_precision_at_thresholds -> tf.metrics.precision_at_thresholds -- labels come first there
contrib.metrics.streaming_recall_at_thresholds -> tf.metrics.recall_at_thresholds -- labels come first there
contrib.metrics.streaming_percentage_less => tf.metrics.percentage_below
contrib.metrics.streaming_sparse_recall_at_k -> tf.metrics.recall_at_k -- labels come first there
contrib.metrics.streaming_sparse_precision_at_k -> tf.metrics.precision_at_k -- labels come first there
contrib.metrics.streaming_false_negatives -> tf.metrics.false_negatives -- labels come first there
contrib.metrics.streaming_false_positives -> tf.metrics.false_positives -- labels come first there
contrib.metrics.streaming_true_negatives -> tf.metrics.true_negatives -- labels come first there
contrib.metrics.streaming_true_positives -> tf.metrics.true_positives -- labels come first there
contrib.metrics.aggregate_metric_map -> tf_slim.metrics.aggregate_metric_map
contrib.metrics.aggregate_metrics -> tf_slim.metrics.aggregate_metrics
contrib.metrics -> tf.metrics
contrib.metrics.* x see tf.metrics; else copy it from TensorFlow 1.15
contrib.losses.metric_learning.* x copy it from TensorFlow 1.15
contrib.losses.absolute_difference -> tf.losses.absolute_difference
contrib.losses.add_loss => tf.losses.add_loss
contrib.losses.cosine_distance -> tf.losses.cosine_distance
contrib.losses.get_losses => tf.losses.get_losses
contrib.losses.get_regularization_losses => tf.losses.get_regularization_losses
contrib.losses.get_total_loss => tf.losses.get_total_loss
contrib.losses.log_loss -> tf.losses.log_loss
contrib.losses.mean_squared_error -> tf.losses.mean_squared_error
contrib.losses.sigmoid_cross_entropy -> tf.losses.sigmoid_cross_entropy
contrib.losses.softmax_cross_entropy -> tf.losses.softmax_cross_entropy
contrib.losses.sparse_softmax_cross_entropy -> tf.losses.sparse_softmax_cross_entropy
contrib.losses.* -> tf_slim.losses
# contrib: the rest.
contrib.distributions.* -> tensorflow_probability.distributions -- its releases on Keras 3 want tf-keras
contrib.bayesflow.* -> tensorflow_probability
contrib.summary.scalar -> tf.compat.v2.summary.scalar -- with step=, without family; needs tensorboard installed
contrib.summary.* -> tf.compat.v2.summary -- with step=; needs tensorboard installed
contrib.eager.Variable -> tf.Variable
contrib.eager.Iterator -> tf.data.Iterator -- iter(dataset) under eager execution
contrib.eager.Checkpoint -> tf.train.Checkpoint
contrib.eager.enable_eager_execution => tf.enable_eager_execution
contrib.eager.defun -> tf.function -- in a graph, variables made inside are not in TRAINABLE_VARIABLES, as defun's were
contrib.eager.python.tfe -> tf -- most of its names are in TensorFlow itself, its metrics in tf.keras.metrics
contrib.eager.py_func -> tf.py_function
contrib.eager.metrics.* -> tf.keras.metrics
contrib.eager.gradients_function -> tensorflow.python.eager.backprop.gradients_function -- private, the same function; by hand with tf.GradientTape, which is no decorator
contrib.eager.value_and_gradients_function -> tensorflow.python.eager.backprop.val_and_grad_function -- private, the same function; by hand with tf.GradientTape, which is no decorator
contrib.eager.implicit_gradients -> tensorflow.python.eager.backprop.implicit_grad -- private, the same function; by hand with tf.GradientTape, which is no decorator
contrib.eager.implicit_value_and_gradients -> tensorflow.python.eager.backprop.implicit_val_and_grad -- private, the same function; by hand with tf.GradientTape, which is no decorator
contrib.eager.run_test_in_graph_and_eager_modes -> tensorflow.python.framework.test_util.run_in_graph_and_eager_modes -- private, the same function
contrib.eager.run_all_tests_in_graph_and_eager_modes -> tensorflow.python.framework.test_util.run_all_in_graph_and_eager_modes -- private, the same function
contrib.eager.* x see the eager part of tensorflow itself
contrib.tpu.batch_parallel => tf.tpu.batch_parallel
contrib.tpu.replicate => tf.tpu.replicate
contrib.tpu.rewrite => tf.tpu.rewrite
contrib.tpu.shard => tf.tpu.shard
contrib.tpu.outside_compilation => tf.tpu.outside_compilation
contrib.tpu.bfloat16_scope => tf.tpu.bfloat16_scope
contrib.tpu.core => tf.tpu.core
contrib.tpu.cross_replica_sum => tf.tpu.cross_replica_sum
contrib.tpu.initialize_system => tf.tpu.initialize_system
contrib.tpu.shutdown_system => tf.tpu.shutdown_system
contrib.tpu -> tf.tpu -- TPUEstimator and its kind are gone
contrib.tpu.* x gone with tf.estimator; see tf.tpu
contrib.tpu.CrossShardOptimizer => tf.tpu.CrossShardOptimizer
contrib.cluster_resolver.* -> tf.distribute.cluster_resolver
contrib.distribute.MirroredStrategy -> tf.distribute.MirroredStrategy
contrib.distribute.* -> tf.distribute
contrib.lookup.HashTable -> tf.lookup.StaticHashTable
contrib.lookup.KeyValueTensorInitializer => tf.lookup.KeyValueTensorInitializer
contrib.lookup.TextFileInitializer => tf.lookup.TextFileInitializer
contrib.lookup.MutableHashTable => tf.lookup.experimental.MutableHashTable
contrib.lookup.MutableDenseHashTable => tf.lookup.experimental.DenseHashTable
contrib.lookup.IdTableWithHashBuckets -> tf.lookup.StaticVocabularyTable
contrib.lookup.index_table_from_file -> tf.lookup.StaticVocabularyTable -- of a tf.lookup.TextFileInitializer
contrib.lookup.index_table_from_tensor -> tf.lookup.StaticVocabularyTable -- of a tf.lookup.KeyValueTensorInitializer
contrib.lookup.index_to_string_table_from_file -> tf.lookup.StaticHashTable -- of a tf.lookup.TextFileInitializer
contrib.lookup.index_to_string_table_from_tensor -> tf.lookup.StaticHashTable -- or tf.gather
contrib.lookup.* -> tf.lookup
contrib.predictor.from_saved_model -> mtl_graph.load()
contrib.predictor.* x tf.saved_model.loader.load and a session
contrib.saved_model.* -> tf.saved_model
contrib.session_bundle.* x tf.saved_model.loader reads SavedModels
contrib.stateless.stateless_random_normal => tf.random.stateless_normal
contrib.stateless.stateless_random_uniform => tf.random.stateless_uniform
contrib.stateless.stateless_multinomial => tf.random.stateless_multinomial
contrib.stateless.stateless_truncated_normal => tf.random.stateless_truncated_normal
contrib.signal.frame => tf.signal.frame
contrib.signal.stft => tf.signal.stft
contrib.signal.inverse_stft => tf.signal.inverse_stft
contrib.signal.hann_window => tf.signal.hann_window
contrib.signal.hamming_window => tf.signal.hamming_window
contrib.signal.overlap_and_add => tf.signal.overlap_and_add
contrib.signal.mfccs_from_log_mel_spectrograms => tf.signal.mfccs_from_log_mel_spectrograms
contrib.signal.linear_to_mel_weight_matrix => tf.signal.linear_to_mel_weight_matrix
contrib.signal.* -> tf.signal
contrib.util.constant_value -> tf.get_static_value
contrib.util.make_tensor_proto => tf.make_tensor_proto
contrib.util.make_ndarray => tf.make_ndarray
contrib.util.* x tensorflow.python.framework.tensor_util is private
contrib.nn.nth_element -> tf.math.top_k -- sorted; or tf.raw_ops.NthElement
contrib.nn.conv1d_transpose -> tf.nn.conv1d_transpose
contrib.nn.* x copy it from TensorFlow 1.15
contrib.image.transform -> tf.raw_ops.ImageProjectiveTransformV3
contrib.image.rotate -> tf.raw_ops.ImageProjectiveTransformV3
contrib.image.translate -> tf.raw_ops.ImageProjectiveTransformV3
contrib.image.* x copy it from TensorFlow 1.15
contrib.image -> tf.raw_ops -- ImageProjectiveTransformV3 does transform, rotate and translate; copy the rest from TensorFlow 1.15
contrib.autograph.* -> tf.autograph
contrib.lite.* -> tf.lite
contrib.keras.* -> tf.keras
contrib.tfprof.* -> tf.profiler
contrib.compiler.xla.compile -> tf.xla.experimental.compile
contrib.compiler.jit.experimental_jit_scope -> tf.xla.experimental.jit_scope
contrib.mixed_precision.LossScaleOptimizer -> tf.mixed_precision.MixedPrecisionLossScaleOptimizer
contrib.mixed_precision.ExponentialUpdateLossScaleManager -> tf.mixed_precision.DynamicLossScale
contrib.mixed_precision.FixedLossScaleManager -> tf.mixed_precision.FixedLossScale
contrib.mixed_precision.* -> tf.mixed_precision
contrib.checkpoint.* -> tf.train.Checkpoint
contrib.staging.* x tf.raw_ops.Stage and tf.raw_ops.Unstage are its ops
contrib.batching.batch_function => tf.nondifferentiable_batch_function
contrib.deprecated.scalar_summary => tf.summary.scalar
contrib.deprecated.histogram_summary => tf.summary.histogram
contrib.deprecated.image_summary => tf.summary.image
contrib.deprecated.* -> tf.summary
contrib.sparsemax.* x copy it from TensorFlow 1.15
contrib.quantize.* -> tensorflow_model_optimization
contrib.model_pruning.* -> tensorflow_model_optimization
contrib.tensorrt.* -> tensorflow.python.compiler.tensorrt
contrib.gan.* -> tensorflow_gan -- made for TensorFlow 2; its Estimators are gone
contrib.tensor_forest.* -> tensorflow_decision_forests
contrib.boosted_trees.* -> tensorflow_decision_forests
contrib.constrained_optimization.* -> tensorflow_constrained_optimization
contrib.integrate.* -> tensorflow_probability.math.ode
contrib.ffmpeg.* -> tensorflow_io
contrib.kafka.* -> tensorflow_io
contrib.cloud.* -> tensorflow_io
contrib.bigtable.* -> tensorflow_io
contrib.feature_column.* -> tf.feature_column
contrib.estimator.* x gone with tf.estimator
contrib.learn.* x gone with tf.estimator; see tf.feature_column, tf.data, tf.train
contrib.hooks.* -> tf.train.SessionRunHook -- hooks of tf.train
contrib.proto.decode_proto => tf.io.decode_proto
contrib.proto.encode_proto => tf.io.encode_proto
contrib.* x copy what is used from TensorFlow 1.15
"""

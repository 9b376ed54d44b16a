"""What TensorFlow 1 had and today's has no more, and what to take instead.

Of tf.contrib see `contrib_names`.

One name a line, without the `tf.` that leads it; `.*` stands for every name of
a module that has no line of its own.

```
  name => target -- note    the same arguments: may be rewritten as it stands
  name -> target -- note    does the same, with other arguments or results
  name x note               nothing does
```

Targets are taken in order, the first that is installed: a name of TensorFlow
led by `tf.`, one of this project by `mtl_graph.`, else words.
"""

TABLE = """
# Before TensorFlow 1.0.
pack => tf.stack
unpack => tf.unstack
sub => tf.subtract
mul => tf.multiply
neg => tf.negative
inv => tf.reciprocal
select => tf.where
batch_matmul -> tf.matmul -- adj_x and adj_y are adjoint_a and adjoint_b
batch_cholesky => tf.cholesky
batch_matrix_inverse => tf.matrix_inverse
batch_matrix_transpose => tf.matrix_transpose
batch_matrix_diag => tf.matrix_diag
batch_matrix_band_part => tf.matrix_band_part
batch_matrix_determinant => tf.matrix_determinant
batch_matrix_solve => tf.matrix_solve
batch_self_adjoint_eig => tf.self_adjoint_eig
batch_svd => tf.svd
complex_abs => tf.abs
listdiff => tf.setdiff1d
scalar_summary => tf.summary.scalar -- names become unique within name scopes
histogram_summary => tf.summary.histogram
image_summary => tf.summary.image
audio_summary => tf.summary.audio
merge_summary => tf.summary.merge
merge_all_summaries => tf.summary.merge_all
train.SummaryWriter => tf.summary.FileWriter
image.per_image_whitening => tf.image.per_image_standardization
nn.rnn => tf.nn.static_rnn
nn.bidirectional_rnn => tf.nn.static_bidirectional_rnn
nn.state_saving_rnn => tf.nn.static_state_saving_rnn
nn.seq2seq.* x copy legacy_seq2seq from TensorFlow 1.15
models.* x write the model with tf.nn.dynamic_rnn
pywrap_tensorflow.NewCheckpointReader => tf.train.NewCheckpointReader
config.experimental_list_devices x session.list_devices() lists them
pywrap_tensorflow.* x private; see tf.train.load_checkpoint, tf.sysconfig
LazyLoader x import the module where it is needed
# Estimators.
estimator.DNNClassifier -> experiment -- python -m mtl_graph.train
estimator.DNNRegressor -> experiment -- python -m mtl_graph.train
estimator.DNNLinearCombinedClassifier -> experiment -- `wide` features and a trunk
estimator.DNNLinearCombinedRegressor -> experiment -- `wide` features and a trunk
estimator.LinearClassifier -> experiment -- python -m mtl_graph.train
estimator.LinearRegressor -> experiment -- python -m mtl_graph.train
estimator.DNNEstimator -> experiment -- python -m mtl_graph.train
estimator.BoostedTreesClassifier -> tensorflow_decision_forests
estimator.BoostedTreesRegressor -> tensorflow_decision_forests
estimator.SessionRunHook => tf.train.SessionRunHook
estimator.SessionRunArgs => tf.train.SessionRunArgs
estimator.SessionRunContext => tf.train.SessionRunContext
estimator.SessionRunValues => tf.train.SessionRunValues
estimator.CheckpointSaverHook => tf.train.CheckpointSaverHook
estimator.CheckpointSaverListener => tf.train.CheckpointSaverListener
estimator.SummarySaverHook => tf.train.SummarySaverHook
estimator.LoggingTensorHook => tf.train.LoggingTensorHook
estimator.StopAtStepHook => tf.train.StopAtStepHook
estimator.StepCounterHook => tf.train.StepCounterHook
estimator.NanTensorHook => tf.train.NanTensorHook
estimator.NanLossDuringTrainingError => tf.train.NanLossDuringTrainingError
estimator.GlobalStepWaiterHook => tf.train.GlobalStepWaiterHook
estimator.FinalOpsHook => tf.train.FinalOpsHook
estimator.FeedFnHook => tf.train.FeedFnHook
estimator.ProfilerHook => tf.train.ProfilerHook
estimator.SecondOrStepTimer => tf.train.SecondOrStepTimer
estimator.VocabInfo => tf.train.VocabInfo
estimator.classifier_parse_example_spec -> tf.feature_column.make_parse_example_spec -- add the label's feature
estimator.regressor_parse_example_spec -> tf.feature_column.make_parse_example_spec -- add the label's feature
estimator.* x run the graph of its model_fn under tf.train.MonitoredTrainingSession
# Modules that are no public part.
tensorflow.examples.tutorials.mnist.* -> tf.keras.datasets.mnist
tensorflow.examples.* x copy it from TensorFlow 1.15
tensorflow.python.estimator.* x gone with tf.estimator
"""

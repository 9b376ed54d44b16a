"""What is there only with tf-keras, the Keras of TensorFlow 1 and 2.15.

`pip install tf-keras` and TF_USE_LEGACY_KERAS=1 in the environment bring it
back. Read off tf-keras 2.21.0 beside Keras 3; each name of `layers` and
`nn.rnn_cell` that makes something was called.
"""

# Names by the module they are in, without the leading `tf.`.
NAMES = {
    "keras": """
        experimental
    """,
    "keras.backend": """
        function get_session in_test_phase in_train_phase learning_phase
        learning_phase_scope local_conv1d local_conv2d
        manual_variable_initialization normalize_batch_in_training placeholder
        print_tensor random_binomial reset_uids set_learning_phase set_session
    """,
    "keras.callbacks": """
        BaseLogger SidecarEvaluatorModelExport experimental
    """,
    "keras.callbacks.experimental": """
        UpdateEmbeddingCallback
    """,
    "keras.constraints": """
        RadialConstraint radial_constraint
    """,
    "keras.experimental": """
        CosineDecay CosineDecayRestarts LinearModel SequenceFeatures
        WideDeepModel
    """,
    "keras.initializers": """
        normal uniform
    """,
    "keras.layers": """
        AbstractRNNCell CuDNNGRU CuDNNLSTM DenseFeatures LocallyConnected1D
        LocallyConnected2D disable_v2_dtype_behavior enable_v2_dtype_behavior
        experimental
    """,
    "keras.layers.experimental": """
        DynamicEmbedding DynamicLookup EinsumDense RandomFourierFeatures
    """,
    "keras.losses": """
        cosine cosine_proximity kl_divergence log_cosh mean_absolute_error
        mean_absolute_percentage_error mean_squared_error
        mean_squared_logarithmic_error
    """,
    "keras.metrics": """
        MeanRelativeError MeanTensor cosine cosine_proximity kl_divergence
        log_cosh mean_absolute_error mean_absolute_percentage_error
        mean_squared_error mean_squared_logarithmic_error
    """,
    "keras.models": """
        LinearModel WideDeepModel model_from_config model_from_yaml
    """,
    "keras.optimizers.legacy": """
        Adadelta Adamax Nadam
    """,
    "keras.utils": """
        DeterministicRandomTestTool GeneratorEnqueuer OrderedEnqueuer
        SequenceEnqueuer StepsPerExecutionTuner get_or_create_layer to_ordinal
        track_tf1_style_variables warmstart_embedding_matrix
    """,
    "layers": """
        AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization
        Conv1D Conv2D Conv2DTranspose Conv3D Conv3DTranspose Dense Dropout
        Flatten InputSpec Layer MaxPooling1D MaxPooling2D MaxPooling3D
        SeparableConv1D SeparableConv2D average_pooling1d average_pooling2d
        average_pooling3d batch_normalization conv1d conv2d conv2d_transpose
        conv3d conv3d_transpose dense dropout experimental flatten max_pooling1d
        max_pooling2d max_pooling3d separable_conv1d separable_conv2d
    """,
    "layers.experimental": """
        keras_style_scope set_keras_style
    """,
    "nn.rnn_cell": """
        BasicLSTMCell BasicRNNCell DeviceWrapper DropoutWrapper GRUCell LSTMCell
        LSTMStateTuple MultiRNNCell RNNCell ResidualWrapper
    """,
}


def has(name: str) -> bool:
  """Returns whether tf-keras has a name that is gone without it.

  Args:
    name: The name without its leading `tf.`, or an attribute of such a name.

  Returns:
    Whether it does.
  """
  parts = name.split(".")
  return any(parts[length] in NAMES.get(".".join(parts[:length]), "").split()
             for length in range(1, len(parts)))

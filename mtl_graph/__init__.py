"""Multi-task learning in TensorFlow 1 style on today's TensorFlow."""

__version__ = "0.1.0"

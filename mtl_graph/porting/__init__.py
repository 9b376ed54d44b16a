"""Carries TensorFlow 1 code and checkpoints over; the library under tools/."""

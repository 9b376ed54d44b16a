"""Layers that make their variables under TensorFlow 1's names."""

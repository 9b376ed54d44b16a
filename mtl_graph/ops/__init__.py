"""Plain functions from tensors to tensors: no variable, no proto."""

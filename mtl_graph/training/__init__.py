"""Runs the graph: steps, checkpoints, evaluations, and when to stop."""

"""Metrics over a whole evaluation set."""

"""Rows in, batches of numbers out."""

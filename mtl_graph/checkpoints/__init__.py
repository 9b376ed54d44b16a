"""Sessions, checkpoints, and whether an experiment fits what was saved."""

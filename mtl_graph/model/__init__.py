"""The graph of an experiment, in order of flow; opens no session."""

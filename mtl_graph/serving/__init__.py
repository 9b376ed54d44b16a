"""SavedModels: writing, checking and running them."""

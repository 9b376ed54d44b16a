"""What tasks share: a file per architecture."""

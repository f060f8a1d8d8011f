"""Public sets, each read as it was published."""

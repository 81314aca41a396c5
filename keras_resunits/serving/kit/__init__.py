"""What servers read besides a SavedModel, in its folder and beside it."""

"""A run in time and on the disk."""

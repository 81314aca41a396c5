"""A run: its session, and its files on the disk."""

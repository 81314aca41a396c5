"""A trained network judged."""

"""Experiments, one per file: `python -m train --config=NAME`."""

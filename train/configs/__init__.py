"""Experiments, one a file: `python -m train --config=NAME`."""

"""Keras layers and their building blocks, independent of units and networks."""

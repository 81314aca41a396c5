"""Keras layers and what they are made with; they know no slot and no paper's network."""

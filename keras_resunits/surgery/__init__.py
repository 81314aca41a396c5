"""Functions that derive one network from another and keep its weights."""

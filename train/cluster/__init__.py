"""The devices that a run computes on, and its other workers."""

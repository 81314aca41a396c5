"""Where a run computes and with whom."""

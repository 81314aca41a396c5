"""Networks: a stem, a list of (recipe, slot) pairs, a head; one file a family."""

"""Networks: a stem, a list of (recipe, slot) pairs and a head; one file per family."""

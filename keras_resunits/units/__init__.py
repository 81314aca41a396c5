"""The equation: a unit, its slots and the choices for them."""

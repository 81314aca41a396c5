"""Functions that derive one network from another and keep its weights."""

from keras_resunits.surgery.chains import Part, Parts, put_together, take_apart
from keras_resunits.surgery.deepening import deepen
from keras_resunits.surgery.folding import fold
from keras_resunits.surgery.rearranging import drop, insert, reorder, replace

__all__ = ["Part", "Parts", "deepen", "drop", "fold", "insert", "put_together", "reorder", "replace", "take_apart"]

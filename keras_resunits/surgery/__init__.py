"""Functions that derive one network from another and keep its weights."""

from keras_resunits.surgery.chains import put_together, take_apart
from keras_resunits.surgery.columns import deepest_column
from keras_resunits.surgery.curve import pruning_curve
from keras_resunits.surgery.deepening import deepen
from keras_resunits.surgery.folding import fold
from keras_resunits.surgery.gating import from_gated, to_gated
from keras_resunits.surgery.plain import to_plain
from keras_resunits.surgery.pruning import prune
from keras_resunits.surgery.rearranging import drop, insert, reorder, replace
from keras_resunits.surgery.swapping import set_order, swap_shortcut
from keras_resunits.surgery.transfer import features, freeze, new_head

__all__ = [
    "deepen",
    "deepest_column",
    "drop",
    "features",
    "fold",
    "freeze",
    "from_gated",
    "insert",
    "new_head",
    "prune",
    "pruning_curve",
    "put_together",
    "reorder",
    "replace",
    "set_order",
    "swap_shortcut",
    "take_apart",
    "to_gated",
    "to_plain",
]

"""Analysis of a built network, which leaves the network unchanged."""

from keras_resunits.analysis.crediting import Credits, credits
from keras_resunits.analysis.gate_records import GatesOverTime, gates_over_time
from keras_resunits.analysis.importance import Importance, importance
from keras_resunits.analysis.lens import Lens, lens
from keras_resunits.analysis.lesions import Lesions, Removal, Reorder, lesions, removal, reorder
from keras_resunits.analysis.paths import Paths, paths
from keras_resunits.analysis.propagation import Comparison, Propagation, compare, propagation
from keras_resunits.analysis.report import report
from keras_resunits.analysis.shattering import Shattering, shattering

__all__ = [
    "Comparison",
    "Credits",
    "GatesOverTime",
    "Importance",
    "Lens",
    "Lesions",
    "Paths",
    "Propagation",
    "Removal",
    "Reorder",
    "Shattering",
    "compare",
    "credits",
    "gates_over_time",
    "importance",
    "lens",
    "lesions",
    "paths",
    "propagation",
    "removal",
    "reorder",
    "report",
    "shattering",
]

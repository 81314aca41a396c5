"""Analysis of a built network, which leaves the network unchanged."""

from keras_resunits.analysis.crediting import Credits, credits
from keras_resunits.analysis.paths import Paths, paths
from keras_resunits.analysis.propagation import Comparison, Propagation, compare, propagation

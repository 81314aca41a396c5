"""Weights of a TensorFlow graph under construction: equal arrays are one constant or one variable."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

LARGEST_CONSTANTS = 32 * 2**20
"""The most bytes of weights that become constants. TensorFlow copies constants several times at the first request."""

SMALL = 2**14
"""Arrays of up to so many bytes are constants in any case: a variable has about ten operations of its own."""

_POOL = "keras_resunits/weights"


@dataclass(frozen=True)
class Placed:
    """An array in a graph.

    Args:
        key: What identifies its content.
        tensor: The array in the graph.
        variable: The variable whose value it is, or `None` for a constant.
        array: The array.
    """

    key: tuple
    tensor: tf.Tensor
    variable: tf.Variable | None
    array: np.ndarray


def place(weights: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
    """Return weights as tensors of the current graph; those that it holds already are shared."""
    constant = sum(array.nbytes for array in weights.values()) <= LARGEST_CONSTANTS
    pool = tf.compat.v1.get_default_graph().get_collection_ref(_POOL)
    held = {placed.key: placed.tensor for placed in pool}
    tensors = {}
    with tf.name_scope("weights/"), tf.control_dependencies(None):
        for name, array in weights.items():
            key = (array.shape, array.dtype.name, hashlib.sha256(array.tobytes()).digest())
            if key not in held:
                pool.append(_placed(name, key, array, constant or array.nbytes <= SMALL))
                held[key] = pool[-1].tensor
            tensors[name] = held[key]
    return tensors


def _placed(name: str, key: tuple, array: np.ndarray, constant: bool) -> Placed:
    if constant:
        return Placed(key, tf.constant(array, name=name), None, array)
    start = lambda: tf.zeros(array.shape, array.dtype)  # noqa: E731
    variable = tf.compat.v1.Variable(start, name=name, trainable=False, use_resource=True)
    return Placed(key, variable.read_value(), variable, array)


def load(graph: tf.Graph, session: tf.compat.v1.Session) -> None:
    """Give the variables of a graph under construction their values, and forget the arrays."""
    pool = graph.get_collection_ref(_POOL)
    starts = [(placed.variable.initializer, placed.array) for placed in pool if placed.variable is not None]
    session.run([start for start, _ in starts], {start.inputs[1]: array for start, array in starts})
    graph.clear_collection(_POOL)

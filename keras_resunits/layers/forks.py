"""Copies of a value for several readers, so that its gradients are added in pairs, in a fixed order."""

from __future__ import annotations

from keras_resunits.layers.backend import ON_TENSORFLOW, tf


def forks(x, count: int = 2) -> list:
    """Return `count` copies of `x`, one for each reader.

    TensorFlow sums three or more gradients (`AddN`) in an order that depends on which buffer happens to be free. The
    last bits of such a sum differ from step to step: with Keras' batch normalisation, 60 steps of one batch gave three
    values. Sums of two gradients do not differ. So every reader gets its own tensor, and each tensor is read at most
    twice.

    Example:

    >>> import numpy as np
    >>> [float(each) for each in forks(np.float32(2.0), 3)]
    [2.0, 2.0, 2.0]
    """
    found: list = []
    while len(found) < count - 1:
        found.append(_copy(x))
        x = _copy(x)
    return [*found, x]


def _copy(x):
    """Return a new tensor of the same value on TensorFlow, which copies no memory; elsewhere `x` itself."""
    return tf.identity(x) if ON_TENSORFLOW and tf.is_tensor(x) else x

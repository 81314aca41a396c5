"""Where one value is read several times: its gradients, added two by two."""

from __future__ import annotations

from keras_resunits.layers.backend import ON_TENSORFLOW, tf


def forks(x, count: int = 2) -> list:
    """`x` for `count` readers.

    TensorFlow adds three gradients or more in an order that depends on which buffer happens to be free, so that their
    sum's last bits differ from step to step (`AddN`; seen with Keras' batch normalisation, three values in 60 steps of
    one batch). Sums of two do not. So every reader has a tensor of its own, and of each tensor two at most are made.

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
    """Another tensor of the same value, on TensorFlow; there it costs no copying."""
    return tf.identity(x) if ON_TENSORFLOW and tf.is_tensor(x) else x

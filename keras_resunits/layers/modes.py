"""The mode of a computation outside a model: training or inference."""

from __future__ import annotations

from collections.abc import Callable

import keras


def in_mode(training: bool | None, function: Callable, *inputs):
    """Return `function(*inputs)`, whose layers run in training or inference mode, as in a model called so.

    Args:
        training: The mode; `None` for that of the calling layer or model.
        function: Calls layers.
        *inputs: Its inputs, tensors.

    Example:

    >>> import keras, numpy as np
    >>> from keras_resunits.layers.modes import in_mode
    >>> dropout = keras.layers.Dropout(0.5, seed=1)
    >>> x = np.ones((4, 4), "float32")
    >>> [sorted({float(v) for v in np.asarray(in_mode(mode, dropout, x)).ravel()}) for mode in (False, True)]
    [[1.0], [0.0, 2.0]]
    """
    return function(*inputs) if training is None else _Mode(function)(*inputs, training=training)


class _Mode(keras.layers.Layer):
    """Calls a function as a layer's body: Keras hands a layer's mode to the layers that it calls."""

    def __init__(self, function: Callable):
        super().__init__(autocast=False, dtype="float32", name="mode")  # the layers keep their own precisions
        self.body = (lambda *inputs: function(*inputs)) if isinstance(function, keras.layers.Layer) else function
        self.built = True

    def call(self, *inputs, training=None):
        return self.body(*inputs)

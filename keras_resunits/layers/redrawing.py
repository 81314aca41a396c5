"""New random weights for a built model, without building it again."""

from __future__ import annotations

import keras

DRAWN = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
"""The weights that Keras' layers and this package's initialise by an attribute `<name>_initializer`."""


def redraw(model: keras.Model) -> None:
    """Draw all weights again that have an initialiser; statistics start anew.

    A Keras initialiser without a seed repeats its draw, so each is cloned before. Those with a seed of their own repeat
    theirs. Draws follow `keras.utils.set_random_seed`.

    Args:
        model: A built model; changed in place.

    Example:

    >>> import keras, keras_resunits as kr
    >>> model = kr.ResNet(depth=8)
    >>> kernel = model.get_layer("classifier").kernel
    >>> before = keras.ops.convert_to_numpy(kernel).copy()
    >>> redraw(model)
    >>> bool((keras.ops.convert_to_numpy(kernel) != before).all())
    True
    """
    for layer in model._flatten_layers():
        for name in DRAWN:
            weight, initializer = getattr(layer, name, None), getattr(layer, f"{name}_initializer", None)
            if weight is not None and initializer is not None:
                weight.assign(initializer.clone()(weight.shape, dtype=weight.dtype))

"""Reduction of a FractalNet to its deepest columns."""

from __future__ import annotations

import keras

from keras_resunits.arguments import checked, require_network
from keras_resunits.models.fractal import Fractal
from keras_resunits.surgery.chains import put_together, take_apart


@checked(model=require_network)
def deepest_column(model: keras.Model) -> keras.Model:
    """Return a `FractalNet` that uses only its deepest columns at inference (Larsson et al. 2017, sec. 4.3).

    Args:
        model: A trained network with `Fractal` layers.

    Returns:
        A new model with the weights, paths, origins and `remat` of `model`, which remains unchanged.

    Raises:
        ValueError: if the model has no `Fractal` layers, or is no chain with units.

    Invariant: in training the same function; at inference that of the deepest columns.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.FractalNet(columns=2, filters=(8,), dropout=(0.0,))
    >>> kr.deepest_column(model).get_layer("unit000").branch.layers[0].deepest
    True
    """
    alone = put_together(take_apart(model))
    fractals = [layer for layer in alone._flatten_layers() if isinstance(layer, Fractal)]
    if not fractals:
        raise ValueError(f"`deepest_column` requires a network with `Fractal` layers. Received: '{model.name}'.")
    for fractal in fractals:
        fractal.deepest = True
    return alone

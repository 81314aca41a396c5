"""TODO: keras_resunits.surgery.columns"""

from __future__ import annotations

import keras

from keras_resunits.models.fractal import Fractal


def deepest_column(model: keras.Model) -> keras.Model:
    """A trained `FractalNet` whose deepest columns alone answer at inference (Larsson et al. 2017, sec. 4.3).

    Args:
        model: A network with `Fractal` layers.

    Returns:
        A new model with the old one's weights.

    Raises:
        ValueError: for a model without such layers.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.FractalNet(columns=2, filters=(8,), dropout=(0.0,))
    >>> kr.deepest_column(model).get_layer("unit000").branch.layers[0].deepest
    True
    """
    alone = keras.models.clone_model(model)
    alone.set_weights(model.get_weights())
    fractals = [layer for layer in alone._flatten_layers() if isinstance(layer, Fractal)]
    if not fractals:
        raise ValueError(f"`deepest_column` wants a network of `Fractal` layers. Received: '{model.name}'.")
    for fractal in fractals:
        fractal.deepest = True
    return alone

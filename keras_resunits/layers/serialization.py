"""Registration of classes for saving, and configs of layers that contain layers."""

from __future__ import annotations

import keras

register = keras.saving.register_keras_serializable(package="keras_resunits")


def serialized(layer: keras.layers.Layer) -> dict:
    """Return the config of a child layer, for its parent's `get_config`.

    The config omits the shapes the child was built for, so that the parent builds a revived child. The child's weights
    then keep their paths (`unit000/branch/conv1/kernel`, not `conv1/kernel`).
    """
    config = keras.saving.serialize_keras_object(layer)
    return {key: value for key, value in config.items() if key != "build_config"}


def revived(config: dict, *names: str) -> dict:
    """Return `config` with the children under `names` turned back into layers, for `from_config`."""
    return {**config, **{name: keras.saving.deserialize_keras_object(config[name]) for name in names}}

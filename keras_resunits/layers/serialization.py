"""The package's name in saved files, and layers inside layers' configs."""

from __future__ import annotations

import keras

register = keras.saving.register_keras_serializable(package="keras_resunits")


def serialized(layer: keras.layers.Layer) -> dict:
    """A child layer's config, for its parent's `get_config`.

    Without the shapes it was built for: a child that is revived waits for its parent to build it, so that its weights
    have the paths they had (`unit000/branch/conv1/kernel`, not `conv1/kernel`).
    """
    config = keras.saving.serialize_keras_object(layer)
    return {key: value for key, value in config.items() if key != "build_config"}


def revived(config: dict, *names: str) -> dict:
    """`config` with the children under `names` turned back into layers, for `from_config`."""
    return {**config, **{name: keras.saving.deserialize_keras_object(config[name]) for name in names}}

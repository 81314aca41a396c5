"""The package's name in saved files, and layers inside layers' configs."""

import keras

register = keras.saving.register_keras_serializable(package="keras_resunits")


def serialized(**layers) -> dict:
    """Configs of named child layers, for `get_config`."""
    return {name: keras.saving.serialize_keras_object(layer) for name, layer in layers.items()}


def revived(config: dict, *names: str) -> dict:
    """`config` with the children under `names` turned back into layers, for `from_config`."""
    return {**config, **{name: keras.saving.deserialize_keras_object(config[name]) for name in names}}

"""Loading of weights from any source, by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras

from keras_resunits.converters.checkpoints import TORCH_SUFFIXES, path_of
from keras_resunits.converters.errors import ConversionError
from keras_resunits.converters.heads import Told
from keras_resunits.converters.keras_applications import KERAS_SUFFIXES, load_keras_weights
from keras_resunits.converters.pytorch import load_torch_weights


def loader(
    source: str | Path, layout: str | None = None, on_other_head: Told | None = None
) -> Callable[[keras.Model], str]:
    """Return a function that loads the weights of `source` into a network and returns the layout's name.

    Args:
        source: "imagenet", a PyTorch checkpoint, or a weights file of `keras.applications` or of this package.
        layout, on_other_head: As for `load_torch_weights`.

    Raises:
        ConversionError: if a file is missing or of an unknown type, or a layout is given for another source than a
            PyTorch checkpoint. This is checked before any network is built.
    """
    wanted = f"weights end in {', '.join((*TORCH_SUFFIXES, *KERAS_SUFFIXES))}, or are 'imagenet'"
    name = path_of(source, wanted).name
    if source != "imagenet" and not name.endswith((*TORCH_SUFFIXES, *KERAS_SUFFIXES)):
        raise ConversionError(f"{wanted}. Received: '{source}'.")
    if source != "imagenet" and not Path(source).is_file():
        raise ConversionError(f"no such file: '{source}'.")
    if name.endswith(TORCH_SUFFIXES):
        return lambda model: load_torch_weights(model, source, layout, on_other_head)
    if layout:
        raise ConversionError(f"a layout is for PyTorch checkpoints. Received: layout={layout!r} with '{source}'.")
    return lambda model: load_keras_weights(model, source, on_other_head)

"""Weights of other programs as a `.keras` file that takes pixels: what a run begins from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from keras_resunits.converters.layouts import KERAS_LAYOUTS, TORCH_LAYOUTS
from keras_resunits.converters.loading import loader
from keras_resunits.converters.statistics import normalized, statistics_of
from keras_resunits.zoo import registry
from keras_resunits.zoo.pixels import published_pixels

from ..process.errors import BadInput
from ..process.files import stored
from ..settings.conversion import DATA, PIXELS_UNKNOWN, Conversion
from .network import of_images


def converted(
    conversion: Conversion,
    pixels: str | None,
    image_shape: tuple[int, int, int],
    classes: int,
    file: Path,
    told: Callable[[str], None],
) -> str:
    """Write the network with the weights of another program to a `.keras` file.

    Args:
        conversion: The network, and where its weights are.
        pixels: What normalised the pixels, as `--initial_pixels` gives it.
        image_shape: `(height, width, channels)` of the images.
        classes: Their number of classes. A head of another number is replaced by a new one.
        file: The `.keras` file to write. Unless `pixels` are those of the data, its network takes 0..255.
        told: Called with what is read, done to the head, and assumed of the pixels, in one line.

    Returns:
        What normalised the pixels, as given or as the library publishes it.

    Raises:
        BadInput: if the weights do not fit, cannot be downloaded, or nothing states what normalised their pixels.
        StorageError: if the file cannot be written.
    """
    conversion.require(pixels)
    heads: list[str] = []
    try:
        model = registry.create(conversion.network, input_shape=image_shape, classes=classes)
        layout = loader(conversion.weights, on_other_head=heads.append)(model)
        used = pixels or _published(conversion, layout)
        mean, _, deviation = used.partition("/")
        statistics = None if used == DATA else statistics_of(mean, deviation or None)
        model = normalized(model, statistics) if statistics else model
    except ValueError as error:
        text = " ".join(of_images(str(error), image_shape).split())
        raise BadInput(f"--initial_model={conversion}: {text}") from error
    with stored(f"the converted weights to {file.parent}"):
        model.save(file)
    head = heads[0].rpartition(": ")[2].rstrip(".") if heads else f"the head of {classes} classes is kept"
    by = f"{statistics}" if statistics else "the statistics of the training images"
    whose = f"assumed, as {conversion.network.partition('_')[0]} publishes; --initial_pixels states another"
    told(
        f"begins from {conversion} (layout {layout}): {head}; pixels: normalised by {by} "
        f"({'--initial_pixels' if pixels else whose})"
    )
    return used


def _published(conversion: Conversion, layout: str) -> str:
    """What the library publishes whose network and names of weights these are.

    Raises:
        ValueError: if they are of different ones.
    """
    library = conversion.network.partition("_")[0]
    known = layout in {**TORCH_LAYOUTS, **KERAS_LAYOUTS} and layout.startswith(f"{library}_")
    pixels = published_pixels(conversion.network) if known else None
    if pixels is None:
        raise ValueError(f"the weights have the layout {layout}, so {PIXELS_UNKNOWN}")
    return pixels

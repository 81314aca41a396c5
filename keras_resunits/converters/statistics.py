"""Mean and deviation of the pixels that weights were trained with, and a network that normalises by them itself."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py
import keras

from keras_resunits.layers.links import unlike_a_link
from keras_resunits.units.unit import Unit

NORMALIZING = (keras.layers.Normalization, keras.layers.Rescaling)


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of each channel, of pixels scaled to 0..1.

    Args:
        mean: One number for each channel, or one for all.
        deviation: Likewise.
        reverses: Whether the weights take blue, green and red, in this order. The statistics are those of red, green
            and blue all the same. Defaults to `False`.

    Example:

    >>> print(STATISTICS["imagenet"])
    mean 0.485, 0.456, 0.406 and deviation 0.229, 0.224, 0.225
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    reverses: bool = False

    def __str__(self) -> str:
        mean, deviation = (", ".join(f"{number:.4g}" for number in numbers) for numbers in (self.mean, self.deviation))
        return f"mean {mean} and deviation {deviation}{', in the order blue, green, red' * self.reverses}"

    def layer(self, channels: int) -> keras.layers.Normalization:
        """Return the layer that normalises pixels 0..255; it has no weights.

        Raises:
            ValueError: if there are neither `channels` numbers nor one, or channels would have to be reversed.
        """
        if self.reverses:
            raise ValueError(
                f"weights that take blue, green and red require another kernel in the stem, which "
                f"`python -m keras_resunits.converters` writes. Received: {self}."
            )
        return self._layer(channels)

    def _layer(self, channels: int) -> keras.layers.Normalization:
        counts = {len(self.mean), len(self.deviation)}
        if not counts <= {1, channels}:
            raise ValueError(f"expected 1 or {channels} numbers, one for each channel of the images. Received: {self}.")
        means, deviations = (
            [255.0 * number for number in (numbers * channels)[:channels]] for numbers in (self.mean, self.deviation)
        )
        variances = [deviation**2 for deviation in deviations]
        return keras.layers.Normalization(mean=means, variance=variances, name="normalization", dtype="float32")


STATISTICS = {
    "imagenet": Statistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": Statistics((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "caffe": Statistics((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255,) * 3, reverses=True),
}
"""By name: torchvision's for ImageNet, those of CIFAR-10's training images, and those of Caffe's networks, which
`keras.applications` has for its first ResNets: pixels 0..255 less their mean, in the order blue, green, red."""


def statistics_of(mean: str | None, std: str | None) -> Statistics | None:
    """Return the statistics that the options `--mean` and `--std` state; `None` without both.

    Args:
        mean: Numbers for pixels scaled to 0..1, separated by commas; or a name of `STATISTICS`, which states both.
        std: Likewise.

    Raises:
        ValueError: if only one is given, two names differ, or a number is out of range.

    Example:

    >>> print(statistics_of("0.5", "0.25,0.25,0.2"))
    mean 0.5 and deviation 0.25, 0.25, 0.2
    >>> statistics_of("cifar10", None) == STATISTICS["cifar10"]
    True
    """
    given = {text for text in (mean, std) if text is not None}
    if not given:
        return None
    if len(given) == 1 and given <= STATISTICS.keys():
        return STATISTICS[given.pop()]
    if mean is None or std is None or given & STATISTICS.keys():
        raise ValueError(
            f"--mean and --std must both be numbers, or one name: {', '.join(STATISTICS)}. "
            f"Received: --mean={mean} --std={std}."
        )
    return Statistics(_numbers(mean, "--mean", least=0.0), _numbers(std, "--std", least=math.ulp(0.0)))


def _numbers(text: str, option: str, least: float) -> tuple[float, ...]:
    try:
        numbers = tuple(map(float, text.split(",")))
    except ValueError:
        numbers = ()
    if not numbers or not all(least <= number <= 1 for number in numbers):
        above = "from 0" if least == 0 else "above 0"
        raise ValueError(
            f"{option} must be numbers {above} to 1, separated by commas, for pixels scaled to 0..1 (divide those for "
            f"0..255 by 255). Received: {option}={text}."
        )
    return numbers


def normalized(model: keras.Model, statistics: Statistics) -> keras.Model:
    """Return a copy of a network, with its weights, that takes pixels 0..255 and first normalises them.

    Args:
        model: A network of the package: a chain of layers.
        statistics: Of the pixels that its weights were trained with.

    Returns:
        A new model. Its weights have the same paths and order as those of `model`, and it has no
        `remat`.

    Raises:
        ValueError: if the statistics are of another number of channels, or reverse them, and the network does not begin
            with a convolution.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.ResNet(depth=8)
    >>> copy = normalized(model, STATISTICS["cifar10"])
    >>> [layer.name for layer in copy.layers][:3]
    ['images', 'normalization', 'stem']
    >>> [weight.path for weight in copy.weights] == [weight.path for weight in model.weights]
    True
    """
    copy = preceded(model, statistics._layer(model.input_shape[-1]))
    if statistics.reverses:
        _reverse_channels(copy)
    return copy


def _reverse_channels(model: keras.Model) -> None:
    """Let a network that takes blue, green and red take red, green and blue: the first kernel reads them reversed."""
    kernel = model.weights[0]
    if len(kernel.shape) != 4 or kernel.shape[2] != model.input_shape[-1]:
        raise ValueError(f"reversed channels require a convolution first. Received: '{kernel.path}' in '{model.name}'.")
    kernel.assign(keras.ops.flip(kernel, axis=2))


def preceded(model: keras.Model, layer: keras.layers.Layer) -> keras.Model:
    """Return a copy of a network, with its weights, that first applies a layer to the images.

    Args:
        model: A network. If it is a chain of layers, as the package's are, so is the copy; else the copy contains it.
        layer: A layer without weights that keeps the shape of the images.

    Example:

    >>> import keras_resunits as kr
    >>> [layer.name for layer in preceded(kr.ResNet(depth=8), keras.layers.Rescaling(1 / 255, name="scale")).layers][:3]
    ['images', 'scale', 'stem']
    """
    images = keras.Input(model.input_shape[1:], name="images")
    x = layer(images)
    if not _is_chain(model):
        return keras.Model(images, model(x), name=model.name)
    for each in model.layers[1:]:
        x = type(each).from_config(each.get_config())(x)
    copy = keras.Model(images, x, name=model.name)
    copy.set_weights(model.get_weights())
    return copy


def _is_chain(model: keras.Model) -> bool:
    """Whether each layer reads only what the one before it returns, and is called as in a chain."""
    first, *others = model.layers
    if not isinstance(first, keras.layers.InputLayer) or any(len(each._inbound_nodes) != 1 for each in others):
        return False
    nodes = [each._inbound_nodes[0] for each in (first, *others)]
    if any(unlike_a_link(each, node) for each, node in zip(others, nodes[1:], strict=True)):
        return False
    return all(list(after.input_tensors) == list(before.output_tensors) for before, after in pairwise(nodes))


def normalizing(model: keras.Model) -> keras.layers.Layer | None:
    """Return the layer that normalises or rescales pixels; units may hold others, which scale a shortcut or a branch.

    Example:

    >>> import keras_resunits as kr
    >>> normalizing(normalized(kr.ResNet(depth=8), STATISTICS["cifar10"])).name
    'normalization'
    >>> normalizing(kr.ResNet(depth=8, shortcut="constant_scaling"))
    """
    layers = list(model._flatten_layers())
    inside = {id(inner) for unit in layers if isinstance(unit, Unit) for inner in unit._flatten_layers()}
    return next((each for each in layers if isinstance(each, NORMALIZING) and id(each) not in inside), None)


def normalizing_class(path: Path) -> str | None:
    """Return the class of the layer that normalises or rescales in the network that a Keras file describes.

    Args:
        path: `.keras` or `.h5`; a file of weights describes no network.

    Returns:
        "Normalization" or "Rescaling"; `None` without one, or for a file that cannot be read.
    """
    try:
        described = _description(path)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    return next((each.__name__ for each in NORMALIZING if f'"class_name": "{each.__name__}"' in described), None)


def _description(path: Path) -> str:
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            return json.dumps(json.loads(archive.read("config.json")))
    with h5py.File(path, "r") as file:
        return json.dumps(json.loads(file.attrs["model_config"]))

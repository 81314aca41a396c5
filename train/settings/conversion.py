"""`--initial_model=NETWORK:WEIGHTS`: a network of the library by name, and weights of another program for it."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..process.errors import BadInput, first_line
from ..process.files import digest
from ..process.startup import importing

IMAGENET = "imagenet"
DATA = "data"
NAMED = re.compile(r"(\w+):(?!//)(.+)")
TRAINED = re.compile(r"\w+:[\w-]+")
WITHOUT_NETWORK = (".pt", ".pth", ".th", ".pth.tar", ".ckpt", ".bin", ".safetensors", ".h5", ".hdf5")
PIXELS_UNKNOWN = (
    "nothing states what normalised the pixels that these weights were trained with: pass --initial_pixels=imagenet, "
    "cifar10, caffe, MEAN/DEVIATION, or data for those of the training images."
)
SYNTAX = "NETWORK:WEIGHTS, such as torchvision_resnet50:resnet50.pth or keras_resnet50:imagenet"


@dataclass(frozen=True)
class Conversion:
    """Weights that training begins from once they are converted.

    Args:
        network: The name of the network.
        weights: A file, or "imagenet" for those of `keras.applications`.
    """

    network: str
    weights: str

    @classmethod
    def of(cls, text: str | None) -> Conversion | None:
        """The conversion that a value of `--initial_model` asks for; `None` for a file, or a trained network's name.

        >>> Conversion.of("torchvision_resnet50:weights/r50.pth")
        Conversion(network='torchvision_resnet50', weights='weights/r50.pth')
        >>> Conversion.of("preactresnet20:digits"), Conversion.of("net.keras")
        (None, None)
        """
        parts = NAMED.fullmatch(text or "")
        if parts is None or os.path.exists(parts[0]) or (TRAINED.fullmatch(parts[0]) and parts[2] != IMAGENET):
            return None
        return cls(parts[1], os.path.expanduser(parts[2]))

    def __str__(self) -> str:
        return f"{self.network}:{self.weights}"

    @property
    def is_here(self) -> bool:
        """Whether the weights are in a file that exists, or in none."""
        return self.weights == IMAGENET or os.path.exists(self.weights)

    def digest(self) -> str:
        """A SHA-256 of the network's name and of the weights' file.

        Raises:
            BadInput: if there is no such file, or it cannot be read.
        """
        weights = IMAGENET if self.weights == IMAGENET else file_digest(self.weights)
        return hashlib.sha256(f"{self.network}:{weights}".encode()).hexdigest()

    def require(self, pixels: str | None) -> None:
        """Check what can be checked before any network is built: names, the kind of the file, the pixels.

        Args:
            pixels: What `--initial_pixels` gives.

        Raises:
            BadInput: for an unknown network, a file that is not read or missing, or pixels that nothing states.
        """
        with importing():  # late: only the library knows
            from keras_resunits.converters.loading import loader
            from keras_resunits.converters.own import is_own
            from keras_resunits.converters.statistics import normalizing_class
            from keras_resunits.zoo.pixels import published_pixels
            from keras_resunits.zoo.registry import require_name
        try:
            require_name(self.network)
            loader(self.weights)
        except ValueError as error:
            raise BadInput(f"--initial_model={self}: {error}") from None
        if self.weights.endswith(".keras") and is_own(self.weights):
            raise BadInput(
                f"--initial_model={self}: the file has a network of its own: pass --initial_model={self.weights}."
            )
        if found := normalizing_class(Path(self.weights)):
            raise BadInput(
                f"--initial_model={self}: the file's network has a layer {found}, which prepares its pixels and would "
                "be left out. Save the network without it, and pass --initial_pixels."
            )
        if pixels is None and published_pixels(self.network) is None:
            raise BadInput(f"--initial_model={self}: {PIXELS_UNKNOWN}")
        require_pixels(pixels)


def require_pixels(text: str | None) -> None:
    """Check a value of `--initial_pixels`.

    Raises:
        BadInput: if it is neither a name nor mean and deviation.
    """
    if text in (None, DATA):
        return
    with importing():
        from keras_resunits.converters.statistics import STATISTICS, statistics_of
    mean, _, deviation = text.partition("/")
    try:
        statistics_of(mean, deviation or None)
    except ValueError:
        raise BadInput(
            f"--initial_pixels must be {', '.join(STATISTICS)}, {DATA}, or MEAN/DEVIATION of pixels scaled to 0..1, "
            f"such as 0.5,0.5,0.5/0.25,0.25,0.25; got {text}."
        ) from None


def require_network(path: str) -> None:
    """Refuse a file that has weights but no network.

    Raises:
        BadInput: with the form that names one.
    """
    if path.endswith(WITHOUT_NETWORK):
        raise BadInput(
            f"--initial_model={path}: such a file has weights but no network: pass {SYNTAX}. "
            "`python -m keras_resunits` lists the networks."
        )


def file_digest(path: str) -> str:
    """The SHA-256 of the file that training begins from.

    Raises:
        BadInput: if there is no such file, or it cannot be read.
    """
    if not os.path.isfile(path):  # a device may have no end
        raise BadInput(f"--initial_model={path}: there is no such file.")
    try:
        return digest(Path(path))
    except OSError as error:
        raise BadInput(f"--initial_model={path} cannot be read: {first_line(error)}.") from None

"""Trained networks of the package by name: a table with a row for each, and their weights beside it.

`tools/pretrained.py` makes rows and files from runs of the training program.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import keras

from keras_resunits.arguments import checked, near_matches, require_text
from keras_resunits.converters.statistics import Statistics

FOLDER = Path(__file__).parent
TABLE = "table.json"
SEPARATOR = ":"


@dataclass(frozen=True)
class Pretrained:
    """A trained network.

    Args:
        name: `<network>:<weights>`, such as "preactresnet20:fashion-mnist".
        family: The family that makes the network, such as "PreActResNet".
        arguments: Arguments of the family.
        input_shape: `(height, width, channels)` of the images.
        class_names: Names of the classes, in the order of the logits.
        mean: Mean of each channel of the training images, scaled to 0..1.
        std: Their standard deviation, likewise.
        data: The data set.
        test_images: Number of test images.
        correct: How many of them the network names rightly.
        correct_of_tenths: The same of every tenth test image, for a quick check.
        parameters: Number of trainable parameters.
        command: The command that trained it.
        seed: Its seed.
        code_licence: Licence of the code that made it, and of the weights.
        data_licence: Licence of the data.
        sha256: SHA-256 of the file.
    """

    name: str
    family: str
    arguments: Mapping[str, Any]
    input_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data: str
    test_images: int
    correct: int
    correct_of_tenths: int
    parameters: int
    command: str
    seed: int
    code_licence: str
    data_licence: str
    sha256: str

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Pretrained:
        """Return the record of a row of the table, whose sequences are lists."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in row.items()
        }
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """Return the row of the table."""
        return asdict(self)

    @property
    def weights(self) -> str:
        """The name of the weights, as the argument `weights` takes it: "fashion-mnist"."""
        return self.name.partition(SEPARATOR)[2]

    @property
    def accuracy(self) -> float:
        """The share of the test images that the network names rightly."""
        return self.correct / self.test_images

    @property
    def file(self) -> Path:
        """The file, not yet checked."""
        return FOLDER / f"{self.name.replace(SEPARATOR, '.')}.keras"

    @property
    def path(self) -> Path:
        """The `.keras` file, whose network takes pixels 0..255 and normalises them itself.

        Raises:
            ValueError: if the file is missing, or not the one of the table.
        """
        if not self.file.is_file():
            raise ValueError(f"the weights of '{self.name}' are missing: no such file: '{self.file}'.")
        if (found := hashlib.sha256(self.file.read_bytes()).hexdigest()) != self.sha256:
            raise ValueError(
                f"the weights of '{self.name}' are not those of the table: wanted SHA-256 {self.sha256[:12]}..., got "
                f"{found[:12]}... ('{self.file}')."
            )
        return self.file

    def normalization(self) -> keras.layers.Normalization:
        """Return the layer that turns pixels 0..255 into what the network expects; it has no weights."""
        return Statistics(self.mean, self.std).layer(self.input_shape[-1])


@cache
def table() -> Mapping[str, Pretrained]:
    """Return the records by name."""
    rows = json.loads((FOLDER / TABLE).read_text())
    return {row["name"]: Pretrained.from_dict(row) for row in rows}


@checked(name=require_text)
def pretrained(name: str) -> Pretrained:
    """Return the record of a trained network: its file, its normalisation, its class names, and how it was trained.

    Args:
        name: A name of `list_models(pretrained=True)`, such as "preactresnet20:fashion-mnist".

    Returns:
        A record with the fields of `Pretrained`. Its `path` is a `.keras` file that takes pixels 0..255; its
        `normalization()` is the layer for a network of `create(name)`, which expects normalised pixels.

    Raises:
        ValueError: if there is no such trained network; the message lists them.

    Example:

    >>> import keras_resunits as kr
    >>> record = kr.pretrained("preactresnet20:digits")
    >>> record.class_names[:3], record.input_shape
    (('0', '1', '2'), (8, 8, 1))
    """
    rows = table()
    if name not in rows:
        near = near_matches(name, rows)
        raise ValueError(f"no trained network {name!r}.{near} There are {', '.join(rows)}. Received: name={name!r}.")
    return rows[name]

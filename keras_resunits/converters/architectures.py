"""What a checkpoint says of its own architecture, where names and shapes of its weights do not tell it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_resunits.converters.contents import is_safetensors
from keras_resunits.converters.errors import ConversionError

BLURRED = re.compile(r"resnet(blur|aa)\d", re.IGNORECASE)
"""timm's ResNets that blur where they halve the image, with the names and shapes of torchvision's."""


def require_known_arithmetic(content: Any, where: str, path: Path | None = None) -> None:
    """Refuse a checkpoint that names an architecture whose computation its weights do not show.

    Args:
        content: What was read from the checkpoint; training programs store the architecture beside the weights.
        where: Name of the source, for the error message.
        path: The file, if there is one.

    Raises:
        ConversionError: if the content, the file's name, its safetensors metadata, or a `config.json` beside it (as on
            timm's pages) names one of timm's `resnetblur` or `resnetaa`.
    """
    for place, said in (*_said_in(content), *(_said_by(path) if path else ())):
        if BLURRED.search(said):
            raise ConversionError(
                f"{where} is of {said!r}, by {place}: that network blurs before it halves the image, and so computes "
                "something other than torchvision's ResNets of the same names and shapes. If it is not one, rename the "
                "file or pass the state dict."
            )


def _said_in(content: Any) -> Iterator[tuple[str, str]]:
    if isinstance(content, Mapping):
        for key in ("arch", "architecture"):
            if isinstance(said := content.get(key), str):
                yield f"its {key!r}", said


def _said_by(path: Path) -> Iterator[tuple[str, str]]:
    yield "its name", path.name
    if is_safetensors(path):
        yield from ((f"its metadata {key!r}", text) for key, text in _metadata(path).items())
    config = path.with_name("config.json")
    if config.is_file():
        try:
            said = json.loads(config.read_bytes())
        except ValueError:  # a file of that name that belongs to another program
            return
        yield from ((f"'{config}'", text) for _, text in _said_in(said))


def _metadata(path: Path) -> Mapping[str, str]:
    from safetensors import safe_open  # installed: the file has been read

    with safe_open(path, framework="numpy") as file:
        return file.metadata() or {}

"""Where the argument `weights` of every factory finds weights: trained networks by name, and files."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_resunits.models.family import Weights
from keras_resunits.models.head import TOP
from keras_resunits.models.network import require_shape
from keras_resunits.notices import warn
from keras_resunits.zoo.pretrained import Pretrained, table


def by_name(family: str, bound: inspect.BoundArguments, weights: Any) -> Weights | None:
    """Return trained weights of the package by their name; `None` if there are none of that name.

    Raises:
        ValueError: if they are of another network, or of images of another size.
    """
    rows = [row for row in table().values() if row.weights == weights]
    if not rows:
        return None
    choices = _choices(bound.signature, bound.arguments)
    row = next(
        (row for row in rows if row.family == family and _choices(bound.signature, row.arguments) == choices), None
    )
    if row is None:
        theirs = ", ".join(f"{row.family}({_written(row.arguments)})" for row in rows)
        stated = {"depth", *bound.arguments, *(name for row in rows if row.family == family for name in row.arguments)}
        given = {name: value for name, value in choices.items() if name in stated}
        raise ValueError(f"weights='{weights}' are those of {theirs}. Received: {family}({_written(given)}).")
    _require_shape(row, bound.arguments.get("input_shape"))
    return Weights(lambda model: _load(model, row), {"input_shape": row.input_shape, "classes": len(row.class_names)})


def _choices(signature: inspect.Signature, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that decide what a network computes, with the factory's defaults."""
    bound = signature.bind_partial(**arguments)
    bound.apply_defaults()
    return {name: value for name, value in bound.arguments.items() if name not in {*TOP, "classes", "input_shape"}}


def _written(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def _require_shape(row: Pretrained, given: Any) -> None:
    """Refuse images that the weights were not trained on; a height or width of `None` accepts them too."""
    if given is None:
        return
    sides = require_shape(given)
    if any(got not in (None, wanted) for got, wanted in zip(sides, row.input_shape, strict=True)):
        raise ValueError(
            f"weights='{row.weights}' were trained on images of another shape: wanted input_shape={row.input_shape}, "
            f"got {sides} ({row.name})."
        )


def _load(model: keras.Model, row: Pretrained) -> None:
    from keras_resunits.converters.own import carry_own  # late, as below

    carry_own(model, row.path, warn, row.name)


def from_file(family: str, bound: inspect.BoundArguments, weights: Any) -> Weights:
    """Return the weights of a file, or those of `keras.applications` by "imagenet".

    Raises:
        ConversionError: if there is no such file, or it is of an unknown type.
    """
    from keras_resunits.converters.errors import ConversionError  # late: few users need the libraries of converters
    from keras_resunits.converters.loading import loader

    try:
        return Weights(loader(weights, on_other_head=warn))
    except ConversionError as error:
        names = [row.weights for row in table().values() if row.family == family]
        if not names or not isinstance(weights, str) or Path(weights).suffix:
            raise
        raise ConversionError(
            f"{error} Trained weights of {family} by name: {', '.join(dict.fromkeys(names))}."
        ) from None

"""Networks by name: listing and creating them."""

from __future__ import annotations

import fnmatch
import os
from typing import Any

import keras

from keras_resunits.arguments import near_matches, require_bool
from keras_resunits.models.family import FAMILIES, FINDERS
from keras_resunits.units.bodies import Body
from keras_resunits.zoo.entry import Entry
from keras_resunits.zoo.networks import MODELS
from keras_resunits.zoo.pretrained import SEPARATOR, pretrained, table
from keras_resunits.zoo.weights import by_name, from_file

FINDERS.extend([by_name, from_file])


def list_models(pattern: str = "*", pretrained: bool = False) -> list[str]:
    """Return the sorted names of the networks that `create` makes.

    Networks whose names begin with another library's (`torchvision_resnet50`) return the same logits as that library's
    networks with its weights.

    Args:
        pattern: A pattern with the wildcards "*" and "?". Defaults to all names.
        pretrained: Whether to return the names of the trained networks instead, such as "preactresnet20:fashion-mnist",
            of which `pretrained(name)` has the details. Defaults to `False`.

    Returns:
        A list of names, empty if nothing matches.

    Raises:
        ValueError: if `pattern` is not a string, or `pretrained` not a bool.

    Example:

    >>> import keras_resunits as kr
    >>> kr.list_models("wrn16*")
    ['wrn16_10_cifar', 'wrn16_4_cifar', 'wrn16_4_dropout_cifar', 'wrn16_8_cifar']
    """
    if not isinstance(pattern, str):
        raise ValueError(f"`pattern` must be a string such as 'resnet*'. Received: pattern={pattern!r} (list_models).")
    names = table() if require_bool(pretrained, "pretrained", "list_models") else MODELS
    return sorted(fnmatch.filter(names, pattern))


def require_name(name: str) -> None:
    """Refuse a name that is neither that of a network nor that of a family."""
    if not isinstance(name, str):
        raise ValueError(f"`name` must be a string such as 'resnet50' or 'ResNet'. Received: name={name!r} (create).")
    if name not in {*MODELS, *FAMILIES}:
        hint = near_matches(name, [*FAMILIES, *MODELS])
        raise ValueError(
            f"unknown model {name!r}.{hint} Families: {', '.join(FAMILIES)}; `list_models()` has {len(list_models())} "
            f"more. Received: name={name!r} (create)."
        )


def check_depth(name: str, depth, block: str | Body | None = None) -> None:
    """Refuse a depth that does not exist for the network or family `name`, without building a network.

    Raises:
        ValueError: if the depth does not exist; the message is that of the factory and names the nearest.
    """
    made = _entry(name)
    if rule := FAMILIES[made.factory.__name__].depths:
        rule(depth, {**made.arguments, **({} if block is None else {"block": block})})


def _entry(name: str) -> Entry:
    """Return the entry of a network or a family."""
    return MODELS.get(name) or Entry(FAMILIES[name].build)


def accepts(name: str) -> set[str]:
    """Return the arguments that `create(name, ...)` accepts."""
    return FAMILIES[_entry(name).factory.__name__].accepts


def _trained(name: str, weights: str | os.PathLike | None, overrides: dict[str, Any]) -> keras.Model:
    """Create a trained network with its weights."""
    row = pretrained(name)
    if weights is not None:
        raise ValueError(f"'{name}' has weights of its own: give none. Received: weights={weights!r} (create).")
    return create(row.family, weights=row.weights, **{**row.arguments, **overrides})


def create(name: str, /, weights: str | os.PathLike | None = None, **overrides) -> keras.Model:
    """Create a network by its name in `list_models()`, or by the name of its family.

    Args:
        name: A network such as "preactresnet164_cifar" or "resnet50", a family such as "DenseNet", or a trained network
            such as "preactresnet20:fashion-mnist", which is created with its weights.
        weights: "imagenet" for a layout of `keras.applications`, from Keras' download cache; a PyTorch checkpoint or a
            weights file of `keras.applications` or this package (see `keras_resunits.converters`); or the name of
            trained weights, such as "fashion-mnist". A head for other classes is left as initialised, with a warning.
            Defaults to random weights.
        **overrides: Arguments of the family's factory, which replace those of the named network.

    Returns:
        A functional `keras.Model`, named `name`, or by its family's default.

    Raises:
        ValueError: if the name is unknown (the message suggests similar ones), the factory lacks or refuses an
            argument, or the weights are missing or do not fit the network.

    Example:

    >>> import keras_resunits as kr
    >>> kr.create("resnet20_cifar", classes=100).output.shape
    (None, 100)
    """
    if isinstance(name, str) and SEPARATOR in name:
        return _trained(name, weights, overrides)
    require_name(name)
    if unknown := sorted(overrides.keys() - accepts(name)):
        hint = near_matches(unknown[0], sorted(accepts(name)))
        raise ValueError(
            f"'{name}' has no argument {unknown[0]!r}.{hint} Received: {unknown[0]}={overrides[unknown[0]]!r}."
        )
    entry = _entry(name)
    arguments = {**({} if name in FAMILIES else {"name": name}), **entry.arguments, **overrides}
    return entry.factory(**arguments, weights=weights)

"""Networks by name: which there are, and how one is made."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import keras

from keras_resunits.arguments import near_matches
from keras_resunits.models.family import FAMILIES
from keras_resunits.units.bodies import Body
from keras_resunits.zoo.entry import Entry
from keras_resunits.zoo.networks import MODELS


def list_models(pattern: str = "*") -> list[str]:
    """The names of the networks that `create` makes, sorted.

    Those that begin with another library's name (`torchvision_resnet50`) answer as that library's do with its weights.

    Args:
        pattern: A wildcard, "*" and "?"; all by default.

    Returns:
        Names; none where nothing matches.

    Raises:
        ValueError: for a pattern that is no string.

    Example:

    >>> import keras_resunits as kr
    >>> kr.list_models("wrn16*")
    ['wrn16_10_cifar', 'wrn16_4_cifar', 'wrn16_4_dropout_cifar', 'wrn16_8_cifar']
    """
    if not isinstance(pattern, str):
        raise ValueError(f"`pattern` must be a string such as 'resnet*'. Received: pattern={pattern!r} (list_models).")
    return sorted(fnmatch.filter(MODELS, pattern))


def require_name(name: str) -> None:
    """Refuse a name that is neither a network's nor a family's."""
    if not isinstance(name, str):
        raise ValueError(f"`name` must be a string such as 'resnet50' or 'ResNet'. Received: name={name!r} (create).")
    if name not in {*MODELS, *FAMILIES}:
        hint = near_matches(name, [*FAMILIES, *MODELS])
        raise ValueError(
            f"unknown model {name!r}.{hint} Families: {', '.join(FAMILIES)}; `list_models()` has {len(list_models())} "
            "more."
        )


def check_depth(name: str, depth, block: str | Body | None = None) -> None:
    """Refuse a depth that the network or family `name` does not have, without making it.

    Raises:
        ValueError: naming the nearest, as the factories do.
    """
    made = _entry(name)
    if rule := FAMILIES[made.factory.__name__].depths:
        rule(depth, {**made.arguments, **({} if block is None else {"block": block})})


def _entry(name: str) -> Entry:
    """Of a network or a family."""
    return MODELS.get(name) or Entry(FAMILIES[name].build)


def accepts(name: str) -> set[str]:
    """The arguments that `create(name, ...)` takes."""
    return FAMILIES[_entry(name).factory.__name__].accepts


def create(name: str, /, weights: str | Path | None = None, **overrides) -> keras.Model:
    """A network by its name in `list_models()`, or by its family's.

    Args:
        name: "preactresnet164_cifar", "resnet50", ...; or a family, "DenseNet", with the arguments that follow.
        weights: "imagenet" for a layout of `keras.applications`, from Keras' download cache; or a PyTorch checkpoint
            or a weights file of `keras.applications` (see `keras_resunits.converters`). By default random.
        **overrides: Arguments of the family's factory, in place of the named network's.

    Returns:
        A functional `keras.Model`, named `name`.

    Raises:
        ValueError: for a name that is not known (naming near ones), an argument that the factory does not have or
            refuses, or weights that are not there or not this network's.

    Example:

    >>> import keras_resunits as kr
    >>> kr.create("resnet20_cifar", classes=100).output.shape
    (None, 100)
    """
    require_name(name)
    if unknown := sorted(overrides.keys() - accepts(name)):
        hint = near_matches(unknown[0], sorted(accepts(name)))
        raise ValueError(
            f"'{name}' has no argument {unknown[0]!r}.{hint} Received: {unknown[0]}={overrides[unknown[0]]!r}."
        )
    entry = _entry(name)
    arguments = {**({} if name in FAMILIES else {"name": name}), **entry.arguments, **overrides}
    if weights is None:
        return entry.factory(**arguments)
    from keras_resunits.converters.loading import loader  # here: it reads files with libraries that few want

    load = loader(weights)
    model = entry.factory(**arguments)
    load(model)
    return model

"""Networks by name: listing and creating them."""

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
    """Return the sorted names of the networks that `create` makes.

    Networks whose names begin with another library's (`torchvision_resnet50`) return the same logits as that library's
    networks with its weights.

    Args:
        pattern: A pattern with the wildcards "*" and "?". Defaults to all names.

    Returns:
        A list of names, empty if nothing matches.

    Raises:
        ValueError: if `pattern` is not a string.

    Example:

    >>> import keras_resunits as kr
    >>> kr.list_models("wrn16*")
    ['wrn16_10_cifar', 'wrn16_4_cifar', 'wrn16_4_dropout_cifar', 'wrn16_8_cifar']
    """
    if not isinstance(pattern, str):
        raise ValueError(f"`pattern` must be a string such as 'resnet*'. Received: pattern={pattern!r} (list_models).")
    return sorted(fnmatch.filter(MODELS, pattern))


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


def create(name: str, /, weights: str | Path | None = None, **overrides) -> keras.Model:
    """Create a network by its name in `list_models()`, or by the name of its family.

    Args:
        name: A network such as "preactresnet164_cifar" or "resnet50", or a family such as "DenseNet".
        weights: "imagenet" for a layout of `keras.applications`, from Keras' download cache; or a PyTorch checkpoint
            or a weights file of `keras.applications` (see `keras_resunits.converters`). Defaults to random weights.
        **overrides: Arguments of the family's factory, which replace those of the named network.

    Returns:
        A functional `keras.Model`, named `name`.

    Raises:
        ValueError: if the name is unknown (the message suggests similar ones), the factory lacks or refuses an
            argument, or the weights are missing or do not fit the network.

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
    from keras_resunits.converters.loading import loader  # late: few users need the libraries that it imports

    load = loader(weights)
    model = entry.factory(**arguments)
    load(model)
    return model

"""Parts of a network by patterns: those that are not trained, and those with a learning rate of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import accumulate

import keras

from keras_resunits.arguments import near_matches

from ..process.errors import BadInput


def names_of(path: str) -> list[str]:
    """A weight's path, and before it those of the layers around it.

    >>> names_of("unit000/branch/kernel")
    ['unit000', 'unit000/branch', 'unit000/branch/kernel']
    """
    return list(accumulate(path.split("/"), "{}/{}".format))


def matched(model: keras.Model, pattern: str, flag: str) -> list:
    """The weights of the parts that a pattern fits, moving statistics included.

    Args:
        model: A built network.
        pattern: A name as in `names_of`, with the wildcards of `fnmatch`, of which `*` also stands for "/".
        flag: The flag that it comes from, for messages.

    Raises:
        BadInput: if it fits nothing that is trained.
    """
    found = [weight for weight in model.weights if any(fnmatchcase(name, pattern) for name in names_of(weight.path))]
    if not found:
        known = dict.fromkeys(name for weight in model.weights for name in names_of(weight.path))
        parts = ", ".join(name for name in known if "/" not in name)
        raise BadInput(
            f"--{flag}: {pattern!r} fits no part of the network.{near_matches(pattern, known)} Parts: {parts}."
        )
    if not any(weight.trainable for weight in found):
        raise BadInput(f"--{flag}: {pattern!r} fits only weights that are not trained, such as {found[0].path!r}.")
    return found


def freeze(model: keras.Model, patterns: Sequence[str]) -> None:
    """Let the parts that the patterns fit be as they are: weights, and the moving statistics of whole norms.

    Raises:
        BadInput: if a pattern fits nothing, or nothing is left to train.
    """
    chosen = [weight for pattern in patterns for weight in matched(model, pattern, "freeze")]
    frozen = {id(weight) for weight in chosen}
    for layer in model._flatten_layers():
        if layer.weights and all(id(weight) in frozen for weight in layer.weights):
            layer.trainable = False  # a norm then uses its moving statistics in training too
    for weight in chosen:
        weight.trainable = False
    if not model.trainable_weights:
        raise BadInput(f"--freeze={','.join(patterns)} leaves nothing to train.")


def frozen_in_words(model: keras.Model, patterns: Sequence[str]) -> str:
    """How many parameters are frozen, and by what; nothing if none are."""
    own = [weight for layer in model._flatten_layers() for weight in layer._trainable_variables]
    kept = [weight for weight in own if not weight.trainable]
    frozen, total = (sum(math.prod(weight.shape) for weight in each) for each in (kept, own))
    by = f"--freeze={','.join(patterns)}" if patterns else "as in the file"
    return f"frozen: {frozen:,} of {total:,} trainable parameters ({by})" if frozen else ""


def rate_factors(model: keras.Model, factors: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The factor of the learning rate of each trained weight that a pattern fits, by path; the last pattern counts.

    Raises:
        BadInput: if a pattern fits nothing that is trained.
    """
    fitting = [(matched(model, pattern, "rates"), factor) for pattern, factor in factors]
    return {weight.path: factor for found, factor in fitting for weight in found if weight.trainable}

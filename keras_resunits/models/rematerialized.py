"""Networks that compute activations again in the backward pass, to train deep networks in little memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras

from keras_resunits.arguments import Kind, is_int
from keras_resunits.layers.forks import forks
from keras_resunits.layers.recomputation import recomputed
from keras_resunits.layers.serialization import register
from keras_resunits.layers.series import Series, from_norms
from keras_resunits.units.merges import Concat
from keras_resunits.units.unit import Unit, units_of

NAMES = ("unit", "auto", "norms")
require_remat: Kind[int | str] = Kind(
    "a number of units > 0, 'unit', 'auto' or 'norms'",
    lambda value: value > 0 if is_int(value) else isinstance(value, str) and value in NAMES,
    lambda value: int(value) if is_int(value) else value,
)


@register
class Rematerialized(keras.Model):
    """A chain of layers that is a `keras.Model` like any other, but whose training keeps fewer activations.

    Only `training=True` differs, and there only time and memory: outputs, gradients, random numbers and moving
    statistics are those of the same layers in a `keras.Model`.

    Args:
        *args: The input and the output of a chain of layers, some of which are units.
        remat: Units a segment, "unit", "auto" or "norms", as for `ResNet`.
        **kwargs: Keyword arguments of `keras.Model`.

    Raises:
        ValueError: if `remat` is none of these, more than there are units, or "norms" where no normalisation precedes
            weights; or missing, as in `keras.models.clone_model`, which does not pass it on.

    Example: a clone

    >>> import keras_resunits as kr
    >>> model = kr.PreActResNet(8, remat=2)
    >>> type(model).from_config(model.get_config()).remat
    2
    """

    def __init__(self, *args, remat: int | str | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        where = f"network '{self.name}'"
        if remat is None:
            raise ValueError(
                "a network with `remat` must be cloned by `type(model).from_config(model.get_config())`. Received: no "
                f"`remat`, as from `keras.models.clone_model` ({where})."
            )
        self.remat: int | str = require_remat(remat, "remat", where)
        count = len(units_of(self))
        if units_a_segment(self.remat, count) > count:
            raise ValueError(
                f"`remat` must be at most the number of units, {count}. Received: remat={remat} ({where})."
            )
        if self.remat == "norms":
            _recompute_norms(self, where)

    def call(self, inputs, training=None, mask=None):
        if not training or self.remat == "norms":
            return super().call(inputs, training=training, mask=mask)
        (x,) = self._standardize_inputs(inputs)
        parts: tuple = ()  # what x is concatenated of, after units that grow
        for segment in segments(self.layers[1:], units_a_segment(self.remat, len(units_of(self)))):
            first = segment[0]
            if grows(first):
                x, z = forks(x)
                branch = recomputed([first.branch], z, parts)
                parts = (*(parts or [x]), branch)
                x = first.merge(x, branch, z)
                continue
            # explicitly: `stateless_call` sets no mode that layers could inherit
            x = recomputed(segment, x, parts) if isinstance(first, Unit) else first(x, training=True)
            parts = ()
        return x

    def get_config(self):
        return {**super().get_config(), "remat": self.remat}


def chain(images, x, name: str | None, remat: int | str | None) -> keras.Model:
    """Return the model of a chain of layers, whose training computes activations again unless `remat` is `None`."""
    return keras.Model(images, x, name=name) if remat is None else Rematerialized(images, x, name=name, remat=remat)


def remat_of(model: keras.Model) -> int | str | None:
    """Return what a network computes again; `None` for nothing."""
    return model.remat if isinstance(model, Rematerialized) else None


def kept(remat: int | str | None, layers: Sequence[keras.layers.Layer]) -> int | str | None:
    """Return what of `remat` other layers can keep.

    A segment has at most all units. "norms" is `None` where no normalisation precedes weights any more.

    >>> import keras_resunits as kr
    >>> folded = kr.surgery.fold(kr.ResNet(8)).layers
    >>> [kept(remat, folded) for remat in (2, 20, "auto", "norms", None)]
    [2, 3, 'auto', None, None]
    """
    if isinstance(remat, int):
        return min(remat, sum(isinstance(layer, Unit) for layer in layers))
    return None if remat == "norms" and not _able(layers) else remat


def units_a_segment(remat: int | str, units: int) -> int:
    """Return how many of a network's units form a segment.

    A segment keeps about three times the activations of its input, so `n` units take the least memory in segments of
    the square root of `n / 3`.

    >>> [units_a_segment(remat, 54) for remat in (2, "unit", "auto")]
    [2, 1, 4]
    """
    if isinstance(remat, int):
        return remat
    return max(1, round(math.sqrt(units / 3))) if remat == "auto" else 1


def segments(layers, units: int) -> list[list[keras.layers.Layer]]:
    """Return the layers in order, consecutive units in segments of at most `units`, all others alone.

    Units that grow are alone too: their outputs are kept anyway, as parts of the inputs that follow.
    """
    found: list[list[keras.layers.Layer]] = []
    for layer in layers:
        if found and len(found[-1]) < units and _joins(layer) and _joins(found[-1][0]):
            found[-1].append(layer)
        else:
            found.append([layer])
    return found


def _joins(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, Unit) and not grows(layer)


def grows(layer: keras.layers.Layer) -> bool:
    """Return whether a layer is a unit that adds channels to what it gets and changes nothing of it, `x' = [x, F(x)]`.

    >>> import keras_resunits as kr
    >>> [grows(layer) for layer in kr.DenseNet([1, 1, 1], (8, 8, 3)).layers[1:5]]
    [False, True, False, True]
    """
    if type(layer) is not Unit or type(layer.merge) is not Concat:  # a subclass may have another equation
        return False
    return all(type(each) is keras.layers.Identity for each in (layer.entry, layer.shortcut, layer.exit))


def _recompute_norms(model: keras.Model, where: str) -> None:
    """Let every series of a model compute its normalisations and activations again."""
    able = _able([model])
    if not able:
        raise ValueError(
            "remat='norms' requires normalisations that precede weights. Received: a network without any "
            f"({where}); use remat='unit'."
        )
    for layer in able:
        layer.recomputes_norms = True


def _able(layers: Sequence[keras.layers.Layer]) -> list[Series]:
    """Return the series inside layers in which a normalisation or activation precedes weights."""
    series = [inner for layer in layers for inner in layer._flatten_layers() if isinstance(inner, Series)]
    return [each for each in series if any(len(run) > 1 for run in from_norms(each.layers))]

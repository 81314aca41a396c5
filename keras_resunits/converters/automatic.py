"""Weights under Keras' automatic names (`conv2d_17`), which tell the kind of a layer and when it was made, no more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_resunits.converters.checkpoints import State
from keras_resunits.converters.errors import ConversionError
from keras_resunits.converters.heads import BIAS, KERNEL, Told, is_other, without
from keras_resunits.converters.spelling import norms_of

NAME = "keras_automatic"
EPSILON = 1e-3  # of Keras' batch normalisation, by default
ORDERS = (("entry", "shortcut", "branch"), ("entry", "branch", "shortcut"))  # in which a unit's layers may be made
TOLERANCE = 1e-3  # of the largest logit

_NAMED = re.compile(r"(conv2d|batch_normalization|dense)(?:_(\d+))?")

Layers = dict[str, list[dict[str, np.ndarray]]]


def is_automatic(theirs: State) -> bool:
    """Return whether all layers have automatic names.

    Example:

    >>> is_automatic({"conv2d_17/kernel": 0, "dense/bias": 0}), is_automatic({"conv1_conv/kernel": 0})
    (True, False)
    """
    return all(_NAMED.fullmatch(name.rpartition("/")[0]) for name in theirs)


def with_our_head(model: keras.Model, theirs: State, where: str, told: Told | None) -> State:
    """Return the weights with the network's head in the place of their last dense layer, if that is another one."""
    head = max((name for name in theirs if name.startswith("dense")), key=_made, default="dense/").rpartition("/")[0]
    kernel, bias = f"{head}/kernel", f"{head}/bias"
    if not is_other(model, theirs[bias].size if bias in theirs else None, where, told):
        return theirs
    ours = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}
    own = {theirs_: ours[path] for theirs_, path in ((kernel, KERNEL), (bias, BIAS)) if path in ours}
    return {**without(theirs, kernel, bias), **own}


def carry_by_order(model: keras.Model, theirs: State, where: str, source: keras.Model | None = None) -> None:
    """Assign every weight of `model` by the order in which their layers were made, and by shape.

    Programs make a unit's shortcut before its branch or after it, in all units alike. Weights that fit in only one of
    these orders are assigned.

    Args:
        model: A network of this package; changed in place.
        theirs: The other network's weights, `{"conv2d_17/kernel": array}`.
        where: Name of the source, for the error message.
        source: The other network, if it is at hand: its answers are then compared, and decide between the orders.

    Raises:
        ConversionError: if the weights fit in neither order, or the answers of `source` differ. Without `source`, also
            if they fit in both orders, the network's epsilon is not Keras' default, or a convolution larger than 1x1
            has a stride, since Keras can pad it in two ways. The model is unchanged then.
    """
    fits = list(_fits(model, _by_kind(theirs), where))
    if source is None and (unclear := _unclear(model, len(fits))):
        raise ConversionError(
            f"{where} does not tell {unclear} (network '{model.name}'). Load the other network in Keras and pass it to "
            "`load_keras_weights`, which then compares the answers."
        )
    before = model.get_weights()
    for arrays in fits:
        for variable in model.weights:
            variable.assign(arrays[variable.path])
        if source is None or _agree(model, source):
            return
    model.set_weights(before)
    raise ConversionError(
        f"{where} computes something other than network '{model.name}': their answers differ. With a stride, for one, "
        "Keras' padding='same' pads on one side only, and this package on both."
    )


def _unclear(model: keras.Model, fits: int) -> str | None:
    """Return what weights alone do not tell; `None` if the network leaves nothing open."""
    layers = list(model._flatten_layers())
    strided = [each for each in layers if isinstance(each, keras.layers.Conv2D) and max(each.strides) > 1]
    if fits > 1:
        return "whether shortcuts were made before the branches or after them: both fit"
    if odd := [norm for norm in norms_of(model) if not np.isclose(norm.epsilon, EPSILON)]:
        return f"epsilon: wanted Keras' default, {EPSILON}, got {odd[0].epsilon} in '{odd[0].path}'"
    if wide := [each for each in strided if max(each.kernel_size) > 1]:
        return f"how '{wide[0].path}', which has a stride, was padded"
    return None


def _made(name: str) -> int:
    """Return the number at the end of a layer's name, which counts those made before it."""
    return int(_NAMED.match(name)[2] or 0)  # type: ignore[index]


def _by_kind(theirs: State) -> Layers:
    """Return the weights of their layers by kind, in the order in which they were made."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, array in theirs.items():
        layer, leaf = name.rsplit("/", 1)
        layers.setdefault(layer, {})[leaf] = array
    kinds: Layers = {}
    for layer in sorted(layers, key=_made):
        kinds.setdefault(_NAMED.fullmatch(layer)[1], []).append(layers[layer])  # type: ignore[index]
    return kinds


def _fits(model: keras.Model, theirs: Layers, where: str) -> Iterator[State]:
    """Yield the weights by our paths, for each different order in which they fit; refuse weights that fit in none."""
    seen: list[dict[str, int]] = []
    found = False
    for order in ORDERS:
        ours = _ours(model, order)
        counts, wanted = ({kind: len(layers) for kind, layers in each.items()} for each in (theirs, ours))
        if counts != wanted:
            raise ConversionError(
                f"{where} has other layers than network '{model.name}': wanted {wanted}, got {counts}."
            )
        pairs = [pair for kind, layers in ours.items() for pair in zip(layers, theirs[kind], strict=True)]
        if any(_shapes(our) != _shapes(their) for our, their in pairs):
            continue
        found = True
        place = {variable.path: id(their[leaf]) for our, their in pairs for leaf, variable in our.items()}
        if place not in seen:
            seen.append(place)
            yield {variable.path: their[leaf] for our, their in pairs for leaf, variable in our.items()}
    if not found:
        raise ConversionError(
            f"{where} has layers of other shapes than network '{model.name}', or in another order: their biases and "
            "shapes must be ours, layer by layer, with every shortcut made before its branch or after it."
        )


def _shapes(layer: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {leaf: tuple(values.shape) for leaf, values in layer.items()}


def _ours(model: keras.Model, order: tuple[str, ...]) -> dict[str, list[dict[str, keras.Variable]]]:
    """Return the variables of our layers by kind, as a program with this order in its units would have made them."""
    layers: dict[str, dict[str, keras.Variable]] = {}
    for variable in model.weights:
        layer, leaf = variable.path.rsplit("/", 1)
        layers.setdefault(layer, {})[leaf] = variable
    units = list(dict.fromkeys(layer.split("/")[0] for layer in layers))

    def made(layer: str) -> tuple[int, int]:
        unit, *slot = layer.split("/")
        return units.index(unit), order.index(slot[0]) if slot and slot[0] in order else -1

    kinds: dict[str, list[dict[str, keras.Variable]]] = {}
    for layer in sorted(layers, key=made):
        kinds.setdefault(_kind(layers[layer]), []).append(layers[layer])
    return kinds


def _kind(layer: dict[str, keras.Variable]) -> str:
    if "moving_mean" in layer:
        return "batch_normalization"
    rank = len(layer["kernel"].shape) if "kernel" in layer else 0
    return {4: "conv2d", 2: "dense"}.get(rank, "other")


def _agree(model: keras.Model, source: keras.Model) -> bool:
    shape = [side or 32 for side in model.input_shape[1:]]
    images = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    ours, theirs = (keras.ops.convert_to_numpy(each(images, training=False)) for each in (model, source))
    return ours.shape == theirs.shape and bool(np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max())

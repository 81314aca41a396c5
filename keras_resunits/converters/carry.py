"""Copying weights from one network to another by name: all of them, or none and an error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from keras_resunits.converters.checkpoints import State, listed
from keras_resunits.converters.errors import ConversionError
from keras_resunits.converters.heads import BIAS, KERNEL, Told, is_other, without
from keras_resunits.converters.layouts import TORCH_LEAVES, Layout
from keras_resunits.converters.places import places_of
from keras_resunits.converters.spelling import in_words, norms_of, spelled, spelled_head, spelled_stem
from keras_resunits.units.unit import units_of


def carry(
    model: keras.Model, theirs: State, layout: Layout, where: str = "the source", on_other_head: Told | None = None
) -> None:
    """Assign every weight of `model` from `theirs`, by the layout's rules.

    Args:
        model: A network of this package; changed in place.
        theirs: The other network's weights, `{name: array}`.
        layout: Their names for our layers.
        where: Name of the source, for the error message.
        on_other_head: As for `load_torch_weights`.

    Raises:
        ConversionError: if a weight is left over on either side, shapes differ, or the network's arithmetic is not that
            of the layout. Nothing is assigned then.
    """
    _require_arithmetic(model, layout, where)
    theirs, names = layout.renamed(theirs), names_of(model, layout)
    kernel, bias = (layout.name_of(path, {}) for path in (KERNEL, BIAS))
    if is_other(model, theirs[bias].size if bias in theirs else None, where, on_other_head):
        theirs, names = without(theirs, kernel, bias), without(names, KERNEL, BIAS)
    complete = _complete(names, theirs, layout, where)
    carried = [variable for variable in model.weights if variable.path in complete]
    arrays = {each.path: _oriented(theirs[complete[each.path]], each, layout) for each in carried}
    require_shapes(carried, arrays, where, complete)
    for variable in carried:
        variable.assign(arrays[variable.path])


def names_of(model: keras.Model, layout: Layout) -> dict[str, str | None]:
    """Return their name of each of the model's variables by its path; `None` if the layout has no rule."""
    places = places_of(model)
    return {variable.path: layout.name_of(variable.path, places) for variable in model.weights}


def nearest_layout(model: keras.Model, theirs: State, layouts: Sequence[Layout], where: str) -> Layout:
    """Return the layout that matches most of their names; ties are decided by the network's arithmetic.

    Raises:
        ConversionError: if most names of the source, named `where`, are of no layout.
    """

    def explained(layout: Layout) -> tuple[int, bool, bool, int]:
        names = {name for name in names_of(model, layout).values() if name}
        common = len(names & set(layout.renamed(theirs)))
        return common, common == len(theirs), mismatch(model, layout) is None, len(names & set(theirs))

    _require_known(model, theirs, layouts, where)
    return max(layouts, key=explained)


KNOWN_SHARE = 0.5  # of the names; a checkpoint of a layout may hold some others, one of no layout shares `fc.weight`


def _require_known(model: keras.Model, theirs: State, layouts: Sequence[Layout], where: str) -> None:
    """Refuse names of no layout, before the network's arithmetic is blamed for them."""
    nearest = max(layouts, key=lambda layout: len(layout.known(theirs)))
    known = nearest.known(theirs)
    if len(known) < KNOWN_SHARE * len(theirs):
        unknown = sorted(set(theirs) - set(known))
        wanted = [name for name in names_of(model, nearest).values() if name and name not in known]
        raise ConversionError(
            f"the names of {where} are of no known layout: the nearest, '{nearest.name}', has {len(known)} of "
            f"{len(theirs)}. It lacks {listed(unknown, 3)}; for network '{model.name}' it expects names such as "
            f"{listed(wanted, 3)}."
        )


def _require_arithmetic(model: keras.Model, layout: Layout, where: str) -> None:
    found = mismatch(model, layout)
    if found:
        raise ConversionError(
            f"{where} does not fit: network '{model.name}' computes something other than those of layout "
            f"'{layout.name}': {found}"
        )


def mismatch(model: keras.Model, layout: Layout) -> str | None:
    """Return how the model's arithmetic differs from that of the layout; `None` if it does not."""
    if spelled_stem(model) not in layout.stems:
        return f"wanted a stem of {' or '.join(map(in_words, layout.stems))}, got {in_words(spelled_stem(model))}."
    for unit in units_of(model):
        if not re.fullmatch(layout.units, spelled(unit)):
            return f"wanted {layout.says}, got {in_words(spelled(unit))} in '{unit.name}'."
    if (head := spelled_head(model)) not in ("", "nr"):
        return f"wanted norm ReLU before the pooling, got {in_words(head)}."
    for norm in norms_of(model):
        if not np.isclose(norm.epsilon, layout.epsilon, rtol=1e-6, atol=0):
            return f"wanted epsilon {layout.epsilon}, got {norm.epsilon} in '{norm.path}'."
    return None


def _complete(names: dict[str, str | None], theirs: State, layout: Layout, where: str) -> dict[str, str]:
    """Return the names; refuse weights that only one side has."""
    unruled = [path for path, name in names.items() if name is None]
    missing = {path: name for path, name in names.items() if name and name not in theirs}
    unused = sorted(set(theirs) - set(names.values()))
    complaints = [
        f"{len(found)} {what}: {listed(found)}"
        for found, what in (
            (
                [f"{name} (for '{path}')" for path, name in missing.items()],
                f"that the network requires are not in {where}",
            ),
            (unused, f"of {where} have no place in the network"),
            (unruled, "of the network have no name in the layout"),
        )
        if found
    ]
    if complaints:
        text = f"weights are left over in layout '{layout.name}'. " + ". ".join(complaints) + "."
        raise ConversionError(text, list(missing.values()), unused)
    return {path: name for path, name in names.items() if name}


def _oriented(array: np.ndarray, variable: keras.Variable, layout: Layout) -> np.ndarray:
    """Turn `[out, in, height, width]` and `[out, in]` of Torch into Keras' `[height, width, in, out]`, `[in, out]`."""
    if layout.leaves is not TORCH_LEAVES or not variable.path.endswith("/kernel") or array.ndim < 2:
        return array
    if len(variable.shape) == 2 and array.shape[2:] == (1, 1):  # timm's dense layers are 1x1 convolutions
        array = array.reshape(array.shape[:2])
    return np.moveaxis(array, (0, 1), (-1, -2))


def require_shapes(variables: Sequence[keras.Variable], arrays: State, where: str, names: Mapping[str, str]) -> None:
    """Refuse arrays, by our paths, of other shapes than the variables; `names` are the source's."""
    wrong = [
        f"wanted {tuple(variable.shape)}, got {arrays[variable.path].shape} for '{variable.path}' from "
        f"'{names[variable.path]}'"
        for variable in variables
        if tuple(variable.shape) != arrays[variable.path].shape
    ]
    if wrong:
        raise ConversionError(f"{len(wrong)} of the shapes in {where} do not fit, in Keras' order: {listed(wrong)}.")

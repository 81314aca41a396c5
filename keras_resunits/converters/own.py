"""Weights of this package's own networks: a model, a `.keras` file, or a `.weights.h5` file."""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from keras_resunits.converters.carry import require_shapes
from keras_resunits.converters.checkpoints import listed
from keras_resunits.converters.errors import ConversionError
from keras_resunits.converters.heads import BIAS, KERNEL, Told, is_other, without
from keras_resunits.converters.spelling import in_words, norms_of, spelled, spelled_head, spelled_stem
from keras_resunits.units.unit import Unit, units_of

NAME = "keras_resunits"
REGISTERED = keras.saving.get_registered_name(Unit)
UNIT_GROUP, HEAD_BIAS = "layers/unit", "layers/dense/vars/1"  # of Keras, in a `.weights.h5` of a network


def is_own(source: Any) -> bool:
    """Return whether a model or a file is of a network of this package; `False` for a file that cannot be read."""
    if isinstance(source, keras.Model):
        return bool(units_of(source))
    if not isinstance(source, (str, os.PathLike)):
        return False
    path = Path(source)
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                return f'"{REGISTERED}"' in archive.read("config.json").decode()
        with h5py.File(path, "r") as file:
            return UNIT_GROUP in file
    except (OSError, KeyError, zipfile.BadZipFile):
        return False


def carry_own(
    model: keras.Model, source: Path | keras.Model, on_other_head: Told | None = None, where: str | None = None
) -> None:
    """Assign every weight of `model` from another network of this package.

    Args:
        model: A network; changed in place.
        source: The other network, or a file of it. A `.weights.h5` file does not hold what its network computes, so
            only structure and shapes are compared.
        on_other_head: As for `load_torch_weights`.
        where: Name of the source, for messages. Defaults to that of the model or the file.

    Raises:
        ConversionError: if the file is damaged, the networks compute different functions, or weights or shapes differ.
            The model is unchanged then.
    """
    if isinstance(source, keras.Model):
        _carry_by_path(model, source, where or f"the model '{source.name}'", on_other_head)
    elif source.suffix == ".keras":
        _carry_by_path(model, _loaded(source), where or f"'{source}'", on_other_head)
    else:
        _carry_by_structure(model, source, where or f"'{source}'", on_other_head)


def _loaded(path: Path) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile, json.JSONDecodeError) as error:
        raise ConversionError(f"'{path}' is not a readable Keras file: {' '.join(str(error).split())}") from error


def _carry_by_path(model: keras.Model, source: keras.Model, where: str, told: Told | None) -> None:
    if found := _difference(model, source):
        raise ConversionError(f"{where} computes something other than network '{model.name}': {found}.")
    theirs = {weight.path: keras.ops.convert_to_numpy(weight) for weight in source.weights}
    ours = {weight.path: weight for weight in model.weights}
    if is_other(model, theirs[BIAS].size if BIAS in theirs else None, where, told):
        theirs, ours = without(theirs, KERNEL, BIAS), without(ours, KERNEL, BIAS)
    missing, unused = sorted(ours.keys() - theirs.keys()), sorted(theirs.keys() - ours.keys())
    if missing or unused:
        parts = {f"{where} lacks": missing, f"network '{model.name}' lacks": unused}
        text = "; ".join(f"{who} {listed(names)}" for who, names in parts.items() if names)
        raise ConversionError(f"weights are left over: {text}.", missing, unused)
    require_shapes(list(ours.values()), theirs, where, {path: path for path in ours})
    for path, variable in ours.items():
        variable.assign(theirs[path])


def _difference(model: keras.Model, source: keras.Model) -> str | None:
    """Return how the arithmetic of two networks differs; `None` if it does not."""
    ours, theirs = (list(map(spelled, units_of(each))) for each in (model, source))
    if len(ours) != len(theirs):
        return f"wanted {len(ours)} units, got {len(theirs)}"
    for unit, our, their in zip(units_of(model), ours, theirs, strict=True):
        if our != their:
            return f"wanted {in_words(our)}, got {in_words(their)} in '{unit.name}'"
    for part, spell in (("the stem", spelled_stem), ("the last layers", spelled_head)):
        if spell(model) != spell(source):
            return f"wanted {in_words(spell(model))}, got {in_words(spell(source))} in {part}"
    for our, their in zip(norms_of(model), norms_of(source), strict=False):
        if not np.isclose(our.epsilon, their.epsilon, rtol=1e-6, atol=0):
            return f"wanted epsilon {our.epsilon}, got {their.epsilon} in '{our.path}'"
    return None


def _carry_by_structure(model: keras.Model, path: Path, where: str, told: Told | None) -> None:
    """Let Keras load the file; with another head, only into the layers before the network's own."""
    with h5py.File(path, "r") as file:
        head = file[HEAD_BIAS].shape[-1] if HEAD_BIAS in file else None
        units = sum(re.fullmatch(r"unit(_\d+)?", name) is not None for name in file["layers"])
    if units != len(units_of(model)):
        wanted = f"wanted {len(units_of(model))} units, got {units}"
        raise ConversionError(f"{where} does not fit network '{model.name}': {wanted}.")
    other = is_other(model, head, where, told)
    target = keras.Model(model.input, model.layers[-2].output) if other and _has_head(model) else model
    before = model.get_weights()
    try:
        target.load_weights(path)
    except (ValueError, KeyError, OSError) as error:
        model.set_weights(before)
        raise ConversionError(f"{where} does not fit network '{model.name}': {' '.join(str(error).split())}") from None


def _has_head(model: keras.Model) -> bool:
    return model.layers[-1].name == "classifier"

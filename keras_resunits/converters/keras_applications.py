"""Weights of `keras.applications`: a model, a weights file, or the ImageNet weights in Keras' download cache."""

from __future__ import annotations

import io
import os
import zipfile
from collections import Counter
from pathlib import Path

import h5py
import keras
import numpy as np

from keras_resunits.converters.automatic import NAME as AUTOMATIC
from keras_resunits.converters.automatic import carry_by_order, is_automatic, with_our_head
from keras_resunits.converters.carry import carry, mismatch, nearest_layout
from keras_resunits.converters.checkpoints import State, path_of
from keras_resunits.converters.errors import ConversionError
from keras_resunits.converters.heads import Told, classes_of
from keras_resunits.converters.layouts import KERAS_DENSENET, KERAS_LAYOUTS, KERAS_RESNET, KERAS_RESNETV2
from keras_resunits.converters.own import NAME as OWN
from keras_resunits.converters.own import carry_own, is_own
from keras_resunits.converters.places import places_of

KERAS_SUFFIXES = (".h5", ".hdf5", ".keras")
NORM_LEAVES = ("gamma", "beta", "moving_mean", "moving_variance")
WEIGHT_LEAVES = ("kernel", "bias")
IMAGENET_CLASSES = 1000
APPLICATIONS: dict[tuple[str, tuple[int, ...]], str] = {  # by layout and units of each stage
    (KERAS_RESNET.name, (3, 4, 6, 3)): "ResNet50",
    (KERAS_RESNET.name, (3, 4, 23, 3)): "ResNet101",
    (KERAS_RESNET.name, (3, 8, 36, 3)): "ResNet152",
    (KERAS_RESNETV2.name, (3, 4, 6, 3)): "ResNet50V2",
    (KERAS_RESNETV2.name, (3, 4, 23, 3)): "ResNet101V2",
    (KERAS_RESNETV2.name, (3, 8, 36, 3)): "ResNet152V2",
    (KERAS_DENSENET.name, (6, 12, 24, 16)): "DenseNet121",
    (KERAS_DENSENET.name, (6, 12, 32, 32)): "DenseNet169",
    (KERAS_DENSENET.name, (6, 12, 48, 32)): "DenseNet201",
}


def load_keras_weights(model: keras.Model, source: str | Path | keras.Model, on_other_head: Told | None = None) -> str:
    """Load the weights of a network of `keras.applications` into `model`, so that both return the same logits.

    Networks of this package, and files of them, are taken likewise. A `.weights.h5` file of one does not hold what its
    network computes: only structure and shapes are compared. Weights under Keras' automatic names (`conv2d_17`), as of
    a network written by hand, are matched by order and shape (`automatic`).

    Args:
        model: The same network, made by this package; changed in place.
        source: The other network, or a file of it: `.keras`, `.weights.h5` or the `.h5` of Keras 2. Or "imagenet" for
            the published weights of the network, from Keras' download cache.
        on_other_head: As for `load_torch_weights`.

    Returns:
        The layout's name: "keras_resnet", "keras_resnetv2", "keras_densenet", "keras_automatic" or "keras_resunits".

    Raises:
        ConversionError: if a file cannot be read, weights are left over on either side, shapes differ, or the network
            computes something else; if weights under automatic names leave that open. Also if ImageNet weights are
            neither cached nor downloadable. The model is unchanged then.

    Example:

    >>> import keras, keras_resunits as kr
    >>> from keras_resunits.converters import load_keras_weights
    >>> load_keras_weights(kr.ResNet(20), "resnet50.txt")
    Traceback (most recent call last):
    keras_resunits.converters.errors.ConversionError: weights of keras.applications are a model, 'imagenet', or a file
    that ends in .h5, .hdf5, .keras. Received: 'resnet50.txt'.
    """
    if is_own(source):
        carry_own(model, source if isinstance(source, keras.Model) else Path(source), on_other_head)
        return OWN
    if isinstance(source, keras.Model):
        theirs, where = _state_of_model(source), f"the model '{source.name}'"
    elif str(source) == "imagenet":
        application, theirs = _imagenet(model, on_other_head)
        where = f"{application}'s ImageNet weights"
    else:
        theirs, where = read_weights(source), f"'{source}'"
    if is_automatic(theirs):
        theirs = with_our_head(model, theirs, where, on_other_head)
        carry_by_order(model, theirs, where, source if isinstance(source, keras.Model) else None)
        return AUTOMATIC
    layout = nearest_layout(model, theirs, list(KERAS_LAYOUTS.values()), where)
    carry(model, theirs, layout, where, on_other_head)
    return layout.name


def read_weights(path: str | Path) -> State:
    """Read a Keras weights file by layer names, without building its network.

    Args:
        path: `.keras`, `.weights.h5`, or the `.h5` of Keras 2.

    Returns:
        `{"<layer>/<weight>": array}`.

    Raises:
        ConversionError: if the file is missing, damaged, of another type, or does not name its layers.
    """
    wanted = (
        f"weights of keras.applications are a model, 'imagenet', or a file that ends in {', '.join(KERAS_SUFFIXES)}"
    )
    path = path_of(path, wanted)
    if path.suffix not in KERAS_SUFFIXES:
        raise ConversionError(f"{wanted}. Received: '{path}'.")
    if not path.is_file():
        raise ConversionError(f"no such file: '{path}'.")
    try:
        with h5py.File(io.BytesIO(_hdf5_of(path)), "r") as file:
            theirs = _state_of_file(file)
    except (OSError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise ConversionError(f"'{path}' is not a readable Keras file: {error}") from None
    if not theirs:
        raise ConversionError(
            f"'{path}' does not name its layers (Keras before 3.9 did not). Load it into its keras.applications model "
            "and pass that model."
        )
    return theirs


def _hdf5_of(path: Path) -> bytes:
    if path.suffix != ".keras":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:  # the description of the network in it is not needed, so it is not run
        return archive.read("model.weights.h5")


def _state_of_file(file: h5py.File) -> State:
    root = file.get("model_weights", file)
    layers = _listed_in(root, "layer_names")
    return _legacy_state(root, layers) if layers else _named_state(file)


def _legacy_state(root: h5py.Group, layers: list[str]) -> State:
    """Read a file of Keras 2: it lists layers, whose names may contain a slash (`conv1/bn`), and their weights."""
    return {
        f"{layer.replace('/', '_')}/{name.split('/')[-1].split(':')[0]}": np.asarray(root[layer][name])
        for layer in layers
        for name in _listed_in(root[layer], "weight_names")
    }


def _listed_in(group: h5py.Group, attribute: str) -> list[str]:
    """Return a list of names, which HDF5 stores in several numbered attributes if it is long."""
    several = [f"{attribute}{i}" for i in range(len(group.attrs))]
    names = [name for key in [attribute, *several] if key in group.attrs for name in group.attrs[key]]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _named_state(file: h5py.File) -> State:
    """Read a file of Keras 3: each layer has a group `vars` with the layer's name and its variables by number."""
    theirs: State = {}

    def visit(path: str, group) -> None:
        if path.split("/")[-1] == "vars" and "name" in group.attrs:
            leaves = NORM_LEAVES if len(group) == len(NORM_LEAVES) else WEIGHT_LEAVES
            theirs.update({f"{group.attrs['name']}/{leaves[int(i)]}": np.asarray(group[i]) for i in group})

    file["layers"].visititems(visit)
    return theirs


def _state_of_model(model: keras.Model) -> State:
    return {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.weights}


def _imagenet(model: keras.Model, told: Told | None) -> tuple[str, State]:
    application, classes = _application_of(model), classes_of(model)
    has_top = classes is not None
    if classes not in (None, IMAGENET_CLASSES) and told is None:
        raise ConversionError(
            f"ImageNet's weights are for {IMAGENET_CLASSES} classes. Received: classes={classes} "
            f"('{model.name}'). For other classes, load them into a network of {IMAGENET_CLASSES} and use `new_head`."
        )
    try:
        network = getattr(keras.applications, application)(weights="imagenet", include_top=has_top)
    except Exception as error:  # the class that Keras raises when a download fails
        cache = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"), "models")
        raise ConversionError(
            f"ImageNet's weights of {application} are not in Keras' cache, '{cache}', and could not be downloaded to "
            f"it: {' '.join(str(error).split()).rstrip('.')}."
        ) from None
    return application, _state_of_model(network)


def _application_of(model: keras.Model) -> str:
    """Return which network of keras.applications the model is, by its units."""
    stages = Counter(place.stage for place in places_of(model).values() if place.kind == "unit")
    units = tuple(stages.values())
    for layout in KERAS_LAYOUTS.values():
        if (layout.name, units) in APPLICATIONS and mismatch(model, layout) is None:
            return APPLICATIONS[layout.name, units]
    of_units = [name for (_, theirs), name in APPLICATIONS.items() if theirs == units]
    names = [f"keras_{name.lower()}" for name in of_units or APPLICATIONS.values()]
    fitting, first = ", ".join(names), names[0]
    raise ConversionError(
        f"ImageNet's weights fit {fitting}, which compute the same as keras.applications: "
        f"`kr.create({first!r}, weights='imagenet')`. "
        f"Received: '{model.name}', stages of {units} units."
    )

"""Reuse of a trained network: features of every stage, new heads, frozen backbones.

`features` and `new_head` return networks of their own, like all of surgery; `freeze` changes its argument.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import keras

from keras_resunits.arguments import checked, require_model, require_network, require_positive_int, require_text
from keras_resunits.models.head import classifier
from keras_resunits.surgery.chains import Part, put_together, take_apart
from keras_resunits.surgery.policies import in_its_policy
from keras_resunits.units.orders import PostAct
from keras_resunits.units.unit import Unit, units_of

BACKBONE = ("stem", "post", "pool")
"""Names of the layers of a backbone other than its units (`network`)."""


@checked(model=require_network)
def features(model: keras.Model) -> keras.Model:
    """Return a model of the output of every stage, for feature pyramids.

    A stage ends where the next unit changes the image size. The output of the last stage is taken after the norm and
    activation that end a pre-activation network.

    Args:
        model: A network of the package.

    Returns:
        A functional model from images to `{"stage1": [batch, height, width, channels], ...}`, with copies of the
        layers. It has several outputs, so it does not keep `remat`.

    Raises:
        ValueError: if the model is no chain with units, or has them only inside another model.

    Invariant: every output is that of the layer in `model`, bit for bit; weights keep their paths and units their
    origins. `model` remains unchanged.

    Example:

    >>> import keras_resunits as kr
    >>> pyramid = kr.features(kr.ResNet(depth=18, input_shape=(64, 64, 3)))
    >>> {name: tensor.shape[1:] for name, tensor in pyramid.output.items()}
    {'stage1': (16, 16, 64), 'stage2': (8, 8, 128), 'stage3': (4, 4, 256), 'stage4': (2, 2, 512)}
    """
    copy = put_together(take_apart(_require_units(model, "features")))
    outputs = {f"stage{i}": layer.output for i, layer in enumerate(_ends(copy), 1)}
    return keras.Model(copy.input, outputs, name="features")


@checked(model=require_model)
def backbone(model: keras.Model) -> keras.Model:
    """Return a network without its head, with the names of its pyramid's levels, as keras-cv's heads expect it.

    Args:
        model: A network of the package for images of a known size.

    Returns:
        A functional model from images to the output of the last stage, which shares its layers with `model`. Its
        attribute `pyramid_level_inputs` has the layer whose output is `2**k` times smaller than the images, under "Pk".

    Raises:
        ValueError: if the model has no units, or only inside another model, or takes images of any size.

    Example:

    >>> import keras_resunits as kr
    >>> body = kr.backbone(kr.PreActResNet(depth=18, input_shape=(64, 64, 3)))
    >>> dict(body.pyramid_level_inputs)
    {'P2': 'unit001', 'P3': 'unit003', 'P4': 'unit005', 'P5': 'post'}
    """
    ends = _ends(_require_units(model, "backbone"))
    side = model.input.shape[1]
    if side is None:
        raise ValueError(f"`backbone` requires a network for images of a known size. Received: '{model.name}'.")
    body = keras.Model(model.input, ends[-1].output, name=model.name)
    body.pyramid_level_inputs = {f"P{round(math.log2(side / layer.output.shape[1]))}": layer.name for layer in ends}
    return body


def _require_units(model: keras.Model, function: str) -> keras.Model:
    """Return a model that has units, or raise an error that names the function."""
    if not units_of(model):
        inner = next((layer.name for layer in model.layers if _holds_units(layer)), None)
        hint = f" Its layer '{inner}' has units: use `{function}(model.get_layer('{inner}'))`." if inner else ""
        raise ValueError(f"`{function}` requires a network with units. Received: '{model.name}', which has none.{hint}")
    return model


def _ends(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the last layer of each stage."""
    units = units_of(model)
    ends = [unit for unit, after in pairwise(units) if _halves(after)]
    closing = [layer for layer in model.layers if layer.name == "post"]
    return [*ends, *(closing or units[-1:])]


@checked(model=require_network)
@in_its_policy
def new_head(model: keras.Model, classes: int, classifier_activation=None, name: str | None = None) -> keras.Model:
    """Return a new model: the backbone of a network with its weights, and a new classifier.

    Args:
        model: A network of the package, with its top or with `pooling`.
        classes: Number of classes.
        classifier_activation: Activation of the classifier. Defaults to `None`, for logits.
        name: Name of the new model. Defaults to that of `model`.

    Returns:
        A new model; `model` and its weights remain unchanged.

    Raises:
        ValueError: if the model is no chain with units, has no pooling layer, or `classes` is not a positive int.

    Invariant: the pooled features are those of `model`, bit for bit, in both modes; weights keep their paths, units
    their origins, and the network its `remat`. What follows the pooling layer is not carried.

    Example:

    >>> import keras_resunits as kr
    >>> kr.new_head(kr.PreActResNet(depth=8), classes=3).output.shape
    (None, 3)
    """
    classes = require_positive_int(classes, "classes", f"new head of '{model.name}'")
    name = require_text.or_none(name, "name", "new_head")
    parts = take_apart(model)
    ends = [i for i, part in enumerate(parts.chain) if part.name == "pool"]
    if not ends:
        raise ValueError(f"`new_head` requires a network with a pooling layer. Received: '{model.name}' without one.")
    backbone, shape = parts.chain[: ends[0] + 1], parts.chain[ends[0]].output_shape
    head = classifier(classes, classifier_activation, PostAct().classifier())
    head.build(shape)
    return put_together(replace(parts, name=name or parts.name, chain=(*backbone, Part(head, shape))))


@checked(model=require_model)
def freeze(model: keras.Model, until: str | None = None) -> None:
    """Freeze the weights and moving statistics of the layers before `until`, and make the others trainable.

    It is the only function of surgery that changes its argument, and no weight of it. For a frozen copy, freeze
    `put_together(take_apart(model))`. A frozen norm uses its moving statistics in training too, like
    `keras.layers.BatchNormalization`.

    Args:
        model: A network of the package, or a model that contains one or has a head of your own; changed in place.
            Compile it afterwards.
        until: Name of the first trainable layer. Defaults to the layer after the backbone (stem, units, `post`,
            `pool`): the classifier, or the first layer of your own head.

    Raises:
        ValueError: if no layer has that name, or by default if the model has no units.

    Invariant: the same function at inference, and the same weights and paths.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.PreActResNet(depth=8)
    >>> kr.freeze(model)
    >>> [weight.path for weight in model.trainable_weights]
    ['classifier/kernel', 'classifier/bias']
    """
    names = [layer.name for layer in model.layers]
    until = require_text.or_none(until, "until", "freeze")
    if until is not None and until not in names:
        raise ValueError(f"`until` must be a layer of '{model.name}', one of {names}. Received: until={until!r}.")
    if until is None and not _holds_units(model):
        raise ValueError(f"`freeze` requires a network with units. Received: '{model.name}', which has none.")
    backbone = [i for i, layer in enumerate(model.layers) if layer.name in BACKBONE or _holds_units(layer)]
    first = names.index(until) if until else backbone[-1] + 1
    for i, layer in enumerate(model.layers):
        layer.trainable = i >= first


def _holds_units(layer: keras.layers.Layer) -> bool:
    """Whether a layer is a unit, or a network of units."""
    return any(isinstance(inner, Unit) for inner in layer._flatten_layers())


def _halves(unit: Unit) -> bool:
    """Whether a unit changes the image size."""
    return unit.compute_output_shape((None, 64, 64, unit.input.shape[-1]))[1:3] != (64, 64)

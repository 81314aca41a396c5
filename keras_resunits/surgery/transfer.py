"""What a trained network is good for besides its own classes: features of every stage, new heads, frozen bodies."""

from __future__ import annotations

from itertools import pairwise

import keras

from keras_resunits.arguments import require_positive_int
from keras_resunits.models.head import classifier
from keras_resunits.units.orders import PostAct
from keras_resunits.units.unit import Unit, units_of

BODY = ("stem", "post", "pool")
"""What stands around the units, by name (`network`)."""


def features(model: keras.Model) -> keras.Model:
    """The output of every stage by name, for pyramids of features.

    A stage ends where the next unit has another image size. The last stage's output is taken behind the norm and
    activation that close a pre-activation network.

    Args:
        model: A network of the package.

    Returns:
        A functional model from images to `{"stage1": [batch, height, width, channels], ...}`. It shares its layers with
        `model`.

    Raises:
        ValueError: for a model without units of its own.

    Example:

    >>> import keras_resunits as kr
    >>> pyramid = kr.features(kr.ResNet(depth=18, input_shape=(64, 64, 3)))
    >>> {name: tensor.shape[1:] for name, tensor in pyramid.output.items()}
    {'stage1': (16, 16, 64), 'stage2': (8, 8, 128), 'stage3': (4, 4, 256), 'stage4': (2, 2, 512)}
    """
    units = units_of(model)
    if not units:
        inner = next((layer.name for layer in model.layers if _holds_units(layer)), None)
        hint = f"; those in its layer '{inner}' are had by `features(model.get_layer('{inner}'))`" if inner else ""
        raise ValueError(f"wanted a network of units. Received: '{model.name}', which has none{hint}.")
    ends = [unit for unit, after in pairwise(units) if _halves(after)]
    closing = [layer for layer in model.layers if layer.name == "post"]
    outputs = [layer.output for layer in [*ends, *(closing or units[-1:])]]
    return keras.Model(model.input, {f"stage{i}": tensor for i, tensor in enumerate(outputs, 1)}, name="features")


def new_head(model: keras.Model, classes: int, classifier_activation=None, name: str | None = None) -> keras.Model:
    """The network's body, weights and all, under a new classifier.

    Args:
        model: A network of the package, with its top or with `pooling`.
        classes: Number of classes.
        classifier_activation: `None`, the default, gives logits.
        name: The new model's name; the old one's by default.

    Returns:
        A new model; the old one and its weights stay as they are.

    Raises:
        ValueError: for a model whose images do not end as a vector of features, or classes that are not a positive int.

    Example:

    >>> import keras_resunits as kr
    >>> kr.new_head(kr.PreActResNet(depth=8), classes=3).output.shape
    (None, 3)
    """
    classes = require_positive_int(classes, "classes", f"new head of '{model.name}'")
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    pooled = copy.get_layer("pool").output if any(layer.name == "pool" for layer in copy.layers) else None
    if pooled is None:
        raise ValueError(f"`new_head` wants a network with a pooling. Received: '{model.name}' without one.")
    logits = classifier(classes, classifier_activation, PostAct().classifier())
    return keras.Model(copy.input, logits(pooled), name=name or model.name)


def freeze(model: keras.Model, until: str | None = None) -> None:
    """Keep the layers before `until` as they are, weights and moving statistics; those from there on learn.

    A frozen norm uses its moving statistics in training too, as `keras.layers.BatchNormalization` does.

    Args:
        model: A network of the package, or a model that ends otherwise or holds one as a layer; changed in place.
            Compile it afterwards.
        until: The first layer that learns; by default what follows the body (stem, units, `post`, `pool`), be it the
            classifier or a head of your own.

    Raises:
        ValueError: for a name that no layer has, or by default for a model without units.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.PreActResNet(depth=8)
    >>> kr.freeze(model)
    >>> [weight.path for weight in model.trainable_weights]
    ['classifier/kernel', 'classifier/bias']
    """
    names = [layer.name for layer in model.layers]
    if until is not None and until not in names:
        raise ValueError(f"`until` must be a layer of '{model.name}'. Received: until={until!r}; it has {names}.")
    if until is None and not _holds_units(model):
        raise ValueError(f"wanted a network of units. Received: '{model.name}', which has none.")
    body = [i for i, layer in enumerate(model.layers) if layer.name in BODY or _holds_units(layer)]
    first = names.index(until) if until else body[-1] + 1
    for i, layer in enumerate(model.layers):
        layer.trainable = i >= first


def _holds_units(layer: keras.layers.Layer) -> bool:
    """Whether a layer is a unit, or a network of units."""
    return any(isinstance(inner, Unit) for inner in layer._flatten_layers())


def _halves(unit: Unit) -> bool:
    """Whether a unit gives another image size than it takes."""
    return unit.compute_output_shape((None, 64, 64, unit.input.shape[-1]))[1:3] != (64, 64)

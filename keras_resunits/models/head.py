"""The head of a network: pooling and the classifier, which follow the last unit."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

import keras

from keras_resunits.arguments import one_of, require_activation, require_bool

POOLINGS: dict[str | None, Callable[..., keras.layers.Layer] | None] = {
    None: None,
    "avg": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}


class Top(TypedDict, total=False):
    """The arguments that every factory takes: of the head, the model's name, what it computes again, its weights."""

    include_top: bool
    pooling: str | None
    classifier_activation: str | Callable | None
    name: str | None
    remat: int | str | None
    weights: str | os.PathLike | None


TOP: dict[str, Any] = {
    "classes": 10,
    "include_top": True,
    "pooling": None,
    "classifier_activation": None,
    "name": None,
    "remat": None,
    "weights": None,
}
"""The same arguments and `classes`, with their defaults, in the order in which every factory takes them."""


@dataclass(frozen=True)
class Head:
    """Average pooling and a classifier, or pooled features, or the feature map.

    Args:
        classes: Number of classes.
        include_top: Whether average pooling and the classifier follow the last unit. Defaults to `True`.
        pooling: Pooling without the top: "avg", "max", or `None` (default) for the feature map.
        classifier_activation: Activation of the classifier. Defaults to `None`, for logits.

    Raises:
        ValueError: if `pooling` is unknown.
    """

    classes: int
    include_top: bool = True
    pooling: str | None = None
    classifier_activation: str | Callable | None = None

    def __post_init__(self):
        object.__setattr__(self, "include_top", require_bool(self.include_top, "include_top", "network"))
        one_of("avg", "max").or_none(self.pooling, "pooling", "network")

    def __call__(self, features, kernel: keras.initializers.Initializer):
        """Return the output for the features of the last unit; `kernel` is the classifier's initialiser."""
        pool = POOLINGS["avg" if self.include_top else self.pooling]
        if pool:
            features = pool(data_format="channels_last", name="pool")(features)
        if self.include_top:
            features = classifier(self.classes, self.classifier_activation, kernel)(features)
        return features


def classifier(classes: int, activation, kernel: keras.initializers.Initializer) -> keras.layers.Layer:
    """Make a dense layer whose bias is initialised to 0, as in the authors' code.

    Its outputs are float32 under a 16-bit policy, since softmax and loss require the precision.
    """
    activation = require_activation(activation, "classifier_activation", "classifier")
    policy = keras.config.dtype_policy()
    return keras.layers.Dense(
        classes,
        activation=activation,
        kernel_initializer=kernel,
        dtype="float32" if policy.name.startswith("mixed_") else policy,
        name="classifier",
    )

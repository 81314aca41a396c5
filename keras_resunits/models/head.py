"""What follows the last unit: pooling and the classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

import keras

POOLINGS: dict[str | None, Callable[..., keras.layers.Layer] | None] = {
    None: None,
    "avg": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}


class Top(TypedDict, total=False):
    """The arguments of the head, and the model's name, that every factory takes."""

    include_top: bool
    pooling: str | None
    classifier_activation: str | Callable | None
    name: str | None


TOP: dict[str, Any] = {
    "classes": 10,
    "include_top": True,
    "pooling": None,
    "classifier_activation": None,
    "name": None,
}
"""The same with their defaults, and the number of classes, in the order of every factory's arguments."""


@dataclass(frozen=True)
class Head:
    """Average pooling and a classifier, or pooled features, or the feature map.

    Args:
        classes: Number of classes.
        include_top: Whether average pooling and the classifier follow the last unit; `True` by default.
        pooling: Without the top: "avg", "max", or `None` (default) for the feature map.
        classifier_activation: Of the classifier; `None`, the default, gives logits.

    Raises:
        ValueError: if the pooling is unknown.
    """

    classes: int
    include_top: bool = True
    pooling: str | None = None
    classifier_activation: str | Callable | None = None

    def __post_init__(self):
        if self.pooling not in list(POOLINGS):
            raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: pooling={self.pooling!r}.")

    def __call__(self, features, kernel: keras.initializers.Initializer):
        """The head's output for the features of the last unit; `kernel` is the classifier's initialiser."""
        pool = POOLINGS["avg" if self.include_top else self.pooling]
        if pool:
            features = pool(data_format="channels_last", name="pool")(features)
        if self.include_top:
            features = classifier(self.classes, self.classifier_activation, kernel)(features)
        return features


def classifier(classes: int, activation, kernel: keras.initializers.Initializer) -> keras.layers.Layer:
    """A dense layer whose bias starts at 0, as in the authors' code.

    Its outputs are float32 under a 16-bit policy, since softmax and loss need the precision.
    """
    policy = keras.config.dtype_policy()
    return keras.layers.Dense(
        classes,
        activation=activation,
        kernel_initializer=kernel,
        dtype="float32" if policy.name.startswith("mixed_") else policy,
        name="classifier",
    )

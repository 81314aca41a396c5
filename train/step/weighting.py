"""Factors of the training loss by class."""

from __future__ import annotations

import numpy as np

from ..process.backend import tf
from ..process.errors import BadInput
from ..settings.sections import Recipe


def class_weights(recipe: Recipe, labels: np.ndarray | None, classes: int) -> np.ndarray | None:
    """The factor of each class's losses, float32 `[classes]`; `None` without any.

    Balanced ones are `n / (c n_k)` for `n_k` of the `n` images in each of the `c` classes that have some, as in
    scikit-learn: their mean over the images is 1.

    Args:
        recipe: Its `class_weights` are used.
        labels: Those of the training images; `None` where they are not known.
        classes: The number of classes.

    Raises:
        BadInput: if there are not as many as classes, or labels are required and not known.

    >>> class_weights(Recipe(class_weights=["balanced"]), np.array([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    if recipe.class_weights is None:
        return None
    if (numbers := recipe.numbers_of_classes) is None:
        if labels is None:
            raise BadInput("--class_weights=balanced requires labels that are known before the images are read.")
        counts = np.bincount(labels, minlength=classes)
        numbers = list(len(labels) / np.maximum(counts, 1) / np.count_nonzero(counts) * (counts > 0))
    if len(numbers) != classes:
        raise BadInput(f"--class_weights must have {classes} numbers, one for each class; got {len(numbers)}.")
    return np.array(numbers, np.float32)


def weights_of(labels: tf.Tensor, by_class: np.ndarray) -> tf.Tensor:
    """The factor of each image's loss, float32 `[b]`.

    Args:
        labels: Classes, `[b]`, or distributions, `[b, classes]`.
        by_class: The factor of each class.

    >>> by_class = np.array([1.0, 3.0], "float32")
    >>> [weights_of(tf.constant(labels), by_class).numpy().tolist() for labels in ([1, 0], [[0.5, 0.5]])]
    [[3.0, 1.0], [2.0]]
    """
    if labels.shape.rank == 1:
        return tf.gather(tf.constant(by_class), labels)
    return tf.linalg.matvec(labels, tf.constant(by_class))

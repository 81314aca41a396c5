"""Loss and accuracy for labels that are classes, `[b]`, or distributions, `[b, classes]`; logits over ten crops."""

from __future__ import annotations

from collections.abc import Callable

import keras

from ..process.backend import tf
from ..process.errors import BadInput, first_line


class CrossEntropy(keras.losses.Loss):
    """`-sum_c y_c log softmax(logits)_c`, for labels of either form; the (weighted) mean over the batch.

    Example:

    >>> import numpy as np
    >>> logits = np.array([[2.0, 0.0], [0.0, 0.0]], "float32")
    >>> bool(CrossEntropy()(np.array([0, 1]), logits) == CrossEntropy()(np.eye(2, dtype="float32"), logits))
    True
    """

    def __init__(self, name: str = "cross_entropy", **options):
        super().__init__(name=name, **options)

    def call(self, y_true, y_pred):
        if len(y_true.shape) == 1:
            return keras.ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        return keras.ops.categorical_crossentropy(y_true, y_pred, from_logits=True)


def losses_of(loss: Callable | None = None) -> Callable:
    """The function from labels and logits to the loss of each image, float32 `[b]`.

    Args:
        loss: A function `(labels, logits) -> [b]`, or a Keras loss, whose reduction is left out; by default the
            cross-entropy.

    Raises:
        BadInput: if the loss is not one number for each image.

    >>> losses_of()(tf.constant([0]), tf.constant([[0.0, 0.0]])).shape.as_list()
    [1]
    """
    own = CrossEntropy() if loss is None else loss
    function = own.call if isinstance(own, keras.losses.Loss) else own  # a Keras loss would divide by the replicas

    def losses(labels, logits):
        found = tf.convert_to_tensor(function(labels, logits))
        if found.shape.rank != 1:
            raise BadInput(f"--loss must return a loss for each image, [batch]; got the shape {found.shape}.")
        return tf.cast(found, tf.float32)

    return losses


def require_loss(loss: Callable, classes: int, distributions: bool) -> None:
    """Try a loss on a few images.

    Args:
        loss: As for `losses_of`.
        classes: The number of classes.
        distributions: Whether labels are distributions.

    Raises:
        BadInput: if it fails, or is not one number for each image.
    """
    images = classes + 1  # a loss for each class would be another number
    numbers = tf.range(images, dtype=tf.int64) % classes
    labels = tf.one_hot(numbers, classes) if distributions else numbers
    try:
        found = losses_of(loss)(labels, tf.zeros([images, classes])).shape.as_list()
        if found != [images]:
            raise BadInput(f"--loss must return a loss for each image, [{images}] for as many; got {found}.")
    except BadInput:
        raise
    except Exception as error:  # whatever it raises
        shape = f"{labels.dtype.name} {labels.shape.as_list()}"
        raise BadInput(f"--loss: {type(error).__name__} for labels {shape}: {first_line(error)}.") from error


def hits(labels, logits):
    """float32 `[b]`: 1 where the highest logit is that of the label, else 0."""
    right = keras.metrics.sparse_categorical_accuracy if len(labels.shape) == 1 else keras.metrics.categorical_accuracy
    return right(labels, keras.ops.cast(logits, "float32"))  # they compare class numbers in the type of the logits


def answers(model, images, training: bool = False):
    """The model's logits for images `[b, ...]`; for ten crops `[b, 10, ...]`, the logarithm of the mean probability.

    Example:

    >>> import numpy as np
    >>> views = np.log(np.array([[[0.2, 0.8], [0.6, 0.4]]], "float32"))[:, :, None, None]  # [1, 2, 1, 1, 2]
    >>> logits = answers(lambda images, training: images[:, 0, 0], views)
    >>> [round(float(p), 6) for p in np.exp(logits[0])]
    [0.4, 0.6]
    """
    if len(images.shape) == 4:
        return model(images, training=training)
    crops = images.shape[1]
    logits = model(tf.reshape(images, [-1, *images.shape[2:]]), training=training)
    each = tf.reshape(tf.nn.log_softmax(tf.cast(logits, tf.float32)), [-1, crops, logits.shape[-1]])
    return tf.reduce_logsumexp(each, axis=1) - tf.math.log(float(crops))

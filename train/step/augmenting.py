"""Augmentation by layers: Keras' and others, on the device, for a replica's whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from ..process.backend import tf
from ..process.errors import BadInput, first_line
from .keyed import DRAWS, keyed, stateful, traced

TRIED = 4  # images
OF_LABELS = {"CutMix": "--cutmix", "FourierMix": "--mixup", "MixUp": "--mixup", "Mosaic": "--cutmix"}
"""Layers that change labels too, and what does so here."""


class LayerAugmentation:
    """Layers whose draws follow from the seed, the number of the step, and the replica.

    Keras' random layers keep the state of their generators in variables. Here every call computes these states anew, in
    place of the variables, so that a run that resumes draws what it would have drawn. Layers that draw by TensorFlow's
    operations, as keras-cv's do, are replayed with draws from a key (`keyed`). A replica's images are augmented
    together, and the draws of an image depend on its place among them. So results depend on the number of replicas,
    unlike those of the flags that augment single images.

    Args:
        layers: The layers, in order. They get float32 images 0..255, `[b, height, width, channels]`.
        seed: The run's seed.
        image_shape: `(height, width, channels)`.

    Raises:
        BadInput: for an object that is no layer; for a layer that changes labels or the images' shape, fails, or draws
            from other states than its own.

    Example:

    >>> flips = LayerAugmentation([keras.layers.RandomFlip("horizontal")], seed=0, image_shape=(8, 8, 1))
    >>> images = np.arange(64 * 8).reshape(8, 8, 8, 1) % 256
    >>> first, again, other = (flips(images, step).numpy() for step in (0, 0, 1))
    >>> bool((first == again).all()), bool((first == other).all())
    (True, False)
    """

    def __init__(self, layers: Sequence[Any], seed: int, image_shape: tuple[int, int, int]):
        self.layers, self.seed = list(layers), seed
        for layer in self.layers:
            if not isinstance(layer, keras.layers.Layer):
                raise BadInput(f"--augment must be Keras layers; got {layer!r}.")
            if instead := OF_LABELS.get(type(layer).__name__):
                raise BadInput(
                    f"--augment: {type(layer).__name__} changes labels too, which layers do not get: {instead}."
                )
        self._replayed: set[int] = set()  # the numbers of layers that draw by TensorFlow's operations
        images = np.random.default_rng(0).integers(0, 256, (TRIED, *image_shape)).astype("float32")
        for number, layer in enumerate(self.layers):
            self._require_fit(number, layer, images)
        self._states = [_states(layer) for layer in self.layers]

    def __call__(self, images: tf.Tensor, step: tf.Tensor | int) -> tf.Tensor:
        """Augment a replica's images.

        Args:
            images: Pixels 0..255, `[b, height, width, channels]`.
            step: The number of the step, an int64 scalar.

        Returns:
            float32 of the same shape.
        """
        images = tf.cast(images, tf.float32)
        for number, layer in enumerate(self.layers):
            images = self._applied(number, layer, images, step)
        return images

    def _applied(self, number: int, layer: keras.layers.Layer, images: tf.Tensor, step: tf.Tensor | int) -> tf.Tensor:
        own = _states(layer)
        values = [self._state(number, i, step, state.dtype) for i, state in enumerate(own)]
        with keras.StatelessScope(state_mapping=list(zip(own, values, strict=True))) as scope:
            if number in self._replayed:
                augmented = keyed(layer, images, self._state(number, 0, step, "int32"))
            else:
                augmented = layer(images, training=True)
        if scope.state_mapping.keys() - {id(state) for state in own}:
            raise BadInput(
                f"--augment: {layer.name} changes variables other than the states of its own generators, such as those "
                "of Keras' global one, which the step would lose. Pass seed=keras.random.SeedGenerator() to its draws."
            )
        return augmented

    def _state(self, number: int, generator: int, step: tf.Tensor | int, dtype: str) -> tf.Tensor:
        """The state of one of a layer's generators in a step."""
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context else 0
        state = tf.constant([self.seed % 2**31, number << 16 | generator], tf.int32)
        for part in (self.seed >> 31, step, replica):
            state = tf.random.experimental.stateless_fold_in(state, tf.cast(part, tf.int32))
        return tf.cast(tf.bitwise.bitwise_and(state, 2**31 - 1), dtype)

    def _require_fit(self, number: int, layer: keras.layers.Layer, images: np.ndarray) -> None:
        """Refuse a layer that does not return such images, or not the same ones for one step."""
        try:
            for each in layer._flatten_layers():
                each.dtype_policy = "float32"  # bfloat16 has 8 bits, too few for pixels
            layer(images, training=True)  # builds it
            if _draws_by_operations(layer, images):
                self._replayed.add(number)
            first, again = (np.asarray(self._applied(number, layer, images, 0)) for _ in range(2))
        except BadInput:
            raise
        except Exception as error:  # whatever the layer raises
            name = getattr(layer, "name", type(layer).__name__)  # keras-cv's `Augmenter` has none
            raise BadInput(f"--augment: {name}: {type(error).__name__}: {first_line(error)}.") from error
        if first.shape != images.shape:
            raise BadInput(f"--augment: {layer.name} must keep the shape {images.shape}; got {first.shape}.")
        if not np.array_equal(first, again):
            raise BadInput(
                f"--augment: {layer.name} draws random numbers that are not of its own generators "
                "(keras.random.SeedGenerator), so the run could not resume to the last bit."
            )


def _draws_by_operations(layer: keras.layers.Layer, images: np.ndarray) -> bool:
    """Whether a layer draws random numbers by operations of TensorFlow, all of which can be replayed.

    Raises:
        BadInput: if only some can.
    """
    with keras.StatelessScope():
        kinds = stateful(traced(layer, images).graph)
    if not kinds & DRAWS.keys():
        return False
    if unknown := kinds - DRAWS.keys():
        raise BadInput(
            f"--augment: {layer.name} uses TensorFlow's {', '.join(sorted(unknown))}, whose state no step can set."
        )
    if _states(layer):  # which all turns of a loop would share
        raise BadInput(
            f"--augment: {layer.name} draws by TensorFlow's operations and by Keras' generators. A layer must draw by "
            "one of the two."
        )
    return True


def _states(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The states of a layer's generators, those of inner layers included."""
    return [each for each in layer.variables if each.name == "seed_generator_state"]

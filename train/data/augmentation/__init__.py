"""The augmentation of training images: pure functions of (images, labels, keys), chosen by flags.

A key belongs to an example's position in the endless sequence of examples (`draws`). So the augmentation of an example
depends neither on its batch nor on its shard. Each method has its own file: `crops`, `rectangles`, `randaugment`,
`erasing`, `mixing`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ...process.backend import tf
from ...settings.sections import Augmenting
from .crops import Crops, padded_crops, resized_crops
from .erasing import erased
from .mixing import mixed, smoothed
from .randaugment import randaugmented

__all__ = ["Augmentation"]


@dataclass(frozen=True)
class Augmentation(Augmenting):
    """Crop, mirror, RandAugment, erasing, mixing and label smoothing, in this order; each is off by default.

    Its fields are the options of `settings.sections.Augmenting`; a `pad` or `flip` that is not given is off.
    """

    @classmethod
    def of(cls, chosen: Augmenting) -> Augmentation:
        """The augmentation that a resolved configuration specifies."""
        return cls(**{each.name: getattr(chosen, each.name) for each in fields(chosen)})

    @property
    def mixes(self) -> bool:
        """Whether examples are mixed with their neighbours; a shard must then have an even number of them."""
        return bool(self.mixup or self.cutmix)

    @property
    def gives_distributions(self) -> bool:
        """Whether labels become distributions, `[b, classes]`, instead of classes, `[b]`."""
        return self.mixes or bool(self.label_smoothing)

    def crops(self, images: np.ndarray, mean: np.ndarray) -> Crops:
        """The function `(index, keys) -> crops` for images in memory."""
        if self.crop == "resized":
            return resized_crops(images, self.crop_area, bool(self.flip))
        return padded_crops(images, self.pad or 0, bool(self.flip), mean, self.padding)

    def finish(self, images: tf.Tensor, labels: tf.Tensor, keys: tf.Tensor, mean: np.ndarray, classes: int):
        """Apply everything that follows the crop.

        Args:
            images: uint8 `[b, height, width, channels]`.
            labels: int64 `[b]`.
            keys: uint64 `[b]`.
            mean: The mean of each channel over the training images.
            classes: The number of classes.

        Returns:
            `(uint8 [b, height, width, channels], labels)`: int64 `[b]`, or float32 `[b, classes]` that sum to 1 where
            `gives_distributions`.

        Example:

        >>> from train.data.augmentation.draws import keys
        >>> images, labels = tf.ones([2, 8, 8, 3], tf.uint8), tf.constant([0, 2], tf.int64)
        >>> of = keys(0, tf.range(2, dtype=tf.int64))
        >>> Augmentation().finish(images, labels, of, np.zeros(3), 4)[1].numpy().tolist()
        [0, 2]
        >>> Augmentation(label_smoothing=0.5).finish(images, labels, of, np.zeros(3), 4)[1].numpy().tolist()
        [[0.625, 0.125, 0.125, 0.125], [0.125, 0.125, 0.625, 0.125]]
        """
        if self.randaugment:
            images = randaugmented(images, keys, self.randaugment, self.randaugment_ops, mean)
        if self.erasing:
            images = erased(images, keys, self.erasing, mean)
        if self.gives_distributions:
            labels = tf.one_hot(labels, classes)
        if self.mixes:
            images, labels = mixed(images, labels, keys, self.mixup, self.cutmix)
        if self.label_smoothing:
            labels = smoothed(labels, self.label_smoothing)
        return images, labels

"""Batches as a function of only (seed, step): a run can start at any step, and any number of workers can share it."""

from __future__ import annotations

import numpy as np

from ..process.backend import tf
from ..process.errors import BadInput
from .augmentation import Augmentation
from .augmentation.draws import keys, uniform
from .datasets import EncodedData, ImageData
from .datasets.decoding import random_crop, test_view
from .pipelines import untuned

SALT = (0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9, 0x14D049BB133111EB)  # keys near zero hardly shuffle small sets
ROUNDS = 8


def training_batches(
    data: ImageData | EncodedData,
    batch_size: int,
    augmentation: Augmentation,
    seed: int,
    first_step: int = 0,
    shard: int = 0,
    shards: int = 1,
    rounds: int = ROUNDS,
    balanced: bool = False,
) -> tf.data.Dataset:
    """An endless stream of augmented batches, from `first_step` on.

    Step `s` takes the examples at positions `s * batch_size ...` of an endless sequence, in which every epoch is its
    own permutation. All draws for an example follow from `(seed, position)`. So the batches of all shards,
    concatenated, equal the batch of a single worker, bit for bit.

    Args:
        data: The images.
        batch_size: Images per step, over all shards.
        augmentation: The augmentation to apply.
        seed: Seed of order and augmentation.
        first_step: The first step to return; 0 by default.
        shard, shards: Which of how many equal, consecutive parts of every batch to return; all of it by default.
        rounds: Rounds of the shuffle; see `order`.
        balanced: Whether each position draws a class, and then one of its examples, instead.

    Returns:
        `(uint8 [b, height, width, channels], labels)` with `b = batch_size / shards`; labels are int64 `[b]`, or
        float32 `[b, classes]` where the augmentation makes distributions.

    Raises:
        ValueError: if the shards cannot share the batch evenly, or their parts are odd where neighbours are mixed.
        BadInput: if `balanced` and the labels are not known.
    """
    part = _part(batch_size, shard, shards)
    if augmentation.mixes and part % 2:
        raise ValueError(f"MixUp and CutMix need an even batch per shard. Received: {batch_size} over {shards} shards.")
    mean, count = data.statistics()[0], data.train_count
    local = shard * part + tf.range(part, dtype=tf.int64)

    by_class = ByClass(require_labels(data)) if balanced else None

    def examples(step):
        positions = step * batch_size + local
        of = keys(seed, positions)
        return by_class.drawn(of) if by_class else order(positions, count, seed, rounds), of

    def finish(images, labels, keys):
        return augmentation.finish(images, labels, keys, mean, data.classes)

    steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
    views = _looked_up(steps.map(examples), _training_view(data, augmentation, mean), data, part)
    return untuned(_parallel(views, finish).prefetch(tf.data.AUTOTUNE))


def require_labels(data: ImageData | EncodedData) -> np.ndarray:
    """The labels of the training images.

    Raises:
        BadInput: if they are not known.
    """
    if data.train_labels is None:
        raise BadInput("--sampling=balanced requires labels that are known before the images are read.")
    return data.train_labels


class ByClass:
    """Draws examples so that each class comes as often, with repetitions.

    Args:
        labels: The label of each example, `[n]`.

    Example:

    >>> drawn = ByClass(np.array([0, 0, 0, 0, 0, 0, 1, 3])).drawn(keys(0, tf.range(3000, dtype=tf.int64)))
    >>> bool(abs(tf.reduce_mean(tf.cast(drawn == 7, tf.float32)) - 1 / 3) < 0.03)
    True
    """

    def __init__(self, labels: np.ndarray):
        _, counts = np.unique(labels, return_counts=True)
        self.places = tf.constant(np.argsort(labels, kind="stable"), tf.int64)
        self.counts = tf.constant(counts, tf.int64)
        self.starts = tf.cumsum(self.counts, exclusive=True)

    def drawn(self, keys: tf.Tensor) -> tf.Tensor:
        """The number of an example for each key, int64 `[b]`: a class with images, then an image of it."""
        draws = tf.cast(uniform(keys, "sampling", 2), tf.float64)
        chosen = tf.cast(draws[:, 0] * len(self.counts), tf.int32)
        count, start = (tf.gather(each, chosen) for each in (self.counts, self.starts))
        return tf.gather(self.places, start + tf.cast(draws[:, 1] * tf.cast(count, tf.float64), tf.int64))


def test_batches(data: ImageData | EncodedData, batch_size: int, shard: int = 0, shards: int = 1) -> tf.data.Dataset:
    """Every test image once, in order, over all shards.

    Every shard returns the same number of batches, all of one shape: the last ones are padded with images of weight 0.

    Args:
        data: The images.
        batch_size: Images per step, over all shards.
        shard, shards: Which of how many equal, consecutive parts of every batch to return; all of it by default.

    Returns:
        `(images, labels, weights)`: uint8 `[b, height, width, channels]`, or `[b, 10, height, width, channels]` for
        ten crops; int64 `[b]`; float32 `[b]`, 1 or 0. With weighted sums, metrics are exact.

    Raises:
        ValueError: if the shards cannot share the batch evenly.
    """
    part = _part(batch_size, shard, shards)
    local = shard * part + tf.range(part, dtype=tf.int64)
    count = data.test_count

    def examples(step):
        positions = step * batch_size + local
        return tf.minimum(positions, count - 1), tf.cast(positions < count, tf.float32)

    steps = tf.data.Dataset.range(-(-count // batch_size))
    return untuned(_looked_up(steps.map(examples), _test_view(data), data, part).prefetch(tf.data.AUTOTUNE))


test_batches.__test__ = False  # type: ignore[attr-defined]  # tells pytest that this is not a test


def _part(batch_size: int, shard: int, shards: int) -> int:
    """Images per step of one shard."""
    if batch_size % shards or not 0 <= shard < shards:
        raise ValueError(
            f"`batch_size` must be divisible by `shards`, and `shard` be in 0..shards - 1. "
            f"Received: batch_size={batch_size}, shard={shard}, shards={shards}."
        )
    return batch_size // shards


def _looked_up(batches: tf.data.Dataset, view, data, part: int) -> tf.data.Dataset:
    """The images at batches of indices: gathered at once from memory, or decoded one by one."""
    if isinstance(data, ImageData):
        return _parallel(batches, view)
    return _parallel(batches.unbatch(), view).batch(part, drop_remainder=True)


def _parallel(dataset: tf.data.Dataset, function) -> tf.data.Dataset:
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _training_view(data: ImageData | EncodedData, augmentation: Augmentation, mean: np.ndarray):
    """`(index, keys) -> (images, labels, keys)`."""
    if isinstance(data, ImageData):
        crops, labels = augmentation.crops(data.train[0], mean), tf.constant(data.train[1])
        return lambda index, keys: (crops(index, keys), tf.gather(labels, index), keys)

    def view(index, key):
        contents, label = data.train.read(index)
        return random_crop(contents, key, data.size, augmentation, data.exact), _class(label, data), key

    return view


def _test_view(data: ImageData | EncodedData):
    """`(index, weights) -> (images, labels, weights)`."""
    if isinstance(data, ImageData):
        images, labels = (tf.constant(array) for array in data.test)
        return lambda index, weights: (tf.gather(images, index), tf.gather(labels, index), weights)

    def view(index, weight):
        contents, label = data.test.read(index)
        return test_view(contents, data.size, data.test_protocol, data.exact), _class(label, data), weight

    return view


def _class(label, data: EncodedData):
    """Check that the label is a class: else the loss fails without naming the image, or is NaN on a GPU."""
    known = tf.debugging.Assert((label >= 0) & (label < data.classes), ["a label outside the classes:", label])
    with tf.control_dependencies([known]):
        return tf.identity(label)


def order(positions, count: int, seed: int, rounds: int = ROUNDS):
    """The indices of the examples at these positions of the endless sequence.

    With 4 rounds, as in earlier versions, neighbours are correlated (by -0.06 to -0.18 at 50,000 examples). Also,
    batches of a set that is stored class by class are too balanced. With 8, neither differs from a random order.

    Args:
        positions: int64 `[b]`.
        count: The number of examples.
        seed: The run's seed.
        rounds: Rounds of the cipher that shuffles; 8 by default.

    Example: every epoch is a permutation

    >>> sorted(order(tf.range(5, 10, dtype=tf.int64), count=5, seed=0).numpy().tolist())
    [0, 1, 2, 3, 4]
    """
    epoch = positions // count
    seeds = tf.stack([tf.fill(tf.shape(epoch), tf.constant(seed, tf.int64)), epoch, tf.zeros_like(epoch)], axis=1)
    seeds = tf.bitwise.bitwise_xor(seeds, tf.constant(SALT, tf.int64))
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % count, seed=seeds, max_index=tf.constant(count - 1, tf.int64), rounds=rounds
    )

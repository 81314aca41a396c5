"""MixUp, CutMix and label smoothing.

MixUp and CutMix mix each example with its neighbour by one equation. With weights `m` in [0, 1] for every pixel,

    image = m x + (1 - m) x',    label = mean(m) y + (1 - mean(m)) y'

where MixUp's `m` is constant, and CutMix's is 0 in a rectangle and 1 around it, so that the area weights the labels.

The neighbour of position `p` is `p XOR 1`. Neighbours are random pairs, because an epoch is a permutation. They are
always in the same shard, because shards are even. Nothing is decoded or cropped twice.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...process.backend import tf
from .draws import uniform

QUANTILES = 4096


def mixed(images, labels, keys, mixup: float, cutmix: float):
    """MixUp or CutMix; where both are on, each example gets one of them with probability 1/2.

    MixUp is Zhang et al. 2017, arXiv:1710.09412, eq. 1; CutMix is Yun et al. 2019, arXiv:1905.04899, eq. 1 and 2.

    Args:
        images: uint8 `[b, height, width, channels]`, b even.
        labels: float32 `[b, classes]`, distributions.
        keys: uint64 `[b]`.
        mixup, cutmix: `alpha` of each method's `lambda ~ Beta(alpha, alpha)`; 0 for off. The papers use 0.2 on
            ImageNet for MixUp, and 1 for CutMix.

    Returns:
        `(uint8 [b, height, width, channels], float32 [b, classes])`.

    Example:

    >>> from train.data.augmentation.draws import keys
    >>> pair = tf.constant([0, 255], tf.uint8)[:, None, None, None] * tf.ones([2, 4, 4, 1], tf.uint8)
    >>> images, labels = mixed(pair, tf.one_hot([0, 1], 2), keys(0, tf.constant([0, 1])), mixup=1.0, cutmix=0.0)
    >>> bool(abs(images[0, 0, 0, 0] / 255 - labels[0, 1]) < 0.01)
    True
    """
    _, height, width, _ = images.shape
    if not cutmix:
        share = _lambda(keys, mixup)
        return _blended(images, share[:, tf.newaxis, tf.newaxis, tf.newaxis]), _shared(labels, share)
    kept = _outside(keys, cutmix, height, width)  # [b, height, width]
    share = tf.reduce_mean(tf.cast(kept, tf.float32), axis=[1, 2])
    if not mixup:
        return tf.where(kept[..., tf.newaxis], images, neighbours(images)), _shared(labels, share)
    cuts = uniform(keys, "cutmix or mixup", 1)[:, 0] < 0.5
    share = tf.where(cuts, share, _lambda(keys, mixup))
    weights = tf.where(cuts[:, tf.newaxis, tf.newaxis], tf.cast(kept, tf.float32), share[:, tf.newaxis, tf.newaxis])
    return _blended(images, weights[..., tf.newaxis]), _shared(labels, share)


def neighbours(batch: tf.Tensor) -> tf.Tensor:
    """Exchange neighbours: `[x1, x0, x3, x2, ...]`.

    >>> neighbours(tf.constant([0, 1, 2, 3])).numpy().tolist()
    [1, 0, 3, 2]
    """
    pairs = tf.reshape(batch, [-1, 2, *batch.shape[1:]])
    return tf.reshape(tf.reverse(pairs, [1]), tf.shape(batch))


def smoothed(labels: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Label smoothing, `(1 - epsilon) y + epsilon / classes` (Szegedy et al. 2015, arXiv:1512.00567, sec. 7).

    >>> smoothed(tf.one_hot([1], 4), 0.5).numpy().tolist()
    [[0.125, 0.625, 0.125, 0.125]]
    """
    return (1 - epsilon) * labels + epsilon / labels.shape[-1]


def _blended(images, weights):
    own = tf.cast(images, tf.float32)
    other = neighbours(own)
    return tf.cast(tf.round(other + weights * (own - other)), images.dtype)


def _shared(labels, share):
    share = share[:, tf.newaxis]
    return share * labels + (1 - share) * neighbours(labels)


def _lambda(keys, alpha: float):
    return _beta(uniform(keys, "mixup", 1)[:, 0], alpha)


def _outside(keys, alpha: float, height: int, width: int):
    """True outside CutMix's rectangle, bool `[b, height, width]`.

    Its sides are `sqrt(1 - lambda)` of the image's; its centre is anywhere, and it is clipped at the edges.
    """
    share, row, column = tf.unstack(uniform(keys, "cutmix", 3), axis=-1)
    part = tf.sqrt(1 - _beta(share, alpha))
    inside_rows = _near(row, part, height)
    inside_columns = _near(column, part, width)
    return ~(inside_rows[:, :, tf.newaxis] & inside_columns[:, tf.newaxis])


def _near(centre, part, side: int):
    """Which of `side` pixels are within `part / 2` of the centre, as fractions of `side`: bool `[b, side]`."""
    middle, reach = centre[:, tf.newaxis] * side, part[:, tf.newaxis] * side / 2
    places = tf.range(side, dtype=tf.float32) + 0.5
    return tf.abs(places - middle) < reach


def _beta(draws, alpha: float):
    """Beta(alpha, alpha) by its inverse distribution function, which needs exactly one draw, unlike rejection."""
    table = tf.constant(_beta_table(alpha))
    place = draws * QUANTILES
    low = tf.cast(place, tf.int32)
    part = place - tf.cast(low, tf.float32)
    return tf.gather(table, low) * (1 - part) + tf.gather(table, low + 1) * part


@lru_cache
def _beta_table(alpha: float) -> np.ndarray:
    from scipy.special import betaincinv

    return betaincinv(alpha, alpha, np.linspace(0, 1, QUANTILES + 1)).astype(np.float32)

"""The normalisation of images by the mean and deviation of each channel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

AT_ONCE = 1024  # images of an array that are in float64 at a time


def normalization_of(images: Any) -> keras.layers.Normalization:
    """Return a layer that normalises images to mean 0 and deviation 1 in every channel, by the statistics of `images`.

    It is built, unlike a `keras.layers.Normalization` that was only given a mean and a variance, so
    `dataset.map(layer)` works. It also serves as the first layer of a model, or as `preprocessing` of
    `export_saved_model`.

    Args:
        images: An array `[images, height, width, channels]` of any numbers, or an iterable of such batches, such as a
            `tf.data.Dataset` of images. It is read once, and the sums are float64. The sizes of batches may differ.

    Returns:
        A float32 layer on `[batch, height, width, channels]`.

    Raises:
        ValueError: if there are no images, a batch has another shape or number of channels, a value is NaN or
            infinite, or a dataset repeats without end.

    Example:

    >>> import numpy as np, keras_resunits as kr
    >>> images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype="uint8")
    >>> normalized = np.asarray(kr.normalization_of(images)(images))
    >>> bool(abs(normalized.mean((0, 1, 2))).max() < 1e-5), bool(abs(normalized.std((0, 1, 2)) - 1).max() < 1e-5)
    (True, True)
    """
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for batch in _batches(images):
        if count and batch.shape[-1] != mean.size:
            raise ValueError(f"`images` must all have {mean.size} channels. Received: a batch of shape {batch.shape}.")
        own, ahead = batch[..., 0].size, batch.mean((0, 1, 2)) - mean
        squares = squares + batch.var((0, 1, 2)) * own + ahead**2 * (count * own / (count + own))  # Chan et al. 1979
        mean = mean + ahead * (own / (count + own))
        count += own
    if not count:
        raise ValueError("`images` must hold at least one image. Received: none (normalization_of).")
    if not np.isfinite(squares).all():
        raise ValueError("`images` must be finite. Received: NaN or infinite values among them (normalization_of).")
    layer = keras.layers.Normalization(mean=mean, variance=squares / count, dtype="float32", name="normalization")
    layer.build((None, None, None, mean.size))
    return layer


def _batches(images) -> Iterator[np.ndarray]:
    """Yield images in float64, a part at a time; refuse anything else."""
    if hasattr(images, "shape"):
        whole = _array(images)
        images = (whole[i : i + AT_ONCE] for i in range(0, len(whole), AT_ONCE))
    if isinstance(images, (str, bytes, dict)) or not isinstance(images, Iterable):
        raise ValueError(f"`images` must be an array or batches of images. Received: images={images!r}.")
    if hasattr(images, "cardinality") and int(images.cardinality()) == -1:  # `tf.data.INFINITE_CARDINALITY`
        raise ValueError("`images` must end. Received: a dataset that repeats without end (normalization_of).")
    for batch in images:
        if len(array := _array(batch)):
            yield array.astype("float64")


def _array(batch) -> np.ndarray:
    """Return a batch as an array; refuse what is no batch of images, such as a pair of images and labels."""
    array: Any = keras.ops.convert_to_numpy(batch) if hasattr(batch, "shape") else np.zeros(())
    if array.ndim != 4 or not array.shape[3] or array.dtype.kind not in "buif":
        raise ValueError(
            "`images` must be numbers [images, height, width, channels], or batches of this shape. Received: "
            f"{f'shape {array.shape}, {array.dtype}' if hasattr(batch, 'shape') else repr(batch)[:80]} "
            "(normalization_of)."
        )
    return array

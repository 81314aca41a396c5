"""A feed gives each replica its share; together the shares are the batches of one replica."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from train.data.augmentation import Augmentation
from train.data.datasets import ImageData
from train.data.feeding import Feed
from train.process.errors import BadInput

BATCH = 4


@pytest.fixture
def data():
    """Ten images of noise, of which six are also the test images."""
    images = np.random.default_rng(0).integers(0, 256, (10, 5, 4, 1), dtype=np.uint8)
    return ImageData((images, np.arange(10)), (images[:6], np.arange(6)), [str(i) for i in range(10)])


def batches(feed: Feed) -> list[tuple]:
    """The first training batches, from the second step on, and all test batches."""
    stream = feed.training(first_step=1)
    return [*(next(stream) for _ in range(3)), *feed.testing()]


def test_two_replicas_get_shares_of_the_batches_that_one_gets_whole(data, two_devices):
    whole = batches(Feed(data, BATCH, Augmentation(1, True), seed=3))
    with two_devices.scope():
        shared = batches(Feed(data, BATCH, Augmentation(1, True), seed=3))
    assert len(whole) == len(shared)
    for one, two in zip(whole, shared, strict=True):
        for tensor, parts in zip(one, two, strict=True):
            assert isinstance(tensor, tf.Tensor)  # nothing is distributed over one
            first, second = two_devices.experimental_local_results(parts)
            assert first.shape == second.shape
            np.testing.assert_array_equal(tf.concat([first, second], 0), tensor)


@pytest.mark.parametrize(("batch", "workers"), [(6, 2), (5, 1)])
def test_neighbours_are_mixed_only_in_even_batches(data, batch, workers):
    text = rf"--batch_size={batch} over {workers} workers, {batch // workers} each\."
    with pytest.raises(BadInput, match=text):
        Feed(data, batch, Augmentation(1, True, cutmix=1.0), seed=0, workers=workers)
    Feed(data, batch, Augmentation(1, True), seed=0, workers=workers)
    Feed(data, 2 * batch, Augmentation(1, True, cutmix=1.0), seed=0, workers=workers)

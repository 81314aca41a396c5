"""Batches are a function of (seed, step): every example once per epoch, every crop a window of the padded image."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from train.data.augmentation import Augmentation
from train.data.batches import order, test_batches, training_batches
from train.data.datasets import ImageData

COUNT, HEIGHT, WIDTH, BATCH = 10, 5, 4, 4
PLAIN = Augmentation(pad=0, flip=False)
FULL = Augmentation(pad=2, flip=True)
EVERYTHING = Augmentation(2, True, randaugment=15, erasing=0.5, mixup=1.0, cutmix=1.0, label_smoothing=0.1)


@pytest.fixture
def data():
    """Ten images of noise; an image's label is its index."""
    images = np.random.default_rng(0).integers(0, 256, (COUNT, HEIGHT, WIDTH, 3), dtype=np.uint8)
    labels = np.arange(COUNT)
    return ImageData((images, labels), (images[:7], labels[:7]), [str(i) for i in labels])


def take(steps: int, *arguments, **options):
    """The first batches of a stream, as `(images, labels)` of numpy."""
    batches = training_batches(*arguments, **options).take(steps).as_numpy_iterator()
    images, labels = zip(*batches, strict=True)
    return np.stack(images), np.stack(labels)


def windows(image: np.ndarray, mean: np.ndarray, pad: int) -> dict[bytes, tuple[int, int, bool]]:
    """Every window of the padded image, mirrored or not, with where it is: the definition, by loops."""
    height, width, channels = image.shape
    padded = np.zeros((height + 2 * pad, width + 2 * pad, channels), np.uint8)
    for row, column, channel in np.ndindex(padded.shape):
        inside = pad <= row < pad + height and pad <= column < pad + width
        padded[row, column, channel] = image[row - pad, column - pad, channel] if inside else mean[channel]
    found = {}
    for top, left, mirrored in itertools.product(range(2 * pad + 1), range(2 * pad + 1), (False, True)):
        window = padded[top : top + height, left : left + width]
        found[(window[:, ::-1] if mirrored else window).tobytes()] = (top, left, mirrored)
    return found


@pytest.mark.parametrize("batch_size", [1, 4, 10])
@pytest.mark.parametrize("seed", [0, 7])
def test_every_epoch_is_a_permutation_of_its_own(data, batch_size, seed):
    epochs = 6
    _, labels = take(epochs * COUNT // batch_size, data, batch_size, FULL, seed)
    orders = labels.ravel().reshape(epochs, COUNT)
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(COUNT), (epochs, 1)))
    assert len({order.tobytes() for order in orders}) == epochs


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_order_is_independent_of_the_files_order_and_of_the_last_epoch(seed):
    """Folders come class by class: a weak shuffle would give batches of few classes."""
    count, epochs = 1000, 30
    data = ImageData((np.zeros((count, 1, 1, 1), np.uint8), np.arange(count)), None)
    orders = take(epochs, data, count, PLAIN, seed)[1]
    correlations = [abs(np.corrcoef(order, np.arange(count))[0, 1]) for order in orders]
    assert np.mean(correlations) < 0.05  # of true permutations: 0.8 / sqrt(count) = 0.025
    shared = [(a == b).sum() for a, b in itertools.combinations(orders, 2)]
    assert 0.7 < np.mean(shared) < 1.3  # of true permutations: 1


@pytest.mark.parametrize("first", [1, 5, 8])
def test_a_stream_from_a_later_step_is_the_stream_from_the_start_without_its_first_steps(data, first):
    images, labels = take(12, data, BATCH, FULL, 3)
    later_images, later_labels = take(12 - first, data, BATCH, FULL, 3, first_step=first)
    np.testing.assert_array_equal(later_images, images[first:])
    np.testing.assert_array_equal(later_labels, labels[first:])


def test_a_seed_repeats_its_batches_and_another_seed_has_others(data):
    (images, labels), (same_images, same_labels), (_, other_labels) = (
        take(5, data, BATCH, FULL, seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(images, same_images)
    np.testing.assert_array_equal(labels, same_labels)
    assert (labels != other_labels).any()


def test_another_seed_crops_differently(data):
    first, second = (take(10, data, COUNT, FULL, seed) for seed in (0, 1))
    sort = [np.argsort(labels, axis=1) for _, labels in (first, second)]
    aligned = [
        np.take_along_axis(i, s[..., None, None, None], axis=1) for (i, _), s in zip((first, second), sort, strict=True)
    ]
    assert (aligned[0] != aligned[1]).any()


@pytest.mark.parametrize("augmentation", [FULL, Augmentation(pad=1, flip=False), Augmentation(pad=0, flip=True)])
def test_every_crop_is_a_window_of_the_padded_image_and_every_window_comes(data, augmentation):
    images, _ = data.train
    mean = np.round(images.reshape(-1, 3).mean(0)).astype(np.uint8)
    known = [windows(image, mean, augmentation.pad) for image in images]
    crops, of = take(250, data, BATCH, augmentation, 0)
    seen = {
        known[label][crop.tobytes()]
        for crop, label in zip(crops.reshape(-1, *images.shape[1:]), of.ravel(), strict=True)
    }
    offsets = range(2 * augmentation.pad + 1)
    assert seen == set(itertools.product(offsets, offsets, (False, True) if augmentation.flip else (False,)))


def test_half_of_the_images_are_mirrored_and_offsets_are_even(data):
    images, _ = data.train
    mean = np.round(images.reshape(-1, 3).mean(0)).astype(np.uint8)
    known = [windows(image, mean, 1) for image in images]
    crops, of = take(900, data, BATCH, Augmentation(pad=1, flip=True), 0)
    drawn = [
        known[label][crop.tobytes()]
        for crop, label in zip(crops.reshape(-1, *images.shape[1:]), of.ravel(), strict=True)
    ]
    counts = {outcome: drawn.count(outcome) for outcome in itertools.product(range(3), range(3), (False, True))}
    assert 140 < min(counts.values()) <= max(counts.values()) < 260  # 200 +- 4 standard deviations of 14


def test_no_tuner_makes_the_deletion_of_an_iterator_wait(data):
    for batches in (training_batches(data, BATCH, PLAIN, 0), test_batches(data, BATCH)):
        assert batches.options().autotune.enabled is False


@pytest.mark.parametrize("channels", [1, 3])
def test_without_crop_and_mirror_the_images_are_themselves(data, channels):
    images = data.train[0][..., :channels]
    plain = ImageData((images, data.train[1]), (images, data.train[1]), data.class_names)
    given, labels = take(5, plain, BATCH, PLAIN, 0)
    assert (given.dtype, labels.dtype, given.shape) == (np.uint8, np.int64, (5, BATCH, HEIGHT, WIDTH, channels))
    np.testing.assert_array_equal(given, images[labels])


@pytest.mark.parametrize(
    ("augmentation", "shards", "batch_size", "first"),
    [(FULL, 2, 4, 0), (FULL, 2, 6, 7), (FULL, 3, 12, 1), pytest.param(EVERYTHING, 2, 12, 7, marks=pytest.mark.slow)],
)
def test_the_shards_batches_side_by_side_are_the_batch_of_one_worker(data, shards, batch_size, augmentation, first):
    images, labels = take(3, data, batch_size, augmentation, 5, first_step=first)
    parts = [take(3, data, batch_size, augmentation, 5, first, shard, shards) for shard in range(shards)]
    np.testing.assert_array_equal(np.concatenate([part for part, _ in parts], axis=1), images)
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts], axis=1), labels)


@pytest.mark.slow
def test_an_examples_draws_follow_from_its_position_not_from_its_batch(data):
    small, large = (take(count, data, batch, EVERYTHING, 5) for count, batch in ((10, 4), (5, 8)))
    for few, many in zip(small, large, strict=True):
        np.testing.assert_array_equal(few.reshape(many.shape), many)


def test_every_epoch_crops_an_image_differently(data):
    images, labels = take(2, data, COUNT, replace(FULL, pad=4), 0)
    first, second = (batch[np.argsort(of)] for batch, of in zip(images, labels, strict=True))
    assert (first != second).any(axis=(1, 2, 3)).sum() >= COUNT - 2  # 1 in 162 is the same by chance


@pytest.mark.parametrize(
    ("batch_size", "shard", "shards"), [(4, 0, 3), (4, 2, 2), (4, -1, 2)], ids=["uneven", "too high", "negative"]
)
def test_impossible_parts_are_refused(data, batch_size, shard, shards):
    for batches in (
        lambda: training_batches(data, batch_size, PLAIN, 0, shard=shard, shards=shards),
        lambda: test_batches(data, batch_size, shard, shards),
    ):
        with pytest.raises(ValueError, match=f"batch_size={batch_size}, shard={shard}, shards={shards}"):
            batches()


def test_mixed_neighbours_require_an_even_part(data):
    with pytest.raises(ValueError, match=r"even batch per shard. Received: 6 over 2 shards"):
        training_batches(data, 6, EVERYTHING, 0, shards=2)


@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [6, 12, 96])
def test_test_batches_hold_every_example_once_over_the_shards_and_all_shapes_are_equal(data, batch_size, shards):
    places = [()] if shards == 1 else [(i, shards) for i in range(shards)]
    parts = [list(test_batches(data, batch_size, *place).as_numpy_iterator()) for place in places]
    assert {len(part) for part in parts} == {-(-7 // batch_size)}
    assert {len(labels) for part in parts for _, labels, _ in part} == {batch_size // shards}
    found = [
        (image, label)
        for step in zip(*parts, strict=True)
        for batch in step
        for image, label, weight in zip(*batch, strict=True)
        if weight
    ]
    np.testing.assert_array_equal([image for image, _ in found], data.test[0])
    np.testing.assert_array_equal([label for _, label in found], data.test[1])
    assert {weight for part in parts for _, _, weights in part for weight in weights} <= {0.0, 1.0}


def test_a_single_image_makes_a_stream(data):
    one = ImageData((data.train[0][:1], data.train[1][:1]), data.test, data.class_names)
    images, labels = take(3, one, 1, PLAIN, 0)
    np.testing.assert_array_equal(images[:, 0], np.repeat(data.train[0][:1], 3, axis=0))
    assert (labels == 0).all()


SIZES = (1437, 10_000, 50_000, 60_000, 1_281_167)


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (0, 7), (12345, 1)])
def test_neighbours_in_the_order_of_an_epoch_are_not_correlated(count, seed, epoch):
    found = order(tf.range(count, dtype=tf.int64) + epoch * count, count, seed).numpy()
    assert np.array_equal(np.sort(found), np.arange(count))
    deviations = (found - found.mean()) / found.std()
    for lag in (1, 2, 3, 10):
        correlation = (deviations[lag:] * deviations[:-lag]).mean()
        assert abs(correlation) < 5 / np.sqrt(count)  # a random permutation's has the deviation 1 / sqrt(count)


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (3, 5)])
def test_batches_of_a_set_stored_class_by_class_are_as_unbalanced_as_random_ones(count, seed, epoch):
    classes, batch = 10, 128
    found = order(tf.range(count, dtype=tf.int64) + epoch * count, count, seed).numpy()
    labels = (found * classes // count)[: count // batch * batch].reshape(-1, batch)
    counts = np.stack([(labels == each).sum(1) for each in range(classes)], 1)
    share = np.bincount(np.arange(count) * classes // count) / count
    variance = batch * share * (1 - share) * (count - batch) / (count - 1)  # hypergeometric
    ratio = ((counts - batch * share) ** 2 / variance).mean()
    assert abs(ratio - 1) < 5 * np.sqrt(2 / (len(labels) * (classes - 1)))


@pytest.mark.parametrize(
    ("rounds", "orders"),
    [
        (4, [[1, 4, 6, 7, 2, 0, 5, 3], [3, 5, 7, 2, 6, 1, 0, 4]]),  # as in runs of earlier versions
        (8, [[7, 4, 0, 5, 6, 2, 1, 3], [2, 5, 4, 6, 1, 3, 0, 7]]),
    ],
)
def test_a_run_keeps_its_order_in_later_versions(rounds, orders):
    positions = tf.range(16, dtype=tf.int64)
    assert order(positions, count=8, seed=0, rounds=rounds).numpy().reshape(2, 8).tolist() == orders

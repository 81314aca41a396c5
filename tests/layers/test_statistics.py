"""The normalisation of images by their own statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr

IMAGES = np.random.default_rng(0).integers(0, 256, (70, 4, 5, 3), dtype="uint8")


@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        [IMAGES[:1], IMAGES[1:33], IMAGES[33:]],
        (part for part in (IMAGES[:50], IMAGES[50:])),
        tf.data.Dataset.from_tensor_slices(IMAGES).batch(32),
        tf.constant(IMAGES),
    ],
    ids=["array", "list", "generator", "dataset", "tensor"],
)
def test_the_statistics_are_those_of_all_images(images):
    layer = kr.normalization_of(images)
    pixels = IMAGES.astype("float64")
    np.testing.assert_allclose(np.ravel(layer.mean), pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(np.ravel(layer.variance), pixels.var((0, 1, 2)), rtol=1e-6)


def test_a_large_mean_keeps_its_small_deviation():
    images = 4000 + np.random.default_rng(0).normal(0, 0.01, (3000, 4, 4, 1))
    np.testing.assert_allclose(np.ravel(kr.normalization_of(images).variance), images.var(), rtol=1e-6)


def test_it_maps_a_dataset_and_begins_a_model(tmp_path):
    layer = kr.normalization_of(IMAGES)
    mapped = next(iter(tf.data.Dataset.from_tensor_slices(IMAGES).batch(70).map(layer)))
    model = keras.Sequential([keras.Input((4, 5, 3)), layer, keras.layers.Flatten()])
    model.save(tmp_path / "first.keras")
    loaded = keras.models.load_model(tmp_path / "first.keras")
    np.testing.assert_allclose(np.ravel(mapped), np.ravel(loaded(IMAGES)), rtol=1e-5)


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (IMAGES[0], r"Received: shape \(4, 5, 3\), uint8"),
        (IMAGES[:0], "at least one image"),
        ([], "at least one image"),
        ([IMAGES, IMAGES[..., :2]], r"all have 3 channels. Received: a batch of shape \(70, 4, 5, 2\)"),
        (np.full((1, 2, 2, 1), np.nan), "must be finite"),
        ([(IMAGES, [0])], r"batches of this shape. Received: \(array"),
        ("images", "must be an array or batches"),
        (tf.data.Dataset.from_tensors(IMAGES).repeat(), "must end. Received: a dataset that repeats without end"),
    ],
)
def test_other_images_are_refused(images, text):
    with pytest.raises(ValueError, match=text):
        kr.normalization_of(images)

"""Centring: batch normalisation without the division."""

import numpy as np
import pytest

import keras_resunits as kr

X = np.random.default_rng(0).normal(3.0, 2.0, (8, 4, 4, 2)).astype("float32")


def test_it_is_batch_normalisation_of_a_variance_of_one():
    centred, normed = kr.Centering(momentum=0.5), kr.BatchNormalization(momentum=0.5, scale=False, epsilon=1e-12)
    for layer in (centred, normed):
        layer.build(X.shape)
        layer.beta.assign([1.0, -1.0])
    deviation = X.std((0, 1, 2))
    trained = [np.asarray(layer(X, training=True)) for layer in (centred, normed)]
    np.testing.assert_allclose(trained[0] - centred.beta, (trained[1] - normed.beta) * deviation, atol=1e-4)
    np.testing.assert_allclose(centred.moving_mean, normed.moving_mean, rtol=1e-6)
    np.testing.assert_allclose(centred.moving_mean, 0.5 * X.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(centred(X), X - centred.moving_mean + [1.0, -1.0], rtol=1e-5)


def test_a_frozen_one_uses_its_moving_mean_and_keeps_it():
    layer = kr.Centering()
    layer.build(X.shape)
    layer.trainable = False
    np.testing.assert_array_equal(layer(X, training=True), X)
    assert not np.any(layer.moving_mean)


def test_it_folds_into_the_convolution_before_it():
    model = kr.ResNet([1, 1, 1], (8, 8, 3), order=kr.PostAct(norm=kr.Centering))
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    model(images, training=True)
    folded = kr.surgery.fold(model)
    assert not [layer for layer in folded._flatten_layers() if isinstance(layer, kr.Centering)]
    np.testing.assert_allclose(folded(images), model(images), rtol=1e-4, atol=1e-5)


def test_a_momentum_that_is_no_share_is_refused():
    with pytest.raises(ValueError, match=r"`momentum` must be a number in \[0, 1\]"):
        kr.Centering(momentum=2)

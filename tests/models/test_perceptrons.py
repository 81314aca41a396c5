"""Fully connected residual networks, against the equation with matrices written out by hand."""

import keras
import numpy as np
import pytest

import keras_resunits as kr
from tests.catalog import randomize

SMALL = {"input_shape": (4, 5, 2), "classes": 3, "filters": 6}


def normed(x, norm):
    gamma, beta, mean, variance = (keras.ops.convert_to_numpy(w) for w in norm.weights)
    return gamma * (x - mean) / np.sqrt(variance + norm.epsilon) + beta


def layer_of_the_paper(x, weights, norm):
    """Dot-BN-ReLU."""
    return np.maximum(normed(x @ keras.ops.convert_to_numpy(weights.kernel), norm), 0)


@pytest.mark.parametrize(
    ("options", "unit"),
    [
        ({}, lambda x, branch: x + branch),
        ({"merge": "branch_only"}, lambda x, branch: branch),
        ({"tail": "residual_gate"}, lambda x, branch: x + 1.1 * branch),
    ],
    ids=["residual", "plain", "gated"],
)
def test_it_is_a_chain_of_matrix_products(options, unit):
    model = kr.FullyConnectedResNet(depth=4, **SMALL, **options)
    randomize(model)
    for gate in kr.scalar_gates(model).values():
        gate[0].k.assign(1.1)
    images = np.random.default_rng(0).normal(size=(2, 4, 5, 2)).astype("float32")
    _, *stem = model.get_layer("stem").layers
    x = layer_of_the_paper(images.reshape(2, -1), *stem[:2])
    for name in ("unit000", "unit001"):
        first, norm1, _, second, norm2, *_ = model.get_layer(name).branch.layers
        x = unit(x, layer_of_the_paper(layer_of_the_paper(x, first, norm1), second, norm2))
    kernel, bias = model.get_layer("classifier").get_weights()
    np.testing.assert_allclose(model(images), x @ kernel + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("order", ["post_act", "full_pre_act", "fixup", "looks_linear"])
def test_other_orders_make_networks_too(order):
    model = kr.FullyConnectedResNet(depth=4, **SMALL, order=order)
    assert model(np.ones((2, 4, 5, 2), "float32")).shape == (2, 3)


def test_a_dense_layer_without_bias_is_two_operations_a_multiply_add():
    stem, *units = (row for row in kr.describe(kr.FullyConnectedResNet(depth=4)) if row.F.endswith("act"))
    assert (stem.F, stem.multiply_adds, stem.operations) == ("flat dense norm act", 39_200, 2 * 39_200 + 5 * 50)
    assert {(row.F, row.operations) for row in units} == {("dense norm act dense norm act", 2 * (2 * 2_500 + 5 * 50))}


def test_without_its_top_it_returns_the_last_layer():
    assert kr.FullyConnectedResNet(2, include_top=False, pooling="avg").output.shape == (None, 50)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: kr.FullyConnectedResNet(21), r"no network of depth 21: depths are 2n.*Nearest: 20, 22\. Received"),
        (lambda: kr.FullyConnectedResNet(1), r"Nearest: 2\. Received: depth=1"),
        (lambda: kr.FullyConnectedResNet(4, layers=3), r"depths are 3n, units of 3 .*Nearest: 3, 6\. Received"),
        (lambda: kr.FullyConnectedResNet(4, layers=0), r"`layers` must be a positive int"),
        (lambda: kr.FullyConnectedResNet(4, bias="he"), r"`bias` must be a Keras initialiser or its name, or None"),
        (lambda: kr.FullyConnectedResNet(0), r"`depth` must be a positive int\. Received: depth=0"),
        (lambda: kr.FullyConnectedResNet([2, 2]), r"`depth` must be a positive int"),
        (lambda: kr.FullyConnectedResNet(filters=0), r"`filters` must be a positive int"),
        (lambda: kr.FullyConnectedResNet(input_shape=(None, 28, 1)), r"a weight for every pixel.*\(None, 28, 1\)"),
        (lambda: kr.FullyConnectedResNet(input_shape=784), r"`input_shape` must be \(height, width, channels\).*784"),
    ],
)
def test_invalid_arguments_are_refused_with_an_explanation(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_units_of_one_layer_with_biases_that_differ():
    model = kr.FullyConnectedResNet(3, layers=1, bias="random_normal", **SMALL)
    row = kr.describe(model)[1]
    assert (len([unit for unit in model.layers if isinstance(unit, kr.Unit)]), row.F) == (3, "dense norm act")
    biases = [kr.layer(model, path).bias for path in ("stem/dense", "unit000/branch/dense1", "unit001/branch/dense1")]
    values = [keras.ops.convert_to_numpy(bias) for bias in biases]
    assert all(np.any(value) for value in values)
    assert not np.allclose(values[1], values[2]) and not np.allclose(values[0], values[1])

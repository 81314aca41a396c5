"""Weights of a hand-written Keras ResNet under automatic names: equal logits by order and shape, or a refusal."""

from functools import partial

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.converters import ConversionError, load_keras_weights
from keras_resunits.converters.automatic import EPSILON, _unclear
from tests.converters.test_keras_applications import randomized

SHAPE = (8, 8, 3)
ORDER = kr.PostAct(partial(kr.BatchNormalization, epsilon=EPSILON))


def conv_norm(x, filters, size, strides=1, same=False):
    if strides > 1 and size > 1 and not same:
        x = keras.layers.ZeroPadding2D(size // 2)(x)
    padding = "same" if strides == 1 or same else "valid"
    x = keras.layers.Conv2D(filters, size, strides, padding, use_bias=False)(x)
    return keras.layers.BatchNormalization()(x)


def by_hand(first: bool, block: str = "basic", units=(1, 2, 1), same=False) -> keras.Model:
    """A ResNet as people write it, with the shortcut made first or last."""
    inputs = keras.Input(SHAPE)
    x = keras.layers.ReLU()(conv_norm(inputs, 16, 3))
    for i, count in enumerate(units):
        for j in range(count):
            filters, strides = 16 * 2**i, 2 if i and not j else 1
            shapes = {
                "basic": [(filters, 3, strides), (filters, 3, 1)],
                "bottleneck": [(filters, 1, strides), (filters, 3, 1), (4 * filters, 1, 1)],
                "bottleneck_v1_5": [(filters, 1, 1), (filters, 3, strides), (4 * filters, 1, 1)],
            }[block]
            gives = shapes[-1][0]
            changes = strides > 1 or x.shape[-1] != gives
            carry = conv_norm(x, gives, 1, strides) if first and changes else x
            y = x
            for shape in shapes[:-1]:
                y = keras.layers.ReLU()(conv_norm(y, *shape, same))
            y = conv_norm(y, *shapes[-1], same)
            carry = conv_norm(x, gives, 1, strides) if not first and changes else carry
            x = keras.layers.ReLU()(keras.layers.Add()([y, carry]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return randomized(keras.Model(inputs, keras.layers.Dense(5)(x)))


def ours(block: str = "basic", units=(1, 2, 1), order=ORDER) -> keras.Model:
    return kr.ResNet(list(units), SHAPE, 5, block=block, shortcut="projection", order=order)


def largest_difference(model, theirs) -> float:
    x = np.random.default_rng(6).normal(size=(2, *SHAPE)).astype("float32")
    wanted = np.asarray(theirs(x))
    return np.abs(np.asarray(model(x)) - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize("first", [True, False], ids=["shortcut-first", "shortcut-last"])
@pytest.mark.parametrize("block", ["basic", "bottleneck", "bottleneck_v1_5"])
def test_a_model_written_by_hand_is_matched_by_order_and_shape(block, first):
    theirs, model = by_hand(first, block), ours(block)
    assert largest_difference(model, theirs) > 1e-2
    assert load_keras_weights(model, theirs) == "keras_automatic"
    assert largest_difference(model, theirs) < 1e-4


@pytest.mark.parametrize("first", [True, False], ids=["shortcut-first", "shortcut-last"])
@pytest.mark.parametrize("file", ["x.h5", "x.weights.h5", "x.keras"])
def test_a_file_is_matched_where_it_leaves_nothing_open(tmp_path, file, first):
    theirs, model = by_hand(first, "bottleneck"), ours("bottleneck")
    (theirs.save_weights if file == "x.weights.h5" else theirs.save)(tmp_path / file)
    assert load_keras_weights(model, tmp_path / file) == "keras_automatic"
    assert largest_difference(model, theirs) < 1e-4


def test_answers_decide_where_both_orders_fit(tmp_path):
    """One unit of two equal 1x1 convolutions, of which the shortcut is either."""
    body = kr.Body(lambda slot: [keras.layers.Conv2D(4, 1, use_bias=False, name="conv1")], depth=1)
    recipe = kr.Recipe(body, ORDER, kr.projection_always)
    model = kr.network([(recipe, kr.Slot(0, 1, 4, 4))], kr.Stem(4), ORDER, input_shape=SHAPE, classes=5)
    inputs = keras.Input(SHAPE)
    x = keras.layers.ReLU()(conv_norm(inputs, 4, 3))
    branch, carry = conv_norm(x, 4, 1), conv_norm(x, 4, 1)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(keras.layers.Add()([branch, carry])))
    theirs = randomized(keras.Model(inputs, keras.layers.Dense(5)(x)))
    theirs.save_weights(tmp_path / "x.weights.h5")
    refused(model, tmp_path / "x.weights.h5", "made before the branches or after them: both fit")
    load_keras_weights(model, theirs)
    assert largest_difference(model, theirs) < 1e-4


def refused(model, source, match):
    before = model.get_weights()
    with pytest.raises(ConversionError, match=match) as raised:
        load_keras_weights(model, source)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def theirs():
    return by_hand(first=True)


def test_a_model_that_computes_something_else_is_refused():
    refused(ours(), by_hand(first=True, same=True), r"answers differ\..*padding='same' pads on one side only")


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (ours, r"does not tell how '.*conv1', which has a stride, was padded"),
        (partial(ours, order=kr.PostAct()), r"does not tell epsilon: wanted Keras' default, 0\.001, got 1e-05 in"),
        (partial(ours, units=(1, 1, 1)), r"other layers .*: wanted \{.*'conv2d': 9.*\}, got \{.*'conv2d': 11"),
        (partial(ours, units=(2, 1, 1)), r"has layers of other shapes .*, or in another order"),
    ],
    ids=["padding", "epsilon", "count", "shapes"],
)
def test_a_file_that_leaves_something_open_is_refused(tmp_path, theirs, model, match):
    theirs.save_weights(tmp_path / "x.weights.h5")
    refused(model(), tmp_path / "x.weights.h5", match)


@pytest.mark.parametrize(
    ("size", "strides", "open_"), [(1, 1, 0), (1, 2, 0), (2, 1, 0), (2, 2, 1), (3, 1, 0), (3, 2, 1)]
)
def test_a_padding_is_left_open_by_strides_of_what_is_larger_than_1x1(size, strides, open_):
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(4, size, strides)])
    assert bool(_unclear(model, 1)) == open_

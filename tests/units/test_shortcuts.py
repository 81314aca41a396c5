"""Shortcuts: options A, B and C of He et al. 2015."""

from itertools import product

import keras
import numpy as np
import pytest

import keras_resunits as kr
from tests import catalog

SAME = kr.Slot(index=4, total=9, in_filters=8, filters=8)
CHANGED = kr.Slot(index=4, total=9, in_filters=8, filters=16, strides=2)
STRIDED = kr.Slot(index=4, total=9, in_filters=8, filters=8, strides=2)
WIDER = kr.Slot(index=4, total=9, in_filters=8, filters=12)


def images(size=(8, 8), channels=8):
    return np.random.default_rng(0).normal(size=(2, *size, channels)).astype("float32")


@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("extra", [0, 8])
@pytest.mark.parametrize("size", [(8, 8), (7, 7), (5, 9)])
def test_zero_padding_takes_every_nth_pixel_and_appends_zeros(size, extra, strides):
    x = images(size)
    y = np.asarray(kr.ZeroPad(extra, strides)(x))
    np.testing.assert_array_equal(y[..., :8], x[:, ::strides, ::strides])
    assert y.shape[-1] == 8 + extra
    assert not y[..., 8:].any()


def test_zero_padding_has_no_weights():
    layer = kr.ZeroPad(8, 2)
    layer(images())
    assert layer.weights == []


@pytest.mark.parametrize(("extra", "strides"), [(-1, 1), (0, 0), (3, -2)])
def test_zero_padding_refuses_to_drop_channels_and_strides_below_one(extra, strides):
    with pytest.raises(ValueError, match=f"drops no channels.*Received: extra={extra}, strides={strides}"):
        kr.ZeroPad(extra, strides)


@pytest.mark.parametrize("slot", [SAME, CHANGED, STRIDED, WIDER], ids=["same", "changed", "strided", "wider"])
@pytest.mark.parametrize(
    ("choice", "when_same", "when_changed"),
    [
        (kr.identity, keras.layers.Identity, keras.layers.Identity),
        (kr.zero_pad, keras.layers.Identity, kr.ZeroPad),
        (kr.projection, keras.layers.Identity, kr.Series),
        (kr.projection_always, kr.Series, kr.Series),
    ],
    ids=["identity", "A", "B", "C"],
)
def test_each_option_acts_where_the_paper_says(choice, when_same, when_changed, slot):
    layer = choice(slot, kr.PostAct())
    assert type(layer) is (when_changed if slot.changes_shape else when_same)
    assert layer.name == "shortcut"
    if choice is not kr.identity:
        wanted = (2, 8 // slot.strides, 8 // slot.strides, slot.filters)
        assert tuple(layer(images()).shape) == wanted


def test_a_projection_is_a_strided_1x1_convolution():
    layer, x = kr.projection(CHANGED, kr.FullPreAct()), images()
    y = layer(x)
    (kernel,) = layer.get_weights()
    assert kernel.shape == (1, 1, 8, 16)
    np.testing.assert_allclose(y, x[:, ::2, ::2] @ kernel[0, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "shortcut", [None, "constant_scaling", "shortcut_gating", "conv_1x1", "dropout", "avg_pool_pad"]
)
def test_behind_a_wider_stem_every_choice_for_cifar_projects_what_option_a_cannot_append(shortcut):
    unit, *_, last = kr.describe(kr.ResNet(depth=8, stem=kr.Stem(24), shortcut=shortcut))[1:4]
    assert "conv1" in unit.h
    assert ("pad" in last.h) == (shortcut != "conv_1x1")


def test_option_a_refuses_a_unit_with_fewer_filters_and_names_it():
    with pytest.raises(ValueError, match=r"can only append channels.*in_filters=16, filters=8 \(unit 'unit004'\)"):
        kr.zero_pad(kr.Slot(index=4, total=9, in_filters=16, filters=8), kr.PostAct())


@pytest.mark.slow
@pytest.mark.parametrize("body", ["basic", pytest.param("bottleneck", marks=pytest.mark.long)])
def test_any_shortcut_goes_with_any_order(body):
    orders = {**catalog.ORDERS, **catalog.MORE_ORDERS}
    for order, shortcut in product(["post_act", "full_pre_act", "looks_linear", "fixup"], catalog.SHORTCUTS):
        if shortcut != "identity":
            model = kr.ResNet([1, 1, 1], (8, 8, 3), block=body, order=order, shortcut=shortcut)
            assert model.output_shape == (None, 10), (order, shortcut)
    for order, shortcut, slot in product(orders, catalog.SHORTCUTS, (SAME, CHANGED)):
        if shortcut == "identity" and slot is CHANGED:
            continue  # `Add` refuses it
        unit = kr.Recipe(catalog.BODIES[body], orders[order], catalog.SHORTCUTS[shortcut])(slot)
        unit.build((2, 8, 8, 8))
        wanted = (2, 8 // slot.strides, 8 // slot.strides, slot.filters)
        assert unit.compute_output_shape((2, 8, 8, 8)) == wanted, (order, shortcut, slot.name)


@pytest.mark.parametrize("name", sorted(set(catalog.SHORTCUTS) - {"identity"}))
def test_a_shortcut_refuses_what_is_no_slot(name):
    with pytest.raises(ValueError, match=r"`slot` must be a `Slot`"):
        catalog.SHORTCUTS[name]("slot", kr.PostAct())

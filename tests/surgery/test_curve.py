"""What pruning costs and gains on the way."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.surgery import drop, prune, pruning_curve
from tests.catalog import SMALL, randomize

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.normal(size=(20, 8, 8, 3)).astype("float32"), np.arange(20) % 5
ORDER = ("unit003", "unit000", "unit001", "unit005")


@pytest.fixture(scope="module")
def gated():
    """A gated network of six units, of which two change the shape; no test changes it."""
    keras.utils.set_random_seed(0)
    model = kr.GatedResNet([2, 2, 2], **SMALL)
    randomize(model)
    return model


def accuracy(model):
    return (np.asarray(model(IMAGES)).argmax(-1) == LABELS).mean()


def test_each_row_is_the_network_without_the_first_units(gated):
    curve = pruning_curve(gated, ORDER, IMAGES, LABELS)
    assert [(row["network"], row["dropped"], row["units"]) for row in curve.rows] == [
        ("whole", 0, 6),
        ("-1", 1, 5),
        ("-2", 2, 4),
        ("-3", 3, 3),
        ("-4", 4, 2),
    ]
    expected = [accuracy(gated), *(accuracy(drop(gated, *ORDER[:n])) for n in range(1, 5))]
    np.testing.assert_allclose(curve.arrays["accuracy"], expected)
    assert len(set(expected)) > 1
    shorter = drop(gated, *ORDER)
    assert curve.rows[-1]["parameters"] == kr.describe(shorter).parameters < curve.rows[0]["parameters"]
    assert (curve.arrays["latency"] > 0).all() and [cost.units for cost in curve.costs] == [6, 5, 4, 3, 2]


def test_the_tuned_network_is_a_row_and_a_star(gated):
    tuned = drop(gated, *ORDER[:2])
    randomize(tuned)
    curve = pruning_curve(gated, ORDER[:2], IMAGES, LABELS, tuned=tuned, points=1)
    assert [(row["network"], row["dropped"]) for row in curve.rows] == [("whole", 0), ("-2", 2), ("tuned", 2)]
    assert curve.rows[-1]["accuracy"] == pytest.approx(accuracy(tuned))
    ax = curve.plot()
    lines = [line.get_xydata() for each in ax.figure.axes for line in each.lines]
    assert [len(line) for line in lines] == [2, 1, 2, 1]
    np.testing.assert_allclose(lines[1], [[2, 100 * accuracy(tuned)]])
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["accuracy", "accuracy, trained on", "latency", "latency, trained on"]


def test_an_answer_that_is_nan_is_wrong(gated):
    broken = drop(gated)
    bias = broken.get_layer("classifier").bias
    bias.assign(np.nan * np.asarray(bias))
    assert pruning_curve(broken, ["unit000"], IMAGES, LABELS).arrays["accuracy"].tolist() == [0, 0]


def test_nothing_dropped_is_the_whole_network(gated):
    whole = prune(gated, "gate", keep=6).dropped
    assert [row["network"] for row in pruning_curve(gated, whole, IMAGES, LABELS).rows] == ["whole"]


def test_a_curve_that_cannot_be_measured_is_refused(gated):
    for dropped, images, labels, text in [
        (("unit3",), IMAGES, LABELS, r"unknown unit 'unit3'.*Did you mean"),
        (("unit002",), IMAGES, LABELS, "must not change shapes"),
        (("unit003", "unit003"), IMAGES, LABELS, r"each unit once. Received: 'unit003' twice \(pruning_curve\)"),
        (ORDER, None, LABELS, r"no images \(pruning_curve\)"),
        (ORDER, IMAGES, LABELS[:3], r"each of the 20 .* shape \(3,\)"),
        (ORDER, IMAGES, None, r"\(pruning_curve\)"),
        (3, IMAGES, LABELS, "`dropped`"),
        ("unit003", IMAGES, LABELS, "`dropped`"),
    ]:
        with pytest.raises(ValueError, match=text):
            pruning_curve(gated, dropped, images, labels)
    fewer = kr.GatedResNet([2, 1, 1], input_shape=SMALL["input_shape"], classes=3)
    for tuned in (gated, fewer, kr.GatedResNet([1, 1, 1], **SMALL, include_top=False)):
        with pytest.raises(ValueError, match=r"`tuned` must be .*: 4 units, .*\(5,\)\. Received: '.* units.*_curve"):
            pruning_curve(gated, ORDER[:2], IMAGES, LABELS, tuned=tuned)
    with pytest.raises(ValueError, match="`points` must be"):
        pruning_curve(gated, ORDER, IMAGES, LABELS, points=0)
    with pytest.raises(ValueError, match="`tuned`"):
        pruning_curve(gated, ORDER, IMAGES, LABELS, tuned="net.keras")

"""Numbers at the public edge: NumPy's are as good as Python's, a bool is none, and an error says where."""

import json

import keras
import numpy as np
import pytest

import keras_resunits as kr

SMALL = {"input_shape": (8, 8, 3)}


@pytest.mark.parametrize(
    ("numpys", "pythons"),
    [
        (lambda: kr.Dropout(np.float32(0.5)), lambda: kr.Dropout(0.5)),
        (lambda: kr.StochasticDepth(np.float64(0.5)), lambda: kr.StochasticDepth(0.5)),
        (lambda: kr.LayerScale(np.float32(0.5)), lambda: kr.LayerScale(0.5)),
        (lambda: kr.ScalarGate(initial=np.int64(1)), lambda: kr.ScalarGate(initial=1)),
        (lambda: kr.SqueezeExcite(np.int32(2)), lambda: kr.SqueezeExcite(2)),
        (lambda: kr.wide_basic(np.float32(0.5))(SLOT)[1], lambda: kr.wide_basic(0.5)(SLOT)[1]),
        (lambda: kr.branch_scaling(SLOT, np.float32(0.5))[0], lambda: kr.branch_scaling(SLOT, 0.5)[0]),
        (
            lambda: kr.DenseNet(
                [np.int64(1)] * 3, growth=np.int64(4), compression=np.float32(0.5), dropout=np.float32(0.5)
            ),
            lambda: kr.DenseNet([1] * 3, growth=4, compression=0.5, dropout=0.5),
        ),
        (
            lambda: kr.ResNet(np.int64(8), (np.int64(8), None, np.int32(3)), np.int64(5), width=np.int64(2)),
            lambda: kr.ResNet(8, (8, None, 3), 5, width=2),
        ),
        (
            lambda: kr.PreActResNet(np.int64(50), (64, 64, 3), include_top=False),
            lambda: kr.PreActResNet(50, (64, 64, 3), include_top=False),
        ),
        (
            lambda: kr.FractalNet(np.int64(1), filters=[np.int64(8)], dropout=[np.float32(0.5)], seed=1, **SMALL),
            lambda: kr.FractalNet(1, filters=[8], dropout=[0.5], seed=1, **SMALL),
        ),
        (
            lambda: kr.HighwayNet(np.int64(5), gate_bias=np.float32(-1), **SMALL),
            lambda: kr.HighwayNet(5, gate_bias=-1, **SMALL),
        ),
        (lambda: kr.new_head(kr.ResNet(8), np.int64(3)), lambda: kr.new_head(kr.ResNet(8), 3)),
    ],
)
def test_a_number_of_numpy_is_pythons(numpys, pythons):
    keras.backend.clear_session()
    found = numpys().get_config()
    keras.backend.clear_session()
    assert json.dumps(found, sort_keys=True) == json.dumps(pythons().get_config(), sort_keys=True)


SLOT = kr.Slot(index=np.int64(0), total=np.int64(1), in_filters=np.int32(8), filters=np.int64(8))


def test_a_slot_of_numpys_ints_is_one_of_pythons():
    assert {type(number) for number in (SLOT.index, SLOT.total, SLOT.in_filters, SLOT.filters)} == {int}


BODY = kr.ResNet(8, include_top=False, pooling="avg")
NARROW = kr.Slot(index=3, total=9, in_filters=3, filters=3)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: kr.DenseNet(compression=True), r"`compression` must be a number in \(0, 1\].*=True \(DenseNet\)"),
        (lambda: kr.DenseNet(growth=True), r"`growth` must be a positive int\. Received: growth=True \(DenseNet\)"),
        (lambda: kr.DenseNet(dropout=True), r"`dropout` must be .* \(DenseNet\)"),
        (
            lambda: kr.DenseNet([1, 1, 1], growth=1, stem=kr.Stem(2), compression=0.1),
            r"`compression` must leave a channel of the 3 that block 1 gives\. Received: compression=0.1 \(DenseNet\)",
        ),
        (lambda: kr.growth(dropout=1.5), r"`dropout` must be a number in \[0, 1\).*=1.5 \(body 'growth'\)"),
        (lambda: kr.Dropout(np.bool_(False)), r"`rate` must be a number in \[0, 1\)"),
        (lambda: kr.StochasticDepth(float("nan")), r"`survival` must be a number in \(0, 1\]"),
        (lambda: kr.ResNet(8, width=True), r"`width` must be a positive int\. .*=True \(network 'resnet8'\)"),
        (lambda: kr.ResNet(8, classes=0), r"`classes` must be a positive int\. .*=0 \(network 'resnet8'\)"),
        (lambda: kr.PlainNet(8, classes=0), r"\(network 'plainnet8'\)"),
        (lambda: kr.new_head(BODY, classes=0), r"`classes` must be a positive int\. .*=0 \(new head of 'resnet8'\)"),
        (lambda: kr.FractalNet(True), r"`columns` must be a positive int\. .*=True \(FractalNet\)"),
        (
            lambda: kr.FractalNet(2, filters=(8, 8), dropout=0.1),
            r"`dropout` must hold a dropout rate for each block.*=0.1",
        ),
        (lambda: kr.FractalNet(2, filters=(), dropout=()), r"`filters` must hold a positive int for each block.*=\(\)"),
        (
            lambda: kr.FractalNet(2, filters=(8, 0), dropout=(0, 0)),
            r"`filters` must be a positive int.*=0 \(FractalNet\)",
        ),
        (lambda: kr.KerasResNet([3, 4, 6, 3]), r"`depth` must be one of 50, 101, 152, .*depth=\[3, 4, 6, 3\]"),
        (lambda: kr.KerasResNetV2([3, 4, 6, 3]), r"`depth` must be one of 50, 101, 152, .*depth=\[3, 4, 6, 3\]"),
        (
            lambda: kr.create(42),
            r"`name` must be a string such as 'resnet50' or 'ResNet'\. Received: name=42 \(create\)",
        ),
        (lambda: kr.create("resnet20_cifar", weights=42), r"or are 'imagenet'\. Received: 42\."),
        (lambda: kr.list_models(3), r"`pattern` must be a string such as 'resnet\*'\. Received: pattern=3"),
        (lambda: kr.bottleneck(NARROW), r"a bottleneck wants at least 4 filters.*filters=3 \(unit 'unit003'\)"),
        (
            lambda: kr.GatedResNet(8, g="bogus"),
            r"`g` must be an activation.*'relu' or 'leaky_relu'.*'bogus' \(layer 'gate'",
        ),
        (lambda: kr.ScalarGate(g=3), r"`g` must be an activation.*Received: g=3"),
        (lambda: kr.ResNet(8, merge="concat"), r"slot promises the next one 16\. A `Concat` widens: `DenseNet` plans"),
    ],
)
def test_what_is_no_number_of_its_kind_is_refused_with_its_place(make, text):
    with pytest.raises(ValueError, match=text) as raised:
        make()
    assert "\n" not in str(raised.value)

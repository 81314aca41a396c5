"""Arguments at the public edge: numbers of NumPy or Python, names or objects, and errors that state the argument."""

import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits import arguments
from keras_resunits.arguments import near_matches
from keras_resunits.units.shortcuts import SHORTCUTS
from tests.catalog import shapes_alone

IMAGES = {"input_shape": (8, 8, 3)}
SMALL = {"depth": [1, 1, 1], **IMAGES}


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
            lambda: kr.PreActResNet(np.int64(11), (8, 8, 3), include_top=False),
            lambda: kr.PreActResNet(11, (8, 8, 3), include_top=False),
        ),
        (
            lambda: kr.FractalNet(np.int64(1), filters=[np.int64(8)], dropout=[np.float32(0.5)], seed=1, **IMAGES),
            lambda: kr.FractalNet(1, filters=[8], dropout=[0.5], seed=1, **IMAGES),
        ),
        (
            lambda: kr.HighwayNet(np.int64(5), gate_bias=np.float32(-1), **IMAGES),
            lambda: kr.HighwayNet(5, gate_bias=-1, **IMAGES),
        ),
        (lambda: kr.new_head(kr.ResNet(8), np.int64(3)), lambda: kr.new_head(kr.ResNet(8), 3)),
    ],
)
def test_numbers_of_numpy_become_pythons(numpys, pythons):
    configs = []
    for make in (numpys, pythons):
        keras.backend.clear_session()
        with shapes_alone():
            configs.append(json.dumps(make().get_config(), sort_keys=True))
    assert configs[0] == configs[1]


NO_NUMBERS = (True, "1", None, float("nan"))


@pytest.mark.parametrize(
    ("kind", "taken", "refused"),
    [
        ("int", (-1, 0, np.int64(3)), (1.0,)),
        ("index", (0, np.int64(3)), (-1, 1.0)),
        ("positive_int", (1, 2), (0, 1.0)),
        ("number", (-1.5, 0, np.float32(2)), (math.inf,)),
        ("positive_number", (1e-9, 2), (0, math.inf)),
        ("not_negative", (0, 1e-9), (-1e-9, math.inf)),
        ("fraction", (0, 0.5, 1), (-1e-9, 1 + 1e-9)),
        ("rate", (0, 1 - 1e-9), (-1e-9, 1)),
        ("share", (1e-9, 1), (0, 1 + 1e-9)),
        ("limit", (-math.inf, math.inf, 0.5), ()),
        ("text", ("a",), ("", b"a", 1)),
        ("path", ("a", Path("a")), ("", b"a", 1)),
        ("bool", (True, np.bool_(False)), (0, "yes")),
    ],
)
def test_each_kind_of_argument_has_its_edges(kind, taken, refused):
    require = getattr(arguments, f"require_{kind}")
    for value in taken:
        assert require(value, "value", "here") == require.or_none(value, "value", "here") == value
    assert require.or_none(None, "value", "here") is None
    for value in (*refused, *(NO_NUMBERS if kind not in ("text", "path", "bool") else (None,))):
        with pytest.raises(ValueError, match=r"^`value` must be .*\. Received: value=.* \(here\)\.$"):
            require(value, "value", "here")
    assert require.each(list(taken), "values", "here") == taken
    with pytest.raises(ValueError, match=r"`values` must be a sequence"):
        require.each("ab", "values", "here")


SLOT = kr.Slot(index=np.int64(0), total=np.int64(1), in_filters=np.int32(8), filters=np.int64(8))


def test_the_ints_of_a_slot_become_pythons():
    assert {type(number) for number in (SLOT.index, SLOT.total, SLOT.in_filters, SLOT.filters)} == {int}


POOLED = kr.ResNet(8, include_top=False, pooling="avg")
NARROW = kr.Slot(index=3, total=9, in_filters=3, filters=3)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: kr.DenseNet(compression=True), r"`compression` must be a number in \(0, 1\].*=True \(DenseNet\)"),
        (lambda: kr.DenseNet(growth=True), r"`growth` must be a positive int\. Received: growth=True \(DenseNet\)"),
        (lambda: kr.DenseNet(dropout=True), r"`dropout` must be .* \(DenseNet\)"),
        (
            lambda: kr.DenseNet([1, 1, 1], growth=1, stem=kr.Stem(2), compression=0.1),
            r"`compression` must keep at least one of the 3 channels of block 1\. Received: compression=0.1 \(D",
        ),
        (lambda: kr.growth(dropout=1.5), r"`dropout` must be a number in \[0, 1\).*=1.5 \(body 'growth'\)"),
        (lambda: kr.Dropout(np.bool_(False)), r"`rate` must be a number in \[0, 1\)"),
        (lambda: kr.StochasticDepth(float("nan")), r"`survival` must be a number in \(0, 1\]"),
        (lambda: kr.ResNet(8, width=True), r"`width` must be a positive int\. .*=True \(network 'resnet8'\)"),
        (lambda: kr.ResNet(8, classes=0), r"`classes` must be a positive int\. .*=0 \(network 'resnet8'\)"),
        (lambda: kr.PlainNet(8, classes=0), r"\(network 'plainnet8'\)"),
        (lambda: kr.new_head(POOLED, classes=0), r"`classes` must be a positive int\. .*=0 \(new head of 'resnet8'\)"),
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
        (lambda: kr.ResNet(b"relu"), r"`depth` must be an int, or the units of each stage as a list.*depth=b'relu'"),
        (lambda: kr.DenseNet([]), r"`depth` as a list must hold .* at least one block\. Received: depth=\[\]"),
        (lambda: kr.ResNet(8, b"abc"), r"`input_shape` must be .*Received: input_shape=b'abc'"),
        (lambda: kr.FractalNet(1, filters=b"ab", dropout=(0, 0)), r"`filters` must hold a positive int.*=b'ab'"),
        (lambda: kr.KerasResNet([3, 4, 6, 3]), r"`depth` must be one of 50, 101, 152, .*depth=\[3, 4, 6, 3\]"),
        (lambda: kr.KerasResNetV2([3, 4, 6, 3]), r"`depth` must be one of 50, 101, 152, .*depth=\[3, 4, 6, 3\]"),
        (
            lambda: kr.create(42),
            r"`name` must be a string such as 'resnet50' or 'ResNet'\. Received: name=42 \(create\)",
        ),
        (lambda: kr.create("resnet20_cifar", weights=42), r"or are 'imagenet'\. Received: 42\."),
        (lambda: kr.list_models(3), r"`pattern` must be a string such as 'resnet\*'\. Received: pattern=3"),
        (lambda: kr.bottleneck(NARROW), r"a bottleneck requires at least 4 filters.*filters=3 \(unit 'unit003'\)"),
        (
            lambda: kr.GatedResNet(8, g="bogus"),
            r"`g` must be an activation.*'relu' or 'leaky_relu'.*'bogus' \(layer 'gate'",
        ),
        (lambda: kr.ScalarGate(g=3), r"`g` must be an activation.*Received: g=3"),
        (
            lambda: kr.ResNet(8, merge="concat"),
            r"slot plans, 16\. Received: 32 channels \(unit 'unit000'\)\. `Concat` adds",
        ),
    ],
)
def test_an_invalid_argument_is_refused_with_its_place(make, text):
    with pytest.raises(ValueError, match=text) as raised:
        make()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "wrong", "near", "choices"),
    [
        ("order", "preact", "full_pre_act", "post_act, bn_after_add, relu_before_add, relu_only_pre_act, full_pre_act"),
        ("order", "POST_ACT", "post_act", "post_act, bn_after_add"),
        ("shortcut", "zeropad", "zero_pad", ", ".join(SHORTCUTS)),
        ("block", "botleneck", "bottleneck", "basic, bottleneck, bottleneck_v1_5, single"),
        ("stem", "imagenet3x3", "imagenet_3x3", "cifar, imagenet, imagenet_3x3"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_and_all_choices(kind, wrong, near, choices):
    with pytest.raises(ValueError, match=f"unknown {kind} '{wrong}'. Did you mean .*'{near}'.*Choices: {choices}"):
        kr.PreActResNet(**SMALL, **{kind: wrong})


@pytest.mark.parametrize("kind", ["order", "shortcut", "block", "stem"])
def test_a_name_similar_to_none_is_refused_with_the_choices_only(kind):
    with pytest.raises(ValueError, match=f"unknown {kind} 'xyzzy'. Choices: "):
        kr.ResNet(**SMALL, **{kind: "xyzzy"})


@pytest.mark.parametrize("kind", ["order", "shortcut", "block", "stem"])
@pytest.mark.parametrize("wrong", [3, 0, ["basic"]])
def test_an_object_of_another_kind_is_refused(kind, wrong):
    with pytest.raises(ValueError, match=rf"`{kind}` must be one of .*, or an? \w+.*\. Received: {kind}="):
        kr.ResNet(**SMALL, **{kind: wrong})


@pytest.mark.parametrize(("kind", "wrong"), [("order", kr.PostAct), ("order", keras.layers.ReLU), ("block", kr.Body)])
def test_a_class_in_place_of_an_object_is_refused(kind, wrong):
    with pytest.raises(ValueError, match=f"`{kind}` must be one of .*Received: {kind}="):
        kr.ResNet(**SMALL, **{kind: wrong})


@pytest.mark.parametrize(
    ("name", "thing"),
    [
        ({"order": "relu_only_pre_act"}, {"order": kr.ReluOnlyPreAct()}),
        ({"shortcut": "B"}, {"shortcut": kr.projection}),
        ({"block": "single"}, {"block": kr.single}),
        ({"stem": "cifar"}, {"stem": kr.Stem(16)}),
    ],
    ids=["order", "shortcut", "block", "stem"],
)
def test_a_name_stands_for_the_object_of_that_name(name, thing):
    assert kr.ResNet(**SMALL, **name).get_config() == kr.ResNet(**SMALL, **thing).get_config()


@pytest.mark.parametrize(
    ("kind", "layer", "wanted"),
    [
        ("merge", kr.Add(), r"a function `Slot -> Merge` such as `kr.add`"),
        ("merge", kr.Add, r"a function `Slot -> Merge`"),
        ("shortcut", keras.layers.Identity(), r"a function `\(Slot, Order\) -> Layer` such as `kr.projection`"),
        ("tail", kr.LayerScale(), r"a function `Slot -> \[layers\]` such as `kr.rezero`"),
        ("order", keras.layers.ReLU(), r"or an Order\."),
        ("block", kr.single(kr.Slot(0, 1, 8, 8))[0], r"or a Body\."),
    ],
)
def test_a_layer_in_place_of_a_function_is_refused(kind, layer, wanted):
    with pytest.raises(ValueError, match=rf"`{kind}` must be one of .*{wanted}.* Received: {kind}="):
        kr.ResNet(**SMALL, **{kind: layer})


def test_a_wrapped_order_takes_a_name_too():
    assert kr.ZeroGamma(order="post_act") == kr.ZeroGamma(order=kr.PostAct())
    assert kr.ResNet(**SMALL, order=kr.ZeroGamma(order="post_act")).count_params() == kr.ResNet(**SMALL).count_params()
    with pytest.raises(ValueError, match=r"unknown order 'postact'\. Did you mean 'post_act'"):
        kr.ZeroGamma(order="postact")


def test_near_matches_are_similar_names_if_there_are_any():
    assert near_matches("xyzzy", ["identity"]) == ""
    assert near_matches("", ["identity"]) == ""
    assert near_matches("resnet20", ["resnet20b_cifar", "resnet200", "resnet20_cifar", "wrn"]) == (
        " Did you mean 'resnet200' or 'resnet20_cifar' or 'resnet20b_cifar'?"
    )
    assert near_matches("Identiti", ["identity", "zero_pad"]) == " Did you mean 'identity'?"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: kr.BatchNormalization(momentum=1.5), r"`momentum` must be a number in \[0, 1\].*=1.5 \(layer 'batch"),
        (lambda: kr.BatchNormalization(epsilon=-1), r"`epsilon` must be a number > 0.*=-1 \(layer 'batch_norm"),
        (lambda: kr.PaddedConv2D(8, 3, padding="same"), r"requires `padding` to be 'valid'.*Received: padding='same'"),
        (lambda: kr.PaddedConv2D(8, 3, data_format="channels_first"), r"requires `data_format` to be 'channels_last'"),
        (lambda: kr.ResNet(8, include_top="False"), r"`include_top` must be True or False.*include_top='False'"),
        (lambda: kr.DenseNet(40, bottleneck="no"), r"`bottleneck` must be True or False.*bottleneck='no' \(DenseNet\)"),
        (lambda: kr.FractalNet(2, deepest=1), r"`deepest` must be True or False.*deepest=1 \(layer 'fractal'"),
        (lambda: kr.ResNet(8, shortcut=lambda slot, order: None), r"`shortcut` must return a Keras layer.*None \(unit"),
        (lambda: kr.ResNet(8, merge=lambda slot: None), r"`merge` must return a `Merge` for each unit.*None \(unit"),
        (lambda: kr.ResNet(8, merge=lambda slot: keras.layers.Add()), r"`merge` must return a `Merge` for each unit"),
        (lambda: kr.ResNet(8, tail=lambda slot: None), r"`tail` must return a list of Keras layers.*None \(unit"),
        (lambda: kr.ResNet(8, tail=lambda slot: ["x"]), r"`tail` must return a list of Keras layers.*\['x'\] \(unit"),
        (lambda: kr.ResNet(8, block=kr.Body(lambda slot: None, depth=2)), r"`body` must return a list of Keras layers"),
    ],
)
def test_a_value_or_result_of_another_kind_is_refused_with_its_place(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize("part", ["shortcut", "merge", "tail", "whole"])
def test_one_layer_for_several_units_is_refused(part):
    shared = keras.layers.Conv2D(16, 1)
    merge, unit = kr.ScalarHighway(), kr.Unit(keras.layers.Conv2D(16, 1))
    choices = {
        "shortcut": {"shortcut": lambda slot, order: shared},
        "merge": {"merge": lambda slot: merge},
        "tail": {"tail": lambda slot: [shared]},
    }
    with pytest.raises(ValueError, match=r"each unit must have layers of its own.*in 'unit\d*' and in 'unit\d*'"):
        if part == "whole":
            slots = kr.plan([kr.Stage(2, 16)], 16)
            kr.network([(lambda slot: unit, slot) for slot in slots], kr.Stem(16, activated=False), kr.PostAct())
        else:
            kr.ResNet([2, 2, 2], **choices[part])


def test_a_padded_convolution_may_be_dilated():
    layer = kr.PaddedConv2D(4, 3, dilation_rate=2)
    assert layer(np.zeros((1, 9, 7, 3), "float32")).shape == (1, 9, 7, 4)
    assert layer.compute_output_shape((None, 9, 7, 3)) == (None, 9, 7, 4)


def test_initializers_have_names():
    order = kr.Initialized(order="post_act", kernels="he_normal", stems="zeros")
    assert isinstance(order.kernels, keras.initializers.HeNormal)
    assert isinstance(order.stems, keras.initializers.Zeros)
    assert kr.LooksLinear("ones").get_config() == kr.LooksLinear(keras.initializers.Ones()).get_config()
    assert isinstance(kr.LooksLinear.from_config(kr.LooksLinear("ones").get_config()).base, keras.initializers.Ones)
    assert kr.LooksLinear().get_config() == {"base": None}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: kr.Unit("x"), r"`branch` must be a Keras layer\. Received: branch='x' \(unit 'unit"),
        (lambda: kr.Unit(keras.layers.ReLU(), merge=keras.layers.ReLU()), r"`merge` must be a `Merge`, or None"),
        (lambda: kr.Series([keras.layers.ReLU(), 3]), r"`layers\[1\]` must be a Keras layer.*=3 \(layer 'series"),
        (lambda: kr.plan([kr.Stage(1, 8), 3], 8), r"`stages\[1\]` must be a `Stage`\. Received: stages\[1\]=3 \(plan"),
        (lambda: kr.Body("x", 2), r"`weights` must be a function\. Received: weights='x' \(body"),
        (lambda: kr.zero_pad(None, kr.PostAct()), r"`slot` must be a `Slot`\. Received: slot=None \(zero_pad"),
        (lambda: kr.projection_always(SLOT, "post_act"), r"`order` must be an `Order`.*\(projection_always"),
        (lambda: kr.Initialized(order="post_act", kernels="xyzzy"), r"`kernels` must be a Keras initialiser or its"),
        (lambda: kr.gates("resnet20"), r"`model` must be a Keras model\. Received: model='resnet20' \(gates"),
        (lambda: kr.describe("resnet20"), r"`model` must be a functional Keras model, or.*='resnet20' \(describe"),
        (lambda: kr.describe(keras.Sequential([keras.layers.Dense(2)])), r"`model` must be a functional Keras model"),
        (lambda: kr.export_saved_model(POOLED, ""), r"`path` must be a path.*Received: path='' \(export_saved_model"),
        (lambda: kr.ResNet(8, classifier_activation="xyzzy"), r"`classifier_activation` must be an activation"),
        (lambda: kr.Stem(8, activated="no"), r"`activated` must be True or False\. Received: activated='no' \(stem"),
        (lambda: kr.WideResNet(10, order=""), r"unknown order ''"),
        (lambda: kr.DenseNet(40, stem=""), r"unknown stem ''"),
        (lambda: kr.ResNet(8, name=""), r"`name` must be a string that is not empty"),
        (
            lambda: kr.network([(kr.Recipe("basic", "post_act", "B"), SLOT)], None, "post_act"),
            r"without a stem, images must have the 8 channels that unit 'unit000' expects.*stem=None",
        ),
    ],
)
def test_a_wrong_object_is_refused_with_its_place(make, text):
    with pytest.raises(ValueError, match=text):
        make()

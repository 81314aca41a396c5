"""Families beyond ResNet: their published counts, their layers, and the arguments that they refuse."""

import re
from collections import Counter
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from keras_resunits.__main__ import main as command
from keras_resunits.layers.words import word
from keras_resunits.models.dense import IMAGENET_BLOCKS
from keras_resunits.models.depths import IMAGENET_UNITS
from keras_resunits.models.family import FAMILIES
from keras_resunits.units.unit import units_of
from keras_resunits.zoo.libraries import LIBRARIES
from keras_resunits.zoo.networks import MODELS
from keras_resunits.zoo.registry import check_depth
from tests.catalog import long_but, shapes_alone
from tests.support.paths import ROOT

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


MOVING = {  # moving statistics, if published; those of ResNet and PreActResNet: tests/models/test_residual.py
    "wrn16_4_cifar": 3_616,
    "wrn16_8_cifar": 7_200,
    "wrn40_4_cifar": 10_784,
    "wrn28_10_cifar": 17_952,
    "densenet40_12_cifar": 18_096,
    "densenet100_12_cifar": 117_216,
    "densenet100_24_cifar": 231_264,
    "densenet_bc100_12_cifar": 23_988,
    "densenet_bc190_40_cifar": 256_960,
    "densenet121": 83_648,
    "densenet161": 219_936,
    "densenet169": 158_400,
    "densenet201": 229_056,
    "keras_resnet50": 25_636_712 - 25_583_592,
    "keras_resnet101": 44_707_176 - 44_601_832,
    "keras_resnet152": 60_419_944 - 60_268_520,
    "keras_resnet50v2": 25_613_800 - 25_568_360,
    "keras_resnet101v2": 44_675_560 - 44_577_896,
    "keras_resnet152v2": 60_380_648 - 60_236_904,
}


QUICK = [
    *("resnet20_cifar", "preactresnet20_cifar", "preactresnet164_cifar", "plainnet20_cifar", "resnet18", "resnet50"),
    *("resnet50_v1_5", "preactresnet50", "keras_resnet50", "keras_resnet50v2", "densenet121", "keras_densenet121"),
    *("densenet40_12_cifar", "densenet_bc100_12_cifar", "wrn16_4_cifar", "wide_resnet50_2", "highwaynet20_cifar"),
    *("gatedplainnet20_cifar", "resnet110_cifar", "torchvision_resnet50", "timm_resnetv2_50", "akamaster_resnet20"),
    *("pytorchcv_resnet164", "pytorchcv_preresnet18", "pytorchcv_densenet40_k12_bc"),
    *("seresnet20_cifar", "gatedresnet32_cifar", "fc_resnet10_mnist", "fc_gatedresnet10_mnist", "fractalnet20_cifar"),
    *("fractalnet20_authors_cifar", "stochasticdepthresnet110_cifar", "plainnet56_looks_linear"),
    *("resnet110_exclusive_gating", "resnet110_shortcut_gating", "resnet110_relu_before_add"),
]
"""A network of each family, depth rule and library; the others differ in depth, width or bias."""


@pytest.mark.parametrize("name", long_but(QUICK, {name: name for name in MODELS}))
def test_a_named_network_has_the_published_parameters_and_multiply_adds(name):
    entry = MODELS[name]
    with shapes_alone():
        model = kr.create(name)
    assert model.name == name
    assert entry.parameters in (None, trainable(model))
    assert entry.half_operations in (None, round(kr.describe(model).half_operations / 1e6, 2))
    moving = model.count_params() - trainable(model)
    assert MOVING.get(name, moving) == moving


def rows_of_the_pages() -> dict[str, list[str]]:
    """The cells that `tools/write_families.py` wrote of each named network, which it built and counted."""
    lines = [line for page in (ROOT / "docs/reference/families").glob("*.md") for line in page.read_text().splitlines()]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| `")]
    return {name.strip("`"): rest for name, *rest in cells if len(rest) == 6}


def split(cell: str) -> tuple[str, str]:
    """What is exact in a cell, and what is quoted."""
    exact, _, quoted = cell.partition('"')
    return exact.strip(), quoted.strip('"')


def test_published_figures_are_those_of_the_pages_and_of_the_networks_that_were_counted():
    pages = rows_of_the_pages()
    assert pages.keys() == MODELS.keys()
    for name, (parameters, published, _, operations, published_operations, source) in pages.items():
        entry = MODELS[name]
        count = "" if entry.parameters is None else f"{entry.parameters:,}"
        half = "" if entry.half_operations is None else f"{entry.half_operations:,.2f}M"
        assert (count or parameters, half or operations) == (parameters, operations), name
        assert split(published) == (f"*{count}*" if count and entry.derived else count, entry.stated_parameters), name
        assert split(published_operations) == (half, entry.stated_operations), name
        assert source == entry.source, name


@pytest.mark.parametrize("name", MODELS)
def test_a_name_tells_the_depth_the_width_and_the_growth(name):
    arguments = MODELS[name].arguments
    told = {int(number) for number in re.findall(r"\d+", name)}
    spoken = ("depth", "width") if name.startswith("torchvision_densenet") else ("depth", "width", "growth")
    assert {arguments[each] for each in spoken if isinstance(arguments.get(each), int)} <= told
    if "depth" in arguments:
        check_depth(name, arguments["depth"])


def test_a_depth_is_the_number_of_layers_with_weights():
    for depth, (body, units) in IMAGENET_UNITS.items():
        assert depth == 1 + body.depth * sum(units) + 1
    for depth, (blocks, growth) in IMAGENET_BLOCKS.items():
        transitions = len(blocks) - 1
        assert depth == 1 + 2 * sum(blocks) + transitions + 1 - (depth == 264)  # which the paper counts so
        assert growth == (48 if depth == 161 else 32)


def test_published_moving_statistics_are_those_of_named_networks():
    assert MOVING.keys() <= MODELS.keys()


def test_names_are_found_by_wildcard_and_similar_names_are_suggested():
    assert kr.list_models("preactresnet1??_cifar") == ["preactresnet110_cifar", "preactresnet164_cifar"]
    assert kr.list_models() == sorted(MODELS)
    assert set(LIBRARIES) <= set(MODELS)
    assert kr.list_models("pytorchcv_preresnet164*") == ["pytorchcv_preresnet164"]  # one network, one name
    assert kr.list_models("nothing*") == []
    with pytest.raises(ValueError, match=r"unknown model 'preactresnet160_cifar'\. Did you mean 'preactresnet1"):
        kr.create("preactresnet160_cifar")


def test_a_family_is_created_by_its_name_too_and_overrides_take_precedence():
    assert kr.create("ResNet", depth=8).count_params() == kr.ResNet(depth=8).count_params()
    assert kr.create("resnet20_cifar", depth=8, name="mine").name == "mine"
    smaller = kr.create("torchvision_resnet50", depth=[1, 1, 1], input_shape=(32, 32, 3))
    assert [layer.name for layer in smaller.layers if "unit" in layer.name] == ["unit000", "unit001", "unit002"]
    assert set(FAMILIES) >= {"PreActResNet", "DenseNet", "WideResNet", "FractalNet"}


def test_the_networks_of_keras_applications_are_known_by_name():
    names = {f"keras_resnet{depth}{version}" for depth in (50, 101, 152) for version in ("", "v2")}
    names |= {f"keras_densenet{depth}" for depth in (121, 169, 201)}
    assert {name for name in MODELS if name.startswith("keras_")} == names


@pytest.mark.parametrize("name", ["highwaynet20_cifar", "gatedplainnet20_cifar"])
def test_each_layer_of_a_highway_or_gated_plain_net_is_one_convolution(name):
    model = kr.create(name)
    units = [layer for layer in model.layers if layer.name.startswith("unit")]
    assert len(units) == 18


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "bias"), [(8, -1.0), (20, -2.0), (32, -3.0), (110, -3.0)])
def test_a_highway_gate_starts_the_more_closed_the_deeper_the_network(depth, bias):
    gate = kr.HighwayNet(depth=depth).get_layer("unit001").merge.gate
    np.testing.assert_array_equal(gate.layers[0].bias, np.full(16, bias))


def test_a_plain_network_computes_its_branches_only():
    model = kr.PlainNet(depth=8, input_shape=(8, 8, 3))
    twin = kr.ResNet(depth=8, input_shape=(8, 8, 3))
    twin.set_weights(model.get_weights())
    stem = model.get_layer("stem")(IMAGES)
    unit = model.get_layer("unit000")
    np.testing.assert_allclose(unit(stem), np.maximum(np.asarray(unit.branch(stem)), 0), rtol=1e-5)
    assert not np.allclose(model(IMAGES), twin(IMAGES))


# DenseNet


def test_a_dense_unit_appends_and_a_transition_halves():
    model = kr.DenseNet(depth=[2, 2, 2], growth=4, input_shape=(8, 8, 3))
    shapes = [layer.output.shape[1:] for layer in model.layers if layer.name.startswith("unit")]
    assert shapes == [(8, 8, 12), (8, 8, 16), (4, 4, 8), (4, 4, 12), (4, 4, 16), (2, 2, 8), (2, 2, 12), (2, 2, 16)]
    unit = model.get_layer("unit000")
    x = np.asarray(model.get_layer("stem")(IMAGES))
    np.testing.assert_array_equal(np.asarray(unit(x))[..., :8], x)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"depth": 41}, r"no DenseNet of depth 41: depths are 6n\+4 with bottlenecks.*Nearest: 40, 46"),
        ({"depth": 41, "bottleneck": False}, r"depths are 3n\+4 without.*Nearest: 40, 43"),
        ({"growth": 0}, r"`growth` must be a positive int\. Received: growth=0"),
        ({"growth": -12}, r"`growth` must be a positive int\. Received: growth=-12"),
        ({"growth": 1.5}, r"`growth` must be a positive int"),
        ({"compression": 0}, r"`compression` must be a number in \(0, 1\]"),
        ({"compression": 1.5}, r"`compression` must be a number in \(0, 1\]"),
        ({"dropout": 1.0}, r"`dropout` must be a number in \[0, 1\)"),
        ({"input_shape": (3, 3, 3)}, r"at least 4x4"),
        ({"order": "pre_act"}, r"unknown order 'pre_act'\. Did you mean"),
    ],
    ids=str,
)
def test_an_invalid_dense_network_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        kr.DenseNet(**{"depth": 40, **options})


def test_concat_refuses_edges_of_other_sizes_and_growth_units_that_shrink():
    with pytest.raises(
        ValueError, match=r"`Concat` requires .* only in their channels.*\(2, 8, 8, 4\).*\(2, 4, 4, 4\)"
    ):
        kr.Concat()(np.zeros((2, 8, 8, 4)), np.zeros((2, 4, 4, 4)), np.zeros((2, 8, 8, 4)))
    with pytest.raises(ValueError, match=r"body 'growth' requires filters > in_filters.*in_filters=8, filters=8"):
        kr.growth()(kr.Slot(0, 1, 8, 8))


# WideResNet


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"depth": 29}, r"no wide network of depth 29: depths are 6n\+4 .*or 18, 34 .*Nearest: 28, 34"),
        ({"width": 0}, r"`width` must be a positive int\. Received: width=0"),
        ({"dropout": 1.0}, r"`dropout` must be a number in \[0, 1\)"),
    ],
)
def test_an_invalid_wide_network_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        kr.WideResNet(**options)


@pytest.mark.parametrize(
    ("depth", "size", "units"),
    [(18, 64, [2] * 4), (34, 64, [3, 4, 6, 3]), (34, 32, [5] * 3), (34, None, [5] * 3), (28, 64, [4] * 3)],
)
def test_a_wide_network_has_four_stages_at_the_depths_of_imagenet(depth, size, units):
    model = kr.WideResNet(depth, width=1, input_shape=(size, size, 3), include_top=False)
    channels = [layer.output.shape[-1] for layer in model.layers if layer.name.startswith("unit")]
    assert [channels.count(width) for width in sorted(set(channels))] == units


@pytest.mark.slow
def test_a_wide_network_of_eighteen_layers_and_width_two_has_its_size():
    assert round(trainable(kr.create("wrn18_2")) / 1e6, 1) == 45.6


def test_a_wide_units_dropout_stands_before_its_second_convolution():
    unit = kr.WideResNet(depth=10, width=1, dropout=0.3).get_layer("unit000")
    names = [layer.name for layer in unit.branch.layers]
    assert names == ["norm1", "act1", "conv1", "norm2", "act2", "weights2"]
    assert [layer.name for layer in unit.branch.layers[-1].layers] == ["dropout", "conv2"]


def test_a_wide_networks_kernels_are_he_normal_over_fan_in():
    kernel = kr.WideResNet(depth=10, width=10, dropout=0).get_layer("unit000").branch.layers[-1].kernel
    assert abs(np.std(kernel) / np.sqrt(2 / (9 * 160)) - 1) < 0.02


# FractalNet


def ones_and_twos(drop_path=0.0, **options):
    double = keras.layers.Rescaling
    return kr.Fractal([[double(3.0)], [double(2.0), double(2.0)]], drop_path, **options)


def test_a_join_is_the_mean_of_what_stays_and_the_deepest_column_can_be_used_alone():
    x = np.ones((1, 1), "float32")
    assert float(ones_and_twos()(x)[0, 0]) == 3.5
    assert float(ones_and_twos(deepest=True)(x)[0, 0]) == 4.0
    drawn = ones_and_twos(drop_path=0.5, seed=1)
    assert {float(drawn(x, training=True)[0, 0]) for _ in range(60)} == {3.0, 3.5, 4.0}


def test_three_columns_join_where_they_end_together():
    def one():
        return keras.layers.Rescaling(1.0, offset=1.0)

    fractal = kr.Fractal([[one()], [one() for _ in range(2)], [one() for _ in range(4)]], drop_path=0.0)
    # column 2 joins column 1 at steps 2 and 4, all three at 4: (1 + (1.5 + 1) + (1.5 + 2)) / 3
    np.testing.assert_allclose(fractal(np.zeros((1, 1), "float32")), [[7 / 3]], rtol=1e-6)


def test_global_drop_path_leaves_each_column_alone_in_half_of_the_batches():
    def one():
        return keras.layers.Rescaling(1.0, offset=1.0)

    fractal = kr.Fractal([[one() for _ in range(2**column)] for column in range(3)], drop_path=1e-9)  # local: none
    call = tf.function(partial(fractal, tf.zeros([1, 1]), training=True))
    left = Counter(round(float(call()[0, 0]), 2) for _ in range(80))
    assert left.keys() == {1.0, 2.0, 4.0, 2.33}
    assert 28 < left[2.33] < 52


@pytest.mark.slow
def test_global_drop_path_leaves_the_same_column_in_every_block():
    def plus(value):
        return keras.layers.Rescaling(1.0, offset=value)

    def outcomes(*seeds):
        """The outputs of blocks with these seeds, call by call: 1 or 10 if one column stays, or between."""
        blocks = [
            kr.Fractal([[plus(1.0)], [plus(5.0), plus(5.0)]], drop_path=0.999, seed=seed, place=place)
            for place, seed in enumerate(seeds)
        ]
        call = tf.function(lambda x: [block(x, training=True)[0, 0] for block in blocks])
        return np.array([call(tf.zeros([1, 1])) for _ in range(200)])

    shared, apart = outcomes(7, 7), outcomes(7, 8)
    assert set(np.unique(shared)) == {1.0, 10.0}  # one input always stays
    assert 0.4 < np.mean(shared == 1.0) < 0.6
    together, by_chance = (np.mean(pairs[:, 0] == pairs[:, 1]) for pairs in (shared, apart))
    assert 0.65 < together < 0.85 and by_chance < 0.6  # global half of the time; half of the rest agrees by chance


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: kr.Fractal([[keras.layers.ReLU()] * 2]),
            r"`columns` must hold 1, 2, 4, \.\.\. layers\. Received: \[2\]",
        ),
        (lambda: kr.Fractal([]), r"`columns` must hold"),
        (lambda: kr.FractalNet(columns=0), r"`columns` must be a positive int"),
        (lambda: kr.FractalNet(filters=(8, 8)), r"a dropout rate for each block"),
        (lambda: kr.FractalNet(input_shape=(16, 16, 3)), r"at least 32x32"),
        (lambda: kr.FractalNet(2, filters=(8,), dropout=(1.5,)), r"`dropout` must be a number in \[0, 1\)"),
        (lambda: kr.FractalNet(2, layout="caffe"), r"unknown layout 'caffe'"),
        (lambda: kr.FractalNet(2, drop_path=1.0), r"`drop_path` must be a number in \[0, 1\)"),
    ],
)
def test_an_invalid_fractal_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize("make", [kr.KerasResNet, kr.KerasResNetV2])
def test_a_keras_layout_of_another_depth_is_refused(make):
    with pytest.raises(ValueError, match=r"`depth` must be one of 50, 101, 152, .* Received: depth=18"):
        make(18)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: kr.PlainNet(depth=8, merge="add"), r"`merge` defines a PlainNet: use `ResNet`"),
        (lambda: kr.PlainNet(depth=8, shortcut="projection"), r"`shortcut` defines a PlainNet"),
        (lambda: kr.HighwayNet(depth=8, merge="add"), r"`merge` defines a HighwayNet"),
        (lambda: kr.WideResNet(block="bottleneck"), r"`block` defines a WideResNet"),
        (lambda: kr.HighwayNet("20"), r"`depth` must be an int.*depth='20'"),
        (lambda: kr.DenseNet("121"), r"`depth` must be an int"),
        (lambda: kr.DenseNet([2, -1, 2]), r"`depth` as a list must hold positive ints.*\[2, -1, 2\]"),
        (lambda: kr.ResNet([0, 1, 1]), r"`depth` as a list must hold positive ints"),
        (lambda: kr.ResNet(8, ("a", 32, 3)), r"`input_shape` must be .* positive ints"),
        (lambda: kr.ResNet(8, merge="concat"), r"its slot plans, 16\. Received: 32 channels \(unit 'unit000'\)"),
        (
            lambda: kr.PostAct(activation="relu"),
            r"`activation` must be a function that makes a layer.*'relu' \(order 'PostAct'\)",
        ),
        (
            lambda: kr.ZeroGamma(order=kr.PostAct(), activation=keras.layers.ELU),
            r"`ZeroGamma` takes norm and activation",
        ),
        (lambda: kr.Stem(8, kernel_size=4)(kr.PostAct()), r"`kernel_size` must be odd. Received: kernel_size=4"),
        (lambda: kr.PaddedMaxPool(2), r"`pool_size` must be odd"),
        (lambda: kr.PaddedMaxPool(3, strides=0), r"`strides` must be a positive int"),
        (lambda: kr.HighwayNet(18), r"no network of depth 18: depths are 3n\+2 \(three stages\)\. Nearest: 17, 20"),
    ],
)
def test_invalid_arguments_are_refused_with_an_explanation(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_none_selects_the_familys_own_choice():
    assert kr.PreActResNet(8, block=None, shortcut=None).count_params() == kr.PreActResNet(8).count_params()
    explicit, plain = (kr.PreActResNet(50, (64, 64, 3), **options) for options in ({"block": None}, {}))
    assert kr.describe(explicit).multiply_adds == kr.describe(plain).multiply_adds


def test_a_plain_network_has_no_unused_weights():
    plain = kr.ResNet([1, 1, 1], block="bottleneck", merge="branch_only")
    assert plain.count_params() == kr.PlainNet([1, 1, 1], block="bottleneck").count_params()


def test_a_fractal_has_an_activation_in_every_order():
    for order in ("relu_before_add", "post_act", "bn_after_add"):
        fractal = kr.FractalNet(1, filters=(8,), dropout=(0,), order=order).get_layer("unit000").branch.layers[0]
        assert [type(layer).__name__ for layer in fractal.columns[0].layers[0].layers] == [
            "Conv2D",
            "BatchNormalization",
            "ReLU",
        ]


def authors(**options):
    """A small fractal network of the authors' layout: columns of one and of two layers."""
    return kr.FractalNet(2, (8, 8, 3), filters=(8,), dropout=(0.5,), layout="authors", **options)


def test_the_authors_fractal_pools_each_column_before_the_last_join():
    model = authors()
    unit, (short, long) = model.get_layer("unit000"), model.get_layer("unit000").branch.layers[0].columns
    assert [word(column.layers[-1]) for column in (short, long)] == ["conv3 dropout norm act max"] * 2
    assert word(long.layers[0]) == "conv3 dropout norm act"
    np.testing.assert_allclose(unit(IMAGES), (np.asarray(short(IMAGES)) + np.asarray(long(IMAGES))) / 2, rtol=1e-5)
    ending = ((short, IMAGES), (long, long.layers[0](IMAGES)))
    joined = sum(keras.Sequential(column.layers[-1].layers[:-1])(x) for column, x in ending) / 2
    assert not np.allclose(unit(IMAGES), keras.layers.MaxPooling2D(2)(joined))


def test_the_authors_fractal_has_biases_norms_without_weights_and_caffes_xavier():
    model = authors()
    layers = {type(layer).__name__: layer for layer in model._flatten_layers()}
    assert layers["Conv2D"].use_bias and not layers["BatchNormalization"].trainable_weights
    plain = kr.FractalNet(1, (8, 8, 64), filters=(64,), dropout=(0,), layout="authors")
    for name, fan_in in (("conv1", 9 * 64), ("classifier", 64)):
        (kernel,) = [layer.kernel.numpy() for layer in plain._flatten_layers() if layer.name == name]
        bound = np.sqrt(3 / fan_in)
        assert 0.9 * bound < np.abs(kernel).max() <= bound


def test_a_fractal_of_an_order_given_keeps_it_in_the_authors_layout():
    unit = authors(order=kr.ReluBeforeAdd(activation=keras.layers.ELU)).get_layer("unit000")
    assert [type(layer) for layer in unit._flatten_layers()].count(keras.layers.ELU) == 3


def test_the_simple_fractal_keeps_its_paths():
    paths = [weight.path for weight in kr.FractalNet(1, filters=(8,), dropout=(0.1,)).trainable_weights]
    layer = "unit000/branch/fractal/column0/layer0"
    assert paths[:3] == [f"{layer}/conv1/kernel", f"{layer}/norm1/gamma", f"{layer}/norm1/beta"]


def test_stochastic_depths_kernels_are_he_normal_over_fan_in():
    model = kr.StochasticDepthResNet([1, 1, 1], width=8)
    kernel = model.get_layer("unit001").branch.layers[0].kernel  # from 128 to 256 channels
    assert abs(np.std(kernel) / np.sqrt(2 / (9 * 128)) - 1) < 0.02
    kept = kr.StochasticDepthResNet(8, order="post_act").get_layer("unit001").branch.layers[0]
    assert kept.kernel_initializer.mode == "fan_out"


@pytest.mark.parametrize("options", [{}, {"scaling": "inverted", "per": "sample"}])
def test_branches_survive_the_less_the_deeper_they_lie(options):
    model = kr.StochasticDepthResNet([2, 1, 1], (8, 8, 3), final_survival=0.2, **options)
    tails = [unit.branch.layers[-1] for unit in units_of(model)]
    np.testing.assert_allclose([tail.survival for tail in tails], [0.8, 0.6, 0.4, 0.2])
    expected = {"scaling": "paper", "per": "batch", **options}
    assert all({name: getattr(tail, name) for name in expected} == expected for tail in tails)


def test_the_deepest_column_of_a_trained_network_is_used_alone():
    model = kr.FractalNet(2, filters=(8, 8), dropout=(0, 0), input_shape=(8, 8, 3))
    alone = kr.deepest_column(model)
    deepest = model.get_layer("unit000").branch.layers[0].columns[-1]
    pooled = keras.layers.MaxPooling2D(2)(deepest(IMAGES))
    np.testing.assert_allclose(alone.get_layer("unit000")(IMAGES), pooled, rtol=1e-5)
    assert not np.allclose(model(IMAGES), alone(IMAGES))
    with pytest.raises(ValueError, match=r"`deepest_column` requires a network with `Fractal` layers"):
        kr.deepest_column(kr.ResNet(8))


@pytest.mark.parametrize(("dropout", "ends"), [(0.2, ["dropout", "pool"]), (0, ["pool"])])
def test_a_dense_transition_drops_before_it_pools(dropout, ends):
    unit = kr.DenseNet([1, 1, 1], growth=4, dropout=dropout).get_layer("unit001")
    last = next(each for each in unit._flatten_layers() if each.name == "pool")
    inside = next(each for each in unit._flatten_layers() if last in getattr(each, "layers", ()))
    assert [layer.name for layer in inside.layers][-len(ends) :] == ends
    assert [each.name for each in unit._flatten_layers()].count("dropout") == len(ends) - 1


def test_a_dense_network_has_dropout_after_every_convolution():
    unit = kr.DenseNet([1, 1, 1], growth=4, dropout=0.2).get_layer("unit000")
    dropping = [layer for layer in unit.branch.layers if isinstance(layer, kr.Series)]
    assert [[inner.name for inner in layer.layers] for layer in dropping] == [
        ["conv1", "dropout"],
        ["conv2", "dropout"],
    ]


@pytest.mark.parametrize(
    ("name", "depth", "text"),
    [
        ("WideResNet", 29, "no wide network of depth 29.*Nearest: 28, 34"),
        ("wrn28_10_cifar", 29, "no wide network of depth 29"),
        ("DenseNet", 41, "no DenseNet of depth 41"),
        ("densenet40_12_cifar", 122, "no DenseNet of depth 122: depths are 3n.4 without bottlenecks. Nearest"),
        ("KerasResNet", 20, "must be one of 50, 101, 152"),
        ("PlainNet", 21, "no network of depth 21"),
        ("GatedPlainNet", 21, "no network of depth 21: depths are 3n.2"),
        ("resnet110_cifar", 21, "no network of depth 21"),
        ("torchvision_resnet50", 21, "no network of depth 21"),
        ("FullyConnectedResNet", 21, "no network of depth 21: depths are 2n"),
        ("fc_resnet20_mnist", 21, "no network of depth 21: depths are 2n"),
    ],
)
def test_a_depth_is_refused_with_and_without_building_a_network(name, depth, text):
    for refuse in (lambda: check_depth(name, depth), lambda: kr.create(name, depth=depth)):
        with pytest.raises(ValueError, match=text):
            refuse()
    with pytest.raises(ValueError, match="depths are 9n"):
        check_depth("ResNet", 22, "bottleneck")


@pytest.mark.parametrize("name", ["ResNet", "GatedPlainNet", "HighwayNet", "resnet20_cifar", "timm_resnetv2_50"])
def test_a_depth_that_exists_is_accepted(name):
    check_depth(name, 20)


def test_an_argument_that_a_network_does_not_have_is_named():
    with pytest.raises(ValueError, match=r"'resnet20_cifar' has no argument 'widht'\. Did you mean 'width'"):
        kr.create("resnet20_cifar", widht=2)


@pytest.mark.parametrize("order", ["post_act", "bn_after_add", kr.fan_in(kr.PostAct())])
def test_a_wide_network_of_an_order_that_activates_last_has_an_activated_stem(order):
    assert "act" in kr.describe(kr.WideResNet(depth=10, width=1, order=order))[0].F
    bare = kr.WideResNet(depth=10, width=1, order=kr.FullPreAct(activation=keras.layers.ELU))
    assert "act" not in kr.describe(bare)[0].F


def test_a_fractal_network_takes_a_stem():
    model = kr.FractalNet(columns=2, input_shape=(64, 64, 3), filters=(8, 16), dropout=(0.0, 0.0), stem="imagenet")
    assert [layer.output.shape[1:3] for layer in model.layers[1:4]] == [(16, 16), (8, 8), (4, 4)]


def test_stochastic_depths_own_shortcut_replaces_option_a():
    def shapes(depth, **options):
        return kr.StochasticDepthResNet(depth, **options).get_layer("unit003").shortcut

    pooled, projected = shapes([3, 1, 1]), shapes([3, 1, 1], block="bottleneck")
    assert not pooled.weights and projected.weights


@pytest.mark.parametrize(("given", "names"), [([], kr.list_models()), (["densenet121*"], ["densenet121"])])
def test_the_command_lists_all_names_or_those_that_match(capsys, given, names):
    assert command(given) == 0
    assert capsys.readouterr().out.splitlines() == names


def test_describing_requires_a_name(capsys):
    with pytest.raises(SystemExit) as ended:
        command(["--describe"])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("python -m keras_resunits: --describe requires a name or a wildcard") and err.count("\n") == 1
    assert command(["resnet20_cifar", "--describe"]) == 0
    assert "multiply-adds" in capsys.readouterr().out

"""Networks: the parameter counts of the literature, the papers' defaults, and every refusal."""

import inspect
import warnings
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from keras_resunits.models.stems import IMAGENET
from keras_resunits.units.orders import ORDERS as NAMED_ORDERS
from keras_resunits.units.unit import units_of
from tests.catalog import NETWORKS, ORDERS, over, shapes_alone

# Trainable and non-trainable parameters for 10 classes: `None` is not listed in the sources.
CIFAR_COUNTS = [
    (kr.ResNet, 20, "A", 269_722, 1_376),
    (kr.ResNet, 20, "B", 272_474, 1_568),
    (kr.ResNet, 32, "A", 464_154, 2_272),
    (kr.ResNet, 32, "B", 466_906, 2_464),
    (kr.ResNet, 44, "A", 658_586, 3_168),
    (kr.ResNet, 44, "B", 661_338, 3_360),
    (kr.ResNet, 56, "A", 853_018, 4_064),
    (kr.ResNet, 56, "B", 855_770, 4_256),
    (kr.ResNet, 110, "A", 1_727_962, 8_096),
    (kr.ResNet, 110, "B", 1_730_714, 8_288),
    (kr.ResNet, 164, "B", 1_704_154, 25_120),
    (kr.PreActResNet, 20, "A", 269_722, 1_376),
    (kr.PreActResNet, 20, "B", 272_282, 1_376),
    (kr.PreActResNet, 32, "A", 464_154, 2_272),
    (kr.PreActResNet, 32, "B", 466_714, 2_272),
    (kr.PreActResNet, 44, "A", 658_586, 3_168),
    (kr.PreActResNet, 44, "B", 661_146, 3_168),
    (kr.PreActResNet, 56, "A", 853_018, 4_064),
    (kr.PreActResNet, 56, "B", 855_578, 4_064),
    (kr.PreActResNet, 110, "A", 1_727_962, 8_096),
    (kr.PreActResNet, 110, "B", 1_730_522, 8_096),
    (kr.PreActResNet, 164, "B", 1_703_258, 24_224),
]
DEEP_COUNTS = [
    (kr.ResNet, 1001, "B", 10_328_602, 150_112),
    (kr.ResNet, 1202, "A", 19_421_274, 89_632),
    (kr.ResNet, 1202, "B", 19_424_026, 89_824),
    (kr.PreActResNet, 1001, "B", 10_327_706, 149_216),
    (kr.PreActResNet, 1202, "A", 19_421_274, 89_632),
    (kr.PreActResNet, 1202, "B", 19_423_834, 89_632),
]
IMAGENET_COUNTS = [  # trainable, for 1000 classes; the pre-activation column is fb.resnet.torch's ("no_preact")
    (kr.ResNet, 18, "A", 11_515_688),
    (kr.ResNet, 18, "B", 11_689_512),
    (kr.ResNet, 34, "A", 21_623_848),
    (kr.ResNet, 34, "B", 21_797_672),
    (kr.ResNet, 50, "B", 25_557_032),
    (kr.ResNet, 101, "B", 44_549_160),
    (kr.ResNet, 152, "B", 60_192_808),
    (kr.ResNet, 200, "B", 64_673_832),
    (kr.PreActResNet, 18, "B", 11_687_720),
    (kr.PreActResNet, 34, "B", 21_795_880),
    (kr.PreActResNet, 50, "B", 25_549_352),
    (kr.PreActResNet, 101, "B", 44_541_480),
    (kr.PreActResNet, 152, "B", 60_185_128),
    (kr.PreActResNet, 200, "B", 64_666_152),
]
SMALL = {"depth": [1, 1, 1], "input_shape": (8, 8, 3)}


def counts(layer):
    """`[trainable, non-trainable]` parameters."""
    kinds = (layer.trainable_weights, layer.non_trainable_weights)
    return np.array([sum(int(np.prod(w.shape)) for w in weights) for weights in kinds])


def shaped(layer, channels):
    """The layer, built for a number of input channels."""
    layer.build((None, 8, 8, channels))
    return layer


def counts_by_slot(body, order, shortcut, units):
    """The same for three stages of `units` units, from one unit for each distinct slot."""
    base = 16 * body.expansion
    slots = kr.plan([kr.Stage(units, base * 2**i, strides=1 + (i > 0)) for i in range(3)], 16, activated=True)
    recipe, known = kr.Recipe(body, order, shortcut), {}
    total = counts(shaped(kr.Stem(16)(order), 3)) + counts(shaped(kr.Series(order.head()), slots[-1].filters))
    for slot in slots:
        kind = (slot.in_filters, slot.filters, slot.strides, slot.activated)
        if kind not in known:
            known[kind] = counts(shaped(recipe(slot), slot.in_filters))
        total += known[kind]
    return total[0] + 10 * (slots[-1].filters + 1), total[1]


@pytest.mark.parametrize(
    ("family", "depth", "shortcut", "trainable", "frozen"),
    [case if case[1] in (20, 164) else pytest.param(*case, marks=pytest.mark.long) for case in CIFAR_COUNTS],
)
def test_a_cifar_network_has_the_published_parameters(family, depth, shortcut, trainable, frozen):
    with shapes_alone():
        model = family(depth, shortcut=shortcut)
    assert tuple(counts(model)) == (trainable, frozen)


@pytest.mark.parametrize(("family", "depth", "shortcut", "trainable", "frozen"), DEEP_COUNTS + CIFAR_COUNTS[:3])
def test_the_units_of_a_deep_network_sum_to_the_published_parameters(family, depth, shortcut, trainable, frozen):
    body = kr.bottleneck if depth == 1001 else kr.basic
    order = kr.PostAct() if family is kr.ResNet else kr.FullPreAct()
    choice = kr.zero_pad if shortcut == "A" else kr.projection
    assert counts_by_slot(body, order, choice, (depth - 2) // (3 * body.depth)) == (trainable, frozen)


@pytest.mark.long  # in CI: the units, above
@pytest.mark.parametrize(
    ("family", "depth", "shortcut", "trainable", "frozen"),
    [DEEP_COUNTS[1], DEEP_COUNTS[3]],
    ids=["1202", "1001"],
)
def test_a_network_of_a_thousand_layers_builds(family, depth, shortcut, trainable, frozen):
    with shapes_alone():
        model = family(depth, shortcut=shortcut)
    assert tuple(counts(model)) == (trainable, frozen)


@pytest.mark.parametrize(
    ("family", "depth", "shortcut", "trainable"),
    [case if case[1] in (18, 50) else pytest.param(*case, marks=pytest.mark.long) for case in IMAGENET_COUNTS],
)
def test_an_imagenet_network_has_the_published_parameters(family, depth, shortcut, trainable):
    with shapes_alone():
        model = family(depth, (224, 224, 3), 1000, shortcut=shortcut)
    assert counts(model)[0] == trainable


def test_a_wide_imagenet_network_has_the_published_parameters():
    with shapes_alone():
        assert counts(kr.create("wide_resnet50_2"))[0] == 68_883_240


def test_one_hundred_classes_add_ninety_rows():
    for depth, features, extra in ((20, 64, 5_850), (29, 256, 23_130)):
        few, many = (counts(kr.PreActResNet(depth, classes=classes))[0] for classes in (10, 100))
        assert many - few == 90 * (features + 1) == extra


# ---------------------------------------------------------------------------------------------------------------------
# The meaning of a depth.


@pytest.mark.parametrize(
    ("depth", "block", "units", "weights"),
    [
        (20, None, 9, 2),
        (29, None, 9, 3),
        (38, "bottleneck", 12, 3),
        (14, "basic", 6, 2),
        (11, "single", 9, 1),
        (18, None, 8, 2),
        (50, None, 16, 3),
        ([2, 1, 3], None, 6, 2),
        ((1, 1, 1, 1), "bottleneck", 4, 3),
    ],
    ids=str,
)
def test_a_depth_stands_for_the_units_of_the_papers(depth, block, units, weights):
    found = units_of(kr.ResNet(depth, block=block, include_top=False))
    assert len(found) == units
    assert {sum(layer.name.startswith("conv") for layer in unit.branch.layers) for unit in found} == {weights}


@pytest.mark.parametrize(
    ("family", "depth", "strides"),
    [
        (kr.ResNet, 50, (2, 1, 1)),
        (kr.PreActResNet, 50, (1, 2, 1)),
        (kr.ResNet, 29, (2, 1, 1)),
        (kr.PreActResNet, 29, (2, 1, 1)),
    ],
)
def test_a_bottleneck_strides_where_the_authors_code_does(family, depth, strides):
    model = family(depth, include_top=False)
    halving = next(unit for unit in units_of(model) if unit.input.shape[1] != unit.output.shape[1])
    assert tuple(c.strides[0] for c in halving.branch.layers if c.name.startswith("conv")) == strides


@pytest.mark.parametrize(("size", "kernel", "after"), [(63, 3, 63), (64, 7, 16), (224, 7, 56), (None, 7, None)])
def test_a_four_stage_stem_follows_the_image_size(size, kernel, after):
    stem = kr.ResNet([1, 1, 1, 1], (size, size, 3), include_top=False).get_layer("stem")
    assert stem.layers[0].kernel_size == (kernel, kernel)
    assert stem.output.shape == (None, after, after, 64)


@pytest.mark.peers
def test_a_seven_by_seven_stem_pools_like_torch():
    torch = pytest.importorskip("torch")
    stem = IMAGENET(kr.PostAct())
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    y = stem(x, training=False)
    kernel = stem.layers[0].get_weights()[0]
    image, weight = torch.tensor(x.transpose(0, 3, 1, 2).copy()), torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
    wanted = torch.nn.functional.conv2d(image, weight, stride=2, padding=3) / np.sqrt(1 + 1e-5)
    wanted = torch.nn.functional.max_pool2d(wanted.relu(), 3, 2, 1).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(y, wanted, rtol=1e-3, atol=1e-4)


def test_layers_are_named_by_position():
    names = ["images", "stem", "unit000", "unit001", "unit002", "post", "pool", "classifier"]
    assert [layer.name for layer in kr.PreActResNet(**SMALL).layers] == names
    assert [layer.name for layer in kr.PreActResNet(**SMALL).layers] == names, "also in the second network"


def test_networks_are_named_by_family_and_depth():
    assert kr.PreActResNet(20).name == "preactresnet20"
    assert kr.ResNet(**SMALL).name == "resnet1_1_1"
    assert kr.ResNet(**SMALL, name="mine").name == "mine"
    fractals = (kr.FractalNet(columns, (8, 8, 3), filters=(8, 8), dropout=(0, 0)) for columns in (1, 2))
    assert [model.name for model in fractals] == ["fractalnet2", "fractalnet4"]


def test_the_default_shortcut_is_that_of_the_papers():
    def changing(model):
        return type(next(unit for unit in units_of(model) if unit.input.shape != unit.output.shape).shortcut)

    assert changing(kr.ResNet(**SMALL)) is kr.ZeroPad
    assert changing(kr.ResNet(**SMALL, block="bottleneck")) is kr.Series
    assert changing(kr.ResNet([1, 1, 1, 1], (8, 8, 3))) is kr.Series


def test_width_multiplies_the_filters_of_every_stage_and_not_the_stem():
    model = kr.PreActResNet(**SMALL, width=4)
    assert [layer.output.shape[-1] for layer in model.layers[1:5]] == [16, 64, 128, 256]


@pytest.mark.parametrize(
    ("top", "shape"),
    [
        ({"classes": 7}, (None, 7)),
        ({"include_top": False}, (None, 2, 2, 64)),
        ({"include_top": False, "pooling": "avg"}, (None, 64)),
        ({"include_top": False, "pooling": "max"}, (None, 64)),
    ],
    ids=str,
)
def test_the_top_is_as_asked(top, shape):
    assert kr.PreActResNet(**SMALL, **top).output_shape == shape


@pytest.mark.parametrize(("pooling", "reduce"), [("avg", np.mean), ("max", np.max)])
def test_pooling_reduces_the_feature_map(pooling, reduce):
    pooled = kr.PreActResNet(**SMALL, include_top=False, pooling=pooling)
    features = kr.PreActResNet(**SMALL, include_top=False)
    features.set_weights(pooled.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(pooled(x), reduce(features(x), axis=(1, 2)), rtol=1e-4, atol=1e-5)


def test_softmax_returns_the_probabilities_of_the_logits():
    probabilities, logits = (kr.ResNet(**SMALL, classifier_activation=a) for a in ("softmax", None))
    logits.set_weights(probabilities.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(probabilities(x), keras.ops.softmax(logits(x)), rtol=1e-4, atol=1e-6)


def test_a_global_channels_first_setting_changes_nothing():
    case = NETWORKS["plain"]
    before = case.model()
    keras.config.set_image_data_format("channels_first")
    after = case.make()
    after.set_weights(before.get_weights())
    np.testing.assert_allclose(after(*case.arrays()), before(*case.arrays()), rtol=1e-5, atol=1e-6)
    assert after.output_shape == before.output_shape


@over(NETWORKS)
def test_the_same_seed_makes_the_same_network(case):
    made = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        made.append(case.make().get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*made, strict=True))


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_works_in_a_factory(order):
    assert kr.ResNet(**SMALL, order=ORDERS[order])(np.zeros((1, 8, 8, 3))).shape == (1, 10)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals.


@pytest.mark.parametrize(
    ("depth", "block", "rule", "nearest"),
    [
        (21, None, "6n+2 or 9n+2", "18, 20, 26"),
        (111, None, "6n+2 or 9n+2", "110, 116"),
        (21, "basic", "6n+2", "18, 20, 26"),
        (165, "bottleneck", "9n+2", "155, 164, 173|152, 164, 173|164, 173"),
        (12, "single", "3n+2", "11, 14"),
        (1, None, "6n+2 or 9n+2", "8, 11, 14"),
        (-4, None, "6n+2 or 9n+2", "8, 11"),
    ],
)
def test_an_impossible_depth_is_named_with_the_rule_and_the_nearest(depth, block, rule, nearest):
    rule = rule.replace("+", r"\+")
    with pytest.raises(ValueError, match=rf"no network of depth {depth}: depths are {rule} .*Nearest: .*({nearest})"):
        kr.PreActResNet(depth, block=block)


@pytest.mark.parametrize("depth", ["20", True, 20.0, None])
def test_a_depth_of_another_type_is_refused(depth):
    with pytest.raises(ValueError, match=rf"`depth` must be an int, or the units of each stage.*depth={depth!r}"):
        kr.PreActResNet(depth)


@pytest.mark.parametrize("depth", [[1, 1], [1] * 5, []])
def test_a_list_of_neither_three_nor_four_stages_is_refused(depth):
    with pytest.raises(ValueError, match=r"three stages \(CIFAR.*or four \(ImageNet.*For other plans use `network`"):
        kr.ResNet(depth)


def test_a_stage_without_units_is_refused():
    with pytest.raises(ValueError, match=r"`depth` as a list must hold positive ints"):
        kr.ResNet([1, 0, 1])


@pytest.mark.parametrize("width", [0, -1, 1.5])
def test_a_width_that_is_not_a_positive_int_is_refused(width):
    with pytest.raises(ValueError, match="`width` must be a positive int"):
        kr.ResNet(**SMALL, width=width)


@pytest.mark.parametrize("classes", [0, -1, 2.5, "10", True, None])
def test_classes_must_be_a_positive_int(classes):
    with pytest.raises(ValueError, match=f"`classes` must be a positive int. Received: classes={classes!r}"):
        kr.ResNet(**SMALL, classes=classes)


@pytest.mark.parametrize("pooling", ["mean", "AVG", True, 1])
def test_pooling_must_be_known(pooling):
    with pytest.raises(ValueError, match=f"`pooling` must be 'avg' or 'max', or None. Received: pooling={pooling!r}"):
        kr.ResNet(**SMALL, include_top=False, pooling=pooling)


@pytest.mark.parametrize(
    ("depth", "shape", "least"),
    [([1, 1, 1], (3, 8, 3), 4), ([1, 1, 1], (None, 3, 3), 4), ([1, 1, 1, 1], (7, 7, 3), 8)],
)
def test_an_image_smaller_than_the_strides_is_refused(depth, shape, least):
    with pytest.raises(ValueError, match=rf"`input_shape` must be at least {least}x{least}: the network's strides"):
        kr.ResNet(depth, shape)
    assert kr.ResNet(depth, (least, least, 3)).output_shape == (None, 10)


def test_the_strides_of_the_stem_count_too():
    with pytest.raises(ValueError, match="at least 16x16"):
        kr.ResNet([1, 1, 1], (15, 15, 3), stem=kr.Stem(8, 7, strides=2, pool=2))


@pytest.mark.parametrize("shape", [(32, 32), (32, 32, None), (1, 32, 32, 3), 32, None])
def test_an_input_shape_without_channels_is_refused(shape):
    with pytest.raises(ValueError, match=r"`input_shape` must be \(height, width, channels\) in positive ints"):
        kr.ResNet(20, shape)


def test_an_identity_where_the_shape_changes_is_refused_with_the_unit():
    with pytest.raises(ValueError, match=r"\(in 'unit001/merge'\)\. Use a shortcut .*'zero_pad' or 'projection'\."):
        kr.ResNet(**SMALL, shortcut="identity")


@pytest.mark.parametrize(
    ("stem", "activated", "text"),
    [
        (kr.Stem(8), True, r"must output the 16 channels that unit 'unit000' expects\. Received: 8 channels\."),
        (kr.Stem(16, activated=False), True, r"unit 'unit000' expects a stem that ends in norm and activation"),
    ],
)
def test_a_stem_that_does_not_fit_the_first_unit_is_refused(stem, activated, text):
    slots = kr.plan([kr.Stage(1, 16)], 16, activated)
    with pytest.raises(ValueError, match=text):
        kr.network([(kr.Recipe(kr.basic, kr.FullPreAct(), kr.projection), slots[0])], stem, kr.FullPreAct())


def test_a_network_of_no_units_is_refused():
    with pytest.raises(ValueError, match=r"`units` must hold at least one"):
        kr.network([], kr.Stem(16), kr.FullPreAct())


@pytest.mark.parametrize("input_shape", [None, 32, (32, 32), (32, 32, None)])
@pytest.mark.parametrize("depth", [20, 18])
def test_a_shape_that_is_not_one_of_images_is_refused(depth, input_shape):
    with pytest.raises(ValueError, match=r"`input_shape` must be \(height, width, channels\)"):
        kr.ResNet(depth, input_shape)


def test_option_a_in_a_narrowing_network_is_refused_with_the_unit():
    recipe = kr.Recipe(kr.basic, kr.PostAct(), kr.zero_pad)
    slots = kr.plan([kr.Stage(1, 16), kr.Stage(1, 8)], 16)
    with pytest.raises(ValueError, match=r"option A\) can only append channels.*\(unit 'unit001'\)"):
        kr.network([(recipe, slot) for slot in slots], kr.Stem(16), kr.PostAct())


@pytest.mark.parametrize(("family", "projected"), [(kr.ResNet, "conv1 norm"), (kr.PreActResNet, "conv1")])
def test_a_wider_stem_than_the_first_stage_requires_a_projection(family, projected):
    rows = kr.describe(family(20, (64, 64, 3), stem="imagenet"))
    assert [row.h for row in rows if row.h][:2] == [projected, "id"]


def test_the_arguments_of_both_factories_are_the_same_and_can_be_seen():
    ours, theirs = (inspect.signature(family).parameters for family in (kr.PreActResNet, kr.ResNet))
    assert set(ours) == set(theirs)
    assert list(ours)[:7] == list(theirs)[:7]  # those that may be positional
    changed = {name for name in ours if ours[name].default not in (theirs[name].default, None)}
    assert changed == {"depth"}  # `None` is the family's own choice
    assert kr.PreActResNet(8, (32, 32, 3), 10, False, "avg").output.shape == (None, 64)


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (lambda: kr.Recipe("basc", "post_act", "projection"), r"unknown body 'basc'\. Did you mean 'basic'"),
        (lambda: kr.Recipe(kr.basic, kr.PostAct(), keras.layers.Identity()), r"`shortcut` must be one of .*a function"),
        (
            lambda: kr.network(kr.plan([kr.Stage(1, 16)], 16), None, kr.PostAct()),
            r"\(recipe, slot\) pair\..*Slot\(",
        ),
        (lambda: kr.network([], "cifr", "post_act"), r"unknown stem 'cifr'\. Did you mean 'cifar'"),
        (lambda: kr.chained("squeeze_excit"), r"unknown tail 'squeeze_excit'\. Did you mean 'squeeze_excite'"),
        (lambda: kr.ZeroPad("8"), r"`ZeroPad` requires ints.*extra='8'.*\(layer 'zero_pad"),
    ],
)
def test_an_invalid_part_of_a_network_is_named(network, text):
    with pytest.raises(ValueError, match=text):
        network()


def test_recipes_networks_and_chains_take_names():
    recipe = kr.Recipe("basic", "full_pre_act", "projection", tail=kr.chained("squeeze_excite", kr.rezero))
    assert (recipe.body, recipe.order, recipe.shortcut) == (kr.basic, NAMED_ORDERS["full_pre_act"], kr.projection)
    model = kr.network([(recipe, slot) for slot in kr.plan([kr.Stage(1, 16)], 16, True)], "cifar", "full_pre_act")
    assert kr.describe(model)[1].F == "conv3 norm act conv3 squeeze_excite *k"


@pytest.mark.parametrize("family", [kr.HighwayNet, kr.GatedPlainNet, kr.StochasticDepthResNet])
def test_families_work_with_a_stem_of_more_filters(family):
    model = family(depth=8, input_shape=(64, 64, 3), stem="imagenet")
    assert next(row.h for row in kr.describe(model) if row.h).startswith("conv1")


def test_edges_of_unknown_sizes_that_turn_out_to_differ_are_refused_when_merged():
    merge = kr.Concat()
    merge.build((None, None, None, 2), (None, None, None, 3), (None, None, None, 2))
    with pytest.raises(ValueError, match="`Concat` requires a shortcut and a branch that differ only in"):
        merge(keras.ops.ones((1, 4, 4, 2)), keras.ops.ones((1, 2, 2, 3)), keras.ops.ones((1, 4, 4, 2)))


def test_a_keras_layout_takes_none_for_its_default():
    with shapes_alone():
        none = kr.KerasResNet(50, (32, 32, 3), 10, block=None, shortcut=None, name=None)
        default = kr.KerasResNet(50, (32, 32, 3), 10)
    assert (none.name, none.count_params()) == (default.name, default.count_params())


# ---------------------------------------------------------------------------------------------------------------------
# Networks that could never learn.


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (partial(kr.PlainNet, order="zero_gamma"), r"merge BranchOnly, 'norm2' in the branch \(unit 'unit000'\)"),
        (partial(kr.PlainNet, order="fixup"), r"merge BranchOnly, 'conv2' in the branch"),
        (partial(kr.PlainNet, tail="rezero"), r"merge BranchOnly, 'gate' in the branch"),
        (partial(kr.GatedPlainNet, block="basic", order="zero_gamma"), r"merge ScalarHighway, 'norm2' in the branch"),
        (
            partial(kr.ResNet, order="fixup", tail="rezero"),
            r"only one .*Received: 'conv2' and 'gate' \(unit 'unit000'\)",
        ),
        (partial(kr.ResNet, order="zero_gamma", tail="skip_init"), r"only one .*Received: 'norm2' and 'gate'"),
        (
            partial(kr.ResNet, order="zero_gamma", tail=partial(kr.layer_scale, initial=0.0)),
            "'norm2' and 'layer_scale'",
        ),
    ],
)
def test_a_network_with_zeros_that_no_gradient_passes_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make(depth=8)


@pytest.mark.parametrize("order", ["fixup", "zero_gamma"])
@pytest.mark.parametrize("make", [partial(kr.DenseNet, depth=[2, 2, 2]), partial(kr.FractalNet, columns=2)])
def test_a_family_with_a_unit_that_carries_nothing_refuses_orders_that_start_at_zero(make, order):
    with pytest.raises(ValueError, match=r"one layer of a branch may start at zero|starts at zero requires"):
        make(order=order)


@pytest.mark.parametrize(
    "options",
    [
        {"order": "zero_gamma"},
        {"order": "fixup"},
        {"tail": "rezero"},
        {"order": "zero_gamma", "tail": "residual_gate"},
        {"order": "fixup", "merge": "highway"},
        {"order": "zero_gamma", "tail": partial(kr.residual_gate, g="sigmoid", initial=0.0)},
    ],
)
def test_a_branch_may_start_at_zero_once_beside_a_carry(options):
    model = kr.ResNet(depth=8, input_shape=(8, 8, 3), **options)
    images, labels = tf.random.normal((4, 8, 8, 3)), tf.range(4)
    sgd, variables = kr.CoupledSGD(0.1), model.trainable_variables
    for _ in range(2):  # Fixup's classifier is also initialised to 0 and passes a gradient from the second step on
        with tf.GradientTape() as tape:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, model(images, training=True))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        sgd.apply(gradients, variables)
    assert any(tf.reduce_any(gradient != 0) for gradient in gradients[:-2])  # not only the classifier's


def test_a_shortcut_whose_weights_have_no_effect_is_reported_once_in_the_users_line():
    with pytest.warns(UserWarning, match=r"weights have no effect \(first in unit 'unit001'\)") as noted:
        kr.ResNet(8, (8, 8, 3), merge="branch_only", shortcut="projection")
    assert [Path(each.filename) for each in noted] == [Path(__file__)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kr.PlainNet(8, (8, 8, 3))

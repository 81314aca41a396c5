"""The orders of He et al. 2016, Fig. 4, layer by layer."""

import keras
import pytest

import keras_resunits as kr
from tests.catalog import BODIES, ORDERS

PLACES = {
    "same": kr.Slot(index=4, total=9, in_filters=16, filters=16),
    "changed": kr.Slot(index=4, total=9, in_filters=16, filters=32, strides=2),
    "first": kr.Slot(index=0, total=9, in_filters=16, filters=16, activated=True),
    "first, changed": kr.Slot(index=0, total=9, in_filters=16, filters=64, activated=True),
}

UNITS = [  # order, body, place: entry | branch | shortcut | exit
    ("PostAct", "basic", "same", " | conv1 norm1 act1 conv2 norm2 | | act"),
    ("PostAct", "basic", "changed", " | conv1 norm1 act1 conv2 norm2 | conv norm | act"),
    ("PostAct", "basic", "first", " | conv1 norm1 act1 conv2 norm2 | | act"),
    ("PostAct", "bottleneck", "same", " | conv1 norm1 act1 conv2 norm2 act2 conv3 norm3 | | act"),
    ("PostAct", "bottleneck", "first, changed", " | conv1 norm1 act1 conv2 norm2 act2 conv3 norm3 | conv norm | act"),
    ("PostAct", "single", "same", " | conv1 norm1 | | act"),
    ("BnAfterAdd", "basic", "same", " | conv1 norm1 act1 conv2 | | norm act"),
    ("BnAfterAdd", "basic", "changed", " | conv1 norm1 act1 conv2 | conv | norm act"),
    ("BnAfterAdd", "basic", "first", " | conv1 norm1 act1 conv2 | | norm act"),
    ("BnAfterAdd", "bottleneck", "same", " | conv1 norm1 act1 conv2 norm2 act2 conv3 | | norm act"),
    ("BnAfterAdd", "bottleneck", "first, changed", " | conv1 norm1 act1 conv2 norm2 act2 conv3 | conv | norm act"),
    ("BnAfterAdd", "single", "same", " | conv1 | | norm act"),
    ("ReluBeforeAdd", "basic", "same", " | conv1 norm1 act1 conv2 norm2 act2 | | "),
    ("ReluBeforeAdd", "basic", "changed", " | conv1 norm1 act1 conv2 norm2 act2 | conv norm | "),
    ("ReluBeforeAdd", "basic", "first", " | conv1 norm1 act1 conv2 norm2 act2 | | "),
    ("ReluBeforeAdd", "bottleneck", "same", " | conv1 norm1 act1 conv2 norm2 act2 conv3 norm3 act3 | | "),
    (
        "ReluBeforeAdd",
        "bottleneck",
        "first, changed",
        " | conv1 norm1 act1 conv2 norm2 act2 conv3 norm3 act3 | conv norm | ",
    ),
    ("ReluBeforeAdd", "single", "same", " | conv1 norm1 act1 | | "),
    ("ReluOnlyPreAct", "basic", "same", " | act1 conv1 norm1 act2 conv2 norm2 | | "),
    ("ReluOnlyPreAct", "basic", "changed", "act | conv1 norm1 act2 conv2 norm2 | conv norm | "),
    ("ReluOnlyPreAct", "basic", "first", " | conv1 norm1 act2 conv2 norm2 | | "),
    ("ReluOnlyPreAct", "bottleneck", "same", " | act1 conv1 norm1 act2 conv2 norm2 act3 conv3 norm3 | | "),
    ("ReluOnlyPreAct", "bottleneck", "changed", "act | conv1 norm1 act2 conv2 norm2 act3 conv3 norm3 | conv norm | "),
    (
        "ReluOnlyPreAct",
        "bottleneck",
        "first, changed",
        " | conv1 norm1 act2 conv2 norm2 act3 conv3 norm3 | conv norm | ",
    ),
    ("FullPreAct", "basic", "same", " | norm1 act1 conv1 norm2 act2 conv2 | | "),
    ("FullPreAct", "basic", "changed", "norm act | conv1 norm2 act2 conv2 | conv | "),
    ("FullPreAct", "basic", "first", " | conv1 norm2 act2 conv2 | | "),
    ("FullPreAct", "bottleneck", "same", " | norm1 act1 conv1 norm2 act2 conv2 norm3 act3 conv3 | | "),
    ("FullPreAct", "bottleneck", "changed", "norm act | conv1 norm2 act2 conv2 norm3 act3 conv3 | conv | "),
    ("FullPreAct", "bottleneck", "first, changed", " | conv1 norm2 act2 conv2 norm3 act3 conv3 | conv | "),
    ("FullPreAct", "single", "same", " | norm1 act1 conv1 | | "),
]
HEADS = {
    "PostAct": [],
    "BnAfterAdd": [],
    "ReluBeforeAdd": [],
    "ReluOnlyPreAct": ["act"],
    "FullPreAct": ["norm", "act"],
}


def names(layer):
    """The names of the layers in a series; none for the identity, which stands for an empty series."""
    return [] if isinstance(layer, keras.layers.Identity) else [part.name for part in layer.layers]


@pytest.mark.parametrize(("order", "body", "place", "literal"), UNITS, ids=[" ".join(row[:3]) for row in UNITS])
def test_a_unit_holds_the_layers_of_the_figure(order, body, place, literal):
    unit = kr.Recipe(BODIES[body], ORDERS[order], kr.projection)(PLACES[place])
    found = [names(unit.entry), names(unit.branch), names(unit.shortcut), names(unit.exit)]
    assert found == [part.split() for part in literal.split("|")]


def test_fixup_names_each_scalar_by_its_place():
    unit = kr.Recipe(kr.bottleneck, kr.Fixup(), kr.projection)(PLACES["same"])
    inner = (f"conv{i} bias{i} act{i} bias{i}b" for i in (1, 2))
    assert names(unit.branch) == f"bias0 {' '.join(inner)} conv3 scale bias".split()


@pytest.mark.parametrize(("body", "scale"), [("basic", 2 / 9), ("bottleneck", 2 / 3)])
def test_fixup_scales_the_inner_kernels_by_the_number_of_units(body, scale):
    """A factor of L^(-1 / (2m - 2)) on He's deviation, for `m` layers in each of `L` = 9 branches."""
    branch = kr.Recipe(BODIES[body], kr.Fixup(), kr.projection)(PLACES["same"]).branch
    *inner, last = [layer.kernel_initializer for layer in branch.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [each.scale for each in inner] == [pytest.approx(scale)] * (BODIES[body].depth - 1)
    assert isinstance(last, keras.initializers.Zeros)


def test_classifiers_start_as_torchs_linear_and_fan_in_is_hes_over_the_inputs():
    """U(+-1/sqrt(n)) has the variance 1/3n; He normal has 2/n."""
    he = kr.fan_in(kr.PostAct())
    starts = [kr.PostAct().classifier(), he.classifier(), he.kernels, he.stems]
    torch, normal = (1 / 3, "fan_in", "uniform"), (2.0, "fan_in", "untruncated_normal")
    assert [(each.scale, each.mode, each.distribution) for each in starts] == [torch, torch, normal, normal]


def test_the_names_match_the_kinds_of_the_layers():
    kinds = {"conv": keras.layers.Conv2D, "norm": kr.BatchNormalization, "act": keras.layers.ReLU}
    for order in ORDERS.values():
        unit = kr.Recipe(kr.bottleneck, order, kr.projection)(PLACES["changed"])
        series = [part for part in (unit.entry, unit.branch, unit.shortcut, unit.exit) if isinstance(part, kr.Series)]
        for layer in (layer for part in series for layer in part.layers):
            assert isinstance(layer, kinds[layer.name.rstrip("123")])


def test_each_order_is_tested_in_each_place():
    assert {(order, place) for order, _, place, _ in UNITS} >= {(order, place) for order in ORDERS for place in PLACES}


@pytest.mark.parametrize("order", ORDERS)
def test_the_head_completes_the_last_unit(order):
    assert [layer.name for layer in ORDERS[order].head()] == HEADS[order]
    model = kr.ResNet([1, 1, 1], (8, 8, 3), order=ORDERS[order])
    post = [layer for layer in model.layers if layer.name == "post"]
    assert [layer.name for part in post for layer in part.layers] == HEADS[order]


@pytest.mark.parametrize("order", ORDERS)
def test_a_stem_ends_in_norm_and_activation_in_every_order(order):
    assert [layer.name for layer in kr.Stem(8)(ORDERS[order]).layers] == ["conv", "norm", "act"]
    assert [layer.name for layer in kr.Stem(8, activated=False)(ORDERS[order]).layers] == ["conv"]


def test_without_an_activated_stem_the_first_unit_activates():
    slot = kr.Slot(index=0, total=9, in_filters=16, filters=16, activated=False)
    unit = kr.Recipe(kr.basic, kr.FullPreAct(), kr.projection)(slot)
    assert names(unit.branch) == ["norm1", "act1", "conv1", "norm2", "act2", "conv2"]


def test_an_order_uses_the_norm_and_the_activation_that_it_is_given():
    order = kr.FullPreAct(norm=keras.layers.LayerNormalization, activation=keras.layers.ELU)
    unit = kr.Recipe(kr.basic, order, kr.projection)(PLACES["same"])
    kinds = [type(layer).__name__ for layer in unit.branch.layers]
    assert kinds == ["LayerNormalization", "ELU", "Conv2D", "LayerNormalization", "ELU", "Conv2D"]


@pytest.mark.parametrize("abstract", [kr.Order, kr.PreAct])
def test_an_abstract_order_cannot_be_instantiated(abstract):
    with pytest.raises(TypeError, match="abstract"):
        abstract()


@pytest.mark.parametrize(("v1_5", "strides"), [(False, [2, 1, 1]), (True, [1, 2, 1])])
def test_a_bottleneck_strides_on_its_first_convolution_and_v1_5_on_its_second(v1_5, strides):
    body = kr.bottleneck_v1_5 if v1_5 else kr.bottleneck
    convolutions = body(kr.Slot(3, 9, 16, 64, strides=2))
    assert [conv.strides[0] for conv in convolutions] == strides
    assert [conv.kernel_size[0] for conv in convolutions] == [1, 3, 1]
    assert [conv.filters for conv in convolutions] == [16, 16, 64]


def test_a_body_knows_its_depth():
    slot = kr.Slot(3, 9, 16, 16)
    assert {name: (len(body(slot)), body.expansion) for name, body in BODIES.items()} == {
        "single": (1, 1),
        "basic": (2, 1),
        "bottleneck": (3, 4),
        "bottleneck_v1_5": (3, 4),
    }
    assert all(len(body(slot)) == body.depth for body in BODIES.values())

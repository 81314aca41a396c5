"""Names at the public edge: an unknown one is answered with the near ones and the choices."""

import keras
import pytest

import keras_resunits as kr
from keras_resunits.arguments import near_matches
from keras_resunits.units.shortcuts import SHORTCUTS

SMALL = {"depth": [1, 1, 1], "input_shape": (8, 8, 3)}


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
def test_an_unknown_name_is_answered_with_the_near_one_and_all_choices(kind, wrong, near, choices):
    with pytest.raises(ValueError, match=f"unknown {kind} '{wrong}'. Did you mean .*'{near}'.*Choices: {choices}"):
        kr.PreActResNet(**SMALL, **{kind: wrong})


@pytest.mark.parametrize("kind", ["order", "shortcut", "block", "stem"])
def test_a_name_like_nothing_is_answered_with_the_choices_alone(kind):
    with pytest.raises(ValueError, match=f"unknown {kind} 'xyzzy'. Choices: "):
        kr.ResNet(**SMALL, **{kind: "xyzzy"})


@pytest.mark.parametrize("kind", ["order", "shortcut", "block", "stem"])
@pytest.mark.parametrize("wrong", [3, 0, ["basic"]])
def test_what_is_neither_a_name_nor_of_the_kind_is_refused(kind, wrong):
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
def test_a_name_is_the_object_that_it_names(name, thing):
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
def test_a_layer_where_each_unit_wants_its_own_is_refused(kind, layer, wanted):
    with pytest.raises(ValueError, match=rf"`{kind}` must be one of .*{wanted}.* Received: {kind}="):
        kr.ResNet(**SMALL, **{kind: layer})


def test_a_wrapped_order_takes_a_name_too():
    assert kr.ZeroGamma(order="post_act") == kr.ZeroGamma(order=kr.PostAct())
    assert kr.ResNet(**SMALL, order=kr.ZeroGamma(order="post_act")).count_params() == kr.ResNet(**SMALL).count_params()
    with pytest.raises(ValueError, match=r"unknown order 'postact'\. Did you mean 'post_act'"):
        kr.ZeroGamma(order="postact")


def test_near_matches_are_none_for_a_name_like_nothing():
    assert near_matches("xyzzy", ["identity"]) == ""
    assert near_matches("", ["identity"]) == ""
    assert near_matches("resnet20", ["resnet20b_cifar", "resnet200", "resnet20_cifar", "wrn"]) == (
        " Did you mean 'resnet200' or 'resnet20_cifar' or 'resnet20b_cifar'?"
    )
    assert near_matches("Identiti", ["identity", "zero_pad"]) == " Did you mean 'identity'?"

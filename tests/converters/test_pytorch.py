"""Weights of PyTorch: equal logits in every layout, or an error that states what does not fit."""

import re
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.converters import TORCH_LAYOUTS, ConversionError, load_torch_weights
from keras_resunits.converters.carry import mismatch, names_of
from keras_resunits.zoo.libraries import RepeatedPreAct, zero_pad_both_sides

torch = pytest.importorskip("torch")
from tests.catalog import long_but, shapes_alone  # noqa: E402
from tests.support import torch_networks as theirs  # noqa: E402

CLASSES = 5
RAW_STEM = kr.Stem(8, kernel_size=7, strides=2, pool=2, activated=False)

pytestmark = pytest.mark.peers


def residual(
    body, order, stem, width, units=(2, 1, 2), size=32, shortcut=kr.projection, ends=None, tail=kr.no_tail, **top
):
    """Our network, small: stages of `units`, of which the second and later ones halve the image and double the width.

    The stem and the layers before the pooling have the order `ends`, by default `order`.
    """
    stages = [kr.Stage(n, width * body.expansion * 2**i, strides=1 + (i > 0)) for i, n in enumerate(units)]
    recipe = kr.Recipe(body, order, shortcut, tail=tail)
    slots = kr.plan(stages, stem.filters, stem.activated)
    return kr.network(
        [(recipe, slot) for slot in slots], stem, ends or order, input_shape=(size, size, 3), classes=CLASSES, **top
    )


STEM = kr.Stem(8, kernel_size=7, strides=2, pool=2)
CIFAR = kr.Stem(16, activated=False)
DENSE_STEM = kr.Stem(8, activated=False)
UNITS = [2, 1, 2]
OPTION_B = partial(kr.ResNet, UNITS, (8, 8, 3), CLASSES, shortcut="projection")


def narrow_8(slot):
    """Squeeze-and-excite with 8 channels inside."""
    return kr.squeeze_excite(slot, slot.filters // 8)


CASES = {  # layout, theirs, ours
    "torchvision-basic": (
        "torchvision_resnet",
        partial(theirs.TorchvisionResNet, theirs.BasicBlock, UNITS, 8, CLASSES),
        partial(residual, kr.basic, kr.PostAct(), STEM, 8),
    ),
    "torchvision-bottleneck": (
        "torchvision_resnet",
        partial(theirs.TorchvisionResNet, theirs.Bottleneck, UNITS, 8, CLASSES),
        partial(residual, kr.bottleneck_v1_5, kr.PostAct(), STEM, 8),
    ),
    "torchvision-wide": (
        "torchvision_resnet",
        partial(theirs.TorchvisionResNet, theirs.WideBottleneck, UNITS, 8, CLASSES),
        partial(residual, kr.wide_bottleneck(), kr.PostAct(), STEM, 8),
    ),
    "akamaster-A": (
        "akamaster_resnet",
        partial(theirs.AkamasterResNet, UNITS, CLASSES),
        partial(kr.ResNet, UNITS, (8, 8, 3), CLASSES, shortcut=zero_pad_both_sides),
    ),
    "akamaster-B": (
        "akamaster_resnet",
        partial(theirs.AkamasterResNet, UNITS, CLASSES, "B"),
        partial(kr.ResNet, UNITS, (8, 8, 3), CLASSES, shortcut="projection"),
    ),
    "kuangliu-bottleneck": (
        "akamaster_resnet",
        partial(theirs.CifarResNet, theirs.ShortcutBottleneck, UNITS, 16, CLASSES, classifier="linear"),
        partial(kr.ResNet, UNITS, (8, 8, 3), CLASSES, block="bottleneck_v1_5"),
    ),
    "shortcut-fc": (
        "akamaster_resnet",
        partial(theirs.CifarResNet, theirs.ShortcutBlock, UNITS, 16, CLASSES),
        OPTION_B,
    ),
    "shortcut-stem-conv-bn": (
        "akamaster_resnet",
        partial(theirs.CifarResNet, theirs.ShortcutBlock, UNITS, 16, CLASSES, ("conv", "bn")),
        OPTION_B,
    ),
    "downsample-cifar": (
        "torchvision_resnet",
        partial(theirs.CifarResNet, theirs.BasicBlock, UNITS, 16, CLASSES),
        OPTION_B,
    ),
    "downsample-stem-conv-bn": (
        "torchvision_resnet",
        partial(theirs.CifarResNet, theirs.BasicBlock, UNITS, 16, CLASSES, ("conv", "bn")),
        OPTION_B,
    ),
    "downsample-stem-sequence-linear": (
        "torchvision_resnet",
        partial(theirs.CifarResNet, theirs.BasicBlock, UNITS, 16, CLASSES, ("conv1",), classifier="linear"),
        OPTION_B,
    ),
    "hysts": ("hysts_resnet", partial(theirs.HystsResNet, UNITS, 16, CLASSES), OPTION_B),
    "dxy": ("dxy_resnet", partial(theirs.DxyResNet, UNITS, CLASSES), partial(kr.ResNet, UNITS, (8, 8, 3), CLASSES)),
    "dxy-conv_1-fc": (
        "dxy_resnet",
        partial(theirs.DxyResNet, UNITS, CLASSES, ("conv_1", "bn_1"), "fc"),
        partial(kr.ResNet, UNITS, (8, 8, 3), CLASSES),
    ),
    "left": ("left_resnet", partial(theirs.TutorialResNet, UNITS, 16, CLASSES), OPTION_B),
    "weiaicunzai": (
        "weiaicunzai_resnet",
        partial(theirs.WeiaicunzaiResNet, theirs.SequentialBlock, UNITS, 16, CLASSES),
        OPTION_B,
    ),
    "weiaicunzai-bottleneck": (
        "weiaicunzai_resnet",
        partial(theirs.WeiaicunzaiResNet, theirs.SequentialBottleneck, UNITS, 16, CLASSES),
        partial(kr.ResNet, UNITS, (8, 8, 3), CLASSES, block="bottleneck_v1_5"),
    ),
    "xternalz-wrn": (
        "xternalz_wrn",
        partial(theirs.WRN, UNITS, 2, CLASSES),
        partial(residual, kr.basic, kr.FullPreAct(), CIFAR, 32, size=8),
    ),
    "szagoruyko-wrn": (
        "szagoruyko_wrn",
        partial(theirs.AuthorsWRN, UNITS, 2, CLASSES),
        partial(residual, kr.basic, kr.FullPreAct(), CIFAR, 32, size=8),
    ),
    "timm-se-basic": (
        "timm_seresnet",
        partial(theirs.TorchvisionResNet, theirs.SEBasicBlock, UNITS, 16, CLASSES),
        partial(residual, kr.basic, kr.PostAct(), kr.Stem(16, 7, 2, 2), 16, tail=narrow_8),
    ),
    "timm-se-bottleneck": (
        "timm_seresnet",
        partial(theirs.TorchvisionResNet, theirs.SEBottleneck, UNITS, 8, CLASSES),
        partial(residual, kr.bottleneck_v1_5, kr.PostAct(), STEM, 8, tail=narrow_8),
    ),
    "pytorchcv-se": (
        "pytorchcv_seresnet",
        partial(theirs.PytorchcvResNet, UNITS, CLASSES, unit=theirs.SEResUnit),
        partial(kr.ResNet, UNITS, (8, 8, 3), CLASSES, shortcut="projection", tail="squeeze_excite"),
    ),
    "pytorchcv-se-imagenet": (
        "pytorchcv_seresnet",
        lambda: theirs.PytorchcvResNet(UNITS, CLASSES, True, theirs.SEResUnit, theirs.ResInitBlock(16)),
        partial(residual, kr.bottleneck_v1_5, kr.PostAct(), kr.Stem(16, 7, 2, 2), 16, tail=kr.squeeze_excite),
    ),
    "timm-v2-basic": (
        "timm_resnetv2",
        partial(theirs.TimmResNetV2, UNITS, 8, CLASSES, bottleneck=False),
        partial(residual, kr.basic, kr.FullPreAct(), RAW_STEM, 8),
    ),
    "timm-v2-bottleneck": (
        "timm_resnetv2",
        partial(theirs.TimmResNetV2, UNITS, 8, CLASSES, bottleneck=True),
        partial(residual, kr.bottleneck_v1_5, kr.FullPreAct(), RAW_STEM, 8),
    ),
    "pytorchcv-resnet": (
        "pytorchcv_resnet",
        partial(theirs.PytorchcvResNet, UNITS, CLASSES),
        partial(kr.ResNet, UNITS, (8, 8, 3), CLASSES, shortcut="projection"),
    ),
    "pytorchcv-resnet-bottleneck": (
        "pytorchcv_resnet",
        partial(theirs.PytorchcvResNet, UNITS, CLASSES, bottleneck=True),
        partial(kr.ResNet, UNITS, (8, 8, 3), CLASSES, block="bottleneck_v1_5"),
    ),
    "pytorchcv-preresnet-imagenet": (
        "pytorchcv_preresnet_imagenet",
        partial(theirs.PytorchcvImagenetPreResNet, UNITS, 8, CLASSES),
        partial(residual, kr.basic, RepeatedPreAct(order=kr.FullPreAct()), STEM, 8),
    ),
    "pytorchcv-preresnet-imagenet-bottleneck": (
        "pytorchcv_preresnet_imagenet",
        partial(theirs.PytorchcvImagenetPreResNet, UNITS, 8, CLASSES, bottleneck=True, strides_first=True),
        partial(residual, kr.bottleneck, RepeatedPreAct(order=kr.FullPreAct()), STEM, 8),
    ),
    "pytorchcv-preresnet-imagenet-b": (
        "pytorchcv_preresnet_imagenet",
        partial(theirs.PytorchcvImagenetPreResNet, UNITS, 8, CLASSES, bottleneck=True),
        partial(residual, kr.bottleneck_v1_5, RepeatedPreAct(order=kr.FullPreAct()), STEM, 8),
    ),
    "pytorchcv-preresnet": (
        "pytorchcv_preresnet",
        partial(theirs.PytorchcvPreResNet, UNITS, CLASSES),
        partial(residual, kr.basic, kr.FullPreAct(), CIFAR, 16, size=8),
    ),
    "pytorchcv-preresnet-bottleneck": (
        "pytorchcv_preresnet",
        partial(theirs.PytorchcvPreResNet, UNITS, CLASSES, bottleneck=True),
        partial(residual, kr.bottleneck_v1_5, kr.FullPreAct(), CIFAR, 16, size=8),
    ),
    "pytorchcv-wrn": (
        "pytorchcv_preresnet",
        partial(theirs.PytorchcvPreResNet, UNITS, CLASSES, width=2),
        partial(residual, kr.basic, kr.FullPreAct(), CIFAR, 32, size=8),
    ),
    "pytorchcv-wrn-dropout": (
        "pytorchcv_preresnet",
        partial(theirs.PytorchcvPreResNet, UNITS, CLASSES, width=2),
        partial(residual, kr.wide_basic(dropout=0.3), kr.FullPreAct(), CIFAR, 32, size=8),
    ),
    "pytorchcv-densenet": (
        "pytorchcv_densenet",
        partial(theirs.PytorchcvDenseNet, UNITS, 4, CLASSES, bottleneck=False),
        partial(kr.DenseNet, UNITS, (8, 8, 3), CLASSES, growth=4, bottleneck=False, compression=0.5, stem=DENSE_STEM),
    ),
    "pytorchcv-densenet-bc": (
        "pytorchcv_densenet_bc",
        partial(theirs.PytorchcvDenseNet, UNITS, 4, CLASSES, bottleneck=True),
        partial(kr.DenseNet, UNITS, (8, 8, 3), CLASSES, growth=4),
    ),
    "torchvision-densenet": (
        "torchvision_densenet",
        partial(theirs.TorchvisionDenseNet, [2, 1, 2, 1], 4, 8, CLASSES),
        partial(kr.DenseNet, [2, 1, 2, 1], (64, 64, 3), CLASSES, growth=4),
    ),
}
QUICK = {layout: name for name, (layout, *_) in reversed(CASES.items())}.values()  # the first of each layout
cases = pytest.mark.parametrize(("layout", "torch_network", "network"), long_but(QUICK, CASES))


def images(model: keras.Model) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(3, *model.input_shape[1:])).astype("float32")


def largest_difference(model: keras.Model, network) -> float:
    """As a fraction of the largest logit."""
    x = images(model)
    ours, wanted = np.asarray(model(x)), theirs.logits(network, x)
    return np.abs(ours - wanted).max() / np.abs(wanted).max()


def smallest() -> tuple[keras.Model, "theirs.nn.Module"]:
    """A model and a network that fits it, for tests that break the fit."""
    _, torch_network, network = CASES["torchvision-basic"]
    return network(), theirs.randomized(torch_network())


@cases
def test_both_networks_return_the_same_logits(layout, torch_network, network):
    model, torch_network = network(), theirs.randomized(torch_network())
    assert largest_difference(model, torch_network) > 1e-2  # the weights make a difference
    assert load_torch_weights(model, torch_network.state_dict()) == layout
    assert largest_difference(model, torch_network) < 1e-5


def test_every_layout_has_its_case():
    assert {layout for layout, *_ in CASES.values()} == set(TORCH_LAYOUTS)


def test_names_are_mapped_by_rule_and_not_by_order():
    model, torch_network = smallest()
    state = torch_network.state_dict()
    load_torch_weights(model, {name: state[name] for name in sorted(state, reverse=True)})
    assert largest_difference(model, torch_network) < 1e-5


def test_a_network_without_top_takes_weights_without_top():
    model, torch_network = residual(kr.basic, kr.PostAct(), STEM, 8, include_top=False, pooling="avg"), smallest()[1]
    torch_network.fc = torch.nn.Identity()
    load_torch_weights(model, torch_network.state_dict())
    assert largest_difference(model, torch_network) < 1e-5


def test_a_densenet_of_the_old_names_is_read():
    layout, torch_network, network = CASES["torchvision-densenet"]
    model, torch_network = network(), theirs.randomized(torch_network())
    old = {re.sub(r"(denselayer.*)([12])\.", r"\1.\2.", k): v for k, v in torch_network.state_dict().items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert load_torch_weights(model, old) == layout
    assert largest_difference(model, torch_network) < 1e-5


# ---------------------------------------------------------------------------------------------------------------------
# Refusals: the error states what does not fit, and nothing is assigned.


def refused(model, state, match, layout=None):
    before = model.get_weights()
    with pytest.raises(ConversionError, match=match):
        load_torch_weights(model, state, layout)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_weights_left_over_on_either_side_are_listed():
    model, torch_network = smallest()
    state = dict(torch_network.state_dict())
    del state["layer2.0.bn2.running_var"], state["fc.bias"]
    state["layer9.0.conv1.weight"] = torch.zeros(1)
    refused(
        model,
        state,
        r"2 that the network requires are not in the state dict: layer2.0.bn2.running_var \(for "
        r"'unit002/branch/norm2/moving_variance'\), fc.bias \(for 'classifier/bias'\). "
        r"1 of the state dict have no place in the network: layer9.0.conv1.weight.$",
    )


def test_a_network_of_fewer_units_leaves_weights_over():
    _, torch_network = smallest()
    model = residual(kr.basic, kr.PostAct(), STEM, 8, units=(2, 1, 1))
    refused(
        model, torch_network.state_dict(), r"10 of the state dict have no place in the network: layer3.1.bn1.bias, "
    )


def test_names_of_no_known_layout_are_not_blamed_on_arithmetic():
    model = kr.ResNet(UNITS, (8, 8, 3), CLASSES)  # whose option A no layout with `fc` has
    blocks = [f"blocks.{i}.attention.{leaf}" for i in range(9) for leaf in ("weight", "bias")]
    state = {name: torch.zeros(1) for name in ["fc.weight", "fc.bias", *blocks]}
    refused(
        model,
        state,
        r"^the names of the state dict are of no known layout: the nearest, 'torchvision_resnet', has 2 of 20\. It "
        r"lacks blocks\.0\.attention\.bias, .* and 15 more; for network 'resnet2_1_2' it expects names such as conv1\.",
    )


def test_a_layout_is_known_by_its_names_whatever_the_depth():
    _, torch_network = smallest()
    model = residual(kr.basic, kr.PostAct(), STEM, 8, units=(1, 1, 1))
    refused(model, torch_network.state_dict(), r"^weights are left over in layout 'torchvision_resnet'")


@cases
def test_every_name_of_a_layout_is_known_to_it(layout, torch_network, network):
    theirs = [name for name in torch_network().state_dict() if not name.endswith("num_batches_tracked")]
    assert TORCH_LAYOUTS[layout].known(theirs) == theirs


def test_an_alias_does_not_replace_a_name_that_is_there():
    model, torch_network = smallest()
    state = {**torch_network.state_dict(), "linear.weight": torch.zeros(1)}
    refused(model, state, r"1 of the state dict have no place in the network: linear\.weight\.$")


def test_parameters_and_statistics_that_are_stored_apart_are_read_together():
    layout, torch_network, network = CASES["szagoruyko-wrn"]
    model, torch_network = network(), theirs.randomized(torch_network())
    state = torch_network.state_dict()
    stats = {name: tensor for name, tensor in state.items() if "running" in name}
    params = {name: tensor for name, tensor in state.items() if name not in stats}
    assert load_torch_weights(model, {"params": params, "stats": stats, "epoch": 200}) == layout
    assert largest_difference(model, torch_network) < 1e-5


def test_a_long_list_of_weights_left_over_is_cut_in_the_text_and_complete_in_the_error():
    model, torch_network = smallest()
    state = {f"other.{name}": tensor for name, tensor in torch_network.state_dict().items()}
    refused(model, state, r"conv1.weight \(for 'stem/conv/kernel'\).* and \d+ more", "torchvision_resnet")
    with pytest.raises(ConversionError) as raised:
        load_torch_weights(model, state, "torchvision_resnet")
    counted = {name for name in state if not name.endswith("num_batches_tracked")}
    assert set(raised.value.unused) == counted
    assert {f"other.{name}" for name in raised.value.missing} == counted


def test_every_wrong_shape_is_in_one_error():
    model, torch_network = smallest()
    state = dict(torch_network.state_dict())
    state["fc.weight"], state["fc.bias"] = torch.zeros(7, 32), torch.zeros(7)
    refused(
        model,
        state,
        r"2 of the shapes in the state dict do not fit.*wanted \(32, 5\), got \(32, 7\) for 'classifier/kernel' from "
        r"'fc.weight', wanted \(5,\), got \(7,\) for 'classifier/bias' from 'fc.bias'",
    )


@pytest.mark.parametrize(("shape", "got"), [((8, 3, 3, 3), r"\(3, 3, 3, 8\)"), ((5,), r"\(5,\)"), ((), r"\(\)")])
def test_a_kernel_of_another_shape_is_refused(shape, got):
    model, torch_network = smallest()
    state = {**torch_network.state_dict(), "conv1.weight": torch.zeros(shape)}
    refused(model, state, rf"wanted \(7, 7, 3, 8\), got {got} for 'stem/conv/kernel' from 'conv1.weight'")


# The same names and shapes, another arithmetic.


@pytest.mark.parametrize(
    ("case", "network", "match"),
    [
        (
            "torchvision-bottleneck",
            partial(residual, kr.bottleneck, kr.PostAct(), STEM, 8),
            r"the second has the stride \(bottleneck_v1_5\), got h: conv/2 norm, F: conv/2 norm ReLU conv norm ReLU "
            r"conv norm, M: add, f: ReLU in 'unit002'",
        ),
        (
            "torchvision-basic",
            partial(residual, kr.basic, kr.ReluBeforeAdd(), STEM, 8),
            r"wanted post-activation units.*got F: conv norm ReLU conv norm ReLU, M: add in 'unit000'",
        ),
        (
            "torchvision-basic",
            partial(residual, kr.basic, kr.PostAct(activation=keras.layers.ELU), STEM, 8),
            r"wanted a stem of conv norm ReLU or .*, got conv norm <elu> max-pool",
        ),
        (
            "torchvision-basic",
            partial(residual, kr.basic, kr.PostAct(partial(kr.BatchNormalization, epsilon=1e-3)), STEM, 8),
            r"wanted epsilon 1e-05, got 0.001 in 'stem/norm'",
        ),
        (
            "akamaster-A",
            partial(kr.ResNet, UNITS, (8, 8, 3), CLASSES),
            r"half of the zeros on either side, got h: zeros at the end, F: conv/2 norm ReLU conv norm, M: add, f: "
            r"ReLU in 'unit002'",
        ),
        (
            "timm-v2-basic",
            partial(residual, kr.basic, kr.FullPreAct(), replace(RAW_STEM, pads=0.0), 8),
            r"wanted a stem of conv or conv max-pool, got conv max-pool over zeros",
        ),
        (
            "timm-v2-basic",
            partial(residual, kr.basic, kr.FullPreAct(), RAW_STEM, 8, ends=kr.FullPreAct(activation=keras.layers.ELU)),
            r"wanted norm ReLU before the pooling, got norm <elu>",
        ),
        (
            "pytorchcv-preresnet-imagenet",
            partial(residual, kr.basic, kr.FullPreAct(), STEM, 8),
            r"also in the first;.*, got F: conv norm ReLU conv, M: add in 'unit000'",
        ),
    ],
    ids=["stride", "order", "activation", "epsilon", "zeros", "margin", "head", "first unit"],
)
def test_weights_are_refused_if_the_network_computes_something_else(case, network, match):
    layout, torch_network, _ = CASES[case]
    refused(network(), torch_network().state_dict(), match, layout)


def test_an_unknown_layout_is_refused_with_the_known_ones():
    model, torch_network = smallest()
    with pytest.raises(ValueError, match=r"unknown layout 'torchvison_resnet'. Did you mean 'torchvision_resnet'"):
        load_torch_weights(model, torch_network.state_dict(), "torchvison_resnet")


def test_a_layout_that_is_given_is_not_searched_for():
    model, torch_network = smallest()
    refused(model, torch_network.state_dict(), "than those of layout 'akamaster_resnet'", layout="akamaster_resnet")


# ---------------------------------------------------------------------------------------------------------------------
# The networks by the names under which the weights are published.


@pytest.mark.parametrize(
    ("name", "layout", "trainable"),
    [  # parameters as published: torchvision's documentation, imgclsmob's tests; timm: He et al. 2016's network
        ("torchvision_resnet18", "torchvision_resnet", 11_689_512),
        ("torchvision_resnet50", "torchvision_resnet", 25_557_032),
        ("torchvision_densenet121", "torchvision_densenet", 7_978_856),
        ("timm_resnetv2_18", "timm_resnetv2", 11_687_720),
        ("timm_resnetv2_50", "timm_resnetv2", 25_549_352),
        ("timm_seresnet18", "timm_seresnet", 11_779_624),
        ("timm_seresnet50", "timm_seresnet", 28_088_024),
        ("pytorchcv_seresnet20", "pytorchcv_seresnet", 274_847),
        ("pytorchcv_seresnet164", "pytorchcv_seresnet", 1_906_258),
        ("seresnet50", "pytorchcv_seresnet", 28_088_024),
        ("resnet56b_cifar", "torchvision_resnet", 855_770),
        ("pytorchcv_wrn28_10", "xternalz_wrn", 36_479_194),
        ("pytorchcv_wrn28_10", "szagoruyko_wrn", 36_479_194),
        ("akamaster_resnet20", "akamaster_resnet", 269_722),
        ("akamaster_resnet56", "akamaster_resnet", 853_018),
        ("pytorchcv_resnet20", "pytorchcv_resnet", 272_474),
        ("pytorchcv_preresnet18", "pytorchcv_preresnet_imagenet", 11_687_848),
        ("pytorchcv_preresnet50", "pytorchcv_preresnet_imagenet", 25_549_480),
        ("pytorchcv_preresnet50b", "pytorchcv_preresnet_imagenet", 25_549_480),
        ("pytorchcv_preresnet20", "pytorchcv_preresnet", 272_282),
        ("pytorchcv_preresnet164", "pytorchcv_preresnet", 1_703_258),
        ("pytorchcv_wrn16_10", "pytorchcv_preresnet", 17_116_634),
        ("pytorchcv_densenet40_k12", "pytorchcv_densenet", 599_050),
        ("pytorchcv_densenet40_k12_bc", "pytorchcv_densenet_bc", 176_122),
    ],
)
def test_a_published_network_is_of_its_layout_and_has_its_parameters(name, layout, trainable):
    with shapes_alone():
        model = kr.create(name)
    assert mismatch(model, TORCH_LAYOUTS[layout]) is None
    assert None not in names_of(model, TORCH_LAYOUTS[layout]).values()
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == trainable


def test_a_network_is_created_with_its_weights(tmp_path):
    network = theirs.AkamasterResNet([3, 3, 3], 10, "B").eval()
    torch.save({"state_dict": network.state_dict()}, tmp_path / "resnet20.th")
    model = kr.create("resnet20_cifar", shortcut="projection", weights=tmp_path / "resnet20.th")
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    with torch.no_grad():
        wanted = network(torch.from_numpy(images.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(model(images), wanted, atol=1e-4 * np.abs(wanted).max())


def test_a_checkpoint_for_other_classes_gives_all_but_the_head(tmp_path):
    network = theirs.randomized(theirs.AkamasterResNet([1, 1, 1], 10, "B")).eval()
    torch.save(network.state_dict(), tmp_path / "resnet8.th")
    create = partial(kr.create, "resnet20_cifar", depth=8, shortcut="projection", weights=tmp_path / "resnet8.th")
    with pytest.warns(UserWarning, match=r"resnet8\.th': a new head of 3 classes replaces that of 10\."):
        model = create(classes=3)
    whole, backbone = create(), create(include_top=False, pooling="avg")
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    pooled = [keras.Model(each.input, each.get_layer("pool").output)(images) for each in (whole, model)]
    for found in (*pooled, backbone(images)):
        np.testing.assert_array_equal(found, pooled[0])
    kernel, bias = model.layers[-1].get_weights()
    assert kernel.shape == (64, 3) and kernel.any() and not bias.any()
    with pytest.raises(ConversionError, match="weights are left over"):
        create(include_top=False, depth=14)


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ("nowhere.pth", "no such file: 'nowhere.pth'"),
        ("weights.txt", r"weights end in \.pt, .*or are 'imagenet'\. Received: 'weights.txt'"),
        ("imagenet", "keras.applications"),
        (42, r"or are 'imagenet'\. Received: 42"),
    ],
)
def test_missing_weights_are_refused(weights, text):
    with pytest.raises(ConversionError, match=text):
        kr.create("resnet20_cifar", weights=weights)

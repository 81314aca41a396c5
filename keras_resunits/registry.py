"""Every network of the literature by name: a table of factories and their arguments, with what was published."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras

from keras_resunits.bodies import BODIES, Body, single, wide_bottleneck
from keras_resunits.choices import near_matches, resolve
from keras_resunits.converters.networks import NETWORKS
from keras_resunits.densenet import DenseNet, dense_blocks
from keras_resunits.fractal import FractalNet
from keras_resunits.keras_layouts import KerasResNet, KerasResNetV2, norm, require_keras_depth
from keras_resunits.merges import exclusive_gating
from keras_resunits.models import (
    GatedPlainNet,
    GatedResNet,
    HighwayNet,
    PlainNet,
    PreActResNet,
    ResNet,
    StochasticDepthResNet,
    WideResNet,
    layout_of,
    wide_units,
)
from keras_resunits.orders import PreActBranch
from keras_resunits.perceptrons import FullyConnectedResNet, require_even
from keras_resunits.shortcuts import constant_scaling, shortcut_gating
from keras_resunits.stems import Stem

FACTORIES: dict[str, Callable[..., keras.Model]] = {
    factory.__name__: factory
    for factory in (
        DenseNet,
        FractalNet,
        FullyConnectedResNet,
        GatedPlainNet,
        GatedResNet,
        HighwayNet,
        KerasResNet,
        KerasResNetV2,
        PlainNet,
        PreActResNet,
        ResNet,
        StochasticDepthResNet,
        WideResNet,
    )
}
"""Every family by the name of its factory."""


@dataclass(frozen=True)
class Entry:
    """A named network.

    Args:
        factory: Makes it.
        arguments: The factory's arguments that make it this one.
        source: Where the network comes from.
        parameters: Trainable ones, exact; `None` where no count is known.
        half_operations: Half of the floating-point operations as pytorchcv publishes them, in millions.
        derived: Whether `parameters` were counted by hand from the layers' shapes, not published.
        stated_parameters: What the source says of them, where that is rounded or another count.
        stated_operations: Likewise of what an image costs.
    """

    factory: Callable[..., keras.Model]
    arguments: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    parameters: int | None = None
    half_operations: float | None = None
    derived: bool = False
    stated_parameters: str = ""
    stated_operations: str = ""


IMAGENET: dict[str, Any] = {"input_shape": (224, 224, 3), "classes": 1000}
HE15, HE16 = "He et al. 2015", "He et al. 2016"
BY_PYTORCHCV = "counts: pytorchcv"


def _depths(
    name: str, factory, rows: dict[int, tuple], source: str, derived: bool = False, **arguments
) -> dict[str, Entry]:
    """An entry for each depth: `{depth: (parameters, half of the operations, stated operations)}`, or less of it."""
    entries = {}
    for depth, published in rows.items():
        row: list[Any] = [*published, *[None, None, ""][len(published) :]]
        parameters, half, stated = row
        given = {"depth": depth, **arguments}
        entries[name.format(depth)] = Entry(factory, given, source, parameters, half, derived, "", stated)
    return entries


MODELS: dict[str, Entry] = {
    **_depths(
        "resnet{}_cifar",
        ResNet,
        {
            20: (269_722,),
            32: (464_154,),
            44: (658_586,),
            56: (853_018,),
            110: (1_727_962,),
            1202: (19_421_274,),
        },
        f"{HE15}, Table 6; counts: akamaster/pytorch_resnet_cifar10",
    ),
    **_depths("resnet{}_cifar", ResNet, {164: (1_704_154,), 1001: (10_328_602,)}, f"{HE16}, Table 3; {BY_PYTORCHCV}"),
    **_depths(
        "resnet{}b_cifar",
        ResNet,
        {20: (272_474, 41.29), 56: (855_770, 127.06), 110: (1_730_714, 255.70), 1202: (19_424_026, 2_857.17)},
        "pytorchcv, with option B",
        shortcut="projection",
    ),
    **_depths(
        "resnet{}b_cifar",
        ResNet,
        {32: (466_906,), 44: (661_338,)},
        f"{HE15}, sec. 4.2, with option B",
        derived=True,
        shortcut="projection",
    ),
    **_depths(
        "resnet{}_cifar",
        ResNet,
        {272: (2_816_986,), 542: (5_599_066,)},
        f"the units of {HE16} at pytorchcv's depths; {BY_PYTORCHCV}",
    ),
    **_depths(
        "preactresnet{}_cifar",
        PreActResNet,
        {20: (269_722,), 32: (464_154,), 44: (658_586,), 56: (853_018,), 1202: (19_421_274,)},
        f"the units of {HE16} at the depths of {HE15}",
        derived=True,
    ),
    **_depths("preactresnet{}_cifar", PreActResNet, {110: (1_727_962,)}, f"{HE16}, Table 2", derived=True),
    **_depths(
        "preactresnet{}_cifar",
        PreActResNet,
        {164: (1_703_258,), 1001: (10_327_706,)},
        f"{HE16}, Table 4; {BY_PYTORCHCV}",
    ),
    **_depths(
        "preactresnet{}_cifar",
        PreActResNet,
        {272: (2_816_090,), 542: (5_598_170,)},
        f"the units of {HE16} at pytorchcv's depths; {BY_PYTORCHCV}",
    ),
    **{  # 1-layer skip
        f"{family}110_single_cifar": Entry(
            factory, {"depth": 110, "block": "single"}, f"{HE16}, Table 3", 1_727_962, derived=True
        )
        for family, factory in (("resnet", ResNet), ("preactresnet", PreActResNet))
    },
    **_depths(
        "resnet{}",
        ResNet,
        {
            18: (11_689_512, 1_820.41, "1.8e9 multiply-adds"),
            34: (21_797_672, 3_672.68, "3.6e9 multiply-adds"),
            50: (25_557_032, 3_877.95, "3.8e9 multiply-adds"),
            101: (44_549_160, 7_597.95, "7.6e9 multiply-adds"),
            152: (60_192_808, 11_321.85, "11.3e9 multiply-adds"),
        },
        f"{HE15}, Table 1; {BY_PYTORCHCV}",
        **IMAGENET,
    ),
    **_depths("resnet{}", ResNet, {200: (64_673_832,)}, f"{HE16}, Table 5", derived=True, **IMAGENET),
    **_depths(
        "resnet{}a",
        ResNet,
        {18: (11_515_688,), 34: (21_623_848,)},
        f"{HE15}, option A",
        derived=True,
        shortcut="A",
        **IMAGENET,
    ),
    **_depths("resnet{}c", ResNet, {34: (22_716_840,)}, f"{HE15}, option C", derived=True, shortcut="C", **IMAGENET),
    **_depths(
        "resnet{}_bn_after_add",
        ResNet,
        {101: (44_541_480,)},
        f"{HE16}, Table 5",
        derived=True,
        order="bn_after_add",
        **IMAGENET,
    ),
    **_depths(
        "resnet{}_v1_5",
        ResNet,
        {50: (25_557_032, 4_110.48), 101: (44_549_160, 7_830.48), 152: (60_192_808, 11_554.38)},
        f"fb.resnet.torch; {BY_PYTORCHCV}",
        block="bottleneck_v1_5",
        **IMAGENET,
    ),
    **_depths(
        "preactresnet{}",
        PreActResNet,
        {18: (11_687_720,), 34: (21_795_880,), 50: (25_549_352,), 101: (44_541_480,)},
        "fb.resnet.torch, preresnet",
        derived=True,
        **IMAGENET,
    ),
    **_depths(
        "preactresnet{}",
        PreActResNet,
        {152: (60_185_128,), 200: (64_666_152,)},
        f"{HE16}, Table 5",
        derived=True,
        **IMAGENET,
    ),
    **_depths(
        "wide_resnet{}_2",
        ResNet,
        {50: (68_883_240,), 101: (126_886_696,)},
        "torchvision, after Zagoruyko and Komodakis 2016, sec. 4",
        block=wide_bottleneck(),
        **IMAGENET,
    ),
    **_depths(
        "plainnet{}_cifar",
        PlainNet,
        {20: (269_722,), 32: (464_154,), 44: (658_586,), 56: (853_018,), 110: (1_727_962,)},
        f"{HE15}, sec. 4.2",
        derived=True,
    ),
    "plainnet18": Entry(PlainNet, {"depth": 18, **IMAGENET}, f"{HE15}, Table 2"),
    "plainnet34": Entry(PlainNet, {"depth": 34, **IMAGENET}, f"{HE15}, Table 2"),
    # He et al. 2016, Table 1
    "resnet110_constant_scaling0": Entry(
        ResNet,
        {"depth": 110, "shortcut": partial(constant_scaling, factor=0.0)},
        f"{HE16}, Table 1",
        1_727_962,
        derived=True,
    ),
    "resnet110_constant_scaling": Entry(
        ResNet, {"depth": 110, "shortcut": "constant_scaling"}, f"{HE16}, Table 1", 1_727_962, derived=True
    ),
    "resnet110_frozen_gating": Entry(
        ResNet,
        {"depth": 110, "shortcut": "constant_scaling", "tail": "branch_scaling"},
        f"{HE16}, Table 1",
        1_727_962,
        derived=True,
    ),
    "resnet110_exclusive_gating": Entry(
        ResNet, {"depth": 110, "merge": "exclusive_gating"}, f"{HE16}, Table 1", 1_824_186, derived=True
    ),
    "resnet110_exclusive_gating7": Entry(
        ResNet,
        {"depth": 110, "merge": partial(exclusive_gating, bias=-7.0)},
        f"{HE16}, Table 1",
        1_824_186,
        derived=True,
    ),
    **{
        f"resnet110_exclusive_gating{-bias}": Entry(
            ResNet,
            {"depth": 110, "merge": partial(exclusive_gating, bias=float(bias))},
            f"{HE16}, Table 1",
            1_824_186,
            derived=True,
        )
        for bias in (0, -1, -2, -3, -4, -5)
    },
    "resnet110_shortcut_gating": Entry(
        ResNet, {"depth": 110, "shortcut": "shortcut_gating"}, f"{HE16}, Table 1", 1_824_186, derived=True
    ),
    "resnet110_shortcut_gating0": Entry(
        ResNet,
        {"depth": 110, "shortcut": partial(shortcut_gating, bias=0.0)},
        f"{HE16}, Table 1",
        1_824_186,
        derived=True,
    ),
    "resnet110_conv_1x1": Entry(
        ResNet, {"depth": 110, "shortcut": "conv_1x1"}, f"{HE16}, Table 1", 1_822_170, derived=True
    ),
    "resnet110_dropout": Entry(
        ResNet, {"depth": 110, "shortcut": "dropout"}, f"{HE16}, Table 1", 1_727_962, derived=True
    ),
    # He et al. 2016, Table 2
    "resnet110_bn_after_add": Entry(ResNet, {"depth": 110, "order": "bn_after_add"}, f"{HE16}, Table 2"),
    "resnet110_relu_before_add": Entry(ResNet, {"depth": 110, "order": "relu_before_add"}, f"{HE16}, Table 2"),
    "resnet110_relu_only_pre_act": Entry(ResNet, {"depth": 110, "order": "relu_only_pre_act"}, f"{HE16}, Table 2"),
    "resnet164_bn_after_add": Entry(ResNet, {"depth": 164, "order": "bn_after_add"}, f"{HE16}, Table 2"),
    "resnet164_relu_before_add": Entry(ResNet, {"depth": 164, "order": "relu_before_add"}, f"{HE16}, Table 2"),
    "resnet164_relu_only_pre_act": Entry(ResNet, {"depth": 164, "order": "relu_only_pre_act"}, f"{HE16}, Table 2"),
    # identity at first, and others
    "resnet56_zero_gamma": Entry(ResNet, {"depth": 56, "order": "zero_gamma"}, "Goyal et al. 2017, sec. 5.1"),
    "resnet56_rezero": Entry(
        ResNet, {"depth": 56, "order": "relu_before_add", "tail": "rezero"}, "Bachlechner et al. 2020, Table 4"
    ),
    "resnet110_fixup": Entry(ResNet, {"depth": 110, "order": "fixup"}, "Zhang et al. 2019, Table 1"),
    "resnet50_fixup": Entry(
        ResNet,
        {"depth": 50, "block": "bottleneck_v1_5", "order": "fixup", **IMAGENET},
        "the code of Zhang et al. 2019, ImageNet",
        25_504_026,
        derived=True,
    ),
    "preactresnet110_skip_init": Entry(
        PreActResNet, {"depth": 110, "order": "relu_pre_act", "tail": "skip_init"}, "De and Smith 2020"
    ),
    "resnet50_layer_scale": Entry(
        ResNet, {"depth": 50, "tail": "layer_scale", **IMAGENET}, "the tail of Touvron et al. 2021"
    ),
    "plainnet56_looks_linear": Entry(
        PlainNet, {"depth": 56, "order": "looks_linear"}, "the order of Balduzzi et al. 2017, sec. 4"
    ),
    # tails
    "seresnet20_cifar": Entry(
        ResNet,
        {"depth": 20, "shortcut": "projection", "tail": "squeeze_excite"},
        "pytorchcv, seresnet20",
        274_847,
        41.34,
    ),
    "seresnet50": Entry(
        ResNet,
        {"depth": 50, "tail": "squeeze_excite", **IMAGENET},
        f"Hu et al. 2018, Table 2; {BY_PYTORCHCV}",
        28_088_024,
        3_883.25,
    ),
    # gates
    "gatedresnet32_cifar": Entry(GatedResNet, {"depth": 32}, "Savarese et al. 2016, Table 3", 464_169, derived=True),
    "gatedplainnet20_cifar": Entry(GatedPlainNet, {"depth": 20}, "Savarese et al. 2016, sec. 3"),
    "gatedwrn28_10_cifar": Entry(
        WideResNet, {"tail": "residual_gate"}, "Savarese et al. 2016, Table 3", 36_479_206, derived=True
    ),
    **{
        f"fc_{kind}{depth}_mnist": Entry(
            FullyConnectedResNet,
            {"depth": depth, **chosen},
            "Savarese et al. 2016, MNIST",
            39_810 + 2_600 * depth + (depth // 2 if kind == "gatedresnet" else 0),
            derived=True,
        )
        for kind, chosen in (
            ("plainnet", {"merge": "branch_only"}),
            ("resnet", {}),
            ("gatedresnet", {"tail": "residual_gate"}),
        )
        for depth in (2, 10, 20, 50, 100)
    },
    **{
        f"highwaynet{depth}_cifar": Entry(
            HighwayNet,
            {"depth": depth},
            "Srivastava et al. 2015, in ResNet's layout and with batch normalisation, which the paper's has not",
            stated_parameters=stated,
        )
        for depth, stated in ((20, "2.3M for 19 layers"), (32, "1.25M for 32 layers"))
    },
    # wide, stochastic, dense, fractal
    **{
        f"wrn{depth}_{width}_cifar": Entry(
            WideResNet,
            {"depth": depth, "width": width, "dropout": 0.0},
            f"Zagoruyko and Komodakis 2016{counted}",
            parameters,
            half,
            derived,
            stated,
        )
        for depth, width, parameters, half, derived, stated, counted in (
            (16, 4, 2_748_890, None, True, "", ""),
            (16, 8, 10_961_370, None, True, "", ""),
            (16, 10, 17_116_634, 2_414.04, False, "", f"; {BY_PYTORCHCV}"),
            (22, 8, None, None, False, "17.2M", ""),
            (28, 10, 36_479_194, 5_246.98, False, "", f"; {BY_PYTORCHCV}"),
            (28, 12, None, None, False, "52.5M", ""),
            (40, 1, None, None, False, "0.6M", ""),
            (40, 2, None, None, False, "2.2M", ""),
            (40, 4, 8_949_210, None, False, "", "; counts: the authors' log"),
            (40, 8, 35_748_314, 5_176.90, False, "", f"; {BY_PYTORCHCV}"),
        )
    },
    **{
        f"wrn{depth}_{width}_dropout_cifar": Entry(
            WideResNet,
            {"depth": depth, "width": width},
            "Zagoruyko and Komodakis 2016, with dropout",
            parameters,
            derived=True,
        )
        for depth, width, parameters in ((16, 4, 2_748_890), (28, 10, 36_479_194), (40, 10, None))
    },
    **{
        f"wrn{depth}_{width}": Entry(
            WideResNet,
            {"depth": depth, "width": width, "dropout": 0.0, **IMAGENET},
            "Zagoruyko and Komodakis 2016, for ImageNet",
            parameters,
            derived=True,
        )
        for depth, width, parameters in ((18, 2, 45_614_376), (18, 3, 101_778_216), (34, 2, 86_032_168))
    },
    "resnet110_avg_pool_cifar": Entry(
        ResNet,
        {"depth": 110, "shortcut": "avg_pool_pad"},
        "Huang et al. 2016, Table 1, constant depth",
        1_727_962,
        derived=True,
    ),
    "stochasticdepthresnet110_cifar": Entry(
        StochasticDepthResNet, {"depth": 110}, "Huang et al. 2016, Table 1", 1_727_962, derived=True
    ),
    "stochasticdepthresnet1202_cifar": Entry(
        StochasticDepthResNet,
        {"depth": 1202},
        "Huang et al. 2016, Table 1",
        19_421_274,
        derived=True,
        stated_parameters="10.2M in Huang et al. 2017",
    ),
    **{
        f"densenet{depth}_{growth}_cifar": Entry(
            DenseNet,
            {"depth": depth, "growth": growth, "bottleneck": False},
            "Huang et al. 2017, Table 2",
            parameters,
            derived=True,
        )
        for depth, growth, parameters in ((40, 12, 1_019_722), (100, 12, 6_979_642), (100, 24, 27_249_082))
    },
    **{
        f"densenet_bc{depth}_{growth}_cifar": Entry(
            DenseNet,
            {"depth": depth, "growth": growth},
            f"Huang et al. 2017, Table 2; {BY_PYTORCHCV}",
            parameters,
            half,
        )
        for depth, growth, parameters, half in (
            (100, 12, 769_162, 298.45),
            (250, 24, 15_324_406, 5_519.54),
            (190, 40, 25_624_430, 9_400.45),
        )
    },
    "densenet_bc40_48_cifar": Entry(
        DenseNet, {"depth": 40, "growth": 48}, "the code of Huang et al. 2017, wide", stated_parameters="2.7M"
    ),
    **_depths(
        "densenet{}",
        DenseNet,
        {121: (7_978_856, 2_872.13), 169: (14_149_480, 3_403.89), 201: (20_013_928, 4_347.15)},
        f"Huang et al. 2017, Table 1; {BY_PYTORCHCV}",
        **IMAGENET,
    ),
    **_depths(
        "densenet{}",
        DenseNet,
        {161: (28_681_000, 7_793.16)},
        f"the code of Huang et al. 2017; {BY_PYTORCHCV}",
        **IMAGENET,
    ),
    **_depths("densenet{}", DenseNet, {264: ()}, "Huang et al. 2017, Table 1", **IMAGENET),
    "fractalnet20_cifar": Entry(
        FractalNet,
        {},
        "Larsson et al. 2017, sec. 4.1",
        33_724_618,
        derived=True,
        stated_parameters="38.6M, which does not follow from the stated filters",
    ),
    "fractalnet40_cifar": Entry(
        FractalNet, {"columns": 4}, "Larsson et al. 2017, four columns: 40 layers", 76_106_634, derived=True
    ),
    # keras.applications
    **_depths(
        "keras_resnet{}",
        KerasResNet,
        {50: (25_583_592,), 101: (44_601_832,), 152: (60_268_520,)},
        "keras.applications",
    ),
    **_depths(
        "keras_resnet{}v2",
        KerasResNetV2,
        {50: (25_568_360,), 101: (44_577_896,), 152: (60_236_904,)},
        "keras.applications",
    ),
    **_depths(
        "keras_densenet{}",
        DenseNet,
        {121: (7_978_856,), 169: (14_149_480,), 201: (20_013_928,)},
        "keras.applications",
        order=PreActBranch(norm=norm),
        stem=Stem(64, kernel_size=7, strides=2, pool=2, pads=0.0),
        **IMAGENET,
    ),
}

LIBRARIES = {
    "torchvision": "torchvision",
    "timm": "timm",
    "akamaster": "akamaster/pytorch_resnet_cifar10",
    "pytorchcv": "pytorchcv (osmr/imgclsmob)",
}
"""Whose networks of `converters.networks` begin with a word."""

PUBLISHED: dict[str, tuple] = {  # of those networks: parameters, half of the operations, whether derived
    "torchvision_resnet18": (11_689_512,),
    "torchvision_resnet34": (21_797_672,),
    "torchvision_resnet50": (25_557_032,),
    "torchvision_resnet101": (44_549_160,),
    "torchvision_resnet152": (60_192_808,),
    "torchvision_wide_resnet50_2": (68_883_240,),
    "torchvision_wide_resnet101_2": (126_886_696,),
    "torchvision_densenet121": (7_978_856,),
    "torchvision_densenet161": (28_681_000,),
    "torchvision_densenet169": (14_149_480,),
    "torchvision_densenet201": (20_013_928,),
    "timm_resnetv2_18": (11_687_720, None, True),
    "timm_resnetv2_34": (21_795_880, None, True),
    "timm_resnetv2_50": (25_549_352, None, True),
    "timm_resnetv2_101": (44_541_480, None, True),
    "timm_resnetv2_152": (60_185_128, None, True),
    "akamaster_resnet20": (269_722,),
    "akamaster_resnet32": (464_154,),
    "akamaster_resnet44": (658_586,),
    "akamaster_resnet56": (853_018,),
    "akamaster_resnet110": (1_727_962,),
    "akamaster_resnet1202": (19_421_274,),
    "pytorchcv_resnet20": (272_474, 41.29),
    "pytorchcv_resnet56": (855_770, 127.06),
    "pytorchcv_resnet110": (1_730_714, 255.70),
    "pytorchcv_resnet1202": (19_424_026, 2_857.17),
    "pytorchcv_resnet164": (1_704_154, 255.31),
    "pytorchcv_resnet272": (2_816_986, 420.61),
    "pytorchcv_resnet542": (5_599_066, 833.87),
    "pytorchcv_resnet1001": (10_328_602, 1_536.40),
    "pytorchcv_preresnet18": (11_687_848, 1_820.56),
    "pytorchcv_preresnet34": (21_796_008, 3_672.83),
    "pytorchcv_preresnet50": (25_549_480, 3_875.44),
    "pytorchcv_preresnet50b": (25_549_480, 4_107.97),
    "pytorchcv_preresnet101": (44_541_608, 7_595.44),
    "pytorchcv_preresnet101b": (44_541_608, 7_827.97),
    "pytorchcv_preresnet152": (60_185_256, 11_319.34),
    "pytorchcv_preresnet152b": (60_185_256, 11_551.87),
    "pytorchcv_preresnet200b": (64_666_280, 15_068.63),
    "pytorchcv_preresnet20": (272_282, 41.27),
    "pytorchcv_preresnet56": (855_578, 127.03),
    "pytorchcv_preresnet110": (1_730_522, 255.68),
    "pytorchcv_preresnet1202": (19_423_834, 2_857.14),
    "pytorchcv_preresnet164": (1_703_258, 255.08),
    "pytorchcv_preresnet272": (2_816_090, 420.38),
    "pytorchcv_preresnet542": (5_598_170, 833.64),
    "pytorchcv_preresnet1001": (10_327_706, 1_536.18),
    "pytorchcv_wrn16_10": (17_116_634, 2_414.04),
    "pytorchcv_wrn28_10": (36_479_194, 5_246.98),
    "pytorchcv_wrn40_8": (35_748_314, 5_176.90),
    "pytorchcv_densenet40_k12": (599_050, 210.80),
    "pytorchcv_densenet100_k12": (4_068_490, 1_353.55),
    "pytorchcv_densenet100_k24": (16_114_138, 5_354.19),
    "pytorchcv_densenet40_k12_bc": (176_122, 74.89),
    "pytorchcv_densenet40_k24_bc": (690_346, 293.09),
    "pytorchcv_densenet40_k36_bc": (1_542_682, 654.60),
    "pytorchcv_densenet100_k12_bc": (769_162, 298.45),
    "pytorchcv_densenet190_k40_bc": (25_624_430, 9_400.45),
    "pytorchcv_densenet250_k24_bc": (15_324_406, 5_519.54),
}
MODELS |= {
    name: Entry(made.func, made.keywords, LIBRARIES[name.split("_")[0]], *PUBLISHED.get(name, ()))
    for name, made in NETWORKS.items()
}


def list_models(pattern: str = "*") -> list[str]:
    """The names of the networks that `create` makes, sorted.

    Those that begin with another library's name (`torchvision_resnet50`) answer as that library's do with its weights.

    Args:
        pattern: A wildcard, "*" and "?"; all by default.

    Returns:
        Names; none where nothing matches.

    Raises:
        ValueError: for a pattern that is no string.

    Example:

    >>> import keras_resunits as kr
    >>> kr.list_models("wrn16*")
    ['wrn16_10_cifar', 'wrn16_4_cifar', 'wrn16_4_dropout_cifar', 'wrn16_8_cifar']
    """
    if not isinstance(pattern, str):
        raise ValueError(f"`pattern` must be a string such as 'resnet*'. Received: pattern={pattern!r} (list_models).")
    return sorted(fnmatch.filter(MODELS, pattern))


def require_name(name: str) -> None:
    """Refuse a name that is neither a network's nor a family's."""
    if not isinstance(name, str):
        raise ValueError(f"`name` must be a string such as 'resnet50' or 'ResNet'. Received: name={name!r} (create).")
    if name not in {*MODELS, *FACTORIES}:
        hint = near_matches(name, [*FACTORIES, *MODELS])
        raise ValueError(
            f"unknown model {name!r}.{hint} Families: {', '.join(FACTORIES)}; `list_models()` has {len(list_models())} "
            "more."
        )


def _layout(depth, arguments: dict[str, Any], body: Body | None) -> None:
    """Refuse a depth that `ResNet` has not with the given block, by default `body`."""
    block = arguments.get("block")
    layout_of(depth, body if block is None else resolve("block", block, BODIES, Body))


# What refuses a depth that a family does not have, of `(depth, the factory's other arguments)`; a family that is not
# here refuses it itself, once it is made.
DEPTHS: dict[Callable[..., keras.Model], Callable[[Any, dict[str, Any]], Any]] = {
    **dict.fromkeys((ResNet, PreActResNet, PlainNet, GatedResNet, StochasticDepthResNet), partial(_layout, body=None)),
    **dict.fromkeys((GatedPlainNet, HighwayNet), partial(_layout, body=single)),
    **dict.fromkeys((KerasResNet, KerasResNetV2), lambda depth, _: require_keras_depth(depth)),
    DenseNet: lambda depth, arguments: dense_blocks(depth, arguments.get("bottleneck", True)),
    WideResNet: lambda depth, _: wide_units(depth),
    FullyConnectedResNet: lambda depth, _: require_even(depth),
}


def check_depth(name: str, depth, block: str | Body | None = None) -> None:
    """Refuse a depth that the network or family `name` does not have, without making it.

    Raises:
        ValueError: naming the nearest, as the factories do.
    """
    made = _entry(name)
    if check := DEPTHS.get(made.factory):
        check(depth, {**made.arguments, **({} if block is None else {"block": block})})


def _entry(name: str) -> Entry:
    """Of a network or a family."""
    return MODELS.get(name) or Entry(FACTORIES[name])


def accepts(name: str) -> set[str]:
    """The arguments that `create(name, ...)` takes."""
    parameters = inspect.signature(_entry(name).factory).parameters
    passed_on = inspect.signature(ResNet).parameters if "options" in parameters else {}
    return {*parameters, *passed_on} - {"options"}


def create(name: str, /, weights: str | Path | None = None, **overrides) -> keras.Model:
    """A network by its name in `list_models()`, or by its family's.

    Args:
        name: "preactresnet164_cifar", "resnet50", ...; or a family, "DenseNet", with the arguments that follow.
        weights: "imagenet" for a layout of `keras.applications`, from Keras' download cache; or a PyTorch checkpoint
            or a weights file of `keras.applications` (see `keras_resunits.converters`). By default random.
        **overrides: Arguments of the family's factory, in place of the named network's.

    Returns:
        A functional `keras.Model`, named `name`.

    Raises:
        ValueError: for a name that is not known (naming near ones), an argument that the factory does not have or
            refuses, or weights that are not there or not this network's.

    Example:

    >>> import keras_resunits as kr
    >>> kr.create("resnet20_cifar", classes=100).output.shape
    (None, 100)
    """
    require_name(name)
    if unknown := sorted(overrides.keys() - accepts(name)):
        hint = near_matches(unknown[0], sorted(accepts(name)))
        raise ValueError(
            f"'{name}' has no argument {unknown[0]!r}.{hint} Received: {unknown[0]}={overrides[unknown[0]]!r}."
        )
    entry = _entry(name)
    arguments = {**({} if name in FACTORIES else {"name": name}), **entry.arguments, **overrides}
    if weights is None:
        return entry.factory(**arguments)
    from keras_resunits.converters.loading import loader  # here: it reads files with libraries that few want

    load = loader(weights)
    model = entry.factory(**arguments)
    load(model)
    return model

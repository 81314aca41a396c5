"""The networks of the papers by name: how each is made, its source, and its published figures."""

from __future__ import annotations

from functools import partial
from typing import Any

from keras_resunits.models.dense import DenseNet
from keras_resunits.models.fractal import FractalNet
from keras_resunits.models.gated import GatedPlainNet, GatedResNet, HighwayNet
from keras_resunits.models.keras_layouts import KerasResNet, KerasResNetV2, norm
from keras_resunits.models.perceptrons import FullyConnectedResNet
from keras_resunits.models.residual import PlainNet, PreActResNet, ResNet, StochasticDepthResNet
from keras_resunits.models.stems import Stem
from keras_resunits.models.wide import WideResNet
from keras_resunits.units.bodies import wide_bottleneck
from keras_resunits.units.merges import exclusive_gating
from keras_resunits.units.orders import PreActBranch
from keras_resunits.units.shortcuts import constant_scaling, shortcut_gating
from keras_resunits.zoo import figures
from keras_resunits.zoo.entry import BY_PYTORCHCV, HE15, HE16, IMAGENET, Entry, by_depth
from keras_resunits.zoo.libraries import LIBRARIES


def _table1(parameters: int = figures.OPTION_A[110], **choices: Any) -> Entry:
    """Return a row of He et al. 2016, Table 1: ResNet-110 with one choice changed."""
    return Entry(ResNet, {"depth": 110, **choices}, f"{HE16}, Table 1", parameters, derived=True)


def _table2(depth: int, order: str) -> Entry:
    """Return a row of He et al. 2016, Table 2."""
    return Entry(ResNet, {"depth": depth, "order": order}, f"{HE16}, Table 2")


def _wide(name: str, places: dict[tuple[int, int], dict[str, Any]], source: str, **arguments: Any) -> dict[str, Entry]:
    """Return rows of wide residual networks, by depth and width."""
    return {
        name.format(depth, width): Entry(
            WideResNet,
            {"depth": depth, "width": width, **arguments},
            **{"source": source, **published},
        )
        for (depth, width), published in places.items()
    }


WRN, COUNTED = "Zagoruyko and Komodakis 2016", f"Zagoruyko and Komodakis 2016; {BY_PYTORCHCV}"
AT_OTHER_DEPTHS = f"the units of {HE16} at pytorchcv's depths; {BY_PYTORCHCV}"

MODELS: dict[str, Entry] = {
    **by_depth(
        "resnet{}_cifar",
        ResNet,
        figures.OPTION_A,
        f"{HE15}, Table 6; counts: akamaster/pytorch_resnet_cifar10",
        figures.OPTION_A,
    ),
    **by_depth("resnet{}_cifar", ResNet, (164, 1001), f"{HE16}, Table 3; {BY_PYTORCHCV}", figures.BOTTLENECK),
    **by_depth(
        "resnet{}b_cifar",
        ResNet,
        figures.OPTION_B_OPERATIONS,
        "pytorchcv, with option B",
        figures.OPTION_B,
        figures.OPTION_B_OPERATIONS,
        shortcut="projection",
    ),
    **by_depth(
        "resnet{}b_cifar",
        ResNet,
        (32, 44),
        f"{HE15}, sec. 4.2, with option B",
        figures.OPTION_B,
        derived=True,
        shortcut="projection",
    ),
    **by_depth("resnet{}_cifar", ResNet, (272, 542), AT_OTHER_DEPTHS, figures.BOTTLENECK),
    **by_depth(
        "preactresnet{}_cifar",
        PreActResNet,
        (20, 32, 44, 56, 1202),
        f"the units of {HE16} at the depths of {HE15}",
        figures.OPTION_A,
        derived=True,
    ),
    **by_depth("preactresnet{}_cifar", PreActResNet, (110,), f"{HE16}, Table 2", figures.OPTION_A, derived=True),
    **by_depth(
        "preactresnet{}_cifar", PreActResNet, (164, 1001), f"{HE16}, Table 4; {BY_PYTORCHCV}", figures.PRE_BOTTLENECK
    ),
    **by_depth("preactresnet{}_cifar", PreActResNet, (272, 542), AT_OTHER_DEPTHS, figures.PRE_BOTTLENECK),
    **{  # 1-layer skip
        name: entry
        for family, factory in (("resnet", ResNet), ("preactresnet", PreActResNet))
        for name, entry in by_depth(
            f"{family}{{}}_single_cifar",
            factory,
            (110,),
            f"{HE16}, Table 3",
            figures.OPTION_A,
            derived=True,
            block="single",
        ).items()
    },
    **by_depth(
        "resnet{}",
        ResNet,
        figures.IMAGENET_OPERATIONS,
        f"{HE15}, Table 1; {BY_PYTORCHCV}",
        figures.IMAGENET,
        figures.IMAGENET_OPERATIONS,
        stated_operations={
            18: "1.8e9 multiply-adds",
            34: "3.6e9 multiply-adds",
            50: "3.8e9 multiply-adds",
            101: "7.6e9 multiply-adds",
            152: "11.3e9 multiply-adds",
        },
        **IMAGENET,
    ),
    **by_depth("resnet{}", ResNet, (200,), f"{HE16}, Table 5", figures.IMAGENET, derived=True, **IMAGENET),
    **by_depth(
        "resnet{}a",
        ResNet,
        (18, 34),
        f"{HE15}, option A",
        {18: 11_515_688, 34: 21_623_848},
        derived=True,
        shortcut="A",
        **IMAGENET,
    ),
    **by_depth("resnet{}c", ResNet, (34,), f"{HE15}, option C", 22_716_840, derived=True, shortcut="C", **IMAGENET),
    **by_depth(
        "resnet{}_bn_after_add",
        ResNet,
        (101,),
        f"{HE16}, Table 5",
        figures.PRE_IMAGENET,
        derived=True,
        order="bn_after_add",
        **IMAGENET,
    ),
    **by_depth(
        "resnet{}_v1_5",
        ResNet,
        figures.IMAGENET_V1_5_OPERATIONS,
        f"fb.resnet.torch; {BY_PYTORCHCV}",
        figures.IMAGENET,
        figures.IMAGENET_V1_5_OPERATIONS,
        block="bottleneck_v1_5",
        **IMAGENET,
    ),
    **by_depth(
        "preactresnet{}",
        PreActResNet,
        (18, 34, 50, 101),
        "fb.resnet.torch, preresnet",
        figures.PRE_IMAGENET,
        derived=True,
        **IMAGENET,
    ),
    **by_depth(
        "preactresnet{}", PreActResNet, (152, 200), f"{HE16}, Table 5", figures.PRE_IMAGENET, derived=True, **IMAGENET
    ),
    **by_depth(
        "wide_resnet{}_2",
        ResNet,
        figures.WIDE_BOTTLENECK,
        "torchvision, after Zagoruyko and Komodakis 2016, sec. 4",
        figures.WIDE_BOTTLENECK,
        block=wide_bottleneck(),
        **IMAGENET,
    ),
    **by_depth(
        "plainnet{}_cifar",
        PlainNet,
        (20, 32, 44, 56, 110),
        f"{HE15}, sec. 4.2",
        figures.OPTION_A,
        derived=True,
    ),
    **by_depth("plainnet{}", PlainNet, (18, 34), f"{HE15}, Table 2", **IMAGENET),
    # He et al. 2016, Table 1
    "resnet110_constant_scaling0": _table1(shortcut=partial(constant_scaling, factor=0.0)),
    "resnet110_constant_scaling": _table1(shortcut="constant_scaling"),
    "resnet110_frozen_gating": _table1(shortcut="constant_scaling", tail="branch_scaling"),
    "resnet110_exclusive_gating": _table1(figures.GATED_110, merge="exclusive_gating"),
    **{
        f"resnet110_exclusive_gating{bias}": _table1(
            figures.GATED_110, merge=partial(exclusive_gating, bias=float(-bias))
        )
        for bias in (7, 0, 1, 2, 3, 4, 5)
    },
    "resnet110_shortcut_gating": _table1(figures.GATED_110, shortcut="shortcut_gating"),
    "resnet110_shortcut_gating0": _table1(figures.GATED_110, shortcut=partial(shortcut_gating, bias=0.0)),
    "resnet110_conv_1x1": _table1(1_822_170, shortcut="conv_1x1"),
    "resnet110_dropout": _table1(shortcut="dropout"),
    # He et al. 2016, Table 2
    **{
        f"resnet{depth}_{order}": _table2(depth, order)
        for depth in (110, 164)
        for order in ("bn_after_add", "relu_before_add", "relu_only_pre_act")
    },
    # units that start as the identity, and others
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
            "Srivastava et al. 2015, in ResNet's layout and with batch normalisation, which the paper's lacks",
            stated_parameters=stated,
        )
        for depth, stated in ((20, "2.3M for 19 layers"), (32, "1.25M for 32 layers"))
    },
    # wide, stochastic, dense, fractal
    **_wide(
        "wrn{}_{}_cifar",
        {
            (16, 4): {"parameters": figures.WIDE[16, 4], "derived": True},
            (16, 8): {"parameters": figures.WIDE[16, 8], "derived": True},
            **{
                place: {"source": COUNTED, "parameters": figures.WIDE[place], "half_operations": half}
                for place, half in figures.WIDE_OPERATIONS.items()
            },
            (40, 4): {"source": f"{WRN}; counts: the authors' log", "parameters": figures.WIDE[40, 4]},
            (22, 8): {"stated_parameters": "17.2M"},
            (28, 12): {"stated_parameters": "52.5M"},
            (40, 1): {"stated_parameters": "0.6M"},
            (40, 2): {"stated_parameters": "2.2M"},
        },
        WRN,
        dropout=0.0,
    ),
    **_wide(
        "wrn{}_{}_dropout_cifar",
        {
            (depth, width): {"parameters": figures.WIDE.get((depth, width)), "derived": True}
            for depth, width in ((16, 4), (28, 10), (40, 10))
        },
        f"{WRN}, with dropout",
    ),
    **_wide(
        "wrn{}_{}",
        {place: {"parameters": count, "derived": True} for place, count in figures.WIDE_IMAGENET.items()},
        f"{WRN}, for ImageNet",
        dropout=0.0,
        **IMAGENET,
    ),
    "resnet110_avg_pool_cifar": Entry(
        ResNet,
        {"depth": 110, "shortcut": "avg_pool_pad"},
        "Huang et al. 2016, Table 1, constant depth",
        figures.OPTION_A[110],
        derived=True,
    ),
    "stochasticdepthresnet110_cifar": Entry(
        StochasticDepthResNet, {"depth": 110}, "Huang et al. 2016, Table 1", figures.OPTION_A[110], derived=True
    ),
    "stochasticdepthresnet1202_cifar": Entry(
        StochasticDepthResNet,
        {"depth": 1202},
        "Huang et al. 2016, Table 1",
        figures.OPTION_A[1202],
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
        for (depth, growth), parameters in figures.DENSE.items()
    },
    **{
        f"densenet_bc{depth}_{growth}_cifar": Entry(
            DenseNet,
            {"depth": depth, "growth": growth},
            f"Huang et al. 2017, Table 2; {BY_PYTORCHCV}",
            figures.DENSE_BC[depth, growth],
            figures.DENSE_BC_OPERATIONS[depth, growth],
        )
        for depth, growth in ((100, 12), (250, 24), (190, 40))
    },
    "densenet_bc40_48_cifar": Entry(
        DenseNet, {"depth": 40, "growth": 48}, "the code of Huang et al. 2017, wide", stated_parameters="2.7M"
    ),
    **by_depth(
        "densenet{}",
        DenseNet,
        (121, 169, 201),
        f"Huang et al. 2017, Table 1; {BY_PYTORCHCV}",
        figures.DENSE_IMAGENET,
        figures.DENSE_IMAGENET_OPERATIONS,
        **IMAGENET,
    ),
    **by_depth(
        "densenet{}",
        DenseNet,
        (161,),
        f"the code of Huang et al. 2017; {BY_PYTORCHCV}",
        figures.DENSE_IMAGENET,
        figures.DENSE_IMAGENET_OPERATIONS,
        **IMAGENET,
    ),
    **by_depth("densenet{}", DenseNet, (264,), "Huang et al. 2017, Table 1", **IMAGENET),
    "fractalnet20_cifar": Entry(
        FractalNet,
        {},
        "Larsson et al. 2017, sec. 4.1, simplified",
        33_724_618,
        derived=True,
        stated_parameters="38.6M, which does not follow from the stated filters",
    ),
    "fractalnet40_cifar": Entry(
        FractalNet, {"columns": 4}, "Larsson et al. 2017, four columns: 40 layers, simplified", 76_106_634, derived=True
    ),
    **{
        f"fractalnet{5 * 2 ** (columns - 1)}_authors_cifar": Entry(
            FractalNet,
            {"columns": columns, "layout": "authors"},
            "the code of Larsson et al. 2017",
            parameters,
            derived=True,
        )
        for columns, parameters in ((3, 33_714_314), (4, 76_084_554))
    },
    # keras.applications
    **by_depth("keras_resnet{}", KerasResNet, figures.KERAS, "keras.applications", figures.KERAS),
    **by_depth("keras_resnet{}v2", KerasResNetV2, figures.KERAS_V2, "keras.applications", figures.KERAS_V2),
    **by_depth(
        "keras_densenet{}",
        DenseNet,
        (121, 169, 201),
        "keras.applications",
        figures.DENSE_IMAGENET,
        order=PreActBranch(norm=norm),
        stem=Stem(64, kernel_size=7, strides=2, pool=2, pads=0.0),
        **IMAGENET,
    ),
    **LIBRARIES,
}
"""Every network by name."""

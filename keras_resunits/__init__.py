"""Residual networks for Keras 3: every unit is one equation with five slots, every network a list of units."""

from keras_resunits import analysis, surgery
from keras_resunits.analysis.describe import describe
from keras_resunits.analysis.draw import draw
from keras_resunits.analysis.gates import gates, scalar_gates
from keras_resunits.analysis.inside import activations, layer
from keras_resunits.layers.centering import Centering
from keras_resunits.layers.convolutions import PaddedConv2D
from keras_resunits.layers.normalization import BatchNormalization
from keras_resunits.layers.pooling import PaddedMaxPool
from keras_resunits.layers.randomness import Dropout
from keras_resunits.layers.series import Series
from keras_resunits.layers.statistics import normalization_of
from keras_resunits.models.dense import DenseNet
from keras_resunits.models.fractal import Fractal, FractalNet
from keras_resunits.models.gated import GatedPlainNet, GatedResNet, HighwayNet
from keras_resunits.models.keras_layouts import KerasResNet, KerasResNetV2
from keras_resunits.models.network import network
from keras_resunits.models.perceptrons import FullyConnectedResNet
from keras_resunits.models.residual import PlainNet, PreActResNet, ResNet, StochasticDepthResNet
from keras_resunits.models.stems import Stem
from keras_resunits.models.wide import WideResNet
from keras_resunits.optimizers import CoupledNadam, CoupledSGD
from keras_resunits.serving.classifiers import load
from keras_resunits.serving.export import export_saved_model
from keras_resunits.serving.kit.servers import serving_kit
from keras_resunits.surgery.columns import deepest_column
from keras_resunits.surgery.transfer import backbone, features, freeze, new_head
from keras_resunits.units import bodies, merges, orders, shortcuts, tails
from keras_resunits.units.bodies import (
    Body,
    basic,
    bottleneck,
    bottleneck_v1_5,
    growth,
    single,
    wide_basic,
    wide_bottleneck,
)
from keras_resunits.units.gates import ScalarGate, gate
from keras_resunits.units.merges import (
    Add,
    BranchOnly,
    Concat,
    Highway,
    Merge,
    ScalarHighway,
    add,
    branch_only,
    concat,
    exclusive_gating,
    highway,
    scalar_highway,
)
from keras_resunits.units.orders import (
    Bias,
    BnAfterAdd,
    CReLU,
    Fixup,
    FullPreAct,
    Initialized,
    LooksLinear,
    Order,
    PostAct,
    PreAct,
    PreActBranch,
    PreActOnWidening,
    ReluBeforeAdd,
    ReluOnlyPreAct,
    Scale,
    ZeroGamma,
    fan_in,
    fixup_scalars,
    looks_linear,
    no_norm,
)
from keras_resunits.units.recipes import Recipe
from keras_resunits.units.shortcuts import (
    GatedCarry,
    ZeroPad,
    avg_pool_pad,
    constant_scaling,
    conv_1x1,
    dropout,
    identity,
    projection,
    projection_always,
    shortcut_gating,
    zero_pad,
)
from keras_resunits.units.slots import Slot, Stage, plan
from keras_resunits.units.tails import (
    LayerScale,
    SqueezeExcite,
    StochasticDepth,
    branch_dropout,
    branch_scaling,
    chained,
    layer_scale,
    no_tail,
    residual_gate,
    rezero,
    squeeze_excite,
    stochastic_depth,
)
from keras_resunits.units.unit import Unit
from keras_resunits.zoo.pretrained import pretrained
from keras_resunits.zoo.registry import create, list_models

__version__ = "0.1.0"

__all__ = [
    "Add",
    "BatchNormalization",
    "Bias",
    "BnAfterAdd",
    "Body",
    "BranchOnly",
    "CReLU",
    "Centering",
    "Concat",
    "CoupledNadam",
    "CoupledSGD",
    "DenseNet",
    "Dropout",
    "Fixup",
    "Fractal",
    "FractalNet",
    "FullPreAct",
    "FullyConnectedResNet",
    "GatedCarry",
    "GatedPlainNet",
    "GatedResNet",
    "Highway",
    "HighwayNet",
    "Initialized",
    "KerasResNet",
    "KerasResNetV2",
    "LayerScale",
    "LooksLinear",
    "Merge",
    "Order",
    "PaddedConv2D",
    "PaddedMaxPool",
    "PlainNet",
    "PostAct",
    "PreAct",
    "PreActBranch",
    "PreActOnWidening",
    "PreActResNet",
    "Recipe",
    "ReluBeforeAdd",
    "ReluOnlyPreAct",
    "ResNet",
    "ScalarGate",
    "ScalarHighway",
    "Scale",
    "Series",
    "Slot",
    "SqueezeExcite",
    "Stage",
    "Stem",
    "StochasticDepth",
    "StochasticDepthResNet",
    "Unit",
    "WideResNet",
    "ZeroGamma",
    "ZeroPad",
    "activations",
    "add",
    "analysis",
    "avg_pool_pad",
    "backbone",
    "basic",
    "bodies",
    "bottleneck",
    "bottleneck_v1_5",
    "branch_dropout",
    "branch_only",
    "branch_scaling",
    "chained",
    "concat",
    "constant_scaling",
    "conv_1x1",
    "create",
    "deepest_column",
    "describe",
    "draw",
    "dropout",
    "exclusive_gating",
    "export_saved_model",
    "fan_in",
    "features",
    "fixup_scalars",
    "freeze",
    "gate",
    "gates",
    "growth",
    "highway",
    "identity",
    "layer",
    "layer_scale",
    "list_models",
    "load",
    "looks_linear",
    "merges",
    "network",
    "new_head",
    "no_norm",
    "no_tail",
    "normalization_of",
    "orders",
    "plan",
    "pretrained",
    "projection",
    "projection_always",
    "residual_gate",
    "rezero",
    "scalar_gates",
    "scalar_highway",
    "serving_kit",
    "shortcut_gating",
    "shortcuts",
    "single",
    "squeeze_excite",
    "stochastic_depth",
    "surgery",
    "tails",
    "wide_basic",
    "wide_bottleneck",
    "zero_pad",
]

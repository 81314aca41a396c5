"""Residual networks for Keras 3: every unit is one equation with five slots, every network a list of units."""

from keras_resunits.bodies import Body, basic, bottleneck, bottleneck_v1_5, single
from keras_resunits.convolutions import PaddedConv2D
from keras_resunits.merges import Add, BranchOnly, Merge, add, branch_only
from keras_resunits.models import PreActResNet, ResNet, network
from keras_resunits.normalization import BatchNormalization
from keras_resunits.optimizers import CoupledSGD
from keras_resunits.orders import (
    BnAfterAdd,
    FullPreAct,
    Order,
    PostAct,
    PreAct,
    ReluBeforeAdd,
    ReluOnlyPreAct,
)
from keras_resunits.recipes import Recipe
from keras_resunits.series import Series
from keras_resunits.serving.export import export_saved_model
from keras_resunits.shortcuts import ZeroPad, identity, projection, projection_always, zero_pad
from keras_resunits.slots import Slot, Stage, plan
from keras_resunits.stems import Stem
from keras_resunits.units import Unit

__all__ = [
    "Add",
    "BatchNormalization",
    "BnAfterAdd",
    "Body",
    "BranchOnly",
    "CoupledSGD",
    "FullPreAct",
    "Merge",
    "Order",
    "PaddedConv2D",
    "PostAct",
    "PreAct",
    "PreActResNet",
    "Recipe",
    "ReluBeforeAdd",
    "ReluOnlyPreAct",
    "ResNet",
    "Series",
    "Slot",
    "Stage",
    "Stem",
    "Unit",
    "ZeroPad",
    "add",
    "basic",
    "bottleneck",
    "bottleneck_v1_5",
    "branch_only",
    "export_saved_model",
    "identity",
    "network",
    "plan",
    "projection",
    "projection_always",
    "single",
    "zero_pad",
]

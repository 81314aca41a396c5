"""Orders of normalisation, activation and weights, and the initialisation of their weights.

`Order` and `PreAct` are abstract; `ORDERS` contains the others by name.
"""

from keras_resunits.units.orders.arrangements import (
    BnAfterAdd,
    FullPreAct,
    PostAct,
    PreActBranch,
    PreActOnWidening,
    ReluBeforeAdd,
    ReluOnlyPreAct,
)
from keras_resunits.units.orders.fixup import Bias, Fixup, Scale, fixup_scalars
from keras_resunits.units.orders.looks_linear import CReLU, LooksLinear, looks_linear, no_norm
from keras_resunits.units.orders.order import ORDERS, Order, PreAct, Wrapped, require_order
from keras_resunits.units.orders.starts import Initialized, ZeroGamma, fan_in

__all__ = [
    "ORDERS",
    "Bias",
    "BnAfterAdd",
    "CReLU",
    "Fixup",
    "FullPreAct",
    "Initialized",
    "LooksLinear",
    "Order",
    "PostAct",
    "PreAct",
    "PreActBranch",
    "PreActOnWidening",
    "ReluBeforeAdd",
    "ReluOnlyPreAct",
    "Scale",
    "Wrapped",
    "ZeroGamma",
    "fan_in",
    "fixup_scalars",
    "looks_linear",
    "no_norm",
    "require_order",
]

"""Networks whose units have gates: gated residual and plain networks, highway networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Unpack

from keras_resunits.arguments import resolve
from keras_resunits.models.depths import require_depth
from keras_resunits.models.family import Choices, Depth, Design, Widened, family
from keras_resunits.models.network import Shape
from keras_resunits.models.residual import pre_activated, residual, residual_depth
from keras_resunits.units.bodies import single
from keras_resunits.units.merges import highway, scalar_highway
from keras_resunits.units.shortcuts import zero_pad_or_projection
from keras_resunits.units.tails import TAILS, Tail, chained, residual_gate

SINGLE: dict[str, Any] = {"block": "single", "order": "relu_before_add", "shortcut": zero_pad_or_projection}
"""The units of gated plain and of highway networks: one convolution with norm and activation, option A."""

single_depth = partial(residual_depth, body=single)


@family(depths=residual_depth)
def GatedResNet(
    depth: Depth = 110,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    g: str | Callable = "relu",
    tail: str | Tail = "no_tail",
    **choices: Unpack[Widened],
) -> Design:
    """The gated residual network of Savarese et al. 2016, `x' = x + g(k) F(x)`: `PreActResNet`, one scalar `k` a unit.

    Read the gates with `gates(model)`. `CoupledSGD` does not decay them, as the paper does not; other optimisers want
    `optimizer.exclude_from_weight_decay([gate.k for found in scalar_gates(model).values() for gate in found])`.

    Args:
        depth: 110 by default; as for `ResNet`.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        g: An activation; "relu" by default, as in the paper. "leaky_relu" opens again after it closed.
        tail: What else ends the branch, before the gate; nothing by default.
        **choices: As for `ResNet`.

    Returns:
        As `ResNet`.

    Raises:
        ValueError: as `ResNet`.

    Example: one more parameter a unit

    >>> import keras_resunits as kr
    >>> kr.GatedResNet(depth=32).count_params() - kr.PreActResNet(depth=32).count_params()
    15
    """
    gated = chained(resolve("tail", tail, TAILS, Callable), partial(residual_gate, g=g))
    return residual("gatedresnet", depth, input_shape, **{**pre_activated(depth), **choices, "tail": gated})


@family(depths=single_depth, own=("merge",))
def GatedPlainNet(
    depth: Depth = 20,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    g: str | Callable = "relu",
    **choices: Unpack[Choices],
) -> Design:
    """The gated plain network of Savarese et al. 2016, `x' = g(k) F(x) + (1 - g(k)) x`, one scalar `k` a layer.

    A layer is one convolution with its norm and activation; where the shape changes, `x` takes option A.

    Args:
        depth: `3n+2`, 20 by default.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        g: An activation; "relu" by default, as in the paper.
        **choices: As for `ResNet`.

    Returns:
        As `ResNet`.

    Raises:
        ValueError: as `ResNet`.

    Example: a plain network at first

    >>> import keras_resunits as kr
    >>> list(kr.gates(kr.GatedPlainNet(depth=5)).values())
    [1.0, 1.0, 1.0]
    """
    merge = partial(scalar_highway, g=g)
    return residual("gatedplainnet", depth, input_shape, **{**SINGLE, **choices, "merge": merge})


@family(depths=single_depth, own=("merge",))
def HighwayNet(
    depth: Depth = 20,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    gate_bias: float | None = None,
    **choices: Unpack[Choices],
) -> Design:
    """The highway network of Srivastava et al. 2015, `x' = T(x) H(x) + (1 - T(x)) x`, in the layout of `ResNet`.

    `H` is one convolution with norm and ReLU (the paper's has no norm), `T` one of its size with a sigmoid. Where the
    shape changes, `x` takes option A.

    Args:
        depth: `3n+2`, 20 by default.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        gate_bias: `T`'s bias at first; by default the paper's -1, -2, -3 for networks of about 10, 20, 30 layers.
        **choices: As for `ResNet`.

    Returns:
        As `ResNet`.

    Raises:
        ValueError: as `ResNet`; for a bias that is no finite number.

    Example:

    >>> import keras_resunits as kr
    >>> float(kr.HighwayNet(depth=20).get_layer("unit000").merge.gate.layers[0].bias[0])
    -2.0
    """
    depth = require_depth(depth)
    layers = depth if isinstance(depth, int) else sum(depth)
    bias = -float(min(max(round(layers / 10), 1), 3)) if gate_bias is None else gate_bias
    merge = partial(highway, bias=bias)
    return residual("highwaynet", depth, input_shape, **{**SINGLE, **choices, "merge": merge})

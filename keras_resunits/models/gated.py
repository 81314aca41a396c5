"""Networks with gated units: gated residual networks, gated plain networks, highway networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Unpack

from keras_resunits.arguments import require_number, resolve
from keras_resunits.models.depths import require_depth
from keras_resunits.models.family import Choices, Depth, Design, Widened, family
from keras_resunits.models.network import Shape
from keras_resunits.models.residual import pre_activated, residual, residual_depth
from keras_resunits.units.bodies import single
from keras_resunits.units.merges import highway, scalar_highway
from keras_resunits.units.shortcuts import zero_pad_or_projection
from keras_resunits.units.tails import TAILS, Tail, chained, residual_gate

SINGLE: dict[str, Any] = {"block": "single", "order": "relu_before_add", "shortcut": zero_pad_or_projection}
"""The units of gated plain networks and highway networks: one convolution with norm and activation, option A."""

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
    """The gated residual network of Savarese et al. 2016, `x' = x + g(k) F(x)`.

    It is a `PreActResNet` with one scalar `k` per unit. Read the gates with `gates(model)`. `CoupledSGD` does not decay
    them, like the paper; other optimisers require
    `optimizer.exclude_from_weight_decay([gate.k for found in scalar_gates(model).values() for gate in found])`.

    Args:
        depth: As for `ResNet`. Defaults to 110.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        g: Activation of the gate. Defaults to "relu", as in the paper. A gate closed by "leaky_relu" can reopen.
        tail: Layers that end the branch, before the gate. Defaults to none.
        **choices: As for `ResNet`.

    Returns:
        As for `ResNet`.

    Raises:
        ValueError: as for `ResNet`.

    Example: one more parameter per unit

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
    """The gated plain network of Savarese et al. 2016, `x' = g(k) F(x) + (1 - g(k)) x`, with one scalar `k` per layer.

    A layer is one convolution with its norm and activation. Where the shape changes, option A is applied to `x`.

    Args:
        depth: `3n+2`, or the units of each stage. Defaults to 20.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        g: Activation of the gates. Defaults to "relu", as in the paper.
        **choices: As for `ResNet`.

    Returns:
        As for `ResNet`.

    Raises:
        ValueError: as for `ResNet`.

    Example: initially it is a plain network

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

    `H` is one convolution with norm and ReLU (in the paper without norm), `T` a convolution of the same size with a
    sigmoid. Where the shape changes, option A is applied to `x`.

    Args:
        depth: `3n+2`, or the units of each stage. Defaults to 20.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        gate_bias: Initial bias of `T`. Defaults to the paper's -1, -2, -3 for networks of about 10, 20, 30 layers.
        **choices: As for `ResNet`.

    Returns:
        As for `ResNet`.

    Raises:
        ValueError: as for `ResNet`, and if `gate_bias` is not a finite number.

    Example:

    >>> import keras_resunits as kr
    >>> float(kr.HighwayNet(depth=20).get_layer("unit000").merge.gate.layers[0].bias[0])
    -2.0
    """
    depth = require_depth(depth)
    layers = depth if isinstance(depth, int) else sum(depth)
    papers = -float(min(max(round(layers / 10), 1), 3))
    bias = require_number(papers if gate_bias is None else gate_bias, "gate_bias", "HighwayNet")
    merge = partial(highway, bias=bias)
    return residual("highwaynet", depth, input_shape, **{**SINGLE, **choices, "merge": merge})

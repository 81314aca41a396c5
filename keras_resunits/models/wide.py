"""Wide residual networks (Zagoruyko and Komodakis 2016, arXiv 1605.07146)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

from keras_resunits.arguments import resolve
from keras_resunits.models.depths import CIFAR_STAGES, IMAGENET_UNITS, named, require_depth
from keras_resunits.models.family import Depth, Design, Tailed, family
from keras_resunits.models.network import Shape, require_shape
from keras_resunits.models.residual import residual
from keras_resunits.models.stems import IMAGENET_STEM_FROM, Stem
from keras_resunits.units.bodies import wide_basic
from keras_resunits.units.orders import ORDERS, FullPreAct, Order, fan_in


def wide_depth(depth: Depth, arguments: dict[str, Any]) -> None:
    """Check the depth of a `WideResNet`."""
    wide_units(depth, arguments.get("input_shape", (32, 32, 3)))


@family(depths=wide_depth, own=("block",))
def WideResNet(
    depth: Depth = 28,
    width: int = 10,
    dropout: float = 0.3,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    **choices: Unpack[Tailed],
) -> Design:
    """The wide residual network of Zagoruyko and Komodakis 2016 (arXiv 1605.07146), WRN-`depth`-`width`.

    Args:
        depth: `6n+4`, for three stages of `n` basic units. 18, and 34 with images of at least 64 pixels, have the four
            stages of ImageNet. Or the units of each stage. Defaults to 28.
        width: Multiplier of the filters of every stage. Defaults to 10.
        dropout: Dropout rate between the convolutions of a unit, in [0, 1). Defaults to 0.3, as in the paper for CIFAR.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        **choices: As for `ResNet`.

    Returns:
        As for `ResNet`.

    Raises:
        ValueError: as for `ResNet`, and if `dropout` is outside [0, 1).

    Example: WRN-28-10 has 36.5M parameters (Table 4), and 17,952 moving statistics

    >>> import keras_resunits as kr
    >>> kr.WideResNet(depth=28, width=10).count_params() - 17952
    36479194
    """
    units = wide_units(depth, require_shape(input_shape))
    chosen: dict[str, Any] = {"shortcut": "projection", "order": fan_in(FullPreAct()), **choices}
    order = resolve("order", chosen["order"], ORDERS, Order)
    # in pre-activation networks for CIFAR, the first shortcut reads the bare convolution
    stem = Stem(16, activated=False) if len(units) == CIFAR_STAGES and order.activates_first else None
    chosen = {"stem": stem, **chosen, "order": order, "block": wide_basic(dropout), "width": width}
    design = residual("wideresnet", units, input_shape, **chosen)
    return replace(design, name=f"{named('wideresnet', require_depth(depth))}_{width}")


def wide_units(depth: int | Sequence[int], input_shape: Shape = (32, 32, 3)) -> Sequence[int]:
    """Return the units of each stage of a `WideResNet`.

    Raises:
        ValueError: if the depth does not exist; the message names the nearest.
    """
    depth = require_depth(depth)
    if not isinstance(depth, int):
        return depth
    large = all(side is not None and side >= IMAGENET_STEM_FROM for side in input_shape[:2])
    if depth == 18 or (depth == 34 and large):  # 34 is 6n+4 too: WRN-34 for CIFAR
        return IMAGENET_UNITS[depth][1]
    each, rest = divmod(depth - 4, 6)
    if rest or each < 1:
        low = 6 * max(each, 1) + 4
        raise ValueError(
            f"no wide network of depth {depth}: depths are 6n+4 (three stages), or 18, 34 (four stages). "
            f"Nearest: {low}, {low + 6}. Received: depth={depth}."
        )
    return [each] * CIFAR_STAGES

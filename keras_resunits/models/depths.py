"""The meaning of a depth: the papers' units per stage, and the defaults that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keras_resunits.arguments import is_int, is_sequence
from keras_resunits.models.stems import CIFAR, IMAGENET, IMAGENET_3X3, IMAGENET_STEM_FROM, Stem
from keras_resunits.units.bodies import Body, basic, bottleneck
from keras_resunits.units.shortcuts import (
    Shortcut,
    projection,
    zero_pad_or_projection,
)
from keras_resunits.units.slots import Stage

IMAGENET_UNITS = {  # He et al. 2015, Table 1; 200: He et al. 2016, Table 5
    18: (basic, (2, 2, 2, 2)),
    34: (basic, (3, 4, 6, 3)),
    50: (bottleneck, (3, 4, 6, 3)),
    101: (bottleneck, (3, 4, 23, 3)),
    152: (bottleneck, (3, 8, 36, 3)),
    200: (bottleneck, (3, 24, 36, 3)),
}
CIFAR_STAGES = 3
CIFAR_BOTTLENECK_FROM = 164  # where 6n+2 and 9n+2 both fit: 110 is basic, 164 bottleneck (He et al. 2016, sec. 3, 4)


@dataclass(frozen=True)
class Layout:
    """The meaning of a depth: a body, the units of each stage, and the defaults that belong to them."""

    body: Body
    units: tuple[int, ...]

    @property
    def imagenet(self) -> bool:
        return len(self.units) != CIFAR_STAGES

    @property
    def shortcut(self) -> Shortcut:
        """The papers' default: option A for CIFAR networks of basic units, else B (He et al. 2015, sec. 4)."""
        return projection if self.imagenet or self.body.expansion > 1 else zero_pad_or_projection

    def stem(self, input_shape) -> Stem:
        if not self.imagenet:
            return CIFAR
        large = all(side is None or side >= IMAGENET_STEM_FROM for side in input_shape[:2])
        return IMAGENET if large else IMAGENET_3X3

    def stages(self, width: int) -> list[Stage]:
        base = (64 if self.imagenet else 16) * width * self.body.expansion
        return [Stage(n, base * 2**i, strides=1 if i == 0 else 2) for i, n in enumerate(self.units)]


def require_depth(depth) -> int | list[int]:
    """Return the depth in Python ints; refuse anything but an int or a list of positive ints."""
    if is_int(depth):
        return int(depth)
    if not is_sequence(depth):
        raise ValueError(f"`depth` must be an int, or the units of each stage as a list. Received: depth={depth!r}.")
    if not all(is_int(n) and n > 0 for n in depth):
        raise ValueError(f"`depth` as a list must hold positive ints. Received: depth={list(depth)}.")
    return [int(n) for n in depth]


def layout_of(depth: int | Sequence[int], block: Body | None) -> Layout:
    """Return the layout of a depth, by the papers' convention where several fit.

    Raises:
        ValueError: if the depth does not exist; the message names the nearest.
    """
    depth = require_depth(depth)
    if not isinstance(depth, int):
        return _listed(depth, block or basic)
    if depth in IMAGENET_UNITS:
        body, units = IMAGENET_UNITS[depth]
        if block is None or block.depth == body.depth:
            return Layout(block or body, units)
    preferred = (bottleneck, basic) if depth >= CIFAR_BOTTLENECK_FROM else (basic, bottleneck)
    bodies = preferred if block is None else (block,)
    for body in bodies:
        each, rest = divmod(depth - 2, CIFAR_STAGES * body.depth)
        if rest == 0 and each > 0:
            return Layout(body, (each,) * CIFAR_STAGES)
    raise ValueError(_no_such_depth(depth, bodies))


def _listed(units: Sequence[int], body: Body) -> Layout:
    if len(units) not in (CIFAR_STAGES, 4):
        raise ValueError(
            "`depth` as a list must hold the units of three stages (CIFAR widths, from 16) or four (ImageNet widths, "
            f"from 64). Received: depth={list(units)}. For other plans use `network`."
        )
    return Layout(body, tuple(units))


def _no_such_depth(depth: int, bodies: Sequence[Body]) -> str:
    steps = sorted({CIFAR_STAGES * body.depth for body in bodies})
    middle = max(depth, max(steps))
    around = range(middle - max(steps), middle + 2 * max(steps))
    valid = {d for d in around if any(d > 2 and (d - 2) % step == 0 for step in steps)}
    listed = [d for d, (body, _) in IMAGENET_UNITS.items() if body.depth in [b.depth for b in bodies]]
    valid |= set(listed)
    nearest = sorted(sorted(valid, key=lambda d: abs(d - depth))[:3])
    rule = " or ".join(f"{step}n+2" for step in steps)
    four = f", or {', '.join(map(str, listed))} (four stages)" if listed else ""
    return (
        f"no network of depth {depth}: depths are {rule} (three stages){four}. "
        f"Nearest: {', '.join(map(str, nearest))}. Received: depth={depth}."
    )


def named(family: str, depth: int | Sequence[int]) -> str:
    """Return the default name of a network: `resnet20`, or `resnet3_4_6_3` for a list of units."""
    return family + ("_".join(map(str, depth)) if isinstance(depth, Sequence) else str(depth))

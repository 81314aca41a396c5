"""The residual families: depths, layouts and defaults of the papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import keras

from keras_resunits.bodies import BODIES, Body, basic, bottleneck, bottleneck_v1_5, wide_basic
from keras_resunits.checks import is_int, require_positive_int
from keras_resunits.choices import resolve
from keras_resunits.merges import MERGES, Merge, branch_only, highway, scalar_highway
from keras_resunits.networks import Shape, network, require_shape
from keras_resunits.orders import ORDERS, FullPreAct, Order, fan_in
from keras_resunits.recipes import Recipe
from keras_resunits.shortcuts import SHORTCUTS, Shortcut, avg_pool_pad, identity, projection, zero_pad_or_projection
from keras_resunits.slots import Slot, Stage, plan
from keras_resunits.stems import CIFAR, IMAGENET, IMAGENET_3X3, IMAGENET_STEM_FROM, STEMS, Stem
from keras_resunits.tails import TAILS, Tail, chained, residual_gate, stochastic_depth

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
class _Layout:
    """What a depth stands for: a body, units per stage, and the defaults that go with them."""

    body: Body
    units: tuple[int, ...]

    @property
    def imagenet(self) -> bool:
        return len(self.units) != CIFAR_STAGES

    @property
    def shortcut(self) -> Shortcut:
        """The papers': option A for CIFAR networks of basic units, else B (He et al. 2015, sec. 4)."""
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
    """The depth in Python's ints, refusing what is neither an int nor a list of positive ints."""
    if is_int(depth):
        return int(depth)
    if isinstance(depth, str) or not isinstance(depth, Sequence):
        raise ValueError(f"`depth` must be an int, or the units of each stage as ints. Received: depth={depth!r}.")
    if not all(is_int(n) and n > 0 for n in depth):
        raise ValueError(f"`depth` as a list must hold positive ints. Received: depth={list(depth)}.")
    return [int(n) for n in depth]


def layout_of(depth: int | Sequence[int], block: Body | None) -> _Layout:
    """The layout of a depth, by the papers' convention where several fit.

    Raises:
        ValueError: for a depth that does not exist, naming the nearest.
    """
    depth = require_depth(depth)
    if not isinstance(depth, int):
        return _listed(depth, block or basic)
    if depth in IMAGENET_UNITS:
        body, units = IMAGENET_UNITS[depth]
        if block is None or block.depth == body.depth:
            return _Layout(block or body, units)
    preferred = (bottleneck, basic) if depth >= CIFAR_BOTTLENECK_FROM else (basic, bottleneck)
    bodies = preferred if block is None else (block,)
    for body in bodies:
        each, rest = divmod(depth - 2, CIFAR_STAGES * body.depth)
        if rest == 0 and each > 0:
            return _Layout(body, (each,) * CIFAR_STAGES)
    raise ValueError(_no_such_depth(depth, bodies))


def _listed(units: Sequence[int], body: Body) -> _Layout:
    if len(units) not in (CIFAR_STAGES, 4):
        raise ValueError(
            "`depth` as a list gives the units of each stage: three stages (CIFAR widths, from 16) or four (ImageNet "
            f"widths, from 64). Received: depth={list(units)}. For other plans use `network`."
        )
    return _Layout(body, tuple(units))


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


def _name(family: str, depth: int | Sequence[int]) -> str:
    return family + ("_".join(map(str, depth)) if isinstance(depth, Sequence) else str(depth))


def ResNet(
    depth: int | Sequence[int] = 110,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | Callable | None = None,
    name: str | None = None,
    *,
    block: str | Body | None = None,
    order: str | Order = "post_act",
    shortcut: str | Shortcut | None = None,
    width: int = 1,
    stem: str | Stem | None = None,
    merge: str | Callable[[Slot], Merge] = "add",
    tail: str | Tail = "no_tail",
) -> keras.Model:
    """The residual network of He et al. 2015 (arXiv 1512.03385).

    Args:
        depth: Weight layers. Three stages (CIFAR): `6n+2` of basic or `9n+2` of bottleneck units; where both fit the
            papers' convention decides (110 and 1202 are basic, 164 and 1001 bottleneck). Four stages (ImageNet): 18,
            34, 50, 101, 152, 200. Or the units of each stage, `[3, 4, 6, 3]`, of basic units unless `block` says
            otherwise. 110 by default.
        input_shape: `(height, width, channels)`; `(32, 32, 3)` by default. Height and width may be `None`.
        classes: Number of classes; 10 by default.
        include_top: Whether average pooling and the classifier follow the last unit; yes by default.
        pooling: Without the top: "avg", "max", or `None` (default) for the feature map.
        classifier_activation: `None`, the default, gives logits; "softmax" probabilities.
        name: The model's name; the family and depth by default.
        block: "basic", "bottleneck" (stride on the first 1x1, "v1"), "bottleneck_v1_5", "single", or a `Body`; chosen
            by the depth by default.
        order: "post_act" by default; "bn_after_add", "relu_before_add", "relu_only_pre_act", "full_pre_act" (He et al.
            2016, Fig. 4), "zero_gamma", "fixup", "relu_pre_act", "looks_linear", or an `Order`.
        shortcut: "zero_pad" (option A), "projection" (B), "projection_always" (C), "identity", those of He et al. 2016,
            Fig. 2 ("constant_scaling", "shortcut_gating", "conv_1x1", "dropout"), "avg_pool_pad", or a function
            `(Slot, Order) -> Layer`. By default the papers': A for three stages of basic units, else B; B too where a
            stem gives more filters than the first unit has.
        width: Multiplies the filters of every stage; 1 by default.
        stem: "cifar" (3x3), "imagenet" (7x7 and max-pool), "imagenet_3x3", or a `Stem`. By default 3x3 for three
            stages; for four 7x7 for images of 64 pixels or more, else 3x3.
        merge: "add" by default; "branch_only", "exclusive_gating", "highway", "scalar_highway", or a function
            `Slot -> Merge`.
        tail: What ends every branch: "no_tail" by default; "branch_scaling", "residual_gate", "rezero", "skip_init",
            "layer_scale", "squeeze_excite", "stochastic_depth", "branch_dropout", or a function `Slot -> [layers]`;
            several as `chained(...)`.

    Returns:
        A functional `keras.Model` from `[batch, height, width, channels]` to logits `[batch, classes]`, whose layers
        are the units, named by position.

    Raises:
        ValueError: for a depth that does not exist (naming the nearest), an unknown name (naming the choices), or an
            image smaller than the strides allow.

    Example: ResNet-110 has 1.7M parameters (He et al. 2015, Table 6), and 8,096 moving statistics

    >>> import keras_resunits as kr
    >>> kr.ResNet(depth=110).count_params() - 8096
    1727962
    """
    input_shape = require_shape(input_shape)
    layout = layout_of(depth, None if block is None else resolve("block", block, BODIES, Body))
    name = name or _name("resnet", depth)
    width = require_positive_int(width, "width", f"network '{name}'")
    merge = resolve("merge", merge, MERGES, Callable)
    order = resolve("order", order, ORDERS, Order)
    if stem is None:
        stem = replace(layout.stem(input_shape), activated=not order.raw_stem)
    stem = resolve("stem", stem, STEMS, Stem)
    if shortcut is None:
        shortcut = identity if merge is branch_only else layout.shortcut  # unread, it needs no weights
    shortcut = resolve("shortcut", shortcut, SHORTCUTS, Callable)
    tail = resolve("tail", tail, TAILS, Callable)
    recipe = Recipe(layout.body, order, shortcut, merge, tail)
    slots = plan(layout.stages(width), stem.filters, stem.activated)
    return network(
        [(recipe, slot) for slot in slots],
        stem,
        order,
        input_shape=input_shape,
        classes=classes,
        include_top=include_top,
        pooling=pooling,
        classifier_activation=classifier_activation,
        name=name,
    )


def PreActResNet(
    depth: int | Sequence[int] = 164,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | Callable | None = None,
    name: str | None = None,
    *,
    block: str | Body | None = None,
    order: str | Order = "full_pre_act",
    shortcut: str | Shortcut | None = None,
    width: int = 1,
    stem: str | Stem | None = None,
    merge: str | Callable[[Slot], Merge] = "add",
    tail: str | Tail = "no_tail",
) -> keras.Model:
    """The pre-activation residual network of He et al. 2016, "Identity Mappings in Deep Residual Networks".

    `ResNet` in the order "full_pre_act". The networks of depth 50, 101, 152 and 200 stride on the 3x3 convolution
    (block "bottleneck_v1_5"), as in the code that the paper's ImageNet networks were trained with (fb.resnet.torch,
    `models/preresnet.lua`).

    The 255.08M that pytorchcv publishes for depth 164 are of its own layout, with the stride on the 3x3 and a bare stem
    (`create("pytorchcv_preresnet164")`); the authors' network, this one, has 251.84M.

    Args:
        depth: 164 by default; as for `ResNet`.
        input_shape, classes, include_top, pooling, classifier_activation, name: As for `ResNet`.
        block, shortcut, width, stem, merge, tail: As for `ResNet`.
        order: "full_pre_act" by default; "relu_only_pre_act" is Fig. 4d, the others are as for `ResNet`.

    Returns:
        As `ResNet`.

    Raises:
        ValueError: as `ResNet`.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.PreActResNet(depth=20, input_shape=(28, 28, 1))
    >>> [layer.name for layer in model.layers[:4]]
    ['images', 'stem', 'unit000', 'unit001']
    """
    return ResNet(
        depth,
        input_shape,
        classes,
        include_top,
        pooling,
        classifier_activation,
        name or _name("preactresnet", depth),
        block=_strided_block(depth) if block is None else block,
        order=order,
        shortcut=shortcut,
        width=width,
        stem=stem,
        merge=merge,
        tail=tail,
    )


def _strided_block(depth) -> Body | None:
    """The block of a `PreActResNet` where it is not that of a `ResNet`."""
    depth = require_depth(depth)
    strided = isinstance(depth, int) and IMAGENET_UNITS.get(depth, (None,))[0] is bottleneck
    return bottleneck_v1_5 if strided else None


def PlainNet(
    depth: int | Sequence[int] = 20, input_shape: Shape = (32, 32, 3), classes: int = 10, **options
) -> keras.Model:
    """The plain network of He et al. 2015, Fig. 3 middle: `ResNet` without its shortcuts.

    Args:
        depth: 20 by default; as for `ResNet`.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        **options: As for `ResNet`.

    Returns:
        As `ResNet`.

    Raises:
        ValueError: as `ResNet`.

    Example: the parameters of ResNet-20

    >>> import keras_resunits as kr
    >>> kr.PlainNet(depth=20).count_params() == kr.ResNet(depth=20).count_params()
    True
    """
    _require_own("PlainNet", options, "merge")
    return variant("plainnet", depth, input_shape, classes, {"merge": "branch_only"}, options)


def GatedResNet(
    depth: int | Sequence[int] = 110,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    g: str | Callable = "relu",
    tail: str | Tail = "no_tail",
    **options,
) -> keras.Model:
    """The gated residual network of Savarese et al. 2016, `x' = x + g(k) F(x)`: `PreActResNet`, one scalar `k` a unit.

    Read the gates with `gates(model)`. `CoupledSGD` does not decay them, as the paper does not; other optimisers want
    `optimizer.exclude_from_weight_decay([gate.k for found in scalar_gates(model).values() for gate in found])`.

    Args:
        depth: 110 by default; as for `ResNet`.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        g: An activation; "relu" by default, as in the paper. "leaky_relu" opens again after it closed.
        tail: What else ends the branch, before the gate; nothing by default.
        **options: As for `ResNet`.

    Returns:
        As `ResNet`.

    Raises:
        ValueError: as `ResNet`.

    Example: one more parameter a unit

    >>> import keras_resunits as kr
    >>> kr.GatedResNet(depth=32).count_params() - kr.PreActResNet(depth=32).count_params()
    15
    """
    tail = chained(resolve("tail", tail, TAILS, Callable), partial(residual_gate, g=g))
    defaults = {"order": "full_pre_act", "block": _strided_block(depth), "tail": tail}
    return variant("gatedresnet", depth, input_shape, classes, defaults, options)


def GatedPlainNet(
    depth: int | Sequence[int] = 20,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    g: str | Callable = "relu",
    **options,
) -> keras.Model:
    """The gated plain network of Savarese et al. 2016, `x' = g(k) F(x) + (1 - g(k)) x`, one scalar `k` a layer.

    A layer is one convolution with its norm and activation; where the shape changes, `x` takes option A.

    Args:
        depth: `3n+2`, 20 by default.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        g: An activation; "relu" by default, as in the paper.
        **options: As for `ResNet`.

    Returns:
        As `ResNet`.

    Raises:
        ValueError: as `ResNet`.

    Example: a plain network at first

    >>> import keras_resunits as kr
    >>> list(kr.gates(kr.GatedPlainNet(depth=5)).values())
    [1.0, 1.0, 1.0]
    """
    _require_own("GatedPlainNet", options, "merge")
    merge = partial(scalar_highway, g=g)
    defaults = {"block": "single", "order": "relu_before_add", "shortcut": zero_pad_or_projection, "merge": merge}
    return variant("gatedplainnet", depth, input_shape, classes, defaults, options)


def HighwayNet(
    depth: int | Sequence[int] = 20,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    gate_bias: float | None = None,
    **options,
) -> keras.Model:
    """The highway network of Srivastava et al. 2015, `x' = T(x) H(x) + (1 - T(x)) x`, in the layout of `ResNet`.

    `H` is one convolution with norm and ReLU (the paper's has no norm), `T` one of its size with a sigmoid. Where the
    shape changes, `x` takes option A.

    Args:
        depth: `3n+2`, 20 by default.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        gate_bias: `T`'s bias at first; by default the paper's -1, -2, -3 for networks of about 10, 20, 30 layers.
        **options: As for `ResNet`.

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
    _require_own("HighwayNet", options, "merge")
    merge = partial(highway, bias=bias)
    defaults = {"block": "single", "order": "relu_before_add", "shortcut": zero_pad_or_projection, "merge": merge}
    return variant("highwaynet", depth, input_shape, classes, defaults, options)


def StochasticDepthResNet(
    depth: int | Sequence[int] = 110,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    final_survival: float = 0.5,
    scaling: str = "paper",
    per: str = "batch",
    tail: str | Tail = "no_tail",
    **options,
) -> keras.Model:
    """`ResNet` whose branches are left out at random in training, the later the more (Huang et al. 2016).

    Where `ResNet` takes option A, its shortcut is the authors': the pixels' average, then zeros (`avg_pool_pad`).

    Args:
        depth: 110 by default; as for `ResNet`.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        final_survival: The last branch's probability to stay, in (0, 1]; 0.5 by default.
        scaling: "paper", the default, multiplies a branch by its probability at inference, "inverted" divides by it in
            training.
        per: "batch", the default, draws once for all images, "sample" for each.
        tail: What else ends the branch, before it is left out or not; nothing by default.
        **options: As for `ResNet`.

    Returns:
        As `ResNet`.

    Raises:
        ValueError: as `ResNet`; for a survival outside (0, 1].

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.StochasticDepthResNet(depth=20)
    >>> round(model.get_layer("unit000").branch.layers[-1].survival, 3)
    0.944
    """
    alive = partial(stochastic_depth, final_survival=final_survival, scaling=scaling, per=per)
    tail = chained(resolve("tail", tail, TAILS, Callable), alive)
    layout = layout_of(depth, resolve("block", options.get("block"), BODIES, Body) if options.get("block") else None)
    shortcut = avg_pool_pad if layout.shortcut is zero_pad_or_projection else None
    defaults = {"shortcut": shortcut, "tail": tail}
    return variant("stochasticdepthresnet", depth, input_shape, classes, defaults, options)


def WideResNet(
    depth: int | Sequence[int] = 28,
    width: int = 10,
    dropout: float = 0.3,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    **options,
) -> keras.Model:
    """The wide residual network of Zagoruyko and Komodakis 2016 (arXiv 1605.07146), WRN-`depth`-`width`.

    Args:
        depth: `6n+4` (three stages of `n` basic units), 28 by default; 18, and 34 for images of 64 pixels or more, are
            the four stages of ImageNet; or the units of each stage.
        width: Multiplies the filters of every stage; 10 by default.
        dropout: Its rate between the convolutions of a unit, in [0, 1); 0.3 by default, as in the paper's CIFAR runs.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        **options: As for `ResNet`.

    Returns:
        As `ResNet`.

    Raises:
        ValueError: as `ResNet`; for a dropout outside [0, 1).

    Example: WRN-28-10 has 36.5M parameters (Table 4), and 17,952 moving statistics

    >>> import keras_resunits as kr
    >>> kr.WideResNet(depth=28, width=10).count_params() - 17952
    36479194
    """
    _require_own("WideResNet", options, "block")
    input_shape = require_shape(input_shape)
    units = wide_units(depth, input_shape)
    order = resolve("order", options.get("order") or fan_in(FullPreAct()), ORDERS, Order)
    defaults = {
        # of CIFAR's pre-activated networks the first shortcut reads the bare convolution
        "stem": Stem(16, activated=False) if len(units) == CIFAR_STAGES and order.activates_first else None,
        "block": wide_basic(dropout),
        "shortcut": "projection",
        "width": width,
        "name": f"{_name('wideresnet', depth)}_{width}",
    }
    return variant("wideresnet", units, input_shape, classes, defaults, {**options, "order": order})


def wide_units(depth: int | Sequence[int], input_shape: Shape = (32, 32, 3)) -> Sequence[int]:
    """The units of each stage of a `WideResNet`.

    Raises:
        ValueError: for a depth that does not exist, naming the nearest.
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


def _require_own(family: str, options: dict, name: str) -> None:
    """Refuse what would take away from a family that which makes it."""
    if options.get(name) is not None:
        raise ValueError(
            f"`{name}` is what makes a {family}: use `ResNet` for another. Received: {name}={options[name]!r}."
        )


def variant(family: str, depth, input_shape, classes, defaults: dict, options: dict) -> keras.Model:
    """`ResNet` with a family's defaults, where the caller has not chosen otherwise."""
    chosen = {name: choice for name, choice in options.items() if choice is not None}
    return ResNet(depth, input_shape, classes, **{"name": _name(family, depth), **defaults, **chosen})

"""Networks: a stem, a list of (recipe, slot) pairs, a head."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import keras

from keras_resunits.bodies import BODIES, Body, basic, bottleneck, bottleneck_v1_5
from keras_resunits.choices import resolve
from keras_resunits.orders import ORDERS, Order
from keras_resunits.recipes import Recipe
from keras_resunits.series import Series
from keras_resunits.shortcuts import SHORTCUTS, Shortcut, projection, zero_pad
from keras_resunits.slots import Slot, Stage, plan
from keras_resunits.stems import CIFAR, IMAGENET, IMAGENET_3X3, STEMS, Stem

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
IMAGENET_STEM_FROM = 64  # pixels: the smallest image that the 7x7 stem's network does not shrink to one pixel
POOLINGS: dict[str | None, Callable[..., keras.layers.Layer] | None] = {
    None: None,
    "avg": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}


def network(
    units: Iterable[tuple[Recipe, Slot]],
    stem: Stem,
    order: Order,
    *,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    classes: int = 10,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: str | Callable | None = None,
    name: str | None = None,
) -> keras.Model:
    """Assemble a network of any units: what every factory of the package calls.

    Args:
        units: `(recipe, slot)` pairs, in order.
        stem: What stands before the first unit.
        order: Places norm and activation in the stem and before the head.
        input_shape: `(height, width, channels)` of the images; height and width may be `None`.
        classes: Number of classes.
        include_top: Whether average pooling and the classifier follow the last unit.
        pooling: Without the top: "avg", "max", or `None` for the feature map.
        classifier_activation: Of the classifier; `None`, the default, gives logits.
        name: The model's name.

    Returns:
        A functional `keras.Model` from `[batch, height, width, channels]` to `[batch, classes]` (or features). Its
        layers are `stem`, `unit000`, ..., `post`, `pool`, `classifier`.

    Raises:
        ValueError: for an image smaller than the strides allow, or an argument out of its range.

    Example: a network that no paper has: He's units of 2015 followed by those of 2016

    >>> import keras_resunits as kr
    >>> slots = kr.plan([kr.Stage(2, 16), kr.Stage(2, 32, strides=2)], in_filters=16, activated=True)
    >>> post = kr.Recipe(kr.basic, kr.PostAct(), kr.projection)
    >>> pre = kr.Recipe(kr.basic, kr.FullPreAct(), kr.projection)
    >>> model = kr.network(zip([post, post, pre, pre], slots), kr.Stem(16), kr.FullPreAct())
    >>> model.output.shape
    (None, 10)
    """
    units = list(units)
    _require_top_arguments(classes, pooling)
    _require_size(input_shape, stem, [slot for _, slot in units])
    images = keras.Input(input_shape, name="images")
    x = stem(order)(images)
    for recipe, slot in units:
        x = recipe(slot)(x)
    head = order.head()
    if head:
        x = Series(head, name="post")(x)
    pool = POOLINGS["avg" if include_top else pooling]
    if pool:
        x = pool(data_format="channels_last", name="pool")(x)
    if include_top:
        x = _classifier(classes, classifier_activation)(x)
    return keras.Model(images, x, name=name)


def _classifier(classes: int, activation) -> keras.layers.Layer:
    """A dense layer as Torch's `Linear`, U(+-1/sqrt(fan_in)), with the bias at 0 as the authors' code sets it.

    Its outputs are float32 under a 16-bit policy: softmax and loss want the precision.
    """
    policy = keras.config.dtype_policy()
    return keras.layers.Dense(
        classes,
        activation=activation,
        kernel_initializer=keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
        dtype="float32" if policy.name.startswith("mixed_") else policy,
        name="classifier",
    )


def _require_top_arguments(classes, pooling) -> None:
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
        raise ValueError(f"`classes` must be a positive int. Received: classes={classes!r}.")
    if pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: pooling={pooling!r}.")


def _require_size(input_shape, stem: Stem, slots: Sequence[Slot]) -> None:
    if not isinstance(input_shape, Sequence) or len(input_shape) != 3 or not input_shape[2]:
        raise ValueError(
            f"`input_shape` must be (height, width, channels), channels known. Received: input_shape={input_shape!r}."
        )
    least = stem.strides * stem.pool
    for slot in slots:
        least *= slot.strides
    if any(side is not None and side < least for side in input_shape[:2]):
        raise ValueError(
            f"`input_shape` must be at least {least}x{least}: the network's strides multiply to {least}. "
            f"Received: input_shape={tuple(input_shape)}."
        )


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
        return projection if self.imagenet or self.body.expansion > 1 else zero_pad

    def stem(self, input_shape) -> Stem:
        if not self.imagenet:
            return CIFAR
        large = all(side is None or side >= IMAGENET_STEM_FROM for side in input_shape[:2])
        return IMAGENET if large else IMAGENET_3X3

    def stages(self, width: int) -> list[Stage]:
        base = (64 if self.imagenet else 16) * width * self.body.expansion
        return [Stage(n, base * 2**i, strides=1 if i == 0 else 2) for i, n in enumerate(self.units)]


def layout_of(depth: int | Sequence[int], block: Body | None) -> _Layout:
    """The layout of a depth, by the papers' convention where several fit.

    Raises:
        ValueError: for a depth that does not exist, naming the nearest.
    """
    if isinstance(depth, (str, bool)) or not isinstance(depth, (int, Sequence)):
        raise ValueError(f"`depth` must be an int, or the units of each stage as ints. Received: depth={depth!r}.")
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
    around = range(max(depth - max(steps), 0), depth + 2 * max(steps))
    valid = {d for d in around if any(d > 2 and (d - 2) % step == 0 for step in steps)}
    valid |= {d for d, (body, _) in IMAGENET_UNITS.items() if body.depth in [b.depth for b in bodies]}
    nearest = sorted(sorted(valid, key=lambda d: abs(d - depth))[:3])
    rule = " or ".join(f"{step}n+2" for step in steps)
    return (
        f"no network of depth {depth}: depths are {rule} (three stages), or {', '.join(map(str, IMAGENET_UNITS))} "
        f"(four stages). Nearest: {', '.join(map(str, nearest))}. Received: depth={depth}."
    )


def _name(family: str, depth: int | Sequence[int]) -> str:
    return family + ("_".join(map(str, depth)) if isinstance(depth, Sequence) else str(depth))


def ResNet(
    depth: int | Sequence[int] = 110,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
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
        block: "basic", "bottleneck", "bottleneck_v1_5", "single", or a `Body`; chosen by the depth by default.
        order: "post_act" by default; "bn_after_add", "relu_before_add", "relu_only_pre_act", "full_pre_act", or an
            `Order` (He et al. 2016, Fig. 4).
        shortcut: "zero_pad" (option A), "projection" (B), "projection_always" (C), "identity", or a function
            `(Slot, Order) -> Layer`. By default the papers': A for three stages of basic units, else B.
        width: Multiplies the filters of every stage; 1 by default.
        stem: "cifar" (3x3), "imagenet" (7x7 and max-pool), "imagenet_3x3", or a `Stem`. By default 3x3 for three
            stages; for four 7x7 for images of 64 pixels or more, else 3x3.

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
    layout = layout_of(depth, None if block is None else resolve("block", block, BODIES, Body))
    order = resolve("order", order, ORDERS, Order)
    stem = resolve("stem", layout.stem(input_shape) if stem is None else stem, STEMS, Stem)
    shortcut = resolve("shortcut", layout.shortcut if shortcut is None else shortcut, SHORTCUTS, Callable)
    recipe = Recipe(layout.body, order, shortcut)
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
        name=name or _name("resnet", depth),
    )


def PreActResNet(
    depth: int | Sequence[int] = 164,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
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
) -> keras.Model:
    """The pre-activation residual network of He et al. 2016, "Identity Mappings in Deep Residual Networks".

    The same arguments as `ResNet`; what differs is the default depth (164), the order ("full_pre_act"), and that the
    networks of depth 50, 101, 152 and 200 stride on the 3x3 convolution (block "bottleneck_v1_5"), as in the code that
    the paper's ImageNet networks were trained with (fb.resnet.torch, `models/preresnet.lua`).

    Args:
        depth: 164 by default; as for `ResNet`.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        include_top: As for `ResNet`.
        pooling: As for `ResNet`.
        classifier_activation: As for `ResNet`.
        name: As for `ResNet`.
        block: As for `ResNet`.
        order: "full_pre_act" by default; as for `ResNet`.
        shortcut: As for `ResNet`.
        width: As for `ResNet`.
        stem: As for `ResNet`.

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
    if block is None and isinstance(depth, int) and IMAGENET_UNITS.get(depth, (None,))[0] is bottleneck:
        block = bottleneck_v1_5
    return ResNet(
        depth,
        input_shape,
        classes,
        include_top,
        pooling,
        classifier_activation,
        name or _name("preactresnet", depth),
        block=block,
        order=order,
        shortcut=shortcut,
        width=width,
        stem=stem,
    )


FACTORIES = {"PreActResNet": PreActResNet, "ResNet": ResNet}
"""Every family by the name of its factory."""

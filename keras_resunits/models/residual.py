"""The residual networks of the papers: original, pre-activation, plain, and with stochastic depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

from keras_resunits.arguments import require_positive_int, resolve
from keras_resunits.models.depths import IMAGENET_UNITS, layout_of, named, require_depth
from keras_resunits.models.family import Choices, Depth, Design, Widened, family
from keras_resunits.models.network import Shape, require_shape
from keras_resunits.models.stems import STEMS, Stem
from keras_resunits.units.bodies import BODIES, Body, bottleneck, bottleneck_v1_5
from keras_resunits.units.merges import MERGES, Merge, branch_only
from keras_resunits.units.orders import ORDERS, Order, PostAct, fan_in
from keras_resunits.units.recipes import Recipe
from keras_resunits.units.shortcuts import SHORTCUTS, Shortcut, avg_pool_pad, identity, zero_pad_or_projection
from keras_resunits.units.slots import Slot, plan
from keras_resunits.units.tails import TAILS, Tail, chained, stochastic_depth


def residual(
    title: str,
    depth: Depth,
    input_shape: Shape,
    block: str | Body | None = None,
    order: str | Order = "post_act",
    shortcut: str | Shortcut | None = None,
    width: int = 1,
    stem: str | Stem | None = None,
    merge: str | Callable[[Slot], Merge] = "add",
    tail: str | Tail = "no_tail",
) -> Design:
    """Return the design that all residual families share: the stages of a depth, with one recipe for all units.

    Args:
        title: Name of the family in lower case, with which the network's default name begins.
        depth, input_shape, block, order, shortcut, width, stem, merge, tail: As for `ResNet`.
    """
    input_shape, name = require_shape(input_shape), named(title, require_depth(depth))
    layout = layout_of(depth, None if block is None else resolve("block", block, BODIES, Body))
    width = require_positive_int(width, "width", f"network '{name}'")
    merge = resolve("merge", merge, MERGES, Callable)
    order = resolve("order", order, ORDERS, Order)
    if stem is None:
        stem = replace(layout.stem(input_shape), activated=not order.raw_stem)
    stem = resolve("stem", stem, STEMS, Stem)
    if shortcut is None:
        shortcut = identity if merge is branch_only else layout.shortcut  # it is never read, so it needs no weights
    shortcut = resolve("shortcut", shortcut, SHORTCUTS, Callable)
    tail = resolve("tail", tail, TAILS, Callable)
    recipe = Recipe(layout.body, order, shortcut, merge, tail)
    slots = plan(layout.stages(width), stem.filters, stem.activated)
    return Design([(recipe, slot) for slot in slots], stem, order, name)


def residual_depth(depth: Depth, arguments: dict[str, Any], body: Body | None = None) -> None:
    """Check the depth of a residual family with the given block, by default `body`."""
    block = arguments.get("block")
    layout_of(depth, body if block is None else resolve("block", block, BODIES, Body))


@family(depths=residual_depth)
def ResNet(
    depth: Depth = 110,
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
) -> Design:
    """The residual network of He et al. 2015 (arXiv 1512.03385).

    Args:
        depth: Number of weight layers. Three stages (CIFAR): `6n+2` with basic or `9n+2` with bottleneck units. Where
            both fit, the papers' convention decides: 110 and 1202 are basic, 164 and 1001 bottleneck. Four stages
            (ImageNet): 18, 34, 50, 101, 152 or 200. Or the units of each stage, such as `[3, 4, 6, 3]`, by default of
            basic units. Defaults to 110.
        input_shape: `(height, width, channels)`; height and width may be `None`. Defaults to `(32, 32, 3)`.
        classes: Number of classes. Defaults to 10.
        include_top: Whether average pooling and the classifier follow the last unit. Defaults to `True`.
        pooling: Pooling without the top: "avg", "max", or `None` (default) for the feature map.
        classifier_activation: Activation of the classifier: `None` (default) for logits, "softmax" for probabilities.
        name: Name of the model. Defaults to family and depth.
        block: "basic", "bottleneck" (stride on the first 1x1, "v1"), "bottleneck_v1_5", "single", or a `Body`. By
            default chosen by the depth.
        order: "post_act" (default), "bn_after_add", "relu_before_add", "relu_only_pre_act", "full_pre_act" (He et al.
            2016, Fig. 4), "zero_gamma", "fixup", "relu_pre_act", "looks_linear", or an `Order`.
        shortcut: "zero_pad" (option A), "projection" (B), "projection_always" (C), "identity", those of He et al. 2016,
            Fig. 2 ("constant_scaling", "shortcut_gating", "conv_1x1", "dropout"), "avg_pool_pad", or a function
            `(Slot, Order) -> Layer`. Defaults to those of the papers: A for three stages of basic units, else B. After
            a stem with more filters than the first unit, the first shortcut is B too.
        width: Multiplier of the filters of every stage. Defaults to 1.
        stem: "cifar" (3x3), "imagenet" (7x7 and max pooling), "imagenet_3x3", or a `Stem`. Defaults to 7x7 for four
            stages and images of at least 64 pixels, else to 3x3.
        merge: "add" (default), "branch_only", "exclusive_gating", "highway", "scalar_highway", or a function
            `Slot -> Merge`.
        tail: The layers that end every branch: "no_tail" (default), "branch_scaling", "residual_gate", "rezero",
            "skip_init", "layer_scale", "squeeze_excite", "stochastic_depth", "branch_dropout", or a function
            `Slot -> [layers]`. Combine several with `chained(...)`.
        remat: What training computes again in the backward pass, to keep less in memory (Chen et al. 2016, arXiv
            1604.06174): the units, in segments of this many; "unit" for one; "auto" for the square root of a third of
            the units; "norms" only for normalisations and activations before weights. Results do not change. Defaults
            to `None`, nothing.
        weights: Trained weights: a file that `keras_resunits.converters` reads (of this package, `keras.applications`
            or PyTorch), "imagenet" for a layout of `keras.applications`, or the name of trained weights of the package
            (`list_models(pretrained=True)`: "fashion-mnist" of "preactresnet20:fashion-mnist"), which also set
            `input_shape` and `classes` where these are not given. A head for other classes is left as initialised,
            with a warning. Defaults to `None`, random weights.

    Returns:
        A functional `keras.Model` from `[batch, height, width, channels]` to logits `[batch, classes]`. Its layers are
        the units, named by position.

    Raises:
        ValueError: if the depth does not exist (the message names the nearest), a name is unknown (the message lists
            the choices), the image is smaller than the strides allow, `remat` is more than there are units, or the
            weights are missing or do not fit.

    Example: ResNet-110 has 1.7M parameters (He et al. 2015, Table 6), and 8,096 moving statistics

    >>> import keras_resunits as kr
    >>> kr.ResNet(depth=110).count_params() - 8096
    1727962
    """
    return residual("resnet", depth, input_shape, block, order, shortcut, width, stem, merge, tail)


@family(depths=residual_depth)
def PreActResNet(
    depth: Depth = 164, input_shape: Shape = (32, 32, 3), classes: int = 10, **choices: Unpack[Choices]
) -> Design:
    """The pre-activation residual network of He et al. 2016, "Identity Mappings in Deep Residual Networks".

    It is `ResNet` in the order "full_pre_act". Networks of depth 50, 101, 152 and 200 have the stride on the 3x3
    convolution (block "bottleneck_v1_5"), as in the code that trained the paper's ImageNet networks (fb.resnet.torch,
    `models/preresnet.lua`).

    For depth 164, pytorchcv publishes half of the operations as 255.08M. That is the figure of its own layout, with the
    stride on the 3x3 and a bare stem (`create("pytorchcv_preresnet164")`). The authors' network, as made here, has
    251.84M.

    Args:
        depth: As for `ResNet`. Defaults to 164.
        input_shape, classes, include_top, pooling, classifier_activation, name: As for `ResNet`.
        block, shortcut, width, stem, merge, tail, remat, weights: As for `ResNet`.
        order: As for `ResNet`. Defaults to "full_pre_act" (Fig. 4e); "relu_only_pre_act" is Fig. 4d.

    Returns:
        As for `ResNet`.

    Raises:
        ValueError: as for `ResNet`.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.PreActResNet(depth=20, input_shape=(28, 28, 1))
    >>> [layer.name for layer in model.layers[:4]]
    ['images', 'stem', 'unit000', 'unit001']
    """
    return residual("preactresnet", depth, input_shape, **{**pre_activated(depth), **choices})


def pre_activated(depth: Depth) -> dict[str, Any]:
    """Return the choices of a `PreActResNet`."""
    depth = require_depth(depth)
    strided = isinstance(depth, int) and IMAGENET_UNITS.get(depth, (None,))[0] is bottleneck
    return {"order": "full_pre_act", "block": bottleneck_v1_5 if strided else None}


@family(depths=residual_depth, own=("merge", "shortcut"))
def PlainNet(
    depth: Depth = 20, input_shape: Shape = (32, 32, 3), classes: int = 10, **choices: Unpack[Choices]
) -> Design:
    """The plain network of He et al. 2015, Fig. 3 middle: `ResNet` without its shortcuts.

    Args:
        depth: As for `ResNet`. Defaults to 20.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        **choices: As for `ResNet`.

    Returns:
        As for `ResNet`.

    Raises:
        ValueError: as for `ResNet`.

    Example: as many parameters as ResNet-20

    >>> import keras_resunits as kr
    >>> kr.PlainNet(depth=20).count_params() == kr.ResNet(depth=20).count_params()
    True
    """
    chosen: dict[str, Any] = {**choices, "merge": "branch_only"}
    return residual("plainnet", depth, input_shape, **chosen)


@family(depths=residual_depth)
def StochasticDepthResNet(
    depth: Depth = 110,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    final_survival: float = 0.5,
    scaling: str = "paper",
    per: str = "batch",
    tail: str | Tail = "no_tail",
    **choices: Unpack[Widened],
) -> Design:
    """`ResNet` whose branches are dropped at random in training, later ones more often (Huang et al. 2016).

    Where `ResNet` uses option A, this family uses the authors' shortcut: the average of pixels, then zeros
    (`avg_pool_pad`). Convolutions are initialised with He normal over fan-in, as in the authors' code
    (yueatsprograms/Stochastic_Depth, whose `nninit.kaiming` scales by fan-in).

    Args:
        depth: As for `ResNet`. Defaults to 110.
        input_shape: As for `ResNet`.
        classes: As for `ResNet`.
        final_survival: Probability that the last branch survives, in (0, 1]. Defaults to 0.5.
        scaling: "paper" (default) multiplies a branch by its probability at inference; "inverted" divides by it in
            training.
        per: "batch" (default) draws once for all images, "sample" once for each.
        tail: Layers that end the branch, before it may be dropped. Defaults to none.
        **choices: As for `ResNet`.

    Returns:
        As for `ResNet`.

    Raises:
        ValueError: as for `ResNet`, and if `final_survival` is outside (0, 1], or `scaling` or `per` is unknown.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.StochasticDepthResNet(depth=20)
    >>> round(model.get_layer("unit000").branch.layers[-1].survival, 3)
    0.944
    """
    alive = partial(stochastic_depth, final_survival=final_survival, scaling=scaling, per=per)
    block = choices.get("block")
    layout = layout_of(depth, None if block is None else resolve("block", block, BODIES, Body))
    shortcut = avg_pool_pad if layout.shortcut is zero_pad_or_projection else None
    dropped = chained(resolve("tail", tail, TAILS, Callable), alive)
    chosen: dict[str, Any] = {"shortcut": shortcut, "order": fan_in(PostAct()), **choices, "tail": dropped}
    return residual("stochasticdepthresnet", depth, input_shape, **chosen)

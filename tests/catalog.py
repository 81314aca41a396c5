"""Small instances of everything that the package exports, one line per variant. The laws run over all of them.

`tests/laws/test_completeness.py` fails if the package exports something that is not here.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Any

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.models.stems import CIFAR, IMAGENET, IMAGENET_3X3
from keras_resunits.units import orders


@dataclass(frozen=True)
class Case:
    """A small instance of something callable.

    Args:
        make: Makes a new layer or model.
        shape: Shape of each input, including the batch dimension.
        inputs: Number of inputs.
        random: Whether its output in training is random.
    """

    make: Callable[..., keras.layers.Layer]
    shape: tuple[int, ...] = (4, 8, 8, 8)
    inputs: int = 1
    random: bool = False

    def arrays(self, seed: int = 1) -> list[np.ndarray]:
        """Return random inputs."""
        rng = np.random.default_rng(seed)
        return [rng.normal(size=self.shape).astype("float32") for _ in range(self.inputs)]

    def layer(self) -> keras.layers.Layer:
        """Return the built layer with random weights, so that no weight is right by accident.

        All tests of a process share it, since building it takes longer than most of them. Only its variables are reset:
        use `make` to compile, freeze or otherwise change the layer.
        """
        layer, values = built(self, keras.config.dtype_policy().name)
        for variable, value in zip(layer.variables, values, strict=True):
            variable.assign(value)
        return layer

    def model(self) -> keras.Model:
        """Return the layer as a model; like `layer` it is shared, and must not be compiled or frozen."""
        layer = self.layer()
        if isinstance(layer, keras.Model):
            return layer
        inputs = [keras.Input(self.shape[1:]) for _ in range(self.inputs)]
        return keras.Model(inputs if self.inputs > 1 else inputs[0], layer(*inputs))


@cache
def built(case: Case, policy: str) -> tuple[keras.layers.Layer, list[np.ndarray]]:
    """Return the layer of a case, made under the current policy, and the values of its variables."""
    layer = case.make()
    layer(*case.arrays())
    randomize(layer)
    return layer, [keras.ops.convert_to_numpy(variable.value) for variable in layer.variables]


def randomize(layer: keras.layers.Layer, seed: int = 2) -> None:
    """Move scalars, gammas, betas, biases and statistics away from 0 and 1, and kernels away from 0."""
    rng = np.random.default_rng(seed)
    move = {True: lambda w: w + 0.1 * np.abs(rng.normal(size=w.shape)).astype(w.dtype), False: lambda w: w}
    layer.set_weights([move[w.ndim <= 1 or not w.any()](w) for w in layer.get_weights()])


@contextmanager
def shapes_alone() -> Iterator[None]:
    """Build layers without the values of their variables, which suffices for counting and is much faster."""
    with keras.StatelessScope(initialize_variables=False):
        yield
    keras.utils.clear_session(free_memory=False)  # else Keras creates all values when the next such scope ends


def over(*tables: dict[str, Case], quick: Collection[str] | None = None):
    """Parametrize a law over tables of the catalog; cases not in `quick`, by default those in `SIMILAR`, are long."""
    cases = {name: case for table in tables for name, case in table.items()}
    return pytest.mark.parametrize("case", long_but(cases.keys() - SIMILAR if quick is None else quick, cases))


def long_but(quick: Collection[str], cases: dict[str, Any]) -> list:
    """Return parameters by name, tuples for tests with several; all that are not in `quick` are marked as long."""
    assert set(quick) <= set(cases)
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)), id=name, marks=() if name in quick else pytest.mark.long
        )
        for name, case in cases.items()
    ]


# ---------------------------------------------------------------------------------------------------------------------
# Exports, by their names.


def quarter():
    """A gate of 1/4."""
    return keras.layers.Rescaling(0.25)


def columns(count: int):
    """Return columns of small convolutions for a `Fractal`."""
    return [[keras.layers.Conv2D(8, 3, padding="same") for _ in range(2**c)] for c in range(count)]


LAYERS = {
    "Add": Case(kr.Add, inputs=3),
    "BatchNormalization": Case(kr.BatchNormalization),
    "Bias": Case(kr.Bias),
    "BranchOnly": Case(kr.BranchOnly, inputs=3),
    "CReLU": Case(kr.CReLU),
    "Centering": Case(kr.Centering),
    "Concat": Case(kr.Concat, inputs=3),
    "Dropout": Case(lambda: kr.Dropout(0.5, seed=1), random=True),
    "Fractal": Case(lambda: kr.Fractal(columns(3), drop_path=0.3), random=True),
    "Fractal-deepest": Case(lambda: kr.Fractal(columns(2), deepest=True), random=True),
    "GatedCarry": Case(lambda: kr.GatedCarry(quarter(), keras.layers.Identity())),
    "Highway": Case(lambda: kr.Highway(keras.layers.Conv2D(8, 1, activation="sigmoid")), inputs=3),
    "LayerScale": Case(kr.LayerScale),
    "PaddedConv2D": Case(lambda: kr.PaddedConv2D(4, 3, strides=2)),
    "PaddedMaxPool": Case(kr.PaddedMaxPool),
    "ScalarGate": Case(lambda: kr.ScalarGate("leaky_relu", initial=-0.5)),
    "ScalarHighway": Case(lambda: kr.ScalarHighway(kr.ScalarGate(initial=0.5)), inputs=3),
    "Scale": Case(kr.Scale),
    "Series": Case(lambda: kr.Series([kr.PaddedConv2D(4, 5, strides=2), kr.BatchNormalization(), keras.layers.ELU()])),
    "SqueezeExcite": Case(lambda: kr.SqueezeExcite(ratio=2)),
    "StochasticDepth": Case(lambda: kr.StochasticDepth(0.5, per="sample", seed=1), random=True),
    "StochasticDepth-inverted": Case(lambda: kr.StochasticDepth(0.9, scaling="inverted", seed=1), random=True),
    "Unit": Case(lambda: kr.Unit(keras.layers.Conv2D(8, 1), entry=keras.layers.ReLU(), exit=kr.BatchNormalization())),
    "ZeroPad": Case(lambda: kr.ZeroPad(extra=4, strides=2, before=1)),
}
ORDERS = {
    "PostAct": kr.PostAct(),
    "BnAfterAdd": kr.BnAfterAdd(),
    "ReluBeforeAdd": kr.ReluBeforeAdd(),
    "ReluOnlyPreAct": kr.ReluOnlyPreAct(),
    "FullPreAct": kr.FullPreAct(),
}
"""The five orders of He et al. 2016, Fig. 4, combined with every body, shortcut and merge."""

MORE_ORDERS = {
    "PreActBranch": kr.PreActBranch(),
    "PreActOnWidening": kr.PreActOnWidening(),
    "ZeroGamma": kr.ZeroGamma(order=kr.PostAct()),
    "Fixup": kr.Fixup(),
    "FullPreAct-no_norm": kr.FullPreAct(norm=kr.no_norm),
    "Initialized": orders.ORDERS["looks_linear"],
}
BODIES = {
    "single": kr.single,
    "basic": kr.basic,
    "bottleneck": kr.bottleneck,
    "bottleneck_v1_5": kr.bottleneck_v1_5,
}
MORE_BODIES = {
    "wide_basic": kr.wide_basic(0.0),
    "wide_bottleneck": kr.wide_bottleneck(),
}
SHORTCUTS = {
    "identity": kr.identity,
    "zero_pad": kr.zero_pad,
    "projection": kr.projection,
    "projection_always": kr.projection_always,
    "constant_scaling": kr.constant_scaling,
    "shortcut_gating": kr.shortcut_gating,
    "conv_1x1": kr.conv_1x1,
    "dropout": kr.dropout,
    "avg_pool_pad": kr.avg_pool_pad,
}
MERGES = {
    "add": kr.add,
    "branch_only": kr.branch_only,
    "concat": kr.concat,
    "exclusive_gating": kr.exclusive_gating,
    "highway": kr.highway,
    "scalar_highway": kr.scalar_highway,
}
TAILS = {
    "no_tail": kr.no_tail,
    "branch_scaling": kr.branch_scaling,
    "residual_gate": kr.residual_gate,
    "rezero": kr.rezero,
    "layer_scale": kr.layer_scale,
    "squeeze_excite": kr.squeeze_excite,
    "stochastic_depth": kr.stochastic_depth,
    "branch_dropout": kr.branch_dropout,
}
OPTIMIZERS = {
    "CoupledNadam": lambda: kr.CoupledNadam(0.01, coupled_weight_decay=1e-2),
    "CoupledSGD": lambda: kr.CoupledSGD(0.1, coupled_weight_decay=1e-2),
    "CoupledSGD-plain": lambda: kr.CoupledSGD(0.1, nesterov=False, coupled_weight_decay=1e-2),
    "CoupledSGD-no_momentum": lambda: kr.CoupledSGD(0.1, momentum=0.0, coupled_weight_decay=1e-2),
}
INITIALIZERS = {"LooksLinear": kr.LooksLinear()}
FACTORIES = {
    "DenseNet": kr.DenseNet,
    "FractalNet": kr.FractalNet,
    "FullyConnectedResNet": kr.FullyConnectedResNet,
    "GatedPlainNet": kr.GatedPlainNet,
    "GatedResNet": kr.GatedResNet,
    "HighwayNet": kr.HighwayNet,
    "KerasResNet": kr.KerasResNet,
    "KerasResNetV2": kr.KerasResNetV2,
    "PlainNet": kr.PlainNet,
    "PreActResNet": kr.PreActResNet,
    "ResNet": kr.ResNet,
    "StochasticDepthResNet": kr.StochasticDepthResNet,
    "WideResNet": kr.WideResNet,
}
RECORDS = {
    "Body": kr.single,
    "Recipe": kr.Recipe(kr.basic, kr.FullPreAct(), kr.projection),
    "Slot": kr.Slot(index=0, total=1, in_filters=8, filters=8),
    "Stage": kr.Stage(1, 8),
    "Stem": kr.Stem(8),
}
ABSTRACT = {"Merge", "Order", "PreAct"}
HELPERS = {  # neither layers nor choices: covered by their own test files
    "activations",
    "backbone",
    "chained",
    "create",
    "deepest_column",
    "describe",
    "draw",
    "export_saved_model",
    "fan_in",
    "features",
    "fixup_scalars",
    "freeze",
    "gate",
    "gates",
    "growth",
    "layer",
    "list_models",
    "load",
    "looks_linear",
    "network",
    "new_head",
    "no_norm",
    "normalization_of",
    "plan",
    "pretrained",
    "scalar_gates",
    "serving_kit",
    "wide_basic",
    "wide_bottleneck",
}

# ---------------------------------------------------------------------------------------------------------------------
# Instances made of these.

STEMS = {
    "stem-cifar": Case(lambda: CIFAR(kr.FullPreAct()), (4, 8, 8, 3)),
    "stem-imagenet": Case(lambda: IMAGENET(kr.PostAct()), (4, 16, 16, 3)),
    "stem-imagenet_3x3": Case(lambda: IMAGENET_3X3(kr.FullPreAct()), (4, 8, 8, 3)),
    "stem-not_activated": Case(lambda: kr.Stem(8, 5, strides=2, activated=False)(kr.FullPreAct()), (4, 8, 8, 3)),
    "stem-zero_padded": Case(lambda: kr.Stem(8, pool=2, use_bias=True, pads=0.0)(kr.PostAct()), (4, 8, 8, 3)),
}
SLOTS = {
    "same": kr.Slot(index=1, total=3, in_filters=8, filters=8),
    "changed": kr.Slot(index=1, total=3, in_filters=8, filters=16, strides=2),
    "first": kr.Slot(index=0, total=3, in_filters=8, filters=16, activated=True),
}
PLACES = [  # where each shortcut differs from the others
    ("identity", "same"),
    ("zero_pad", "changed"),
    ("projection", "changed"),
    ("projection", "first"),
    ("projection_always", "same"),
]


def unit(order, body, shortcut, slot) -> dict[str, Case]:
    """One line of `UNITS`."""
    recipe = kr.Recipe({**BODIES, **MORE_BODIES}[body], {**ORDERS, **MORE_ORDERS}[order], SHORTCUTS[shortcut])
    return {f"{order}-{body}-{shortcut}-{slot}": Case(partial(recipe, SLOTS[slot]), random=shortcut == "dropout")}


MERGED_UNITS = {
    f"{order}-{merge}": Case(partial(kr.Recipe(kr.basic, ORDERS[order], kr.identity, MERGES[merge]), SLOTS["same"]))
    for merge in MERGES
    for order in (ORDERS if merge in ("add", "branch_only") else ("PostAct", "FullPreAct"))
}
UNITS = dict(MERGED_UNITS)
for order, body, place in product(ORDERS, BODIES, PLACES):
    UNITS |= unit(order, body, *place)

VARIANTS = [shortcut for shortcut in SHORTCUTS if shortcut not in dict(PLACES)]
for shortcut, slot in product(VARIANTS, ["same", "changed"]):
    for order in ("PostAct", "FullPreAct"):
        UNITS |= unit(order, "basic", shortcut, slot)
for order, place in product(MORE_ORDERS, [("zero_pad", "same"), ("projection", "changed"), ("zero_pad", "changed")]):
    UNITS |= unit(order, "basic", *place)
for body, slot in product(MORE_BODIES, ["same", "changed"]):
    UNITS |= unit("PostAct", body, "projection", slot)

TAILED_UNITS = {
    f"{tail}-{order}": Case(
        partial(kr.Recipe(kr.basic, ORDERS[order], kr.zero_pad, tail=TAILS[tail]), SLOTS["same"]),
        random=tail in ("stochastic_depth", "branch_dropout"),
    )
    for tail, order in zip(TAILS, ("PostAct", "FullPreAct") * len(TAILS), strict=False)
}
UNITS |= TAILED_UNITS

PAIRS = dict(MERGED_UNITS) | TAILED_UNITS  # every pair of order, body and shortcut occurs; for slow laws
for (i, order), (j, place) in product(enumerate(ORDERS), enumerate(PLACES)):  # a Latin square
    PAIRS |= unit(order, list(BODIES)[(i + j) % len(PLACES) % len(BODIES)], *place)
for i, (shortcut, slot) in enumerate(product(VARIANTS, ["same", "changed"])):
    PAIRS |= unit(list(ORDERS)[i % len(ORDERS)], list(BODIES)[i % len(BODIES)], shortcut, slot)
for body in MORE_BODIES:
    PAIRS |= unit("PostAct", body, "projection", "changed")
for i, order in enumerate(MORE_ORDERS):
    PAIRS |= unit(order, "basic", *[("zero_pad", "same"), ("projection", "changed")][i % 2])


def covering(names: Iterable[str]) -> list[str]:
    """Return the first names that show each choice: an order, a body, a shortcut in a slot, a merge or a tail.

    >>> covering(["PostAct-add", "FullPreAct-concat", "PostAct-concat"])
    ['PostAct-add', 'FullPreAct-concat']
    """
    seen: set[tuple[str, ...]] = set()
    chosen = []
    for name in names:
        words = name.split("-")
        choices = {*((word,) for word in words), tuple(words[2:])}
        if choices - seen:
            chosen.append(name)
        seen |= choices
    return chosen


def side_by_side() -> keras.Model:
    """Make one network of units that show every choice of `PAIRS` but random ones, on the same features."""
    features = keras.Input(Case.shape[1:])
    shown = {name: PAIRS[name] for name in covering(reversed(PAIRS))}
    units = [kr.Series([kr.Scale(), case.make()], name=name) for name, case in shown.items() if not case.random]
    outputs = [keras.layers.Flatten(data_format="channels_last")(unit(features)) for unit in units]
    model = keras.Model(features, keras.layers.Concatenate()(outputs))
    randomize(model)
    return model


IMAGES = (8, 8, 3)
CLASSES = 5
SMALL = {"input_shape": IMAGES, "classes": CLASSES}


STEM = kr.Stem(8)


def net(*recipes, stem=STEM, order, activated=None, **top) -> keras.Model:
    """Make a network of one unit for each recipe; every second unit halves the image and doubles the width."""
    stages = [kr.Stage(1, stem.filters * 2 ** ((i + 1) // 2), strides=1 + i % 2) for i in range(len(recipes))]
    slots = kr.plan(stages, stem.filters, stem.activated if activated is None else activated)
    return kr.network(
        zip(recipes, slots, strict=True), stem, order, **{"input_shape": IMAGES, "classes": CLASSES, **top}
    )


def factory(make, **kwargs) -> Callable[..., keras.Model]:
    """Return a factory of networks with one unit per stage and small images."""
    return partial(make, [1, 1, 1], **{**SMALL, **kwargs})


def of_order(order: kr.Order, body: kr.Body = kr.basic, **kwargs) -> Callable[..., keras.Model]:
    """Return a factory of networks with two units in one order."""
    recipe = kr.Recipe(body, order, kr.projection)
    return partial(net, recipe, recipe, **{"order": order, **kwargs})


def plain(**kwargs) -> keras.Model:
    """Make a network without shortcuts, with the large stem."""
    recipe = kr.Recipe(kr.basic, kr.PostAct(), kr.zero_pad, kr.branch_only)
    stem = kr.Stem(8, kernel_size=7, strides=2, pool=2)
    return net(recipe, recipe, stem=stem, order=kr.PostAct(), **{"input_shape": (16, 16, 3), **kwargs})


def mixed(**kwargs) -> keras.Model:
    """Make a network of units of 2015 followed by units of 2016."""
    post = kr.Recipe(kr.basic, kr.PostAct(), kr.projection)
    pre = kr.Recipe(kr.bottleneck, kr.FullPreAct(), kr.zero_pad)
    return net(post, pre, pre, order=kr.FullPreAct(), **kwargs)


NETWORKS = {
    "ResNet": Case(factory(kr.ResNet), (4, *IMAGES)),
    "ResNet-bottleneck": Case(factory(kr.ResNet, block="bottleneck"), (4, *IMAGES)),
    "ResNet-C": Case(factory(kr.ResNet, block="single", shortcut="C"), (4, *IMAGES)),
    "PreActResNet": Case(factory(kr.PreActResNet), (4, *IMAGES)),
    "PreActResNet-v1.5": Case(factory(kr.PreActResNet, block="bottleneck_v1_5"), (4, *IMAGES)),
    "PreActResNet-softmax": Case(of_order(kr.FullPreAct(), classifier_activation="softmax"), (4, *IMAGES)),
    "BnAfterAdd": Case(of_order(kr.BnAfterAdd()), (4, *IMAGES)),
    "ReluBeforeAdd": Case(of_order(kr.ReluBeforeAdd(), kr.bottleneck), (4, *IMAGES)),
    "ReluOnlyPreAct": Case(of_order(kr.ReluOnlyPreAct()), (4, *IMAGES)),
    "ELU": Case(of_order(kr.FullPreAct(activation=keras.layers.ELU)), (4, *IMAGES)),
    "bare_stem": Case(of_order(kr.FullPreAct(), stem=kr.Stem(8, activated=False)), (4, *IMAGES)),
    "DenseNet": Case(factory(kr.DenseNet, growth=4), (4, *IMAGES)),
    "DenseNet-plain": Case(factory(kr.DenseNet, growth=4, bottleneck=False, dropout=0.1), (4, *IMAGES), random=True),
    "FractalNet": Case(partial(kr.FractalNet, 2, filters=(8, 8), dropout=(0, 0.1), **SMALL), (4, *IMAGES), random=True),
    "FractalNet-authors": Case(
        partial(kr.FractalNet, 2, filters=(8, 8), dropout=(0, 0.1), layout="authors", **SMALL),
        (4, *IMAGES),
        random=True,
    ),
    "FullyConnectedResNet": Case(partial(kr.FullyConnectedResNet, 4, filters=8, **SMALL), (4, *IMAGES)),
    "GatedPlainNet": Case(factory(kr.GatedPlainNet), (4, *IMAGES)),
    "GatedResNet": Case(factory(kr.GatedResNet, g="leaky_relu"), (4, *IMAGES)),
    "HighwayNet": Case(factory(kr.HighwayNet), (4, *IMAGES)),
    "PlainNet": Case(factory(kr.PlainNet), (4, *IMAGES)),
    "StochasticDepthResNet": Case(factory(kr.StochasticDepthResNet, final_survival=0.9), (4, *IMAGES), random=True),
    "WideResNet": Case(factory(kr.WideResNet, width=2), (4, *IMAGES), random=True),
    "exclusive_gating": Case(factory(kr.ResNet, merge="exclusive_gating"), (4, *IMAGES)),
    "Fixup": Case(factory(kr.ResNet, order="fixup"), (4, *IMAGES)),
    "squeeze_excite": Case(factory(kr.ResNet, tail="squeeze_excite"), (4, *IMAGES)),
    "looks_linear": Case(factory(kr.ResNet, order="looks_linear"), (4, *IMAGES)),
    "shortcut_gating": Case(factory(kr.ResNet, shortcut="shortcut_gating", tail="layer_scale"), (4, *IMAGES)),
    "zero_gamma": Case(factory(kr.ResNet, order="zero_gamma", shortcut="conv_1x1"), (4, *IMAGES)),
    "still": Case(factory(kr.WideResNet, width=1, dropout=0.0), (4, *IMAGES)),
    "plain": Case(plain, (4, 16, 16, 3)),
    "mixed": Case(mixed, (4, *IMAGES)),
}
REPRESENTATIVE = {  # every kind of layer, head and dropout once, for the quick run of each law
    name: NETWORKS[name]
    for name in (
        *("DenseNet-plain", "Fixup", "FractalNet", "FullyConnectedResNet", "GatedResNet", "HighwayNet"),
        *("PreActResNet-softmax", "ResNet-bottleneck", "StochasticDepthResNet", "squeeze_excite"),
    )
}
KERAS_LAYOUTS = {
    name: Case(partial(make, 50, **{**SMALL, "input_shape": (32, 32, 3)}), (2, 32, 32, 3))
    for name, make in (("KerasResNet", kr.KerasResNet), ("KerasResNetV2", kr.KerasResNetV2))
}
"""Networks of their own size, for fast laws."""
SIMILAR = (
    KERAS_LAYOUTS.keys()
    | (NETWORKS.keys() - REPRESENTATIVE.keys())
    | ((UNITS.keys() | PAIRS.keys()) - set(covering(reversed(PAIRS))))
)
"""Networks that differ from the representative ones only in units or stems, and units whose choices others show."""

"""The order of normalisation, activation and weights: He et al. 2016, Fig. 4 and Table 2.

An order places norm and activation around the weight layers of a body, and says what stands at the unit's entry and
exit and before the network's head. Where a letter is given it is that of Fig. 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import keras

from keras_resunits.choices import resolve
from keras_resunits.crelu import CReLU, LooksLinear
from keras_resunits.normalization import BatchNormalization
from keras_resunits.serialization import register
from keras_resunits.slots import Slot

Layers = list[keras.layers.Layer]


@dataclass(frozen=True)
class Order(ABC):
    """Abstract: where normalisation and activation stand.

    Args:
        norm: Makes a normalisation layer of a `name`; `BatchNormalization` by default.
        activation: Makes an activation layer of a `name`; `keras.layers.ReLU` by default.

    Example: He's network with another activation

    >>> import keras
    >>> from keras_resunits import FullPreAct, PreActResNet
    >>> model = PreActResNet(depth=20, order=FullPreAct(activation=keras.layers.ELU))
    """

    norm: Callable[..., keras.layers.Layer] = BatchNormalization
    activation: Callable[..., keras.layers.Layer] = keras.layers.ReLU

    def __post_init__(self):
        for name in ("norm", "activation"):
            if not callable(getattr(self, name)):
                raise ValueError(
                    f"`{name}` must make a layer of a `name`, as a layer class does. "
                    f"Received: {name}={getattr(self, name)!r} (order '{type(self).__name__}')."
                )

    def norm_act(self, i: int | str = "") -> Layers:
        """Norm, then activation; `i` numbers their names."""
        return [self.norm(name=f"norm{i}"), self.activation(name=f"act{i}")]

    def stem(self, weight: keras.layers.Layer) -> keras.layers.Layer:
        """The stem's weight layer."""
        return weight

    @property
    def raw_stem(self) -> bool:
        """Whether the networks of this order begin with a bare convolution; no by default."""
        return False

    @property
    def activates_first(self) -> bool:
        """Whether units activate what they read, so that a bare convolution may come before them; no by default."""
        return False

    def entry(self, slot: Slot) -> Layers:
        """`e`: what both paths share."""
        return []

    @abstractmethod
    def branch(self, weights: Sequence[keras.layers.Layer], slot: Slot) -> Layers:
        """`F`: the weight layers with all that stands between them."""

    def projection(self, weight: keras.layers.Layer) -> Layers:
        """A weight layer on the shortcut, with what belongs to it."""
        return [weight, self.norm(name="norm")]

    def exit(self, slot: Slot) -> Layers:
        """`f`: what follows the merge."""
        return []

    def head(self) -> Layers:
        """What stands between the last unit and the network's head."""
        return []

    def classifier(self) -> keras.initializers.Initializer:
        """What the classifier's kernel is at first: as Torch's `Linear`, U(+-1/sqrt(fan_in))."""
        return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


class PostAct(Order):
    """(a) original: conv BN ReLU conv BN, add, ReLU (He et al. 2015).

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.ResNet(depth=8, order=kr.PostAct()))[1]
    >>> row.e, row.F, row.f
    ('id', 'conv3 norm act conv3 norm', 'act')
    """

    def branch(self, weights, slot):
        *inner, last = weights
        layers = [layer for i, weight in enumerate(inner, 1) for layer in (weight, *self.norm_act(i))]
        return [*layers, last, self.norm(name=f"norm{len(weights)}")]

    def exit(self, slot):
        return [self.activation(name="act")]


class BnAfterAdd(Order):
    """(b) BN after addition: conv BN ReLU conv, add, BN ReLU.

    A projection has no norm of its own: like the branch's last weights, it is normalised after the addition.

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.ResNet(depth=8, order=kr.BnAfterAdd()))[1]
    >>> row.e, row.F, row.f
    ('id', 'conv3 norm act conv3', 'norm act')
    """

    def branch(self, weights, slot):
        *inner, last = weights
        return [*(layer for i, weight in enumerate(inner, 1) for layer in (weight, *self.norm_act(i))), last]

    def projection(self, weight):
        return [weight]

    def exit(self, slot):
        return self.norm_act()


class ReluBeforeAdd(Order):
    """(c) ReLU before addition: conv BN ReLU conv BN ReLU, add.

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.ResNet(depth=8, order=kr.ReluBeforeAdd()))[1]
    >>> row.e, row.F, row.f
    ('id', 'conv3 norm act conv3 norm act', 'id')
    """

    def branch(self, weights, slot):
        return [layer for i, weight in enumerate(weights, 1) for layer in (weight, *self.norm_act(i))]


class PreAct(Order):
    """Abstract: activation before weights, with nothing after the addition.

    Where the shape changes, the first pre-activation moves to the unit's entry, so that the shortcut reads it too; in
    the first unit the stem has done it (He et al. 2016, appendix). One pre-activation follows the last addition.

    Example:

    >>> import keras_resunits as kr
    >>> isinstance(kr.FullPreAct(), kr.PreAct), isinstance(kr.PostAct(), kr.PreAct)
    (True, False)
    """

    @property
    def activates_first(self):
        return True

    @abstractmethod
    def pre_activation(self, i: int | str = "") -> Layers:
        """What stands before a weight layer."""

    def post_weight(self, i: int | str = "") -> Layers:
        """What stands after a weight layer; nothing by default."""
        return []

    def shares(self, slot: Slot) -> bool:
        """Whether both paths of a unit read its first pre-activation."""
        return slot.changes_shape

    def entry(self, slot):
        return self.pre_activation() if self.shares(slot) and not slot.activated else []

    def branch(self, weights, slot):
        layers: Layers = []
        for i, weight in enumerate(weights, 1):
            done = i == 1 and (self.shares(slot) or slot.activated)
            layers += [*([] if done else self.pre_activation(i)), weight, *self.post_weight(i)]
        return layers

    def projection(self, weight):
        return [weight, *self.post_weight()]

    def head(self):
        return self.pre_activation()


class ReluOnlyPreAct(PreAct):
    """(d) ReLU-only pre-activation: ReLU conv BN ReLU conv BN, add.

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.PreActResNet(depth=[2, 2, 2], order=kr.ReluOnlyPreAct()))[2]
    >>> row.e, row.F, row.f
    ('id', 'act conv3 norm act conv3 norm', 'id')
    """

    def pre_activation(self, i=""):
        return [self.activation(name=f"act{i}")]

    def post_weight(self, i=""):
        return [self.norm(name=f"norm{i}")]


class FullPreAct(PreAct):
    """(e) full pre-activation: BN ReLU conv BN ReLU conv, add. The identity mappings of the paper's title.

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.PreActResNet(depth=[2, 2, 2], order=kr.FullPreAct()))[2]
    >>> row.e, row.F, row.f
    ('id', 'norm act conv3 norm act conv3', 'id')
    """

    def pre_activation(self, i=""):
        return self.norm_act(i)


class PreActBranch(FullPreAct):
    """Full pre-activation inside the branch alone; the carry stays raw (Huang et al. 2017, DenseNet, sec. 3).

    Example:

    >>> import keras_resunits as kr
    >>> slot = kr.Slot(index=1, total=3, in_filters=16, filters=32, strides=2)
    >>> kr.PreActBranch().entry(slot), len(kr.FullPreAct().entry(slot))
    ([], 2)
    """

    @property
    def raw_stem(self):
        return True

    def shares(self, slot):
        return False


class PreActOnWidening(FullPreAct):
    """Full pre-activation, shared where the filters change, not where the stride alone does (`keras.applications`).

    Example:

    >>> import keras_resunits as kr
    >>> halved = kr.Slot(index=1, total=3, in_filters=16, filters=16, strides=2)
    >>> kr.PreActOnWidening().shares(halved), kr.FullPreAct().shares(halved)
    (False, True)
    """

    def shares(self, slot):
        return slot.in_filters != slot.filters


@register
class Bias(keras.layers.Layer):
    """`x + b` with one trainable scalar `b`, 0 at first (Zhang et al. 2019, Fixup, sec. 3.2).

    Example:

    >>> import numpy as np
    >>> from keras_resunits import Bias
    >>> float(Bias()(np.ones((1, 1)))[0, 0])
    1.0
    """

    def build(self, input_shape):
        self.bias = self.add_weight(shape=(), initializer="zeros", name="bias")

    def call(self, x):
        return x + self.bias

    def compute_output_shape(self, input_shape):
        return input_shape


@register
class Scale(keras.layers.Layer):
    """`s x` with one trainable scalar `s`, 1 at first (Zhang et al. 2019, Fixup, sec. 3.2).

    Example:

    >>> import numpy as np
    >>> from keras_resunits import Scale
    >>> float(Scale()(np.ones((1, 1)))[0, 0])
    1.0
    """

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x):
        return x * self.scale

    def compute_output_shape(self, input_shape):
        return input_shape


def fixup_scalars(model: keras.Model) -> list[keras.Variable]:
    """The scalars of all `Bias` and `Scale` layers of a network, whose rate Fixup divides by ten; often none.

    Args:
        model: A network of the package.

    Example: two biases of the classifier's and the stem's, and five scalars a unit (six where a shortcut has weights)

    >>> import keras_resunits as kr
    >>> len(kr.fixup_scalars(kr.ResNet(depth=8, order="fixup")))
    17
    """
    layers = model._flatten_layers(include_self=False)
    return [layer.weights[0] for layer in layers if isinstance(layer, (Bias, Scale))]


class Fixup(Order):
    """Post-activation without norm: bias conv bias ReLU bias conv scale bias, add, ReLU (Zhang et al. 2019, Fig. 1).

    The last weights of a branch and the classifier are 0 at first, the others He normal times `L^(-1 / (2m - 2))`, `L`
    units of `m` weights each, so that every unit starts as its shortcut. The authors train the scalars at a tenth of
    the rate: `CoupledSGD.scale_learning_rate(fixup_scalars(model), 0.1)`.

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.ResNet(depth=8, order=kr.Fixup()))[1]
    >>> row.F, row.f
    ('bias conv3 bias act bias conv3 scale bias', 'act')
    """

    def norm_act(self, i=""):
        return [Bias(name=f"bias{i}"), self.activation(name=f"act{i}")]

    def entry(self, slot):
        return [Bias(name="bias")] if slot.changes_shape else []  # a shortcut with weights reads the biased input too

    def branch(self, weights, slot):
        *inner, last = weights
        for weight in inner:
            scale = 2.0 * slot.total ** (-1.0 / (len(weights) - 1))  # a variance, the square of Fixup's factor
            _initialize(weight, keras.initializers.VarianceScaling(scale, "fan_out", "untruncated_normal"))
        _initialize(last, keras.initializers.Zeros())
        layers: Layers = [] if slot.changes_shape else [Bias(name="bias0")]
        for i, weight in enumerate(inner, 1):
            layers += [weight, *self.norm_act(i), Bias(name=f"bias{i}b")]
        return [*layers, last, Scale(name="scale"), Bias(name="bias")]

    def projection(self, weight):
        return [weight]

    def exit(self, slot):
        return [self.activation(name="act")]

    def head(self):
        return [Bias(name="bias")]

    def classifier(self):
        return keras.initializers.Zeros()


def _initialize(layer: keras.layers.Layer, initializer: keras.initializers.Initializer) -> None:
    """Give the weights in a layer that is not built yet another initial value, each an initializer of its own."""
    for inner in layer._flatten_layers():
        if hasattr(inner, "kernel_initializer"):
            inner.kernel_initializer = initializer.clone()


@dataclass(frozen=True)
class Wrapped(Order):
    """Another order, with something changed.

    Args:
        order: The other order, or its name.
    """

    order: Order = field(kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.order, Order):
            object.__setattr__(self, "order", resolve("order", self.order, ORDERS, Order))
        if (self.norm, self.activation) != (Order.norm, Order.activation):
            raise ValueError(f"`{type(self).__name__}` takes norm and activation from `order`: give them to that one.")

    @property
    def raw_stem(self):
        return self.order.raw_stem

    @property
    def activates_first(self):
        return self.order.activates_first

    def norm_act(self, i=""):
        return self.order.norm_act(i)

    def stem(self, weight):
        return self.order.stem(weight)

    def entry(self, slot):
        return self.order.entry(slot)

    def branch(self, weights, slot):
        return self.order.branch(weights, slot)

    def projection(self, weight):
        return self.order.projection(weight)

    def exit(self, slot):
        return self.order.exit(slot)

    def head(self):
        return self.order.head()

    def classifier(self):
        return self.order.classifier()


class ZeroGamma(Wrapped):
    """An order whose branches' last norm has `gamma` 0 at first (Goyal et al. 2017, sec. 5.1).

    Every branch then starts at 0, so that every unit starts as its shortcut and `f`.

    Raises:
        ValueError: when asked for a branch that does not end in a norm: without one there is no gamma, and behind
            one a ReLU would see nothing but zeros, and pass no gradient, ever.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.ResNet(depth=8, order=kr.ZeroGamma(order=kr.PostAct()))
    >>> float(model.get_layer("unit000").branch.layers[-1].gamma.numpy().max())
    0.0
    """

    def branch(self, weights, slot):
        layers = self.order.branch(weights, slot)
        if not hasattr(layers[-1], "gamma_initializer"):
            raise ValueError(
                "`ZeroGamma` wants an order whose branches end in a norm, such as 'post_act'. "
                f"Received: order={self.order!r} (unit '{slot.name}')."
            )
        layers[-1].gamma_initializer = keras.initializers.Zeros()
        return layers


@dataclass(frozen=True)
class Initialized(Wrapped):
    """An order whose weight layers start otherwise than He normal over fan-out.

    Args:
        order: The order, or its name.
        kernels: Initial value of the units' kernels, on branches and shortcuts.
        projections: Initial value of those on shortcuts, where it is another.
        stems: Initial value of the stem's kernel; the order's own by default.
        classifiers: Initial value of the classifier's kernel; the order's own by default.

    Example:

    >>> import keras, keras_resunits as kr
    >>> order = kr.Initialized(order=kr.FullPreAct(), kernels=keras.initializers.Orthogonal())
    >>> model = kr.PreActResNet(depth=20, order=order)
    """

    kernels: keras.initializers.Initializer = field(kw_only=True)
    projections: keras.initializers.Initializer | None = field(default=None, kw_only=True)
    stems: keras.initializers.Initializer | None = field(default=None, kw_only=True)
    classifiers: keras.initializers.Initializer | None = field(default=None, kw_only=True)

    def stem(self, weight):
        if self.stems:
            _initialize(weight, self.stems)
        return self.order.stem(weight)

    def branch(self, weights, slot):
        for weight in weights:
            _initialize(weight, self.kernels)
        return self.order.branch(weights, slot)

    def projection(self, weight):
        _initialize(weight, self.projections or self.kernels)
        return self.order.projection(weight)

    def classifier(self):
        return self.classifiers or self.order.classifier()


def fan_in(order: Order) -> Order:
    """He normal over fan-in, untruncated, in all convolutions (the code of Zagoruyko and Komodakis 2016).

    Example:

    >>> import keras_resunits as kr
    >>> unit = kr.PreActResNet(depth=8, order=kr.fan_in(kr.FullPreAct())).get_layer("unit000")
    >>> unit.branch.layers[0].kernel_initializer.mode
    'fan_in'
    """
    he = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
    return Initialized(order=order, kernels=he, stems=he)


def no_norm(name: str) -> keras.layers.Layer:
    """In the place of a norm: nothing. `FullPreAct(norm=no_norm)` is ReLU conv ReLU conv.

    Example:

    >>> import keras_resunits as kr
    >>> kr.no_norm(name="norm1").name
    'norm1'
    """
    return keras.layers.Identity(name=name)


def looks_linear() -> Order:
    """Pre-activation without norm whose rectifiers cancel at first (Balduzzi et al. 2017, sec. 4).

    A network in this order starts as a linear function of its image, with `branch_only` as merge a plain one. What a
    shortcut projects has passed no rectifier: those kernels start orthogonal.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.PlainNet(depth=8, order=kr.looks_linear())
    """
    order = PreActBranch(norm=no_norm, activation=CReLU)
    crossing = keras.initializers.Orthogonal()
    return Initialized(order=order, kernels=LooksLinear(), projections=crossing, classifiers=LooksLinear())


ORDERS = {
    "post_act": PostAct(),
    "bn_after_add": BnAfterAdd(),
    "relu_before_add": ReluBeforeAdd(),
    "relu_only_pre_act": ReluOnlyPreAct(),
    "full_pre_act": FullPreAct(),
    "pre_act_branch": PreActBranch(),
    "pre_act_on_widening": PreActOnWidening(),
    "zero_gamma": ZeroGamma(order=PostAct()),
    "fixup": Fixup(),
    "relu_pre_act": FullPreAct(norm=no_norm),
    "looks_linear": looks_linear(),
}

"""Tails: the layers that end `F`, after its last weights.

A choice of tail is a function `Slot -> [layers]`; `chained` combines several.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from keras_resunits.arguments import (
    checked,
    one_of,
    require_number,
    require_positive_int,
    require_rate,
    require_share,
    resolve,
)
from keras_resunits.layers.nesting import Nest
from keras_resunits.layers.parts import Parts, parts
from keras_resunits.layers.randomness import Dropout, ReplicaSeedGenerator
from keras_resunits.layers.serialization import register
from keras_resunits.layers.words import word
from keras_resunits.units.gates import ScalarGate
from keras_resunits.units.slots import Slot, require_slot

Tail = Callable[[Slot], list[keras.layers.Layer]]


@register
class StochasticDepth(keras.layers.Layer):
    """`b F`, where `b` is 1 with probability `survival` in training and else 0 (Huang et al. 2016, Eq. 2 and 5).

    Args:
        survival: `p`, in (0, 1]. With 1 the layer is the identity.
        scaling: "paper" (default): `b F` in training, `p F` at inference. "inverted": `b F / p` in training, `F` at
            inference, where it costs nothing. In both, the output at inference is the expectation of that in training.
        per: "batch" (default), as in the paper: one draw for all images, so a branch is on or off as a whole. "sample":
            one draw for each image.
        seed: An int. By default drawn from Keras' global generator.

    Raises:
        ValueError: if `survival` is outside (0, 1], or `scaling` or `per` is unknown.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import StochasticDepth
    >>> x = np.ones((4, 2, 2, 1), "float32")
    >>> float(StochasticDepth(0.75)(x)[0, 0, 0, 0]), float(StochasticDepth(0.75, scaling="inverted")(x)[0, 0, 0, 0])
    (0.75, 1.0)
    >>> drawn = np.asarray(StochasticDepth(0.5, per="sample", seed=1)(x, training=True))
    >>> sorted({float(value) for value in drawn.ravel()})
    [0.0, 1.0]
    """

    def __init__(self, survival: float, scaling: str = "paper", per: str = "batch", seed=None, **kwargs):
        super().__init__(**kwargs)
        where = f"layer '{self.name}'"
        self.survival = require_share(survival, "survival", where)
        self.scaling = one_of("paper", "inverted")(scaling, "scaling", where)
        self.per, self.seed = one_of("batch", "sample")(per, "per", where), seed
        self.seed_generator = ReplicaSeedGenerator(seed)

    def call(self, x, training=False):
        if self.survival == 1:
            return x
        if not training:
            return x * self.survival if self.scaling == "paper" else x
        count = ops.shape(x)[0] if self.per == "sample" else 1
        draws = keras.random.uniform((count, *[1] * (len(x.shape) - 1)), seed=self.seed_generator)
        alive = ops.cast(draws < self.survival, x.dtype)
        return x * alive / self.survival if self.scaling == "inverted" else x * alive

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = {"survival": self.survival, "scaling": self.scaling, "per": self.per, "seed": self.seed}
        return {**super().get_config(), **config}


@register
class LayerScale(keras.layers.Layer):
    """`gamma F` with one trainable `gamma` per channel (Touvron et al. 2021, arXiv 2103.17239, Eq. 3).

    Args:
        initial: Initial value of `gamma`. Defaults to 1e-4.

    Raises:
        ValueError: if `initial` is not a finite number.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import LayerScale
    >>> float(LayerScale(0.5)(np.ones((1, 2)))[0, 0])
    0.5
    """

    def __init__(self, initial: float = 1e-4, **kwargs):
        super().__init__(**kwargs)
        self.initial = require_number(initial, "initial", f"layer '{self.name}'")

    @property
    def starts_at_zero(self) -> bool:
        """Whether `gamma` is initialised to 0."""
        return self.initial == 0

    def build(self, input_shape):
        constant = keras.initializers.Constant(self.initial)
        self.gamma = self.add_weight(shape=(input_shape[-1],), initializer=constant, name="gamma")

    def call(self, x):
        return x * self.gamma

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "initial": self.initial}


@register
class SqueezeExcite(Nest):
    """`s F` with one factor per channel, `s = sigmoid(W2 relu(W1 mean(F)))` (Hu et al. 2018, Eq. 2 to 4).

    Args:
        ratio: Factor by which `W1` reduces the channels, to at least one. Defaults to 16.

    Shapes: `[batch, height, width, channels]` to the same.

    Raises:
        ValueError: if `ratio` is not a positive int.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import SqueezeExcite
    >>> SqueezeExcite(ratio=4)(np.ones((1, 2, 2, 8))).shape == (1, 2, 2, 8)
    True
    """

    def __init__(self, ratio: int = 16, **kwargs):
        super().__init__(**kwargs)
        self.ratio = require_positive_int(ratio, "ratio", f"layer '{self.name}'")
        self._quantized: str | None = None  # by `keras.Model.quantize`, which reaches the dense layers

    def build(self, input_shape):
        channels = input_shape[-1]
        narrow, policy = max(channels // self.ratio, 1), self.dtype_policy
        self.pool = keras.layers.GlobalAveragePooling2D("channels_last", name="pool", dtype=policy)
        self.squeeze = keras.layers.Dense(narrow, "relu", name="squeeze", dtype=policy)
        self.excite = keras.layers.Dense(channels, "sigmoid", name="excite", dtype=policy)
        self.squeeze.build((None, channels))
        self.excite.build((None, self.squeeze.units))
        if self._quantized:
            self.squeeze.quantize(self._quantized)
            self.excite.quantize(self._quantized)

    def call(self, x):
        factors = self.excite(self.squeeze(self.pool(x)))  # [batch, channels]: LiteRT runs products of matrices only
        return x * keras.ops.expand_dims(factors, (1, 2))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        mode = self.squeeze.quantization_mode if self.built else self._quantized
        return {**super().get_config(), "ratio": self.ratio, **({"quantized": mode} if mode else {})}

    @classmethod
    def from_config(cls, config):
        made = cls(**{name: value for name, value in config.items() if name != "quantized"})
        made._quantized = config.get("quantized")
        return made


def no_tail(slot: Slot) -> list[keras.layers.Layer]:
    """Add nothing to the end of the branch.

    Example:

    >>> from keras_resunits import Slot, no_tail
    >>> no_tail(Slot(index=0, total=1, in_filters=16, filters=16))
    []
    """
    return []


@checked(slot=require_slot)
def branch_scaling(slot: Slot, factor: float = 0.5) -> list[keras.layers.Layer]:
    """Multiply the branch by a constant (He et al. 2016, Table 1: "frozen gating" with `h(z) = z / 2`).

    Args:
        slot: Slot of the unit.
        factor: The constant. Defaults to 0.5.

    Raises:
        ValueError: if `factor` is not a finite number.

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.ResNet(depth=8, tail=kr.branch_scaling))[1].F
    'conv3 norm act conv3 norm *0.5'
    """
    factor = require_number(factor, "factor", f"branch of unit '{slot.name}'")
    return [keras.layers.Rescaling(factor, name="scale")]


@checked(slot=require_slot)
def residual_gate(slot: Slot, g="relu", initial: float = 1.0) -> list[keras.layers.Layer]:
    """Multiply the branch by a `ScalarGate`, `g(k) F` with `k` initialised to 1 (Savarese et al. 2016).

    Args:
        slot: Slot of the unit.
        g: Activation of the gate. Defaults to "relu".
        initial: Initial value of `k`. Defaults to 1.

    Raises:
        ValueError: if `initial` is not a finite number, or `g` is not a known activation.

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.ResNet(depth=8, tail=kr.residual_gate))[1].F
    'conv3 norm act conv3 norm *relu(k)'
    """
    return [ScalarGate(g, require_number(initial, "initial", f"branch of unit '{slot.name}'"), name="gate")]


def rezero(slot: Slot) -> list[keras.layers.Layer]:
    """Multiply the branch by a scalar, `alpha F` with `alpha` initialised to 0, so that units start as their shortcuts.

    This is ReZero (Bachlechner et al. 2020, Eq. 1), best with the order "relu_before_add". With an order without norm
    it is SkipInit (De and Smith 2020).

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.ResNet(depth=8, order="relu_before_add", tail=kr.rezero))[1].F
    'conv3 norm act conv3 norm act *k'
    """
    return [ScalarGate("linear", initial=0.0, name="gate")]


def layer_scale(slot: Slot, initial: float = 1e-4) -> list[keras.layers.Layer]:
    """Multiply the branch by one trainable factor per channel, with `LayerScale`.

    Args:
        slot: Slot of the unit.
        initial: Initial value of the factors. Defaults to 1e-4.

    Raises:
        ValueError: if `initial` is not a finite number.

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.ResNet(depth=8, tail=kr.layer_scale))[1].F
    'conv3 norm act conv3 norm layer_scale'
    """
    return [LayerScale(initial, name="layer_scale")]


def squeeze_excite(slot: Slot, ratio: int = 16) -> list[keras.layers.Layer]:
    """Multiply the branch by factors computed from its channel means, with `SqueezeExcite`.

    Args:
        slot: Slot of the unit.
        ratio: Factor by which the channels are reduced. Defaults to 16.

    Raises:
        ValueError: if `ratio` is not a positive int.

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.ResNet(depth=8, tail=kr.squeeze_excite))[1].F
    'conv3 norm act conv3 norm squeeze_excite'
    """
    return [SqueezeExcite(ratio, name="squeeze_excite")]


@checked(slot=require_slot)
def stochastic_depth(
    slot: Slot, final_survival: float = 0.5, scaling: str = "paper", per: str = "batch"
) -> list[keras.layers.Layer]:
    """`StochasticDepth` with linear decay, `p_l = 1 - l / L (1 - p_L)` for `l` = 1..L (Huang et al. 2016, Eq. 4).

    Args:
        slot: Slot of the unit: `l` is `slot.index + 1`, `L` is `slot.total`.
        final_survival: `p_L`, in (0, 1]. Defaults to 0.5.
        scaling: "paper" (default) or "inverted".
        per: "batch" (default) or "sample".

    Raises:
        ValueError: if `final_survival` is outside (0, 1], or `scaling` or `per` is unknown.

    Example:

    >>> from keras_resunits import Slot, stochastic_depth
    >>> slots = (Slot(index=i, total=4, in_filters=16, filters=16) for i in range(4))
    >>> [stochastic_depth(slot)[0].survival for slot in slots]
    [0.875, 0.75, 0.625, 0.5]
    """
    final_survival = require_share(final_survival, "final_survival", f"unit '{slot.name}'")
    survival = 1 - (slot.index + 1) / slot.total * (1 - final_survival)
    return [StochasticDepth(survival, scaling, per, name="stochastic_depth")]


@checked(slot=require_slot)
def branch_dropout(slot: Slot, rate: float = 0.2) -> list[keras.layers.Layer]:
    """Apply dropout at the end of the branch (Huang et al. 2017: 0.2 in DenseNets trained without augmentation).

    Args:
        slot: Slot of the unit.
        rate: Fraction of the values that training sets to 0. Defaults to 0.2.

    Raises:
        ValueError: if `rate` is outside [0, 1).

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.ResNet(depth=8, tail=kr.branch_dropout))[1].F
    'conv3 norm act conv3 norm dropout'
    """
    return [Dropout(require_rate(rate, "rate", f"branch of unit '{slot.name}'"), name="dropout")]


def chained(*tails: str | Tail) -> Tail:
    """Combine several tails into one that applies them in order; each is a function or a name.

    Raises:
        ValueError: if a name is unknown.

    Example: a squeeze-and-excite network with stochastic depth

    >>> import keras_resunits as kr
    >>> model = kr.ResNet(depth=8, tail=kr.chained(kr.squeeze_excite, kr.stochastic_depth))
    >>> [layer.name for layer in model.get_layer("unit000").branch.layers][-2:]
    ['squeeze_excite', 'stochastic_depth']
    """
    resolved = [resolve("tail", tail, TAILS, Callable) for tail in tails]
    return lambda slot: [layer for tail in resolved for layer in tail(slot)]


TAILS: dict[str, Tail] = {
    "no_tail": no_tail,
    "branch_scaling": branch_scaling,
    "residual_gate": residual_gate,
    "rezero": rezero,
    "skip_init": rezero,
    "layer_scale": layer_scale,
    "squeeze_excite": squeeze_excite,
    "stochastic_depth": stochastic_depth,
    "branch_dropout": branch_dropout,
}


@word.register
def _(layer: StochasticDepth) -> str:
    return f"alive {layer.survival:.2f}{' inverted' * (layer.scaling == 'inverted')}"


@parts.register
def _(layer: SqueezeExcite, shape) -> Parts:
    batch, channels = shape[0], shape[-1]
    yield from ((layer.pool, shape), (layer.squeeze, (batch, channels)), (layer.excite, (batch, layer.squeeze.units)))

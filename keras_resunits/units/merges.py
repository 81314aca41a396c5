"""Merges: `M`, which joins the two edges of a unit and is linear in them for a fixed `z`.

A choice of merge is a function `Slot -> Merge`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from keras import ops

from keras_resunits.arguments import checked, instance_of, require_layer, require_number
from keras_resunits.layers.forks import forks
from keras_resunits.layers.nesting import Nest
from keras_resunits.layers.parts import Parts, parts
from keras_resunits.layers.serialization import register, revived, serialized
from keras_resunits.layers.series import built
from keras_resunits.layers.words import word
from keras_resunits.units.gates import ScalarGate, gate, require_gate
from keras_resunits.units.slots import Slot, require_slot


class Merge(Nest, ABC):
    """Abstract base class of merges, `M(carry, branch; z)`. Subclasses define the equation in `call`.

    Both edges must have the same shape, since broadcasting would silently change the network. Shapes are checked when
    the layer is built and, as far as sizes are known, when it is called.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import Merge
    >>> class Mean(Merge):
    ...     def call(self, carry, branch, z):
    ...         return (carry + branch) / 2
    >>> x = np.ones((1, 1))
    >>> float(Mean()(x, 3 * x, x)[0, 0])
    2.0
    """

    widens = False
    """Whether the output has more channels than the branch."""

    drops_carry = False
    """Whether nothing of the carry passes, whatever the weights."""

    @property
    def carries_at_first(self) -> bool:
        """Whether any of the carry passes before the first training step."""
        return True

    def build(self, carry_shape, branch_shape, z_shape):
        self.require_one_shape(carry_shape, branch_shape)

    def require_one_shape(self, carry_shape, branch_shape) -> None:
        """Refuse edges whose known sizes differ."""
        pairs = zip(carry_shape, branch_shape, strict=False)
        if len(carry_shape) != len(branch_shape) or any(None not in pair and pair[0] != pair[1] for pair in pairs):
            raise ValueError(
                f"`{type(self).__name__}` requires a shortcut and a branch of the same shape. Received: shortcut "
                f"{tuple(carry_shape)}, branch {tuple(branch_shape)} (in '{self.path}'). Use a shortcut that changes "
                "the shape, such as 'zero_pad' or 'projection'."
            )

    @abstractmethod
    def call(self, carry, branch, z):
        """Return the merged edges."""

    def compute_output_shape(self, carry_shape, branch_shape, z_shape):
        return branch_shape


require_merge = instance_of(Merge, "a `Merge`")


@register
class Add(Merge):
    """`M = carry + branch`, the residual unit (He et al. 2015, Eq. 1).

    Raises:
        ValueError: if the edges differ in shape.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import Add
    >>> x = np.ones((1, 2))
    >>> [float(v) for v in Add()(x, 2 * x, x)[0]]
    [3.0, 3.0]
    """

    def call(self, carry, branch, z):
        self.require_one_shape(carry.shape, branch.shape)
        return carry + branch


@register
class BranchOnly(Merge):
    """`M = branch`: a plain network's layer, written as a unit (He et al. 2015, Fig. 3 middle).

    The output of the shortcut is dropped, whatever its shape. An identity as shortcut costs nothing.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import BranchOnly
    >>> x = np.ones((1, 2))
    >>> [float(v) for v in BranchOnly()(x, 2 * x, x)[0]]
    [2.0, 2.0]
    """

    carries_at_first = False
    drops_carry = True

    def build(self, carry_shape, branch_shape, z_shape):
        """Check nothing, since the carry is dropped."""

    def call(self, carry, branch, z):
        return branch


@register
class Concat(Merge):
    """`M = [carry, branch]`, concatenated along the channels (Huang et al. 2017, DenseNet, Eq. 2).

    Raises:
        ValueError: if the edges differ in more than their channels.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import Concat
    >>> x = np.ones((1, 4, 4, 2))
    >>> Concat()(x, x[..., :1], x).shape == (1, 4, 4, 3)
    True
    """

    widens = True

    def build(self, carry_shape, branch_shape, z_shape):
        self._require_one_size(carry_shape, branch_shape)

    def _require_one_size(self, carry_shape, branch_shape) -> None:
        if tuple(carry_shape[:-1]) != tuple(branch_shape[:-1]):
            raise ValueError(
                "`Concat` requires a shortcut and a branch that differ only in their channels. Received: shortcut "
                f"{tuple(carry_shape)}, branch {tuple(branch_shape)} (in '{self.path}')."
            )

    def call(self, carry, branch, z):
        self._require_one_size(carry.shape, branch.shape)  # sizes unknown when it was built
        return ops.concatenate([carry, branch], axis=-1)

    def compute_output_shape(self, carry_shape, branch_shape, z_shape):
        return (*branch_shape[:-1], carry_shape[-1] + branch_shape[-1])


@register
class Highway(Merge):
    """`M = (1 - T(z)) carry + T(z) branch` (Srivastava et al. 2015, Eq. 3; He et al. 2016, Fig. 2c).

    Args:
        gate: `T`, a layer with outputs in [0, 1] and of the shape of the edges; see `gate`.

    Raises:
        ValueError: if the edges or the gate differ in shape.

    Example: a gate of 1/4

    >>> import keras, numpy as np
    >>> from keras_resunits import Highway
    >>> x = np.ones((1, 1))
    >>> float(Highway(keras.layers.Rescaling(0.25))(4 * x, 8 * x, x)[0, 0])
    5.0
    """

    def __init__(self, gate, **kwargs):
        super().__init__(**kwargs)
        self.gate = require_layer(gate, "gate", f"layer '{self.name}'")

    def build(self, carry_shape, branch_shape, z_shape):
        super().build(carry_shape, branch_shape, z_shape)
        gate_shape = built(self.gate, z_shape)
        if tuple(gate_shape[1:]) != tuple(branch_shape[1:]):
            raise ValueError(
                f"`Highway` requires a gate of the shape of its edges, {tuple(branch_shape)}. Received: gate "
                f"{tuple(gate_shape)} (in '{self.path}')."
            )

    def call(self, carry, branch, z):
        self.require_one_shape(carry.shape, branch.shape)
        transform = self.gate(z)
        return (1.0 - transform) * carry + transform * branch

    def get_config(self):
        return {**super().get_config(), "gate": serialized(self.gate)}

    @classmethod
    def from_config(cls, config):
        return cls(**revived(config, "gate"))


@register
class ScalarHighway(Merge):
    """`M = (1 - g(k)) carry + g(k) branch` with one scalar `k`: a gated plain layer (Savarese et al. 2016, Eq. 3).

    Args:
        gate: A `ScalarGate`. By default `g` is "relu" and `k` is 1, so that initially nothing of the carry passes.

    Raises:
        ValueError: if the edges differ in shape.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import ScalarGate, ScalarHighway
    >>> x = np.ones((1, 1))
    >>> float(ScalarHighway(ScalarGate(initial=0.25))(4 * x, 8 * x, x)[0, 0])
    5.0
    """

    def __init__(self, gate=None, **kwargs):
        super().__init__(**kwargs)
        self.gate = require_gate.or_none(gate, "gate", f"layer '{self.name}'") or ScalarGate(name="gate")

    @property
    def carries_at_first(self) -> bool:
        return self.gate.initial != 1.0

    def build(self, carry_shape, branch_shape, z_shape):
        super().build(carry_shape, branch_shape, z_shape)
        built(self.gate, branch_shape)

    def call(self, carry, branch, z):
        self.require_one_shape(carry.shape, branch.shape)
        carry, again = forks(carry)
        return (carry - self.gate(again)) + self.gate(branch)  # with g = 1 bit for bit the branch, nothing of the carry

    def get_config(self):
        return {**super().get_config(), "gate": serialized(self.gate)}

    @classmethod
    def from_config(cls, config):
        return cls(**revived(config, "gate"))


def add(slot: Slot) -> Merge:
    """Use `Add` in every unit.

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.ResNet(depth=8, merge=kr.add))[1].M
    'add'
    """
    return Add(name="merge")


def branch_only(slot: Slot) -> Merge:
    """Use `BranchOnly` in every unit.

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.ResNet(depth=8, merge=kr.branch_only))[1].M
    'branch_only'
    """
    return BranchOnly(name="merge")


def concat(slot: Slot) -> Merge:
    """Use `Concat` in every unit.

    Example:

    >>> import keras_resunits as kr
    >>> slot = kr.Slot(index=0, total=1, in_filters=16, filters=28)
    >>> recipe = kr.Recipe(kr.growth(), kr.PreActBranch(), kr.identity, merge=kr.concat)
    >>> recipe(slot).compute_output_shape((None, 8, 8, 16))
    (None, 8, 8, 28)
    """
    return Concat(name="merge")


def exclusive_gating(slot: Slot, bias: float = -6.0) -> Merge:
    """Use `Highway` with a 1x1 gate in every unit (He et al. 2016, Fig. 2c).

    Args:
        slot: Slot of the unit.
        bias: Initial bias of the gate. Defaults to -6, the best of Table 1.

    Raises:
        ValueError: if `bias` is not a finite number.

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.ResNet(depth=8, merge=kr.exclusive_gating))[1].M
    'highway(conv1 sigmoid)'
    >>> gate = kr.exclusive_gating(kr.Slot(0, 1, 8, 8)).gate
    >>> float(gate.layers[0].bias_initializer.value)
    -6.0
    """
    return Highway(gate(slot, bias), name="merge")


def highway(slot: Slot, bias: float = -2.0, kernel_size: int = 3) -> Merge:
    """Use `Highway` with a 3x3 transform gate, as large as `H`, in every unit (Srivastava et al. 2015, sec. 3).

    Args:
        slot: Slot of the unit.
        bias: Initial bias of the gate. Defaults to -2; the paper uses -1, -2, -3 for networks of about 10, 20, 30
            layers.
        kernel_size: Kernel size of the gate. Defaults to 3.

    Raises:
        ValueError: if `bias` is not a finite number.

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.HighwayNet(depth=8))[1].M
    'highway(conv3 sigmoid)'
    """
    return Highway(gate(slot, bias, kernel_size), name="merge")


@checked(slot=require_slot)
def scalar_highway(slot: Slot, g="relu", initial: float = 1.0) -> Merge:
    """Use `ScalarHighway` in every unit.

    Args:
        slot: Slot of the unit.
        g: Activation of the gate. Defaults to "relu".
        initial: Initial value of `k`. Defaults to 1.

    Raises:
        ValueError: if `initial` is not a finite number, or `g` is not a known activation.

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.GatedPlainNet(depth=8))[1].M
    'scalar_highway'
    """
    initial = require_number(initial, "initial", f"merge of unit '{slot.name}'")
    return ScalarHighway(ScalarGate(g, initial, name="gate"), name="merge")


MERGES: dict[str, Callable[[Slot], Merge]] = {
    "add": add,
    "branch_only": branch_only,
    "concat": concat,
    "exclusive_gating": exclusive_gating,
    "highway": highway,
    "scalar_highway": scalar_highway,
}


@word.register
def _(layer: Highway) -> str:
    return f"highway({word(layer.gate)})"


@parts.register(Highway)
@parts.register(ScalarHighway)
def _(layer, shape) -> Parts:
    yield from parts(layer.gate, shape)

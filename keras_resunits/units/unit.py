"""The unit: one equation, five slots."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain

import keras

from keras_resunits.arguments import require_bool, require_layer, require_text
from keras_resunits.layers.carries import carried
from keras_resunits.layers.forks import forks
from keras_resunits.layers.modes import in_mode
from keras_resunits.layers.nesting import Nest
from keras_resunits.layers.parts import Parts, parts
from keras_resunits.layers.serialization import register, revived, serialized
from keras_resunits.layers.series import built, output_shape
from keras_resunits.units.merges import Add, require_merge
from keras_resunits.units.slots import Slot, require_slot


@register
class Unit(Nest):
    """A residual unit in its most general form,

        z  = e(x)
        x' = f( M( h(z), F(z); z ) )

    which is He et al. 2016, Eq. 1 and 2 (`y = h(x) + F(x)`, `x' = f(y)`) with a shared entry `e` and any merge `M`.

    A unit holds five concrete layers; which ones is decided by a `Recipe`.

    Args:
        branch: `F`, the residual function: a one-input layer.
        shortcut: `h`, a one-input layer. Defaults to the identity.
        merge: `M`, a `Merge`. Defaults to `Add`.
        entry: `e`, a one-input layer that both paths share. Defaults to the identity.
        exit: `f`, a one-input layer. Defaults to the identity.
        slot: The `Slot` that the unit was made for, or its fields as a dict. A recipe sets it, and surgery keeps it.
            Defaults to `None`, for a unit made by hand.
        origin: Name that the unit had in the network that surgery took it from. Defaults to `None`, for a new unit.
        name: Name of the layer; in the networks of this package its position (`unit007`).

    Shapes: any that the five layers accept; `[batch, height, width, channels]` in the networks of this package.

    Raises:
        ValueError: if the merge refuses the edges, or an argument is not of its type.

    Example:

    >>> import keras, numpy as np
    >>> from keras_resunits import Unit
    >>> unit = Unit(branch=keras.layers.Rescaling(2.0))
    >>> float(unit(np.ones((1, 1)))[0, 0])
    3.0
    """

    def __init__(self, branch, shortcut=None, merge=None, entry=None, exit=None, slot=None, origin=None, **kwargs):
        super().__init__(**kwargs)
        where = f"unit '{self.name}'"
        self.entry = require_layer.or_none(entry, "entry", where) or keras.layers.Identity(name="entry")
        self.shortcut = require_layer.or_none(shortcut, "shortcut", where) or keras.layers.Identity(name="shortcut")
        self.branch = require_layer(branch, "branch", where)
        self.merge = require_merge.or_none(merge, "merge", where) or Add(name="merge")
        self.exit = require_layer.or_none(exit, "exit", where) or keras.layers.Identity(name="exit")
        self.slot = require_slot.or_none(Slot(**slot) if isinstance(slot, dict) else slot, "slot", where)
        self.origin = require_text.or_none(origin, "origin", where)

    def build(self, input_shape):
        z = built(self.entry, input_shape)
        y = built(self.merge, built(self.shortcut, z), built(self.branch, z), z)
        built(self.exit, y)

    def edges(self, x, training: bool | None = None):
        """Return the two edges of the unit before they are merged, for analysis without a second forward pass.

        In training mode the moving statistics move and random layers draw, as in a call of the unit.

        Args:
            x: Input of the unit.
            training: Whether to compute in training mode. Defaults to the mode of the calling layer or model; without
                one, to inference.

        Returns:
            `(z, carry, branch)`, that is `e(x)`, `h(z)` and `F(z)`.

        Raises:
            ValueError: if `training` is not a bool or `None`.

        Example:

        >>> import keras, numpy as np
        >>> from keras_resunits import Unit
        >>> z, carry, branch = Unit(branch=keras.layers.Rescaling(2.0)).edges(np.ones((1, 1)))
        >>> float(carry[0, 0]), float(branch[0, 0])
        (1.0, 2.0)
        """
        training = require_bool.or_none(training, "training", f"unit '{self.name}'")
        return in_mode(training, self._edges, x)

    def _edges(self, x):
        outer, z = forks(self.entry(x))
        return z, self.shortcut(outer), self.branch(z)

    def carried(self, x, z):
        """Return `h(e(x))` with the gates on the way held: they read `z` in place of `e(x)`.

        It is the carry of `edges` where `z` is `e(x)`. The Jacobian with respect to `x` is that of the direct term of
        He et al. 2016, Eq. 5; see `keras_resunits.analysis`.

        Args:
            x: Input of the unit.
            z: What gates read, of the shape of `e(x)`.

        Example:

        >>> import keras, numpy as np
        >>> from keras_resunits import GatedCarry, Unit
        >>> shortcut = GatedCarry(keras.layers.Rescaling(0.25), keras.layers.Identity())
        >>> unit, one = Unit(keras.layers.Identity(), shortcut), np.ones((1, 1))
        >>> float(unit.carried(one, one)[0, 0]), float(unit.carried(2 * one, one)[0, 0])
        (0.75, 1.5)
        """
        return carried(self.shortcut, self.entry(x), z)

    def without_branch(self, x):
        """Return what the unit outputs for `x` where its branch outputs 0, `f(M(h(z), 0; z))`.

        Example:

        >>> import keras, numpy as np
        >>> from keras_resunits import Unit
        >>> float(Unit(branch=keras.layers.Rescaling(2.0)).without_branch(np.ones((1, 1)))[0, 0])
        1.0
        """
        z = self.entry(x)
        shape = output_shape(self.branch, tuple(z.shape))
        return self.exit(self.merge(self.shortcut(z), keras.ops.zeros(shape, z.dtype), z))

    def call(self, x, training=None):
        z, carry, branch = self._edges(x)
        return self.exit(self.merge(carry, branch, z))

    def compute_output_shape(self, input_shape):
        z = output_shape(self.entry, input_shape)
        y = output_shape(self.merge, output_shape(self.shortcut, z), output_shape(self.branch, z), z)
        return output_shape(self.exit, y)

    def get_config(self):
        config = {**super().get_config(), **{slot: serialized(getattr(self, slot)) for slot in _SLOTS}}
        own = {"slot": self.slot and asdict(self.slot), "origin": self.origin}
        return config | {name: value for name, value in own.items() if value is not None}

    @classmethod
    def from_config(cls, config):
        return cls(**revived(config, *_SLOTS))


@parts.register
def _(layer: Unit, shape) -> Parts:
    z = output_shape(layer.entry, shape)
    y = output_shape(layer.merge, output_shape(layer.shortcut, z), output_shape(layer.branch, z), z)
    inside = (parts(inner, z) for inner in (layer.shortcut, layer.branch, layer.merge))
    yield from chain(parts(layer.entry, shape), *inside, parts(layer.exit, y))


def units_of(model: keras.Model) -> list[Unit]:
    """Return the units of a model, in order."""
    return [layer for layer in model.layers if isinstance(layer, Unit)]


_SLOTS = ("entry", "shortcut", "branch", "merge", "exit")

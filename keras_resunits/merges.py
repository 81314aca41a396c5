"""`M`: how the two edges of a unit become one. Each is linear in its edges for a fixed `z`.

A choice of merge is a function `Slot -> Merge`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import keras

from keras_resunits.serialization import register
from keras_resunits.slots import Slot


class Merge(keras.layers.Layer, ABC):
    """Abstract: `M(carry, branch; z)`. Subclasses say the equation in `call`.

    Both edges must have one shape (checked when built), since an addition that broadcasts in silence is a network that
    nobody asked for.
    """

    def build(self, carry_shape, branch_shape, z_shape):
        if tuple(carry_shape) != tuple(branch_shape):
            raise ValueError(
                f"`{type(self).__name__}` wants a shortcut and a branch of one shape. Received: shortcut "
                f"{tuple(carry_shape)}, branch {tuple(branch_shape)} (in '{self.path}'). A shortcut that changes the "
                "shape, such as 'zero_pad' or 'projection', brings them together."
            )

    @abstractmethod
    def call(self, carry, branch, z):
        """The merge's equation."""

    def compute_output_shape(self, carry_shape, branch_shape, z_shape):
        return branch_shape


@register
class Add(Merge):
    """`M = carry + branch`, the residual unit (He et al. 2015, Eq. 1).

    Raises:
        ValueError: when built on edges of different shapes.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import Add
    >>> x = np.ones((1, 2))
    >>> [float(v) for v in Add()(x, 2 * x, x)[0]]
    [3.0, 3.0]
    """

    def call(self, carry, branch, z):
        return carry + branch


@register
class BranchOnly(Merge):
    """`M = branch`: a plain network's layer, written as a unit (He et al. 2015, Fig. 3 middle).

    What the shortcut gives is dropped, whatever its shape; the identity costs nothing.

    Example:

    >>> import numpy as np
    >>> from keras_resunits import BranchOnly
    >>> x = np.ones((1, 2))
    >>> [float(v) for v in BranchOnly()(x, 2 * x, x)[0]]
    [2.0, 2.0]
    """

    def build(self, carry_shape, branch_shape, z_shape):
        """Nothing to check: the carry is dropped."""

    def call(self, carry, branch, z):
        return branch


def add(slot: Slot) -> Merge:
    """`Add`, in every unit."""
    return Add(name="merge")


def branch_only(slot: Slot) -> Merge:
    """`BranchOnly`, in every unit."""
    return BranchOnly(name="merge")

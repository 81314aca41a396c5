"""Residual networks with linear branches written as plain networks."""

from __future__ import annotations

import keras
import numpy as np

from keras_resunits.arguments import checked, require_network
from keras_resunits.layers.arrays import array
from keras_resunits.layers.series import Series, flattened
from keras_resunits.surgery.chains import Part, put_together, take_apart
from keras_resunits.surgery.folding import LINEAR, folded, same
from keras_resunits.surgery.gating import with_slots
from keras_resunits.surgery.policies import in_its_policy
from keras_resunits.units.merges import Add, BranchOnly
from keras_resunits.units.orders.starts import remade
from keras_resunits.units.unit import Unit


@checked(model=require_network)
@in_its_policy
def to_plain(model: keras.Model) -> keras.Model:
    """Return a plain network, without shortcuts, that computes the same as a residual network with linear branches.

    A branch of one convolution and its norm is linear at inference. So is a shortcut that is the identity, option A, a
    1x1 convolution or a constant scaling. Their sum is one convolution, whose centre takes in the shortcut. Norms,
    gates and scalings are folded first.

    Args:
        model: A trained network of the package, such as `ResNet(depth=20, block="single")`.

    Returns:
        A new model for inference: each unit is one convolution with a bias, and `f`. It trains like a plain network.

    Raises:
        ValueError: if a unit does not add, its branch has more than one layer of weights, or its shortcut is not linear
            in each pixel.

    Invariant: at inference, no logit changes by more than 1e-6 of the largest (in float32).

    Example:

    >>> import keras_resunits as kr
    >>> row = kr.describe(kr.surgery.to_plain(kr.ResNet(depth=8, block="single")))[1]
    >>> row.F, row.M
    ('conv3', 'branch_only')
    """
    parts = take_apart(model)
    return put_together(
        parts.with_chain(_plain(folded(part)) if part.is_unit else folded(part) for part in parts.chain)
    )


def _plain(part: Part) -> Part:
    """Return a unit without its shortcut."""
    unit = part.layer
    if isinstance(unit.merge, BranchOnly):
        return part
    leaves = flattened(unit.branch)
    linear = [leaf for leaf in leaves if isinstance(leaf, LINEAR) and leaf.activation is keras.activations.linear]
    if not isinstance(unit.merge, Add) or len(leaves) != 1 or linear != leaves:
        raise _refusal(
            unit,
            f"expected a merge `Add` and one convolution in the branch. Received: {type(unit.merge).__name__} and "
            f"{' '.join(type(leaf).__name__ for leaf in leaves)}",
        )
    (weights,) = leaves
    shape = tuple(unit.entry.compute_output_shape(part.input_shape))
    matrix, shift = _pixelwise(unit, shape)
    branch, merge = Series([remade(weights, use_bias=True)], name="branch"), BranchOnly(name="merge")
    made = with_slots(part, branch=branch, shortcut=keras.layers.Identity(name="shortcut"), merge=merge)
    kernel = array(weights.kernel)
    centre = tuple(side // 2 for side in kernel.shape[:-2])
    kernel[centre] += matrix
    (new,) = flattened(made.layer.branch)
    new.kernel.assign(kernel)
    new.bias.assign((array(weights.bias) if weights.use_bias else 0.0) + shift)
    if not same(unit, made.layer, part.input_shape):
        raise _refusal(unit, f"its shortcut is not linear in each pixel. Received: {type(unit.shortcut).__name__}")
    return made


def _pixelwise(unit: Unit, shape) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix `[channels, filters]` and the shift of a shortcut, read from its outputs for single pixels."""
    channels = shape[-1]
    pixels = np.concatenate([np.zeros((1, channels)), np.eye(channels)]).astype("float32")
    outputs = array(unit.shortcut(pixels.reshape(channels + 1, *[1] * (len(shape) - 2), channels)))
    outputs = outputs.reshape(channels + 1, -1)
    return outputs[1:] - outputs[0], outputs[0]


def _refusal(unit: Unit, problem: str) -> ValueError:
    return ValueError(
        f"`to_plain` requires units that are linear before their exit, such as those of `ResNet(block='single')`: "
        f"{problem} (unit '{unit.name}')."
    )

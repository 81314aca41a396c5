"""One evaluation of a network, with the Jacobians of every part of its units.

A unit is four functions, whose vector-Jacobian products are kept apart (`x' = f(M(h(z), F(z); z))`):

    (z, F)  of x             the branch, and what gates read
    carry   of x, z          h(e(x)); gates read z
    y       of carry, F, z   the merge
    x'      of y             f

The Jacobian of x' through the carry, where branch and gates are held, is that of the direct term (He et al. 2016, Eq.
5); all the rest passes through the branch or a gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_resunits.analysis.chains import Chain
from keras_resunits.layers.arrays import array
from keras_resunits.layers.modes import in_mode
from keras_resunits.layers.pullback import Back, pullback
from keras_resunits.units.unit import Unit


class Parts(NamedTuple):
    """Gradients at the parts of a unit, for one gradient at its output: at `y`, at the branch, and the two at `x`."""

    y: Any
    branch: Any
    carried: Any
    branched: Any


@dataclass(frozen=True)
class Step:
    """A unit's evaluation: its input, edges and outputs, and the products of its four functions."""

    unit: Unit
    x: Any
    z: Any
    carry: Any
    branch: Any
    y: Any
    out: Any
    backs: tuple[Back, Back, Back, Back]

    def back(self, gradient) -> Parts:
        """Return the gradients at the unit's parts."""
        of_edges, of_carry, of_merge, of_exit = self.backs
        (y,) = of_exit(gradient)
        carry, branch, gates = of_merge(y)
        carried, more_gates = of_carry(carry)
        (branched,) = of_edges(gates + more_gates, branch)
        return Parts(y, branch, carried, branched)

    def direct(self, gradient):
        """Return the gradient at `x` through the carry only."""
        _, of_carry, of_merge, of_exit = self.backs
        return of_carry(of_merge(of_exit(gradient)[0])[0])[0]

    def merged_apart(self) -> tuple[Any, Any]:
        """Return the carry and the branch as they enter the sum, with their coefficients."""
        merge, carry, branch, z = self.unit.merge, self.carry, self.branch, self.z
        return merge(carry, ops.zeros_like(branch), z), merge(ops.zeros_like(carry), branch, z)


@dataclass(frozen=True)
class Trace:
    """The evaluation of a network: its units' steps, the logits, and the loss' gradient at the output of the last."""

    steps: tuple[Step, ...]
    logits: Any
    of_logits: Back

    def loss_gradient(self, labels: np.ndarray):
        """Return the gradient of the mean cross-entropy of the images at the output of the last unit."""
        exact = "float64" if keras.backend.standardize_dtype(self.logits.dtype) == "float64" else "float32"
        truth = ops.one_hot(labels, self.logits.shape[-1], dtype=exact)
        return self.of_logits((ops.softmax(ops.cast(self.logits, exact)) - truth) / len(labels))[0]


def traced(chain: Chain, images: np.ndarray, training: bool) -> Trace:
    """Evaluate a network on one batch; no variable of it moves."""
    return in_mode(training, lambda x: _traced(chain, x), ops.convert_to_tensor(images))


def _traced(chain: Chain, images) -> Trace:
    (x,), _ = pullback(lambda images: (chain.before(images),), images)
    steps = []
    for unit in chain.units:
        steps.append(_step(unit, x))
        x = steps[-1].out
    (logits,), of_logits = pullback(lambda x: (chain.logits(x),), x)
    return Trace(tuple(steps), logits, of_logits)


def _step(unit: Unit, x) -> Step:
    def edges(x):
        z = unit.entry(x)
        return z, unit.branch(z)

    (z, branch), of_edges = pullback(edges, x)
    (carry,), of_carry = pullback(lambda x, z: (unit.carried(x, z),), x, z)
    (y,), of_merge = pullback(lambda carry, branch, z: (unit.merge(carry, branch, z),), carry, branch, z)
    (out,), of_exit = pullback(lambda y: (unit.exit(y),), y)
    return Step(unit, x, z, carry, branch, y, out, (of_edges, of_carry, of_merge, of_exit))


def mode_of(chain: Chain, training: bool | None) -> bool:
    """Return the mode; by default training for a network without moved statistics, else inference."""
    if training is not None:
        return training
    means = [each for each in chain.model.non_trainable_variables if each.name == "moving_mean"]
    return bool(means) and not any(ops.convert_to_numpy(ops.any(each != 0)) for each in means)


def norm(tensor) -> float:
    """Return the Euclidean norm of all values."""
    return float(np.linalg.norm(array(tensor)))

"""How much of a logit each unit contributed: an exact sum, by the linearity of what follows a unit for held masks."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_resunits.analysis.chains import Chain, batches, chain_of, require_images
from keras_resunits.analysis.drawing import COLOURS, axes_or_new, finished
from keras_resunits.analysis.progress import progress
from keras_resunits.analysis.records import Record, rows_of
from keras_resunits.analysis.traces import Step, Trace, traced
from keras_resunits.arguments import checked, require_index, require_network
from keras_resunits.layers.arrays import array
from keras_resunits.layers.carries import carried
from keras_resunits.layers.modes import in_mode
from keras_resunits.layers.pullback import pullback
from keras_resunits.layers.series import flattened

CONSTANTS, UNEXPLAINED = "constants", "unexplained"


@dataclass(frozen=True, repr=False)
class Credits(Record):
    """What `credits` returns.

    Args:
        rows: For each source the mean of its credit and of its absolute value, over images and classes.
        arrays: `credits` `[source, image, class]`, whose sum over the sources is `logits` `[image, class]`.
        sources: The names of the sources: "stem", the units, "constants" and "unexplained".
        classes: The classes that the last axis counts.
    """

    sources: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()

    def plot(self, ax=None):
        """Draw the mean absolute credit of every source as bars.

        Args:
            ax: Matplotlib axes. Defaults to those of a new figure.

        Returns:
            The axes.
        """
        ax = axes_or_new(ax)
        sizes = [row["absolute"] for row in self.rows]
        ax.bar(range(len(sizes)), sizes, color=COLOURS[0])
        step = max(1, len(sizes) // 12)
        shown = [i for i in range(len(sizes)) if i % step == 0 or i >= len(sizes) - 2]
        names = [self.sources[i].removeprefix("unit") for i in shown]
        ax.set_xticks(shown, names, rotation=45, ha="right", rotation_mode="anchor")
        return finished(ax, "Credits of the logits", "source", "mean absolute credit", legend=False)


@checked(model=require_network)
def credits(model: keras.Model, images, classes=None) -> Credits:
    """Attribute every logit to the stem's output, to each unit's branch and to constants; the sum is the logit.

    For one image, with its rectifiers and gates held, the network is linear in the branches' outputs. So a logit is
    the sum of each branch's output times the gradient through the carries behind it. Biases and statistics on this way
    are "constants". What layers without weights add, 0 for rectifiers but not for ELU, is "unexplained". The network
    is evaluated at inference.

    Args:
        model: A network of the package with its classifier. Logits are those before a softmax.
        images: `[images, height, width, channels]`, as the model takes them.
        classes: Classes whose logits are attributed, ints. Defaults to all.

    Raises:
        ValueError: if no unit of the network carries anything past its branch, a class is unknown, or the model or the
            images do not fit.

    Example:

    >>> import numpy as np, keras_resunits as kr
    >>> model = kr.ResNet(depth=8)
    >>> images = np.random.default_rng(0).normal(size=(2, 32, 32, 3))
    >>> found = kr.analysis.credits(model, images)
    >>> bool(np.allclose(found.arrays["credits"].sum(0), found.arrays["logits"], atol=1e-5))
    True
    """
    chain = chain_of(model, "credits")
    images = require_images(images, model, "credits")
    if all(unit.merge.drops_carry for unit in chain.units):
        raise ValueError(
            f"`credits` requires a network with shortcuts. Received: '{model.name}', whose units drop their carry, so "
            "that every logit is due to the last unit."
        )
    if classes is None:
        classes = range(chain.classes)
    classes = require_index.each(classes, "classes", "credits")
    if not classes or max(classes) >= chain.classes:
        raise ValueError(
            f"`classes` must be classes of the network, 0 to {chain.classes - 1}. "
            f"Received: classes={classes} (credits)."
        )
    parts = [_credited(chain, some, classes) for some, _ in progress(list(batches(images, images)), "credits: batch")]
    found, logits = (np.concatenate(each, axis) for each, axis in zip(zip(*parts, strict=True), (1, 0), strict=True))
    sources = ("stem", *chain.names, CONSTANTS, UNEXPLAINED)
    rows = rows_of(sources, "source", mean=found.mean((1, 2)), absolute=np.abs(found).mean((1, 2)))
    return Credits(rows, {"credits": found, "logits": logits}, sources, classes)


def _credited(chain: Chain, images: np.ndarray, classes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return `([source, image, class], [image, class])` for a batch."""
    trace = traced(chain, images, training=False)
    return in_mode(False, lambda logits: _walked(chain, trace, classes, logits), trace.logits)


def _walked(chain: Chain, trace: Trace, classes: tuple[int, ...], logits) -> tuple[np.ndarray, np.ndarray]:
    head = [leaf for layer in chain.head for leaf in flattened(layer)]
    ends = _leaves(head, trace.steps[-1].out)
    (scores,), of_scores = pullback(lambda x: (chain.scores(x),), _value(ends, trace.steps[-1].out))
    exits = [_leaves(flattened(step.unit.exit), step.y) for step in trace.steps]
    carries = [_carry_leaves(step) for step in trace.steps]
    found = np.zeros((len(trace.steps) + 3, len(logits), len(classes)))
    for c, which in enumerate(progress(classes, "credits: class")):
        gradient = ops.one_hot(np.full(len(logits), which), chain.classes, dtype=scores.dtype)
        rests = _Rests(len(logits))
        gradient = rests.through(gradient, scores, _value(ends, trace.steps[-1].out), of_scores, CONSTANTS)
        gradient = rests.along(ends, gradient)
        for i in reversed(range(len(trace.steps))):
            step = trace.steps[i]
            gradient, of_branch, _ = step.backs[2](rests.along(exits[i], gradient))
            found[i + 1, :, c] = _dot(of_branch, step.branch)
            gradient = rests.along(carries[i], gradient)
        found[0, :, c] = _dot(gradient, trace.steps[0].x)
        found[-2:, :, c] = rests.sums[CONSTANTS], rests.sums[UNEXPLAINED]
    return found, array(scores)[:, list(classes)]


class _Leaf:
    """A layer on the way, evaluated: its input, output and Jacobian, and what its rest is called."""

    def __init__(self, layer: keras.layers.Layer, x):
        self.x = x
        (self.y,), self.back = pullback(lambda x: (carried(layer, x, self.x),), x)
        self.kind = CONSTANTS if layer.weights else UNEXPLAINED


def _leaves(layers, x) -> list[_Leaf]:
    """Evaluate layers in a series."""
    found = []
    for layer in layers:
        found.append(_Leaf(layer, x))
        x = found[-1].y
    return found


def _carry_leaves(step: Step) -> list[_Leaf]:
    return _leaves([*flattened(step.unit.entry), *flattened(step.unit.shortcut)], step.x)


def _value(leaves: list[_Leaf], x):
    return leaves[-1].y if leaves else x


class _Rests:
    """Sums, for each image, of what layers add to the product of their Jacobian and their input."""

    def __init__(self, images: int):
        self.sums = {CONSTANTS: np.zeros(images), UNEXPLAINED: np.zeros(images)}

    def along(self, leaves: list[_Leaf], gradient):
        """Return the gradient before some layers."""
        for leaf in reversed(leaves):
            gradient = self.through(gradient, leaf.y, leaf.x, leaf.back, leaf.kind)
        return gradient

    def through(self, gradient, y, x, back, kind: str):
        """Return the gradient at `x` for the one at `y`, and add the rest `g . (y - J x)`."""
        (before,) = back(gradient)
        self.sums[kind] += _dot(gradient, y) - _dot(before, x)
        return before


def _dot(a, b) -> np.ndarray:
    """Return the inner products, one for each image."""
    return (array(a) * array(b)).reshape(len(a), -1).sum(1)

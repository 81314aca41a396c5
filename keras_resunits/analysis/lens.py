"""What the classifier already sees behind every unit (Jastrzebski et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_resunits.analysis.chains import Chain, chain_of, require_images, require_labels
from keras_resunits.analysis.drawing import COLOURS, axes_or_new, finished, name_units
from keras_resunits.analysis.importance import TRACED
from keras_resunits.analysis.progress import progress
from keras_resunits.analysis.records import Record, rows_of
from keras_resunits.analysis.scoring import wrong_and_loss
from keras_resunits.analysis.traces import Trace, traced
from keras_resunits.arguments import checked, require_network
from keras_resunits.layers.arrays import array
from keras_resunits.layers.modes import in_mode


@dataclass(frozen=True, repr=False)
class Lens(Record):
    """What `lens` returns: a row for each unit's input, and one for the output of the last unit, `end`.

    Args:
        rows, arrays: `accuracy` and `loss` of the head there, and `cosine`, the mean cosine of the unit's branch and
            -dE/dx; NaN, `None` in rows, where they are not defined.
    """

    def plot(self, ax=None):
        """Draw the accuracy behind every unit, and on a second axis the cosine.

        Args:
            ax: Matplotlib axes. Defaults to those of a new figure.

        Returns:
            The axes.
        """
        ax = axes_or_new(ax)
        names = [row["unit"] for row in self.rows]
        ax.plot(100 * self.arrays["accuracy"], color=COLOURS[0], marker=".", label="accuracy")
        other = ax.twinx()
        other.plot(self.arrays["cosine"], color=COLOURS[1], linestyle="--", marker=".", label="cos(F, -dE/dx)")
        other.set_ylabel("cosine")
        other.spines["top"].set_visible(False)
        name_units(ax, names)
        finished(ax, "The head behind every unit's input", "unit", "accuracy, %", legend=False)
        ax.legend(handles=[*ax.lines, *other.lines], fontsize=8, frameon=False, loc="upper left")
        return ax


@checked(model=require_network)
def lens(model: keras.Model, images, labels) -> Lens:
    """Measure the accuracy of the network's own head behind every unit, and whether branches descend the loss.

    The head reads `x_l` through the carries of the later units, without their branches: directly where these keep the
    shape. A branch that moves `x_l` along -dE/dx_l has a cosine above 0 (Jastrzebski et al. 2018, sec. 3). The network
    is evaluated at inference.

    Args:
        model: A network of the package with its classifier; it does not change.
        images: `[images, height, width, channels]`, as the model takes them.
        labels: A class for each image, ints.

    Raises:
        ValueError: if the model, the images or the labels do not fit.

    Example:

    >>> import numpy as np, keras_resunits as kr
    >>> images, labels = np.random.default_rng(0).normal(size=(8, 32, 32, 3)), np.arange(8)
    >>> [row["unit"] for row in kr.analysis.lens(kr.PreActResNet(depth=8), images, labels).rows]
    ['unit000', 'unit001', 'unit002', 'end']
    """
    chain = chain_of(model, "lens")
    images = require_images(images, model, "lens")
    labels = require_labels(labels, len(images), chain.classes, "lens")
    sums = np.zeros((3, len(chain.units) + 1))
    for i in progress(range(0, len(images), TRACED), "lens: batch"):
        sums += _of_batch(chain, images[i : i + TRACED], labels[i : i + TRACED])
    wrong, loss, cosine = sums / len(images)
    arrays = {"accuracy": 1 - wrong, "loss": loss, "cosine": cosine}
    return Lens(rows_of([*chain.names, "end"], "unit", **arrays), arrays)


def _of_batch(chain: Chain, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the sums over a batch of wrong answers, losses and cosines, at every unit's input and at the end."""
    trace = traced(chain, images, training=False)
    found = np.full((3, len(trace.steps) + 1), np.nan)
    found[2, :-1] = _cosines(trace, labels)
    reached = [*(step.x for step in trace.steps), trace.steps[-1].out]
    for i in reversed(range(len(reached))):
        if i < len(trace.steps) and not chain.skippable(i):
            break
        found[:2, i] = wrong_and_loss(in_mode(False, lambda x, i=i: _read(chain, i, x), reached[i]), labels).sum(0)
    return found


def _read(chain: Chain, i: int, x) -> np.ndarray:
    for j in range(i, len(chain.units)):
        x = chain.skipped(j, x)
    return ops.convert_to_numpy(chain.logits(x))


def _cosines(trace: Trace, labels: np.ndarray) -> np.ndarray:
    """Return the sum over images of cos(F, -dE/dx) for every unit whose branch has the shape of its input."""
    gradient, found = trace.loss_gradient(labels), np.full(len(trace.steps), np.nan)
    for i in reversed(range(len(trace.steps))):
        step = trace.steps[i]
        parts = step.back(gradient)
        gradient = parts.carried + parts.branched
        if tuple(step.branch.shape) == tuple(step.x.shape):
            a, b = (array(each).reshape(len(labels), -1) for each in (step.branch, gradient))
            sizes = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
            found[i] = -((a * b).sum(1) / np.maximum(sizes, np.finfo("float64").tiny)).sum()
    return found

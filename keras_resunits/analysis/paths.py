"""A residual network as many paths: the gradient by the number of branches that a path takes (Veit et al. 2016)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras
import numpy as np

from keras_resunits.analysis.chains import chain_of, require_images, require_labels
from keras_resunits.analysis.drawing import COLOURS, axes_or_new, finished
from keras_resunits.analysis.progress import progress
from keras_resunits.analysis.records import Record, rows_of
from keras_resunits.analysis.traces import Trace, mode_of, norm, traced
from keras_resunits.arguments import checked, require_bool, require_index, require_network, require_positive_int


@dataclass(frozen=True, repr=False)
class Paths(Record):
    """What `paths` returns: a row for each length `k`, the number of branches on a path, from 0 to the units `L`.

    Args:
        rows, arrays: `norm`, of the gradient at the first unit's input through all paths of length `k`; `share`, over
            the sum of the norms; `binomial`, the share of paths of this length, Binomial(L, 1/2). Where paths were
            sampled, also `sampled`, Veit's estimate of the gradient's size, and `sampled_share`. `arrays["gradients"]`
            is `[length, image, ...]`: their sum over the lengths is the gradient.
        effective_length: Mean length, weighted by the norms. Like the shares, it is NaN where the gradient is 0.
        sampled_length: The same, weighted by Veit's estimates; `None` where no paths were sampled.
        training: Whether the network was evaluated in training mode.
    """

    effective_length: float = 0.0
    sampled_length: float | None = None
    training: bool = False

    def plot(self, ax=None):
        """Draw the share of the gradient by path length, and the share of paths.

        Args:
            ax: Matplotlib axes. Defaults to those of a new figure.

        Returns:
            The axes.
        """
        ax = axes_or_new(ax)
        lengths = range(len(self.rows))
        ax.bar(lengths, self.arrays["share"], color=COLOURS[0], label=f"gradient, mean {self.effective_length:.1f}")
        ax.plot(lengths, self.arrays["binomial"], color=COLOURS[6], label="number of paths", linestyle="--")
        if self.sampled_length is not None:
            label = f"sampled (Veit et al.), mean {self.sampled_length:.1f}"
            ax.plot(lengths, self.arrays["sampled_share"], color=COLOURS[1], label=label)
        return finished(ax, "Gradient by path length", "branches on the path", "share")


@checked(
    model=require_network,
    sampled=require_positive_int.or_none,
    training=require_bool.or_none,
    seed=require_index,
)
def paths(
    model: keras.Model, images, labels, sampled: int | None = None, training: bool | None = None, seed: int = 0
) -> Paths:
    """Decompose the gradient at the first unit's input by path length, exactly.

    A unit passes a gradient through its carry or through its branch, so a network of `L` units has `2^L` paths. The sum
    over all paths with `k` branches follows from the unit behind: paths of `k` branches take the carry after `k`, or
    the branch after `k - 1`. What passes a gate counts as branch. It takes about `L^2` backward passes of a unit.

    Args:
        model: A network of the package with its classifier.
        images: `[images, height, width, channels]`, as the model takes them; they form one batch.
        labels: A class for each image, ints.
        sampled: Paths of each length to sample for the estimator of Veit et al. 2016, sec. 4.3: the number of paths
            times the mean norm of single paths. It ignores that paths cancel. Defaults to none.
        training: As for `propagation`.
        seed: Seed of the samples. Defaults to 0.

    Raises:
        ValueError: if the model is not a chain of units and a classifier, or images or labels do not fit it.

    Example: in a plain network only the longest path is left

    >>> import numpy as np, keras_resunits as kr
    >>> images = np.random.default_rng(0).normal(size=(4, 32, 32, 3))
    >>> [round(row["share"], 3) for row in kr.analysis.paths(kr.PlainNet(depth=8), images, [0, 1, 2, 3]).rows]
    [0.0, 0.0, 0.0, 1.0]
    """
    chain = chain_of(model, "paths")
    images = require_images(images, model, "paths")
    labels = require_labels(labels, len(images), chain.classes, "paths")
    training = mode_of(chain, training)
    trace = traced(chain, images, training)
    gradients = _by_length(trace, labels)
    count = len(chain.units)
    arrays = {"norm": np.array([norm(each) for each in gradients]), "binomial": _binomial(count)}
    arrays["share"] = _shares(arrays["norm"])
    if sampled:
        sizes = _sampled(trace, labels, sampled, np.random.default_rng(seed))
        arrays["sampled"] = sizes * _binomial(count) * 2.0**count
        arrays["sampled_share"] = _shares(arrays["sampled"])
    rows = rows_of([str(k) for k in range(count + 1)], "length", **arrays)
    lengths = np.arange(count + 1)
    arrays["gradients"] = np.stack([keras.ops.convert_to_numpy(each) for each in gradients])
    return Paths(
        rows,
        arrays,
        float(arrays["share"] @ lengths),
        float(arrays["sampled_share"] @ lengths) if sampled else None,
        training,
    )


def _shares(sizes: np.ndarray) -> np.ndarray:
    """Return sizes over their sum; NaN where all are 0.

    >>> _shares(np.array([1.0, 3.0])).tolist(), _shares(np.zeros(2)).tolist()
    ([0.25, 0.75], [nan, nan])
    """
    return sizes / sizes.sum() if sizes.any() else np.full_like(sizes, np.nan)


def _binomial(count: int) -> np.ndarray:
    """Return the shares of paths of each length.

    >>> _binomial(2).tolist()
    [0.25, 0.5, 0.25]
    """
    return np.array([math.comb(count, k) / 2**count for k in range(count + 1)])


def _by_length(trace: Trace, labels: np.ndarray) -> list:
    """Return the gradients at the first unit's input through all paths of each length."""
    found = [trace.loss_gradient(labels)]
    for step in progress(list(reversed(trace.steps)), "paths: unit"):
        parts = [step.back(gradient) for gradient in found]
        carried, branched = [each.carried for each in parts], [each.branched for each in parts]
        found = [carried[0], *(c + b for c, b in zip(carried[1:], branched, strict=False)), branched[-1]]
    return found


def _sampled(trace: Trace, labels: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return the mean norm of single paths of each length."""
    count, start = len(trace.steps), trace.loss_gradient(labels)
    sizes = np.zeros(count + 1)
    for k in progress(range(count + 1), "paths: sampled length"):
        for _ in range(samples):
            taken, gradient = set(rng.choice(count, k, replace=False)), start
            for i in reversed(range(count)):
                step = trace.steps[i]
                gradient = step.back(gradient).branched if i in taken else step.direct(gradient)
            sizes[k] += norm(gradient) / samples
    return sizes

"""How signal and gradient pass the units of a network (He et al. 2016, sec. 2 and 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from keras_resunits.analysis.chains import chain_of, require_images, require_labels
from keras_resunits.analysis.drawing import COLOURS, axes_or_new, finished, panels
from keras_resunits.analysis.progress import progress
from keras_resunits.analysis.records import Record, rows_of
from keras_resunits.analysis.traces import Step, mode_of, norm, traced
from keras_resunits.arguments import checked, require_bool, require_mapping, require_network
from keras_resunits.layers.arrays import array


@dataclass(frozen=True, repr=False)
class Propagation(Record):
    """What `propagation` returns: a row for each unit's input `x_l`, and one for the output of the last unit, `end`.

    Args:
        rows, arrays: `rms` of `x_l`; `ratio`, the norm of `F` over that of `h` as both enter the sum; `below_zero`, the
            share of values below 0 before `f`; the norms `gradient` of dE/dx_l, `direct` of its direct term, `branches`
            of the rest, and `predicted`, the product of Eq. 8. Missing values are NaN, `None` in rows.
        training: Whether the network was evaluated in training mode.
    """

    training: bool = False

    def plot(self, ax=None):
        """Draw the gradient at every unit over that at the end, solid, and its direct term, dashed.

        Args:
            ax: Matplotlib axes. Defaults to those of a new figure.

        Returns:
            The axes.
        """
        ax = axes_or_new(ax)
        for name, label, style, colour in (
            ("gradient", "gradient dE/dx", "-", COLOURS[0]),
            ("direct", "its direct term", "--", COLOURS[1]),
        ):
            values = np.maximum(_share(self, name), _FAR_BELOW)  # a line to 0 leaves the picture
            ax.plot(range(len(values)), values, style, color=colour, label=label, marker="." * (len(values) < 12))
        ax.set_yscale("log")
        ax.set_ylim(bottom=max(_shown(self).min(initial=1.0) / 2, _LOWEST))
        return finished(ax, "Gradient by unit", "unit", "norm over that at the end")


@checked(model=require_network, training=require_bool.or_none)
def propagation(model: keras.Model, images, labels, training: bool | None = None) -> Propagation:
    """Measure how signal and gradient pass every unit.

    With `x_{l+1} = h(x_l) + F(x_l)` the gradient is a direct term, in which only the carries are differentiated, and
    terms through the branches (He et al. 2016, Eq. 5). For identity mappings the direct term is dE/dx_L itself; for
    carries with factors it is that times their product (Eq. 8). Gates are held in the direct term.

    The loss is the mean cross-entropy of the images, which form one batch; norms are Euclidean, over the whole batch.

    Args:
        model: A network of the package with its classifier.
        images: `[images, height, width, channels]`, as the model takes them.
        labels: A class for each image, ints.
        training: Whether batch statistics normalise, as in training. By default they do where no moving statistics have
            moved yet, since an untrained network explodes in inference. Nothing of the model changes.

    Raises:
        ValueError: if the model is not a chain of units and a classifier, or images or labels do not fit it.

    Example: the direct term of a pre-activation unit is 1

    >>> import numpy as np, keras_resunits as kr
    >>> images = np.random.default_rng(0).normal(size=(4, 32, 32, 3))
    >>> found = kr.analysis.propagation(kr.PreActResNet(depth=14), images, [0, 1, 2, 3]).arrays
    >>> bool(np.isclose(found["direct"][-2], found["gradient"][-1]))
    True
    """
    chain = chain_of(model, "propagation")
    images = require_images(images, model, "propagation")
    labels = require_labels(labels, len(images), chain.classes, "propagation")
    training = mode_of(chain, training)
    trace = traced(chain, images, training)
    total = direct = trace.loss_gradient(labels)
    end = norm(total)
    found = [{"gradient": end, "direct": end, "branches": 0.0, "predicted": end, **_signal(trace.steps[-1].out)}]
    for step in progress(trace.steps[::-1], "propagation: unit"):
        parts = step.back(total)
        factor = norm(parts.carried) / max(norm(parts.y), np.finfo("float64").tiny)
        total, direct = parts.carried + parts.branched, step.direct(direct)
        found.append(
            {
                "gradient": norm(total),
                "direct": norm(direct),
                "branches": norm(total - direct),
                "predicted": found[-1]["predicted"] * factor,
                **_signal(step.x),
                **_edges(step),
            }
        )
    columns = ("rms", "ratio", "below_zero", "gradient", "direct", "branches", "predicted")
    arrays = {name: np.array([each.get(name, np.nan) for each in reversed(found)]) for name in columns}
    return Propagation(rows_of([*chain.names, "end"], "unit", **arrays), arrays, training)


def _signal(x) -> dict[str, float]:
    return {"rms": float(np.sqrt(np.square(array(x)).mean()))}


def _edges(step: Step) -> dict[str, float]:
    carry, branch = (norm(edge) for edge in step.merged_apart())
    return {"ratio": branch / carry if carry else np.nan, "below_zero": float((array(step.y) < 0).mean())}


@dataclass(frozen=True, repr=False)
class Comparison(Record):
    """What `compare` returns.

    Args:
        rows: The rows of all networks, with the network's name.
        arrays: Arrays of all networks, named `name/array`.
        networks: The `Propagation` of each network, by name.
    """

    networks: Mapping[str, Propagation] = None  # type: ignore[assignment]

    def plot(self, ax=None):
        """Draw the networks side by side: the gradient by unit on one logarithmic axis, and its direct term, dashed.

        Args:
            ax: A sequence of axes, one for each network. Defaults to those of a new figure.

        Returns:
            The axes of the first network.
        """
        axes = panels(len(self.networks)) if ax is None else list(ax)
        for i, (each, (name, found)) in enumerate(zip(axes, self.networks.items(), strict=True)):
            found.plot(each)
            each.set_title(name, fontsize=10, parse_math=False)
            if i:
                each.set_ylabel("")
                each.get_legend().remove()
        shown = np.concatenate([_shown(found) for found in self.networks.values()])
        lowest, highest = shown.min(initial=1.0), shown.max(initial=1.0)
        axes[0].set_ylim(max(lowest / 2, _LOWEST), 2 * highest)  # all share it: the first fixed it for itself
        return axes[0]


_LOWEST, _FAR_BELOW = 1e-8, 1e-30
"""The bottom of the logarithmic axis, and what is drawn for 0."""


def _share(found: Propagation, name: str) -> np.ndarray:
    """A gradient's norm at every unit over that at the end; 0 where that is 0."""
    return found.arrays[name] / (found.arrays["gradient"][-1] or 1.0)


def _shown(found: Propagation) -> np.ndarray:
    """The values above 0 that a picture shows."""
    shares = np.concatenate([_share(found, name) for name in ("gradient", "direct")])
    return shares[shares > 0]


@checked(models=require_mapping, training=require_bool.or_none)
def compare(models: Mapping[str, keras.Model], images, labels, training: bool | None = None) -> Comparison:
    """Measure `propagation` in several networks, to draw them side by side.

    Args:
        models: Networks of the package by the names in the picture.
        images, labels, training: As for `propagation`.

    Raises:
        ValueError: as `propagation`, with the network's name, or if there are no models.

    Example:

    >>> import numpy as np, keras_resunits as kr
    >>> nets = {"plain": kr.PlainNet(depth=8), "residual": kr.ResNet(depth=8)}
    >>> found = kr.analysis.compare(nets, np.random.default_rng(0).normal(size=(4, 32, 32, 3)), [0, 1, 2, 3])
    >>> float(found.networks["plain"].arrays["direct"][0])
    0.0
    """
    if not models:
        raise ValueError("`models` must hold at least one network. Received: none (compare).")
    found = {}
    for name, model in models.items():
        try:
            found[name] = propagation(model, images, labels, training)
        except ValueError as error:
            raise ValueError(f"`models[{name!r}]`: {error}") from error
    rows = [{"network": name, **row} for name, each in found.items() for row in each.rows]
    arrays = {f"{name}/{key}": values for name, each in found.items() for key, values in each.arrays.items()}
    return Comparison(rows, arrays, found)

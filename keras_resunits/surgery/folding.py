"""Norms, gates and scalings folded into the weights before them; a Keras model comes out.

`keras_resunits.serving` folds the traced graph of an export, on TensorFlow, and takes more away there: it also moves
scales through sums. Here the result is a network of the package that every backend runs and that can be trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_resunits.arguments import checked, require_network
from keras_resunits.layers.arrays import array
from keras_resunits.layers.nesting import inside
from keras_resunits.layers.series import Series, flattened
from keras_resunits.surgery.affine import affine
from keras_resunits.surgery.chains import Part, put_together, take_apart
from keras_resunits.surgery.copies import carry, inner_layers, weights_of

LINEAR = (keras.layers.Conv2D, keras.layers.Dense)
CLOSE, CLOSE_IN_16_BITS = 1e-5, 0.1
"""The largest difference on random numbers that counts as none, relative to the largest value."""
SIDE = 8
"""Height and width of random images where the network takes any."""


@checked(model=require_network)
def fold(model: keras.Model) -> keras.Model:
    """Return a network in which norms, gates and scalings are a part of the weights before them.

    Batch normalisation, scalar gates, `LayerScale`, `StochasticDepth`, constant scaling and Fixup's scalars behind a
    convolution or dense layer are folded into its kernel and bias. Scales also pass a ReLU. Those behind an addition or
    before a padded convolution remain, such as the first norm of a pre-activation unit.

    Args:
        model: A trained network of the package.

    Returns:
        A new model for inference. It has fewer layers, and convolutions with biases. In training mode it is another
        network: without those norms, gates, dropout between a convolution and its norm, and stochastic depth.

    Raises:
        ValueError: if the model is not a chain with units, or a folded layer would compute something else.

    Invariant: at inference, no logit changes by more than 1e-6 of the largest (in float32).

    Example:

    >>> import keras_resunits as kr
    >>> kr.describe(kr.surgery.fold(kr.ResNet(depth=8)))[1].F
    'conv3 act conv3'
    """
    parts = take_apart(model)
    return put_together(parts.with_chain(folded(part) for part in parts.chain))


def folded(part: Part) -> Part:
    """Return a layer with the norms, gates and scalings inside its series folded."""
    layer = part.layer
    paths = {id(inner): path for path, inner in inner_layers(layer).items()}
    changed = _Changes()
    for series in _outermost_series(layer):
        changed.add(flattened(series), paths)
    if not changed.dropped:
        return part
    config = changed.applied(keras.saving.serialize_keras_object(layer)["config"], "")
    made = type(layer).from_config(config)
    made.build(part.input_shape)
    source: dict[str, Any] = {**weights_of(layer), **changed.values}
    if lost := carry(source, made):
        raise ValueError(f"layer '{layer.name}' cannot be folded: weight '{lost[0]}' is new.")
    if not same(layer, made, part.input_shape):
        raise ValueError(
            f"layer '{layer.name}' cannot be folded: afterwards it would compute something else. `fold` requires "
            f"convolutions and norms that compute what Keras' do. Received: {_classes(layer)}."
        )
    return Part(made, part.input_shape)


def same(old: keras.layers.Layer, new: keras.layers.Layer, shape) -> bool:
    """Whether two layers compute the same of random numbers at inference, up to rounding."""
    sides = [side or SIDE for side in shape[1:]]
    x = np.random.default_rng(0).normal(size=(2, *sides)).astype("float32")
    expected, got = array(old(x)), array(new(x))
    close = CLOSE_IN_16_BITS if "16" in old.compute_dtype else CLOSE
    return bool(np.abs(got - expected).max() <= close * np.abs(expected).max())


def _classes(layer: keras.layers.Layer) -> str:
    return ", ".join(sorted({type(leaf).__name__ for leaf in layer._flatten_layers() if not isinstance(leaf, Series)}))


def _outermost_series(layer: keras.layers.Layer) -> Iterator[Series]:
    """Yield the series inside a layer, but not those directly in another series, of which they are a part."""
    if isinstance(layer, Series):
        yield layer
    for inner in flattened(layer) if isinstance(layer, Series) else inside(layer):
        yield from _outermost_series(inner)


@dataclass
class _Changes:
    """What folding changes in a layer: the layers that go, and the kernels and biases that take them in."""

    dropped: set[str] = field(default_factory=set)
    biased: set[str] = field(default_factory=set)
    values: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, leaves: list[keras.layers.Layer], paths: dict[int, str]) -> None:
        """Fold a sequence of layers."""
        weights, rectified = None, False
        idle: list[keras.layers.Layer] = []
        for leaf in leaves:
            if isinstance(leaf, LINEAR) and leaf.activation is keras.activations.linear:
                weights, rectified, idle = leaf, False, []
            elif weights and _is_relu(leaf):
                rectified, idle = True, []
            elif weights and (found := affine(leaf)) and (not rectified or _passes_relu(*found)):
                idle.append(leaf)  # what changes nothing at inference goes only with what follows it
                if (found[0] != 1).any() or np.any(found[1]):
                    self._take(weights, *found, path=paths.get(id(weights), ""))
                    self.dropped |= {paths[id(each)] for each in idle}
                    idle = []
            else:
                weights = None

    def _take(self, weights, scale, shift, path: str) -> None:
        prefix = f"{path}/" if path else ""
        kernel = self.values.get(f"{prefix}kernel", array(weights.kernel))
        own = array(weights.bias) if weights.use_bias else np.zeros(kernel.shape[-1])
        bias = self.values.get(f"{prefix}bias", own)
        self.values |= {f"{prefix}kernel": kernel * scale, f"{prefix}bias": bias * scale + shift}
        self.biased.add(path)

    def applied(self, config: dict[str, Any], path: str) -> dict[str, Any]:
        """Return a layer's configuration with these changes."""
        config = {name: self._inside(value, path) for name, value in config.items()}
        return {**config, "use_bias": True} if path in self.biased else config

    def _inside(self, value: Any, path: str) -> Any:
        if isinstance(value, (list, tuple)):
            kept = (each for each in value if self._path(each, path) not in self.dropped)
            return [self._inside(each, path) for each in kept]
        inner = self._path(value, path)
        return value if inner is None else {**value, "config": self.applied(value["config"], inner)}

    def _path(self, value: Any, path: str) -> str | None:
        """Return the path of a serialised layer; `None` for anything else."""
        config = value.get("config") if isinstance(value, dict) else None
        name = config.get("name") if isinstance(config, dict) else None
        return None if name is None else f"{path}/{name}" if path else name


def _is_relu(leaf: keras.layers.Layer) -> bool:
    plain = isinstance(leaf, keras.layers.ReLU) and not (leaf.negative_slope or leaf.threshold)
    return plain and leaf.max_value is None


def _passes_relu(scale, shift) -> bool:
    """`s relu(x) = relu(s x)` for `s >= 0`."""
    return bool((np.asarray(scale) >= 0).all() and not np.any(shift))

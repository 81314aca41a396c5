"""Networks as chains of layers: taken apart, and put together again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras

from keras_resunits.analysis.chains import layers_of
from keras_resunits.arguments import checked, instance_of, near_matches, require_network
from keras_resunits.models.rematerialized import chain, kept, remat_of
from keras_resunits.surgery.copies import copied
from keras_resunits.units.unit import Unit


@dataclass(frozen=True, eq=False)
class Part:
    """A layer of a network with its weights, connected to nothing.

    Args:
        layer: The built layer, a copy of the network's.
        input_shape: Shape of its input, including the batch dimension.
    """

    layer: keras.layers.Layer
    input_shape: tuple[int | None, ...]

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.layer.name

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of the layer's output."""
        return tuple(self.layer.compute_output_shape(self.input_shape))

    @property
    def is_unit(self) -> bool:
        """Whether the layer is a unit."""
        return isinstance(self.layer, Unit)

    @property
    def keeps_shape(self) -> bool:
        """Whether input and output have the same shape."""
        return self.output_shape == tuple(self.input_shape)


@dataclass(frozen=True, eq=False)
class Parts:
    """A network taken apart: what `put_together` needs.

    Args:
        name: Name of the network.
        input: Name, shape and dtype of its input, as arguments of `keras.Input`.
        chain: The layers in order, as `Part`s.
        remat: What the network computes again in training, as for `ResNet`. Defaults to nothing.
    """

    name: str
    input: dict[str, Any]
    chain: tuple[Part, ...]
    remat: int | str | None = None

    @property
    def units(self) -> dict[str, Part]:
        """The units by name, in order."""
        return {part.name: part for part in self.chain if part.is_unit}

    def unit(self, name: str) -> Part:
        """Return a unit by name.

        Raises:
            ValueError: if there is none; the message names similar ones.
        """
        if name not in self.units:
            units = list(self.units)
            raise ValueError(
                f"unknown unit {name!r} of '{self.name}'.{near_matches(str(name), units)} "
                f"Its units are '{units[0]}' to '{units[-1]}'."
            )
        return self.units[name]

    def with_chain(self, chain) -> Parts:
        """Return these parts with other layers."""
        return replace(self, chain=tuple(chain))


require_parts = instance_of(Parts, "the result of `take_apart`")


@checked(model=require_network)
def take_apart(model: keras.Model) -> Parts:
    """Take a network apart into its layers, each a copy with its weights.

    Every unit remembers in `origin` the name that it has here, unless it already remembers one of an earlier network.
    Its `slot` stays the one that it was made for.

    Args:
        model: A network of the package: a chain of layers from one input to one output, of which one or more are units.

    Returns:
        `Parts`: `chain` has all layers in order, `units` the units by name.

    Raises:
        ValueError: if the model is not such a chain.

    Invariant: `put_together(take_apart(model))` has the function, weights and paths of `model`, bit for bit. The model
    remains unchanged; what `compile` added is not carried.

    Example:

    >>> import keras_resunits as kr
    >>> parts = kr.surgery.take_apart(kr.PreActResNet(depth=8))
    >>> [part.name for part in parts.chain]
    ['stem', 'unit000', 'unit001', 'unit002', 'post', 'pool', 'classifier']
    """
    layers = _chain_of(model)
    tensor = model.inputs[0]
    given = {"batch_shape": tuple(tensor.shape), "dtype": tensor.dtype, "name": tensor.name}
    return Parts(model.name, given, tuple(_part(layer) for layer in layers), remat_of(model))


def _part(layer: keras.layers.Layer) -> Part:
    shape = tuple(layer.input.shape)
    changes = {"origin": layer.origin or layer.name} if isinstance(layer, Unit) else {}
    return Part(copied(layer, shape, **changes), shape)


def _chain_of(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers of a model in order; refuse a model that is not a chain with units."""
    wanted = "surgery requires a network of this package, a chain of layers of which one or more are units"
    layers = layers_of(model, "surgery")
    nested = next((layer.name for layer in layers if isinstance(layer, keras.Model)), None)
    if nested:
        hint = f"Operate on `model.get_layer('{nested}')`, and build your model around the result."
        raise ValueError(f"{wanted}. Received: '{model.name}', whose layer '{nested}' is a model. {hint}")
    if not any(isinstance(layer, Unit) for layer in layers):
        raise ValueError(f"{wanted}. Received: '{model.name}', which has no units.")
    return layers


@checked(parts=require_parts)
def put_together(parts: Parts) -> keras.Model:
    """Chain parts to a new network; units are named by their position, `unit000`, `unit001`, ...

    Args:
        parts: The result of `take_apart`, possibly with other layers (`parts.with_chain`).

    Returns:
        A functional model with copies of the layers, so that parts may serve several networks. It keeps `remat`: a
        number of units a segment is at most that of the units, and "norms" ends where no norm precedes weights.

    Raises:
        ValueError: if a layer would get another shape than it was made for, or no unit is left.

    Invariant: see `take_apart`.

    Example:

    >>> import keras_resunits as kr
    >>> parts = kr.surgery.take_apart(kr.PreActResNet(depth=20))
    >>> kr.surgery.put_together(parts).count_params() == kr.PreActResNet(depth=20).count_params()
    True
    """
    if not parts.units:
        raise ValueError(f"a network must keep at least one unit. Received: none (surgery on '{parts.name}').")
    images = x = keras.Input(**parts.input)
    index, layers = 0, []
    for part in parts.chain:
        if tuple(x.shape) != tuple(part.input_shape):
            raise ValueError(
                f"surgery must not change shapes: layer '{part.name}' expects {part.input_shape}. Received: "
                f"{tuple(x.shape)} from the layer before it (surgery on '{parts.name}')."
            )
        name = f"unit{index:03d}" if part.is_unit else part.name
        index += part.is_unit
        layers.append(copied(part.layer, part.input_shape, name=name))
        x = layers[-1](x)
    return chain(images, x, parts.name, kept(parts.remat, layers))

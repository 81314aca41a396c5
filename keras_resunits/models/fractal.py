"""FractalNet: columns of convolutions that join, `f_{C+1} = join(f_C o f_C, conv)` (Larsson et al. 2017)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import Unpack

import keras
from keras import ops

from keras_resunits.arguments import (
    Kind,
    is_sequence,
    require_bool,
    require_index,
    require_int,
    require_positive_int,
    require_rate,
    resolve,
)
from keras_resunits.layers.convolutions import conv
from keras_resunits.layers.forks import forks
from keras_resunits.layers.nesting import Nest
from keras_resunits.layers.normalization import BatchNormalization
from keras_resunits.layers.parts import Parts, parts
from keras_resunits.layers.randomness import Dropout, ReplicaSeedGenerator
from keras_resunits.layers.serialization import register, revived, serialized
from keras_resunits.layers.series import Series, built, output_shape, series
from keras_resunits.layers.words import word
from keras_resunits.models.family import Design, family
from keras_resunits.models.head import Top
from keras_resunits.models.network import Shape, require_shape
from keras_resunits.models.stems import STEMS, Stem
from keras_resunits.units.merges import BranchOnly
from keras_resunits.units.orders import ORDERS, Initialized, Order, ReluBeforeAdd
from keras_resunits.units.slots import Slot
from keras_resunits.units.unit import Unit

FILTERS = (64, 128, 256, 512, 512)
"""Filters of the paper's five blocks (sec. 4.1)."""


DROPOUT = (0.0, 0.1, 0.2, 0.3, 0.4)
"""Dropout rates of the paper's five blocks."""


XAVIER = keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")
"""Caffe's filler "xavier" with its defaults, which scale by fan-in alone."""


LAYOUTS: dict[str, Order] = {
    "simple": ReluBeforeAdd(),
    "authors": Initialized(
        order=ReluBeforeAdd(norm=partial(BatchNormalization, center=False, scale=False)),
        kernels=XAVIER,
        classifiers=XAVIER,
    ),
}
"""The default order of each layout of `FractalNet`."""


require_column = Kind(
    "a sequence of Keras layers",
    lambda value: is_sequence(value) and all(isinstance(each, keras.layers.Layer) for each in value),
    tuple,
)


@register
class Fractal(Nest):
    """`C` columns of 1, 2, 4, ..., `2**(C-1)` layers; where several end together, they join in the mean of outputs.

    Training uses drop-path (Larsson et al. 2017, sec. 3). In half of the batches it is *local*: inputs of a join are
    dropped independently, but one always stays. In the other half it is *global*: only one column is active, the same
    one in every block of the network.

    Args:
        columns: The columns, shallowest first: sequences of 1, 2, 4, ... layers.
        drop_path: Probability that local drop-path drops an input of a join, in [0, 1). Defaults to 0.15; 0 turns off
            global drop-path too.
        deepest: Whether to use only the deepest column at inference. Defaults to `False`, for the mean of all columns.
        seed: An int, the same in every block of a network; the local draws of the blocks differ by their `place`.
            Defaults to 0.
        place: Position of the block in the network. Defaults to 0.

    Raises:
        ValueError: if the columns do not have 1, 2, 4, ... layers, or `drop_path` is outside [0, 1).

    Example: two columns, of one and two layers; the mean of 2 x and 4 x

    >>> import keras, numpy as np
    >>> from keras_resunits import Fractal
    >>> double = keras.layers.Rescaling
    >>> float(Fractal([[double(2.0)], [double(2.0), double(2.0)]])(np.ones((1, 1)))[0, 0])
    3.0
    """

    def __init__(
        self, columns, drop_path: float = 0.15, deepest: bool = False, seed: int = 0, place: int = 0, **kwargs
    ):
        super().__init__(**kwargs)
        where = f"layer '{self.name}'"
        columns = require_column.each(columns, "columns", where)
        lengths = [len(column) for column in columns]
        if lengths != [2**i for i in range(len(columns))] or not columns:
            raise ValueError(f"`columns` must hold 1, 2, 4, ... layers. Received: {lengths} (layer '{self.name}').")
        self.drop_path = require_rate(drop_path, "drop_path", where)
        self.deepest = require_bool(deepest, "deepest", where)
        self.seed = require_int(seed, "seed", where)
        self.place = require_index(place, "place", where)
        self.columns = tuple(Series(column, name=f"column{i}") for i, column in enumerate(columns))
        self.global_draws = ReplicaSeedGenerator(self.seed)
        self.local_draws = ReplicaSeedGenerator(self.seed + 1 + self.place)

    def build(self, input_shape):
        for column in self.columns:
            built(column, input_shape)

    def call(self, x, training=False):
        depth, scores = len(self.columns[-1].layers), self._scores(training)
        reached = forks(x, len(self.columns))
        for step in range(1, depth + 1):
            ending = [c for c, column in enumerate(self.columns) if step % (depth // len(column.layers)) == 0]
            outputs = [self._layer(c, step)(reached[c]) for c in ending]
            joined = forks(self._join(outputs, scores, ending, step), len(ending))
            for c, output in zip(ending, joined, strict=True):
                reached[c] = output
        return reached[-1]

    def _layer(self, column: int, step: int):
        """Return the layer of a column that ends at `step`."""
        layers = self.columns[column].layers
        return layers[step * len(layers) // len(self.columns[-1].layers) - 1]

    def _scores(self, training):
        """Return scores `[steps, columns]`: inputs of a join above `drop_path` stay. `None` if all stay."""
        shape = (len(self.columns[-1].layers), len(self.columns))
        if not training:
            return ops.one_hot([shape[1] - 1] * shape[0], shape[1]) if self.deepest else None
        if not self.drop_path or shape[1] == 1:
            return None
        globally, column = ops.unstack(keras.random.uniform((2,), seed=self.global_draws), 2)
        one = ops.one_hot(ops.cast(column * shape[1], "int32"), shape[1])
        draws = keras.random.uniform(shape, seed=self.local_draws)
        return ops.where(globally < 0.5, ops.broadcast_to(one, shape), draws)

    def _join(self, outputs, scores, ending, step: int):
        """Return the mean of the outputs that stay; if none does, the output with the highest score."""
        if len(outputs) == 1:
            return outputs[0]
        if scores is None:
            return sum(outputs) / len(outputs)
        scores = ops.stack([scores[step - 1, c] for c in ending])
        highest = ops.one_hot(ops.argmax(scores), len(outputs))
        weights = ops.maximum(ops.cast(scores > self.drop_path, "float32"), highest)
        weights = ops.cast(weights / ops.sum(weights), outputs[0].dtype)
        return sum(weights[i] * output for i, output in enumerate(outputs))

    def compute_output_shape(self, input_shape):
        return output_shape(self.columns[-1], input_shape)

    def get_config(self):
        config = {name: getattr(self, name) for name in ("drop_path", "deepest", "seed", "place")}
        return {**super().get_config(), **config, "columns": [serialized(column) for column in self.columns]}

    @classmethod
    def from_config(cls, config):
        config = revived(config, "columns")
        return cls(**{**config, "columns": [column.layers for column in config["columns"]]})


@word.register
def _(layer: Fractal) -> str:
    return f"fractal{len(layer.columns)}({word(layer.columns[0])})"


@parts.register
def _(layer: Fractal, shape) -> Parts:
    for column in layer.columns:
        yield from parts(column, shape)


@family()
def FractalNet(
    columns: int = 3,
    input_shape: Shape = (32, 32, 3),
    classes: int = 10,
    *,
    filters: Sequence[int] = FILTERS,
    dropout: Sequence[float] = DROPOUT,
    drop_path: float = 0.15,
    deepest: bool = False,
    layout: str = "simple",
    order: str | Order | None = None,
    stem: str | Stem | None = None,
    seed: int | None = None,
    **top: Unpack[Top],
) -> Design:
    """The fractal network of Larsson et al. 2017 (arXiv 1605.07648), `len(filters) * 2**(columns - 1)` layers deep.

    Two layouts have the paper's columns, joins, filters and drop-path:

    - "simple", the default, is not the authors' network. It has the layers of this package's residual networks: no
      biases, norms with gamma and beta, He normal over fan-out. Dropout and pooling follow each block.
    - "authors" is the network of the authors' code (gustavla/fractalnet, `generation/`). Convolutions have biases,
      norms neither gamma nor beta, and kernels Caffe's "xavier", U(+-sqrt(3 / fan_in)). Dropout follows every
      convolution, before its norm. Every column is pooled before the last join of its block.

    The momentum of the moving statistics is 0.9 in both; Caffe's is 0.999.

    Args:
        columns: Number of columns in every block, `C`. Defaults to 3, which makes 20 convolutions in five blocks.
        input_shape: `(height, width, channels)`. Defaults to `(32, 32, 3)`.
        classes: Number of classes. Defaults to 10.
        filters: Filters of each block. Defaults to the paper's five blocks. A 2x2 max pooling ends every block.
        dropout: Dropout rate of each block, in [0, 1). Defaults to the paper's rates.
        drop_path: As for `Fractal`. Defaults to 0.15.
        deepest: Whether to use only the deepest column at inference. Defaults to `False`.
        layout: "simple" (default) or "authors", as above.
        order: Order of a column's convolution, norm and activation. Defaults to "relu_before_add" (conv BN ReLU), with
            the layout's norm and initialisers.
        stem: Stem before the first block, such as "imagenet". Defaults to none, as in the paper's CIFAR networks.
        seed: Seed of drop-path, an int. By default drawn, reproducibly after `keras.utils.set_random_seed`.
        name: Name of the model. Defaults to `fractalnet` and the depth.
        remat: As for `ResNet`.
        weights: As for `ResNet`.
        include_top: Whether pooling and the classifier follow the last unit. Defaults to `True`.
        pooling: Pooling without the top: "avg", "max", or `None` (default) for the feature map.
        classifier_activation: Activation of the classifier. Defaults to `None`, for logits.

    Returns:
        A functional `keras.Model` to logits `[batch, classes]`, with one unit per block.

    Raises:
        ValueError: if `filters` is empty, `dropout` does not have one rate for each block, a rate is outside [0, 1), or
            `columns` is not a positive int. Also if `layout` is unknown, or the image is smaller than the poolings
            allow.

    Example:

    >>> import keras_resunits as kr
    >>> model = kr.FractalNet(columns=2, filters=(8, 16), dropout=(0.0, 0.1))
    >>> model.get_layer("unit001").output.shape
    (None, 8, 8, 16)
    >>> print(kr.describe(kr.FractalNet(columns=2, filters=(8, 16), dropout=(0.0, 0.1), layout="authors"))[1].F)
    fractal2(conv3 dropout norm act max)
    """
    columns = require_positive_int(columns, "columns", "FractalNet")
    if not is_sequence(filters) or not filters:
        raise ValueError(
            f"`filters` must hold a positive int for each block. Received: filters={filters!r} (FractalNet)."
        )
    filters = [require_positive_int(each, "filters", "FractalNet") for each in filters]
    if not is_sequence(dropout) or len(filters) != len(dropout):
        raise ValueError(
            "`dropout` must hold a dropout rate for each block. "
            f"Received: filters={filters}, dropout={dropout!r} (FractalNet)."
        )
    dropout = [require_rate(rate, "dropout", "FractalNet") for rate in dropout]
    input_shape = require_shape(input_shape)
    own_order = resolve("layout", layout, LAYOUTS, Order)
    order = own_order if order is None else resolve("order", order, ORDERS, Order)
    seed = random.randrange(2**31) if seed is None else seed  # one for all blocks, which share their global draws
    stem = None if stem is None else resolve("stem", stem, STEMS, Stem)
    arriving = (stem.filters if stem else input_shape[-1], *filters[:-1])
    slots = [Slot(i, len(filters), *pair, strides=2) for i, pair in enumerate(zip(arriving, filters, strict=True))]

    within = layout == "authors"  # dropout and pooling are layers of the columns

    def pool() -> keras.layers.Layer:
        return keras.layers.MaxPooling2D(2, data_format="channels_last", name="pool")

    def block(slot: Slot) -> Unit:
        rate = dropout[slot.index]
        same = Slot(slot.index, slot.total, slot.filters, slot.filters)

        def layer(i: int, last: bool):
            weight = conv(slot.filters, 3, name="conv1", use_bias=within)
            if within and rate:
                weight = Series([weight, Dropout(rate, name="dropout")], name="weights1")
            pooled = [pool()] if within and last else []
            return Series([*order.branch([weight], same), *order.exit(same), *pooled], name=f"layer{i}")

        stacks = [[layer(i, last=i == 2**c - 1) for i in range(2**c)] for c in range(columns)]
        fractal = Fractal(stacks, drop_path, deepest, seed, slot.index, name="fractal")
        drop = [Dropout(rate, name="dropout")] if rate and not within else []
        exit = None if within else pool()
        branch = series([fractal, *drop], "branch")
        return Unit(branch, None, BranchOnly(name="merge"), exit=exit, slot=slot, name=slot.name)

    depth = len(filters) * 2 ** (columns - 1)
    return Design([(block, slot) for slot in slots], stem, order, f"fractalnet{depth}")

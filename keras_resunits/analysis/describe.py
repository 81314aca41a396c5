"""A network as a table, read from the objects: unit | e | F | h | M | f | shape | parameters | multiply-adds."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import keras

from keras_resunits.analysis.counting import multiply_adds, operations
from keras_resunits.layers.words import word
from keras_resunits.units.unit import Unit


@dataclass(frozen=True)
class Row:
    """One layer of a network: a unit, or what stands before and after the units.

    Args:
        unit: The layer's name.
        e, F, h, M, f: What the five slots hold, in short; for layers that are no units `F` alone is filled.
        shape: Of the output, without the batch: `height x width x channels`.
        parameters: Trainable ones and moving statistics.
        multiply_adds: Of convolutions and dense layers for one image; `None` where the image size is not known.
        operations: All floating-point operations, as pytorchcv counts them; of the printed table the last line alone.
    """

    unit: str
    e: str
    F: str
    h: str
    M: str
    f: str
    shape: str
    parameters: int
    multiply_adds: int | None
    operations: int | None = None


class Description(tuple):
    """The rows of a network's table; as text when printed."""

    @property
    def parameters(self) -> int:
        """All of the network's."""
        return sum(row.parameters for row in self)

    @property
    def multiply_adds(self) -> int | None:
        """Of the whole network, for one image; `None` where the image size is not known."""
        return _total(row.multiply_adds for row in self)

    @property
    def operations(self) -> int | None:
        """All floating-point operations, for one image; `None` where the image size is not known."""
        return _total(row.operations for row in self)

    @property
    def half_operations(self) -> float | None:
        """Half of them, "FLOPs/2": the figure of pytorchcv's tables; `None` where the image size is not known."""
        return None if self.operations is None else self.operations / 2

    def __str__(self) -> str:
        total = Row("total", "", "", "", "", "", "", self.parameters, self.multiply_adds)
        header = [field.name.replace("_", "-") for field in fields(Row)][:-1]
        table = [header, *([_cell(value) for value in astuple(row)[:-1]] for row in [*self, total])]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        numbers = len(header) - 2  # the last two columns are numbers
        lines = (
            "  ".join(
                cell.rjust(width) if i >= numbers else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        )
        half = "?" if self.half_operations is None else f"{self.half_operations / 1e6:,.2f}M"
        return "\n".join([*lines, f"FLOPs/2 as pytorchcv counts, with norm, activation and pooling: {half}"])

    __repr__ = __str__


def _total(counts) -> int | None:
    counts = list(counts)
    return None if None in counts else sum(counts)


def _cell(value) -> str:
    return f"{value:,}" if isinstance(value, int) else "?" if value is None else str(value)


def describe(model: keras.Model) -> Description:
    """What a network consists of, unit by unit.

    Multiply-adds are counted for one image, as the papers do (see `counting.multiply_adds`).

    Args:
        model: A network of the package.

    Returns:
        A tuple of `Row` records that prints as a table, with the sums `parameters`, `multiply_adds`, `operations` and
        `half_operations`.

    Raises:
        ValueError: for a layer that holds weights this function does not know how to count.

    Example:

    >>> import keras_resunits as kr
    >>> print(kr.describe(kr.PreActResNet(depth=8)))
    unit        e         F                       h    M    f   shape     parameters  multiply-adds
    stem                  conv3 norm act                        32x32x16         496        442,368
    unit000     id        conv3 norm act conv3    id   add  id  32x32x16       4,672      4,718,592
    unit001     norm act  conv3/2 norm act conv3  pad  add  id  16x16x32      14,016      3,538,944
    unit002     norm act  conv3/2 norm act conv3  pad  add  id  8x8x64        55,680      3,538,944
    post                  norm act                              8x8x64           256              0
    pool                  avg                                   64                 0              0
    classifier            dense                                 10               650            640
    total                                                                     75,770     12,239,488
    FLOPs/2 as pytorchcv counts, with norm, activation and pooling: 12.42M
    """
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    return Description(_row(layer, layer.input.shape) for layer in layers)


def _row(layer: keras.layers.Layer, shape) -> Row:
    if isinstance(layer, Unit):
        e, h, f = word(layer.entry), word(layer.shortcut), word(layer.exit)
        branch, merge = word(layer.branch), word(layer.merge)
    else:
        e, h, f, merge, branch = "", "", "", "", word(layer)
    leaves = "x".join("?" if side is None else str(side) for side in layer.output.shape[1:])
    costs = (None, None) if None in shape[1:] else (multiply_adds(layer, shape), operations(layer, shape))
    return Row(layer.name, e, branch, h, merge, f, leaves, layer.count_params(), *costs)

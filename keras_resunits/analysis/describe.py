"""A network as a table, read from its layers: unit | e | F | h | M | f | shape | parameters | multiply-adds."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import keras

from keras_resunits.analysis.counting import multiply_adds, operations
from keras_resunits.arguments import checked, require_model
from keras_resunits.layers.words import word
from keras_resunits.units.unit import Unit


@dataclass(frozen=True)
class Row:
    """A layer of a network: a unit, or a layer before or after the units.

    Args:
        unit: Name of the layer.
        e, F, h, M, f: Contents of the five slots in short; layers other than units only have `F`.
        shape: Shape of the output without the batch: `height x width x channels`.
        parameters: Number of trainable parameters and moving statistics.
        multiply_adds: Multiply-adds of convolutions and dense layers for one image; `None` if its size is not known.
        operations: All floating-point operations as pytorchcv counts them; printed only in the last line of the table.
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
    """The rows of a network's table, which is printed as text."""

    @property
    def parameters(self) -> int:
        """Parameters of the whole network."""
        return sum(row.parameters for row in self)

    @property
    def multiply_adds(self) -> int | None:
        """Multiply-adds of the whole network for one image; `None` if its size is not known."""
        return _total(row.multiply_adds for row in self)

    @property
    def operations(self) -> int | None:
        """All floating-point operations for one image; `None` if its size is not known."""
        return _total(row.operations for row in self)

    @property
    def half_operations(self) -> float | None:
        """Half of the operations, "FLOPs/2", as in pytorchcv's tables; `None` if the image size is not known."""
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


@checked(model=require_model)
def describe(model: keras.Model) -> Description:
    """Describe a network as a table, unit by unit.

    Multiply-adds are counted for one image, as in the papers (see `counting.multiply_adds`).

    Args:
        model: A network of the package.

    Returns:
        A tuple of `Row` records that prints as a table, with the sums `parameters`, `multiply_adds`, `operations` and
        `half_operations`.

    Raises:
        ValueError: if the cost of a layer with a kernel is not known.

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

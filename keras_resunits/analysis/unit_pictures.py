"""Pictures of residual units, drawn from the objects themselves.

A layer is a box with its word (`keras_resunits.layers.words`), which also decides its colour: a layer that registers a
word is drawn. Lengths are pixels of a picture 900 wide, which is as wide as a page shows it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import keras
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch
from matplotlib.textpath import text_to_path

from keras_resunits.analysis.figures import Shown
from keras_resunits.layers.series import flattened
from keras_resunits.layers.words import word
from keras_resunits.units.unit import Unit

WIDTH, SHARPNESS = 900, 2  # pixels; how many of the file's each of them has
TEXT, TITLE, HEADING, FORMULA = 11, 12, 13, 16  # heights of letters
LINE, INSIDE, BETWEEN, BAND = 13, 7, 8, 15  # of a text; around it; between boxes; the height of a layer in a layer
POINT = 0.72  # points a pixel: a hundred of them are an inch, which is 72 points
EDGE, INK = "#666666", "#222222"
KINDS = {  # of words, by their first match: colour
    "weights": (r"^(conv|dense)", "#ffd9a0"),
    "norm": (r"norm", "#bfe3c6"),
    "activation": (r"^(act$|\w*lu\b|sigmoid|softmax|tanh|soft|swish|mish)", "#c9d7f5"),
    "gate, scale, drop": (r"\*|gate|highway|scale|excite|alive|drop", "#f3c6cf"),
    "other": (r"", "#e8e8e8"),
}


def kind(its_word: str) -> str:
    """The kind of layer that a word names.

    >>> kind("conv3/2"), kind("group_normalization"), kind("act"), kind("*relu(k)"), kind("pad")
    ('weights', 'norm', 'activation', 'gate, scale, drop', 'other')
    """
    return next(name for name, (pattern, _) in KINDS.items() if re.search(pattern, its_word))


def caption(layer: keras.layers.Layer) -> str:
    """What stands in a layer's box: its word, and how many filters or neurons it has.

    >>> caption(keras.layers.Conv2D(64, 3, strides=2)), caption(keras.layers.Rescaling(0.5))
    ('conv3/2, 64', '\u00d70.5')
    """
    said = re.sub(r"(?<=\w)(?=\(\w+ )", "\n", word(layer).removeprefix("id "))
    if many := getattr(layer, "filters", None) or getattr(layer, "units", None):
        said += f", {many}"
    for written, read in (("_", " "), ("*", "\u00d7"), (" - ", " \u2212 ")):
        said = said.replace(written, read)
    return "\n".join(line for part in said.split("\n") for line in textwrap.wrap(part, 15))


def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Of the longest line."""
    font = FontProperties(size=size, weight=weight)
    return max(text_to_path.get_text_width_height_descent(line, font, ismath=False)[0] for line in text.split("\n"))


def write(axes: Axes, x: float, y: float, text: str, size: float = TEXT, **style) -> None:
    """A text around a point, all of one size on lines of one height."""
    style = {"ha": "center", "va": "baseline", "color": INK, "fontsize": POINT * size, **style}
    lines = text.split("\n")
    for i, line in enumerate(lines):
        axes.text(x, y + 0.37 * size + LINE / TEXT * size * (i - (len(lines) - 1) / 2), line, **style)


def draw_line(axes: Axes, *points: tuple[float, float], **style) -> None:
    """From point to point, below the boxes."""
    axes.plot(*zip(*points, strict=True), **{"color": EDGE, "lw": 0.9, "zorder": 0, "solid_capstyle": "butt", **style})


@dataclass(frozen=True)
class Box:
    """A layer."""

    text: str
    colour: str
    inside: float = INSIDE
    tall: float = 0.0

    @property
    def width(self) -> float:
        """How wide it is."""
        return width_of(self.text, TEXT) + 2 * self.inside

    @property
    def height(self) -> float:
        """How high it is."""
        return self.tall or LINE * self.text.count("\n") + TEXT + 10

    def draw(self, axes: Axes, x: float, top: float, width: float) -> None:
        """Around `x`, from `top` down."""
        corner, rounded = (x - width / 2, top), "round,pad=0,rounding_size=2.5"
        axes.add_patch(FancyBboxPatch(corner, width, self.height, rounded, fc=self.colour, ec=EDGE, lw=0.7, gid="box"))
        write(axes, x, top + self.height / 2, self.text, gid="box")


@dataclass(frozen=True)
class Columns:
    """Columns of 1, 2, 4, ... layers, each a tight stack of boxes, with a bar wherever some end together."""

    columns: Sequence[Sequence[Sequence[Box]]]
    gap: float = 12.0
    join: float = 15.0

    @property
    def each(self) -> float:
        """How wide a column is."""
        return max(box.width for column in self.columns for stack in column for box in stack)

    @property
    def step(self) -> float:
        """From the end of a layer of the deepest column to the next end."""
        return max(BAND * len(stack) for stack in self.columns[-1]) + self.join

    @property
    def width(self) -> float:
        """How wide it is."""
        return len(self.columns) * (self.each + self.gap) - self.gap

    @property
    def height(self) -> float:
        """How high it is."""
        return self.step * len(self.columns[-1])

    def draw(self, axes: Axes, x: float, top: float, width: float) -> None:
        """Around `x`, from `top` down."""
        steps = len(self.columns[-1])
        places = [x + (self.each + self.gap) * (i - (len(self.columns) - 1) / 2) for i in range(len(self.columns))]
        draw_line(axes, (places[0], top), (places[-1], top))
        for place, column in zip(places, self.columns, strict=True):
            draw_line(axes, (place, top), (place, top + self.height - self.join / 2))
            for i, stack in enumerate(column):
                middle = top + self.step * (i + 0.5) * steps / len(column) - self.join / 4
                for j, box in enumerate(stack):
                    box.draw(axes, place, middle + BAND * (j - len(stack) / 2), self.each)
        for end in range(1, steps + 1):
            joined = [p for p, column in zip(places, self.columns, strict=True) if end * len(column) % steps == 0]
            if len(joined) > 1:
                bar, reach = top + self.step * end - self.join / 2, self.each / 2 - 8
                draw_line(axes, (joined[0] - reach, bar), (joined[-1] + reach, bar), color=INK, lw=3.0, zorder=2)
        draw_line(axes, (x, top + self.height - self.join / 2), (x, top + self.height))


def boxed(layer: keras.layers.Layer, inside: float = INSIDE, tall: float = 0.0) -> Box:
    """A layer as a box."""
    return Box(caption(layer), KINDS[kind(word(layer).removeprefix("id "))][1], inside, tall)


def drawn(layer: keras.layers.Layer) -> Box | Columns:
    """How a layer is drawn: as a box, or as the columns that it consists of."""
    if not hasattr(layer, "columns"):
        return boxed(layer)
    return Columns(
        [[[boxed(part, 5.0, BAND) for part in flattened(each)] for each in column.layers] for column in layer.columns]
    )


@dataclass(frozen=True)
class Picture:
    """A unit: entry, fork, shortcut left, branch right, merge, exit."""

    title: str
    unit: Unit

    def pieces(self, slot: str) -> list[Box | Columns]:
        """How the layers of a slot are drawn."""
        return [drawn(layer) for layer in flattened(getattr(self.unit, slot))]

    @property
    def content(self) -> tuple:
        """All that is drawn of it, but for its title."""
        slots = ("entry", "branch", "shortcut", "exit")
        return (repr(self.merge), *(repr(self.pieces(slot)) for slot in slots))

    @property
    def joins(self) -> bool:
        """Whether columns join in the branch."""
        return any(isinstance(piece, Columns) for piece in self.pieces("branch"))

    @property
    def carries(self) -> bool:
        """Whether there is a shortcut."""
        return word(self.unit.merge) != "branch_only"

    @property
    def merge(self) -> Box:
        """The mark where the edges meet."""
        return Box("+", "white") if word(self.unit.merge) == "add" else boxed(self.unit.merge)

    @property
    def left(self) -> float:
        """How wide the shortcut's boxes are, with the room beside them."""
        boxes = self.pieces("shortcut")
        return (max(box.width for box in boxes) + 10 if boxes else 14) * self.carries

    @property
    def boxes(self) -> float:
        """How wide the branch's boxes are."""
        pieces = [piece for slot in ("entry", "branch", "exit") for piece in self.pieces(slot)]
        boxes = [piece for piece in [*pieces, *[self.merge] * self.carries] if isinstance(piece, Box)]
        return max(62, *(box.width for box in boxes))

    @property
    def right(self) -> float:
        """How wide the branch is."""
        pieces = [piece for slot in ("entry", "branch", "exit") for piece in self.pieces(slot)]
        return max(self.boxes, *(piece.width for piece in pieces))

    @property
    def width(self) -> float:
        """How wide it is."""
        return max(self.left + self.right, width_of(self.title, TITLE, "bold"))

    def draw(self, axes: Axes, x: float, top: float) -> float:
        """From the corner `(x, top)` right and down; returns where it ends."""
        write(axes, x + self.width / 2, top + 23 - 7 * self.title.count("\n"), self.title, TITLE, fontweight="bold")
        x += (self.width - self.left - self.right) / 2
        boxes = self.pieces("shortcut")
        carry, branch = x + ((self.left - 10) / 2 if boxes else 4), x + self.left + self.right / 2
        begin = top + 44
        write(axes, branch, begin - 7, "$x$", 14)
        fork = self._column(axes, "entry", branch, begin + BETWEEN)
        meet = self._column(axes, "branch", branch, fork + BETWEEN)
        end = meet
        if self.carries:
            middle = meet + self.merge.height / 2
            draw_line(axes, (branch, fork), (carry, fork), (carry, middle), (branch, middle))
            height = sum(box.height + BETWEEN for box in boxes) - BETWEEN
            self._stack(axes, boxes, carry, (fork + middle - height) / 2, self.left - 10)
            self._mark(axes, branch, meet)
            end = meet + self.merge.height + BETWEEN
        end = self._column(axes, "exit", branch, end)
        draw_line(axes, (branch, begin), (branch, end + 4))
        write(axes, branch, end + 12, "$x'$", 14)
        return end + 20

    def _column(self, axes: Axes, slot: str, x: float, top: float) -> float:
        return self._stack(axes, self.pieces(slot), x, top, self.boxes)

    @staticmethod
    def _stack(axes: Axes, pieces: Sequence[Box | Columns], x: float, top: float, width: float) -> float:
        for piece in pieces:
            piece.draw(axes, x, top, width)
            top += piece.height + BETWEEN
        return top

    def _mark(self, axes: Axes, x: float, top: float) -> None:
        if self.merge.text != "+":
            return self.merge.draw(axes, x, top, self.boxes)
        middle = top + self.merge.height / 2
        axes.add_patch(Circle((x, middle), 9, fc="white", ec=EDGE, lw=0.9, zorder=2))
        draw_line(axes, (x - 5, middle), (x + 5, middle), zorder=3, color=INK, lw=1.2)
        draw_line(axes, (x, middle - 5), (x, middle + 5), zorder=3, color=INK, lw=1.2)


def pictures(units: Mapping[str, Unit]) -> list[Picture]:
    """Each unit with its title."""
    return [Picture(title, unit) for title, unit in units.items()]


def kinds(units: Iterable[Unit]) -> dict[str, Unit]:
    """The first unit of each kind, by its name and the number of units that are drawn alike."""
    alike: dict[tuple, list[Unit]] = {}
    for unit in units:
        alike.setdefault(Picture("", unit).content, []).append(unit)
    return {first.name + f"\n{1 + len(more)} of these" * bool(more): first for first, *more in alike.values()}


def picture(rows: dict[str, list[Picture]]) -> Shown:
    """The units, rows for each heading, below the equation and what the colours mean."""
    figure = Shown(dpi=100 * SHARPNESS)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    y = draw_key(axes, joins=any(unit.joins for units in rows.values() for unit in units))
    for heading, units in rows.items():
        if heading:
            write(axes, 10, y, heading, HEADING, ha="left", fontweight="bold", color="#8a4b00")
            draw_line(axes, (16 + width_of(heading, HEADING, "bold"), y), (WIDTH - 10, y), color="#d9c7ad")
            y += 20
        for row in _wrapped(units):
            gap = (WIDTH - 20 - sum(unit.width for unit in row)) / len(row)
            x, ends = 10 + gap / 2, []
            for unit in row:
                ends.append(unit.draw(axes, x, y))
                x += unit.width + gap
            y = max(ends) + 20
    axes.set(xlim=(0, WIDTH), ylim=(y - 10, 0))
    figure.set_size_inches(WIDTH / 100, (y - 10) / 100)
    return figure


def _wrapped(units: Sequence[Picture]) -> list[list[Picture]]:
    """The units in rows that are as wide as the page at most."""
    rows: list[list[Picture]] = [[]]
    for unit in units:
        if rows[-1] and sum(each.width for each in [*rows[-1], unit]) > WIDTH - 20:
            rows.append([])
        rows[-1].append(unit)
    return rows


def draw_key(axes: Axes, joins: bool) -> float:
    """The equation, what the colours mean, and bars that join; returns where the units begin."""
    write(axes, 10, 22, r"$z = e(x),\quad x' = f(\,M(h(z),\,F(z);\,z)\,)$", FORMULA, ha="left")
    x = WIDTH - 10.0
    for name, (_, colour) in reversed(KINDS.items()):
        box = Box(name, colour)
        box.draw(axes, x - box.width / 2, 11, box.width)
        x -= box.width + 6
    note = "conv3/2, 128: a 3x3 convolution with stride 2 and 128 filters"
    write(axes, WIDTH - 10, 45, note + "; a bar: the mean" * joins, 10, ha="right", color="#666666")
    return 64

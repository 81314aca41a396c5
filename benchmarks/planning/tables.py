"""The tables of the plan, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import keras

from benchmarks.planning import fitting
from benchmarks.planning.decoding import cores
from benchmarks.planning.fitting import Constants, Measured, terms
from benchmarks.planning.messages import of_network
from benchmarks.planning.step import Cluster, Step, predicted

KINDS = ("synchronized", "local")
IMAGES = 1_281_167  # an epoch of ImageNet
HOSTS = (4, 8)  # accelerators
TEXTS = ("statistics", "input", "constant")  # columns


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with numbers to the right."""
    rule = ["---" if name in TEXTS else "---:" for name in columns]
    return "\n".join([_line(columns), f"|{'|'.join(rule)}|", *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def fit(rows: Sequence[Measured]) -> str:
    """Measured beside the model, fitted to all rows and to those of the other sizes."""
    everything, shown = fitting.fitted(rows), []
    for row in rows:
        cells = [str(row.workers), row.statistics, str(row.messages), f"{row.bytes / 1000:,.0f}"]
        cells.append(f"{1000 * row.seconds:.0f}")
        for found in (everything, fitting.without(rows, row.workers)):
            seconds = found.seconds(row.terms)
            cells += [f"{1000 * seconds:.0f}", f"{seconds / row.seconds - 1:+.0%}"]
        shown.append(cells)
    columns = ("workers", "statistics", "messages", "KB a step", "step, ms")
    return markdown((*columns, "fitted, ms", "off by", "fitted to other sizes, ms", "off by"), shown)


def constants(found: Constants) -> str:
    """The fitted constants, in usual units."""
    wire = f"{1e-6 / found.byte:,.0f} MB/s" if found.byte else "no limit"
    rows = ("compute", f"{1000 * found.compute:.0f} ms"), ("hop", f"{1000 * found.hop:.2f} ms"), ("wire", wire)
    return markdown(("constant", "fitted"), rows)


def more_workers(found: Constants, model: keras.Model, sizes: Sequence[int]) -> str:
    """What these constants predict for more workers, each with a core to itself."""
    rows = []
    for size in sizes:
        cells = [str(size)]
        for kind in KINDS:
            messages = of_network(model, size, kind)
            seconds = found.seconds(terms(size, size, len(messages), sum(messages)))
            cells += [f"{1000 * seconds:,.0f}", f"{found.compute / seconds:.1%}"]
        rows.append(cells)
    columns = [f"{kind}: {what}" for kind in KINDS for what in ("step, ms", "efficiency")]
    return markdown(("workers", *columns), rows)


def decoding(rates: dict[str, float], images: float) -> str:
    """The cores that hosts need, by pipeline."""
    columns = [f"cores for {size} accelerators, {size * images:,.0f} images/s" for size in HOSTS]
    rows = (
        [name, f"{rate:.0f}", *(f"{cores(size * images, rate):.0f}" for size in HOSTS)] for name, rate in rates.items()
    )
    return markdown(("input", "images/s a core", *columns), rows)


def plan(model: keras.Model, sizes: Sequence[int], batch: int, cluster: Cluster) -> str:
    """A network's step on accelerators: fed, and with the cores that hosts have."""
    columns = ["accelerators", "statistics", "messages", "MB a step", "step, ms", "efficiency", "images/s"]
    columns += ["minutes an epoch", "cores to decode", f"images/s with {cluster.cores} cores a host"]
    rows = []
    for size in sizes:
        for kind in KINDS:
            messages = of_network(model, size, kind)
            sent = [str(len(messages)), f"{sum(messages) / 1e6:.0f}"]
            step = predicted(messages, size, batch, cluster)
            rows.append([str(size), kind, *sent, *_speed(step, size * batch, cluster.decode)])
    return markdown(columns, rows)


def _speed(step: Step, images: int, decode: float) -> list[str]:
    """What a step of so many images amounts to."""
    rate = images / step.fed
    return [
        f"{1000 * step.fed:.0f}",
        f"{step.efficiency:.0%}",
        f"{rate:,.0f}",
        f"{IMAGES / rate / 60:.2g}",
        f"{cores(rate, decode):,.0f}",
        f"{images / step.seconds:,.0f}",
    ]

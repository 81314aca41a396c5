"""A page that shows every analysis of one network: pictures, tables, and what they mean."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import keras

from keras_resunits.analysis.crediting import credits
from keras_resunits.analysis.describe import describe
from keras_resunits.analysis.importance import importance
from keras_resunits.analysis.lens import lens
from keras_resunits.analysis.lesions import lesions, removal, reorder
from keras_resunits.analysis.paths import paths
from keras_resunits.analysis.progress import progress
from keras_resunits.analysis.propagation import propagation
from keras_resunits.analysis.records import Record, cell

CREDITED = 32
"""Images whose logits are attributed; their rows are one for each source."""
TRACED = 128
"""Images whose gradients are followed, for which all units keep what they computed."""


def spread(values, count: int):
    """Return up to `count` values, spread over all of them, since files are often sorted by class.

    Example:

    >>> spread([0, 0, 1, 1, 2], 3), spread([0, 1], 3)
    ([0, 1, 2], [0, 1])
    """
    return values[:: -(-len(values) // count)]


def of_some(analysis: Callable[..., Record], count: int) -> Callable[..., Record]:
    """Return an analysis of up to `count` images."""
    return lambda model, images, labels: analysis(model, spread(images, count), spread(labels, count))


@dataclass(frozen=True)
class Section:
    """One analysis on the page.

    Args:
        title: Its heading.
        meaning: What a reader sees in it.
        analysis: Returns its record for a model, images and labels.
    """

    title: str
    meaning: str
    analysis: Callable[..., Record]


SECTIONS = (
    Section(
        "Propagation",
        "How signal and gradient pass the units. The direct term is the gradient that reaches a unit through shortcuts "
        f"alone; where it stays, depth does not weaken it (He et al. 2016, Eq. 4 to 8). Of up to {TRACED} images.",
        of_some(propagation, TRACED),
    ),
    Section(
        "Paths",
        "A residual network is a sum over paths. The exact gradient by path length shows which lengths train it; "
        f"Binomial(L, 1/2) is the number of paths of each length (Veit et al. 2016). Of up to {TRACED} images.",
        of_some(paths, TRACED),
    ),
    Section(
        "Credits",
        "What each unit adds to the logit of an image's class. Sources sum to the logit; what activations keep from "
        f"being attributed is a source of its own. Of up to {CREDITED} images.",
        of_some(credits, CREDITED),
    ),
    Section(
        "Lesions",
        "The error after one unit is deleted. A plain network loses its function; a residual one loses little, except "
        "where the shape changes.",
        lesions,
    ),
    Section(
        "Removal",
        "The error while units are deleted one after another, least important first, by each criterion.",
        removal,
    ),
    Section(
        "Reordering",
        "The error after units of a stage change places, against the distance from the trained order.",
        reorder,
    ),
    Section(
        "Importance",
        "The scores of every unit by several criteria, and how far their rankings agree. Lesions are what the others "
        "estimate.",
        importance,
    ),
    Section(
        "Lens",
        "The accuracy of the network's own head behind every unit, and whether branches follow the negative gradient, "
        "as iterative inference predicts (Jastrzebski et al. 2018).",
        lens,
    ),
)

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
img {{ max-width: 100% }}  table {{ border-collapse: collapse; font-size: 13px }}
th, td {{ padding: 2px 10px; text-align: right; border-bottom: 1px solid #ddd }}
th:first-child, td:first-child {{ text-align: left }}  .refused {{ color: #777 }}  pre {{ overflow-x: auto }}
</style></head><body>
<h1>{title}</h1>
<p>{about}</p>
<details><summary>Architecture</summary><pre>{architecture}</pre></details>
{sections}
</body></html>
"""


def report(model: keras.Model, images, labels) -> str:
    """Return a page in HTML that shows the analyses of a network. It needs no other file.

    Args:
        model: A trained network of the package with its classifier; it does not change.
        images: `[images, height, width, channels]`, as the model takes them. A thousand suffice.
        labels: A class for each image, ints.

    Returns:
        The page. An analysis that is not defined for the network has the reason in its place.

    Raises:
        ValueError: if no analysis is defined for the model and the images, with the reason of the first.

    Example:

    >>> import numpy as np, keras_resunits as kr
    >>> images, labels = np.random.default_rng(0).normal(size=(8, 8, 8, 3)), np.arange(8)
    >>> page = kr.analysis.report(kr.PreActResNet([2, 1, 1], (8, 8, 3)), images, labels)
    >>> page.count("<h2>"), page.count("data:image/png")
    (8, 8)
    """
    bodies = dict(_bodies(model, images, labels))
    refused = [body for body in bodies.values() if isinstance(body, ValueError)]
    if len(refused) == len(bodies):
        raise refused[0]
    written = [
        f"<h2>{escape(section.title)}</h2>\n<p>{escape(section.meaning)}</p>\n{_html(bodies[section.title])}"
        for section in SECTIONS
    ]
    return PAGE.format(
        title=escape(f"Analysis of {model.name}"),
        about=f"{len(images):,} images, {model.count_params():,} parameters.",
        architecture=escape(str(describe(model))),
        sections="\n".join(written),
    )


def _bodies(model: keras.Model, images, labels) -> Iterator[tuple[str, Record | ValueError]]:
    """Yield the record of each section, or why there is none."""
    for section in progress(SECTIONS, "section"):
        try:
            yield section.title, section.analysis(model, images, labels)
        except ValueError as error:
            yield section.title, error


def _html(found: Record | ValueError) -> str:
    if isinstance(found, ValueError):
        return f'<p class="refused">Not defined here: {escape(str(found))}</p>'
    return f"{_picture(found)}\n<details><summary>Table</summary>{_table(found.rows)}</details>"


def _picture(record: Any) -> str:
    """Draw a record, as an image inside the page."""
    file = io.BytesIO()
    record.plot().figure.savefig(file, format="png")
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'


def _table(rows) -> str:
    head = "".join(f"<th>{escape(str(name))}</th>" for name in rows[0])
    lines = ("".join(f"<td>{escape(cell(value))}</td>" for value in row.values()) for row in rows)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"

"""What hosts must decode: images a second a core as measured, against what their accelerators consume."""

from __future__ import annotations

import re
from pathlib import Path

PLAIN = "resized crop, flip"


def rates(path: str) -> dict[str, float]:
    """Images a second a core, by pipeline: the rows for ImageNet of a table that `benchmarks.input_pipeline` printed.

    Raises:
        ValueError: if the file has no such row for `PLAIN`.
    """
    rows = re.findall(r"^\| ImageNet \| (?!test)(.*?) \| [\d,]+ \| ([\d,]+) \|", Path(path).read_text(), re.MULTILINE)
    found = {name: float(rate.replace(",", "")) for name, rate in rows}
    if PLAIN not in found:
        raise ValueError(f"{path} has no row of ImageNet for '{PLAIN}'.")
    return found


def cores(images: float, decode: float) -> float:
    """The cores that decode so many images a second.

    >>> cores(2000.0, 400.0)
    5.0
    """
    return images / decode

"""How far a classifier's confidence can be believed: bins, the calibration error, a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .judgement import DPI, Judgement

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """Answers in bins of equal width by their confidence, the probability of the answer (Guo et al. 2017).

    Args:
        counts: The answers in each bin, `[bins]`.
        confidence: Their mean confidence; NaN where there are none.
        accuracy: The share of them that is right; likewise.

    Example:

    >>> judged = Judgement(np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7]]), np.array([0, 1, 1]), ["cat", "dog"])
    >>> found = Calibration.of(judged, bins=5)
    >>> found.counts.tolist(), round(found.error, 3)
    ([0, 0, 0, 1, 2], 0.367)
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @classmethod
    def of(cls, judgement: Judgement, bins: int = BINS) -> Calibration:
        """The bins of a judgement."""
        confidence = judgement.probabilities.max(1).astype(np.float64)
        right = judgement.answers == judgement.labels
        place = np.minimum((confidence * bins).astype(int), bins - 1)
        counts, sums, hits = (np.bincount(place, each, bins) for each in (None, confidence, right))
        some = np.where(counts > 0, counts, np.nan)
        return cls(counts, sums / some, hits / some)

    @property
    def error(self) -> float:
        """The expected calibration error: the mean over the answers of `|accuracy - confidence|` of their bins."""
        return float(np.nansum(self.counts * np.abs(self.accuracy - self.confidence)) / self.counts.sum())


def draw_calibration(judgement: Judgement, picture: Path, bins: int = BINS) -> None:
    """Draw the reliability diagram: accuracy over confidence, and below it how many answers each bin has.

    Args:
        judgement: Of all images.
        picture: The PNG file to write.
        bins: Of equal width.
    """
    found = Calibration.of(judgement, bins)
    places, width = (np.arange(bins) + 0.5) / bins, 0.92 / bins
    figure = Figure(figsize=(5.2, 6.0), dpi=DPI, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    low, high = (choose(found.accuracy, found.confidence) for choose in (np.fmin, np.fmax))
    above.bar(places, found.accuracy, width, color="#4477aa", label="accuracy")
    gap = {"facecolor": "none", "edgecolor": "#cc3311", "hatch": "////", "linewidth": 0}
    above.bar(places, high - low, width, low, label="gap to the confidence", **gap)
    above.plot([0, 1], [0, 1], color="0.3", linewidth=1, linestyle="--", label="calibrated")
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right", title=_headline(found))
    above.legend(loc="upper left", frameon=False)
    below.bar(places, found.counts, width, color="0.6")
    below.set(xlabel="confidence: the probability of the answer", ylabel="images")
    figure.savefig(picture)


def _headline(found: Calibration) -> str:
    sure, right = (np.nansum(found.counts * each) / found.counts.sum() for each in (found.confidence, found.accuracy))
    return f"expected calibration error {found.error:.1%}\nmean confidence {sure:.1%}, accuracy {right:.1%}"

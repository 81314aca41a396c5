"""What runs of several seeds reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev

SHOWN = 20  # runs


def summary(results: Sequence[Mapping[str, float]], watched: str = "test") -> str:
    """Mean and standard deviation (of the sample, n - 1) of the accuracies of several runs, a line for each kind.

    Args:
        results: What each run reached, by the names of `Session.conclude`.
        watched: The split of the names with `val_`.

    >>> print(summary([{"val_accuracy": 0.9}, {"val_accuracy": 0.92}]))
    test accuracy 91.00% +- 1.41% (mean and deviation of 2 seeds: 90.00%, 92.00%)
    """
    titles = {
        "val_accuracy": f"{watched} accuracy",
        "val_ema_accuracy": f"{watched} accuracy, averaged weights,",
        "test_accuracy": "test accuracy, looked at once,",
    }
    return "\n".join(
        _line(title, [each[name] for each in results])
        for name, title in titles.items()
        if all(name in each for each in results)
    )


def _line(title: str, values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:.2%}" for value in values[:SHOWN]) + ", ..." * (len(values) > SHOWN)
    return f"{title} {mean(values):.2%} +- {stdev(values):.2%} (mean and deviation of {len(values)} seeds: {shown})"

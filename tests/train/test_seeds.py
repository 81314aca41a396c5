"""What runs of several seeds reached, in one line for each kind of accuracy."""

from __future__ import annotations

import pytest

from train.seeds import summary


def test_only_what_every_run_has_is_summed_up():
    results = [{"val_accuracy": 0.5, "test_accuracy": 0.25}, {"val_accuracy": 0.7, "val_ema_accuracy": 0.9}]
    line = "validation accuracy 60.00% +- 14.14% (mean and deviation of 2 seeds: 50.00%, 70.00%)"
    assert summary(results, "validation") == line
    both = [{**each, "test_accuracy": 0.5} for each in results]
    assert summary(both, "validation").splitlines()[1] == (
        "test accuracy, looked at once, 50.00% +- 0.00% (mean and deviation of 2 seeds: 50.00%, 50.00%)"
    )


@pytest.mark.parametrize(("count", "more"), [(20, ""), (21, ", ...")])
def test_twenty_runs_are_named(count, more):
    line = summary([{"val_accuracy": 0.5}] * count)
    assert line.endswith(f"of {count} seeds: {', '.join(['50.00%'] * 20)}{more})")

"""PreActResNet-20 on scikit-learn's handwritten digits: the default of `python -m train`.

Command: python -m train --config=digits
Time: 1 min 56 s including installation, on 2 cores of an Intel Xeon.
Result: 99.17 % test accuracy (one run, seed 0).
"""

from __future__ import annotations


def config() -> dict:
    return {"dataset": "digits", "model": "PreActResNet", "depth": 20, "epochs": 40, "batch_size": 64}


def smoke() -> dict:
    return {**config(), "depth": 8, "epochs": 1}

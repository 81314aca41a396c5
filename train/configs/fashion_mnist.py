"""PreActResNet-20 on Fashion-MNIST (Xiao et al. 2017), a short run of the papers' recipe.

Command: python -m train --config=fashion_mnist
Time: 21 minutes on 2 cores of a busy AMD EPYC.
Result: 93.17 % test accuracy (one run, seed 0).
"""

from __future__ import annotations

from ._smoke_images import CLASSES, smoke_arrays


def config() -> dict:
    return {"dataset": "fashion_mnist", "model": "PreActResNet", "depth": 20, "epochs": 15, "batch_size": 128}


def smoke() -> dict:
    tiny = {"dataset": smoke_arrays(28, channels=1), "class_names": CLASSES}
    return {**config(), **tiny, "depth": 8, "epochs": 2, "batch_size": 16}

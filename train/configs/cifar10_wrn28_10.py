"""WRN-28-10 on CIFAR-10 (Zagoruyko and Komodakis 2016, "Wide Residual Networks", Table 5, without dropout).

Command: python -m train --config=cifar10_wrn28_10
Time: 200 x 50,000 images at 5.2 billion multiply-adds, 20 times those of ResNet-110: months on 2 cores.
Result: 4.00 % test error in the paper, median of 5 runs, with the final weights; not run here.

The rate is 0.1 without warm-up, and falls to a fifth at epochs 60, 120 and 160 of 200. Crops are of the image padded
with its reflection, as in the authors' code.
"""

from __future__ import annotations

from ._smoke_images import CLASSES, smoke_arrays


def config() -> dict:
    return {
        "dataset": "cifar10",
        "model": "wrn28_10_cifar",
        "epochs": 200,
        "batch_size": 128,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "schedule": "steps",
        "warm_up": 0.0,
        "drops": [0.3, 0.6, 0.8],
        "drop_factor": 0.2,
        "pad": 4,
        "padding": "reflect",
        "flip": True,
    }


def smoke() -> dict:
    tiny = {"dataset": smoke_arrays(32), "class_names": CLASSES}
    return {**config(), **tiny, "depth": 10, "width": 1, "epochs": 2, "batch_size": 16}

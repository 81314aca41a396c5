"""PreActResNet-164 on CIFAR-10 (He et al. 2016, "Identity Mappings", Table 2, full pre-activation).

Command: python -m train --config=cifar10_preactresnet164
Time: 164 x 50,000 images; at the 114 images/s of 2 cores of an AMD EPYC, 20 hours.
Result: 5.46 % test error in the paper, median of 5 runs, with the final weights; not run to the end here.

164 epochs of 390 batches of 128 are 64,000 steps. The rate is 0.01 for the first 400, then 0.1, and falls at 32,000 and
48,000. The paper uses 64 images on each of two GPUs, so its batch normalisation sees 64 at a time.
"""

from __future__ import annotations

from ._smoke_images import CLASSES, smoke_arrays


def config() -> dict:
    return {
        "dataset": "cifar10",
        "model": "PreActResNet",
        "depth": 164,
        "epochs": 164,
        "batch_size": 128,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "steps",
        "pad": 4,
        "flip": True,
    }


def smoke() -> dict:
    tiny = {"dataset": smoke_arrays(32), "class_names": CLASSES}
    return {**config(), **tiny, "depth": 11, "block": "bottleneck", "epochs": 2, "batch_size": 16}

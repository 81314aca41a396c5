"""PreActResNet-20 on CIFAR-10 in a quarter of an hour on two cores.

Command: python -m train --config=fast_cifar
Time: 15 minutes on 2 cores of an AMD EPYC with bfloat16, from the speed of its steps.
Result: 85.9 % on the CIFAR-10 (JPEG copy), 87.0 % with mirrored test images (means of three runs).

The rate goes through one cycle. A third of the run each trains on images of 16, 24 and 32 pixels. bfloat16 is faster on
processors with instructions for it; on others, pass --precision=float32. What each part gives is measured in
docs/results/fast.md. `python -m train.evaluate RUN --flips` averages over mirrored test images.
"""

from __future__ import annotations

from ._smoke_images import CLASSES, smoke_arrays


def config() -> dict:
    return {
        "dataset": "cifar10",
        "model": "PreActResNet",
        "depth": 20,
        "epochs": 23,
        "batch_size": 128,
        "learning_rate": 0.2,
        "schedule": "one_cycle",
        "weight_decay": 5e-4,
        "sizes": [16, 24, 32],
        "precision": "mixed_bfloat16",
    }


def smoke() -> dict:
    tiny = {"dataset": smoke_arrays(32), "class_names": CLASSES}
    return {**config(), **tiny, "depth": 8, "epochs": 3, "batch_size": 16}

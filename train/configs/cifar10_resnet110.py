"""ResNet-110 on CIFAR-10 (He et al. 2016, "Identity Mappings", Table 1, the original unit).

Command: python -m train --config=cifar10_resnet110
Time: 164 x 50,000 images of 255 million multiply-adds, about those of PreActResNet-164: days on 2 cores.
Result: 6.61 % test error in the paper, median of 5 runs, with the last weights; not run here to its end.

The original unit needs the warm-up: 400 steps at 0.01, until the training error is below 80 % (He et al. 2015).
"""

from train.smoke_images import CLASSES, smoke_arrays


def config() -> dict:
    return {
        "dataset": "cifar10",
        "model": "ResNet",
        "depth": 110,
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
    return {**config(), **tiny, "depth": 8, "epochs": 2, "batch_size": 16}

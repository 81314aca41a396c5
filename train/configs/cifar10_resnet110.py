"""ResNet-110 on CIFAR-10 (He et al. 2016, "Identity Mappings", Table 1, the original unit).

Command: python -m train --config=cifar10_resnet110
Time: 164 x 50,000 images at 255 million multiply-adds, about as many as PreActResNet-164: days on 2 cores.
Result: 6.61 % test error in the paper, median of 5 runs, with the final weights; not run to the end here.

The original unit needs a warm-up of 400 steps at 0.01, until the training error is below 80 % (He et al. 2015).
"""

from __future__ import annotations

from . import cifar10_preactresnet164


def config() -> dict:
    return {**cifar10_preactresnet164.config(), "model": "ResNet", "depth": 110}


def smoke() -> dict:
    return {**cifar10_preactresnet164.smoke(), "model": "ResNet", "depth": 8, "block": None}

"""ResNet-50 on ImageNet (He et al. 2015, "Deep Residual Learning", Table 4; rates as in He et al. 2016).

Command: python -m train --config=imagenet_resnet50
Time: 90 x 1,281,167 images at 3.9e9 multiply-adds, and twice that backwards: 2.7e18 floating-point operations.
Result: 24.7 % top-1 and 7.8 % top-5 error of one 224x224 crop, as published by the authors; not run here.

Batches of 256, and a rate of 0.1 without warm-up that falls tenfold at epochs 30 and 60 of 90. imagenet2012 is the name
in tensorflow-datasets; ImageNet itself is available only from image-net.org. Training crops have any size and shape
(fb.resnet.torch), whereas the paper crops 224 pixels after resizing the shorter side to 256 to 480.
"""

from __future__ import annotations

from ._smoke_images import CLASSES, smoke_folder


def config() -> dict:
    return {
        "dataset": "imagenet2012",
        "image_size": 224,
        "crop": "resized",
        "test_view": "paper",
        "model": "ResNet",
        "depth": 50,
        "epochs": 90,
        "batch_size": 256,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "steps",
        "warm_up": 0.0,
        "drops": [30 / 90, 60 / 90],
        "flip": True,
    }


def smoke() -> dict:
    tiny = {"dataset": smoke_folder(80), "image_size": 64, "class_names": CLASSES}
    return {**config(), **tiny, "depth": 18, "epochs": 1, "batch_size": 16}

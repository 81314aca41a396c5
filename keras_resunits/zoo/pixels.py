"""What normalises the pixels of published weights, by the library that publishes them."""

from __future__ import annotations

from fnmatch import fnmatchcase

from keras_resunits.zoo.entry import IMAGENET
from keras_resunits.zoo.registry import MODELS

HALVES = "0.5/0.5"
CIFAR = "0.4914,0.4822,0.4465/0.2023,0.1994,0.2010"
PUBLISHED = {
    "torchvision_*": "imagenet",
    "timm_resnetv2_*": HALVES,
    "timm_seresnet*": "imagenet",
    "akamaster_*": "imagenet",
    "pytorchcv_*": "imagenet",
    "keras_resnet*v2": HALVES,
    "keras_resnet*": "caffe",
    "keras_densenet*": "imagenet",
}
"""By a pattern of names, of which the first that fits counts. pytorchcv's networks for CIFAR have `CIFAR`.

Sources: `default_cfgs` of timm, `preprocess_input` of `keras.applications`, the other libraries' programs.
"""


def published_pixels(network: str) -> str | None:
    """Return what normalises the pixels of the weights that a library publishes for a network.

    Args:
        network: A name of `list_models()`.

    Returns:
        A name of `STATISTICS`, or `MEAN/STD` of pixels scaled to 0..1; `None` for a network of no library.

    Example:

    >>> [published_pixels(name) for name in ("torchvision_resnet50", "keras_resnet50", "keras_resnet50v2", "resnet50")]
    ['imagenet', 'caffe', '0.5/0.5', None]
    >>> published_pixels("pytorchcv_preresnet18"), published_pixels("pytorchcv_preresnet20")
    ('imagenet', '0.4914,0.4822,0.4465/0.2023,0.1994,0.2010')
    """
    if network.startswith("pytorchcv_") and MODELS[network].arguments["input_shape"] != IMAGENET["input_shape"]:
        return CIFAR
    return next((pixels for pattern, pixels in PUBLISHED.items() if fnmatchcase(network, pattern)), None)

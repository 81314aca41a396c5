"""Stems: the layers before the first unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras

from keras_resunits.layers.convolutions import conv, require_odd
from keras_resunits.layers.pooling import PaddedMaxPool
from keras_resunits.layers.series import Series
from keras_resunits.units.orders import Order
from keras_resunits.units.slots import check_fields


@dataclass(frozen=True)
class Stem:
    """A convolution, norm and activation, and optionally a max pooling.

    In every order of He et al. 2016, Fig. 4, norm and activation follow the first convolution before the paths split.
    So the stem contains them, and the first unit's slot is marked (`Slot.activated`).

    Args:
        filters: Number of output channels.
        kernel_size: Kernel size of the convolution, odd. Defaults to 3.
        strides: Stride of the convolution. Defaults to 1.
        pool: Stride of the 3x3 max pooling at the end. Defaults to 1, for no pooling.
        activated: Whether norm and activation follow the convolution. Defaults to `True`.
        use_bias: Whether the convolution has a bias. Defaults to `False`.
        pads: Value of the padding before the pooling. Defaults to minus infinity, as in Torch, so that only pixels are
            compared. After a ReLU, zeros (as in `keras.applications`) have the same effect.

    Raises:
        ValueError: if a number is not a positive int.

    Example: a grey image of 28 pixels, halved by the stem

    >>> from keras_resunits import PreActResNet, Stem
    >>> PreActResNet(depth=20, input_shape=(28, 28, 1), stem=Stem(16, 5, strides=2)).get_layer("stem").output.shape
    (None, 14, 14, 16)
    """

    filters: int
    kernel_size: int = 3
    strides: int = 1
    pool: int = 1
    activated: bool = True
    use_bias: bool = False
    pads: float = -math.inf

    def __post_init__(self):
        check_fields(self, where="stem")
        require_odd(self.kernel_size, "kernel_size", "stem")

    def __call__(self, order: Order) -> keras.layers.Layer:
        layers = [order.stem(conv(self.filters, self.kernel_size, self.strides, use_bias=self.use_bias))]
        if self.activated:
            layers += order.norm_act()
        if self.pool > 1:
            layers += [PaddedMaxPool(3, self.pool, self.pads, name="pool")]
        return Series(layers, name="stem")


CIFAR = Stem(16)
"""3x3, 16 filters (He et al. 2015, sec. 4.2)."""


IMAGENET = Stem(64, kernel_size=7, strides=2, pool=2)
"""7x7 with stride 2, 64 filters, and a 3x3 max-pool with stride 2 (He et al. 2015, Table 1)."""


IMAGENET_3X3 = Stem(64)
"""3x3, 64 filters, no stride: the ImageNet widths for images too small for `IMAGENET`."""


IMAGENET_STEM_FROM = 64
"""The smallest image, in pixels, that a network with the 7x7 stem does not shrink to one pixel."""


STEMS = {"cifar": CIFAR, "imagenet": IMAGENET, "imagenet_3x3": IMAGENET_3X3}

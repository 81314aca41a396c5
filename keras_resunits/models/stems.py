"""What stands before the first unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras

from keras_resunits.layers.convolutions import conv
from keras_resunits.layers.pooling import PaddedMaxPool
from keras_resunits.layers.series import Series
from keras_resunits.units.orders import Order
from keras_resunits.units.slots import require_positive_ints


@dataclass(frozen=True)
class Stem:
    """A convolution, norm and activation, and perhaps a max-pool.

    In every order of He et al. 2016, Fig. 4 the first convolution is followed by norm and activation before the paths
    split, so the stem holds them, and tells the first unit so (`Slot.activated`).

    Args:
        filters: Channels that leave.
        kernel_size: Of the convolution; 3 by default.
        strides: Of the convolution; 1 by default.
        pool: Stride of the 3x3 max-pool at the end; 1, the default, for none.
        activated: Whether norm and activation follow the convolution; yes by default.
        use_bias: Whether the convolution adds a bias; no by default.
        pads: What surrounds the image that is pooled; minus infinity by default, as Torch does, so that only pixels are
            compared. Behind a ReLU zeros (`keras.applications`) are the same.

    Raises:
        ValueError: if a number is not a positive int.

    Example: a grey 28-pixel image, halved at once

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
        require_positive_ints(self, where="stem")

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
"""Pixels: the smallest image that a network behind the 7x7 stem does not shrink to one pixel."""


STEMS = {"cifar": CIFAR, "imagenet": IMAGENET, "imagenet_3x3": IMAGENET_3X3}

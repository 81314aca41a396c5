"""What stands before the first unit."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from keras_resunits.convolutions import conv
from keras_resunits.orders import Order
from keras_resunits.series import Series


@dataclass(frozen=True)
class Stem:
    """A convolution, norm and activation, and perhaps a max-pool.

    In every order of He et al. 2016, Fig. 4 the first convolution is followed by norm and activation before the paths
    split, so the stem holds them, and tells the first unit so (`Slot.activated`).

    Args:
        filters: Channels that leave.
        kernel_size: Of the convolution; 3 by default.
        strides: Of the convolution; 1 by default.
        pool: Stride of the 3x3 max-pool at the end; 1, the default, for none. It pads zeros, which after a ReLU never
            win a maximum that should be positive.
        activated: Whether norm and activation follow the convolution; yes by default.

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

    def __call__(self, order: Order) -> keras.layers.Layer:
        layers = [conv(self.filters, self.kernel_size, self.strides)]
        if self.activated:
            layers += order.norm_act()
        if self.pool > 1:
            layers += [keras.layers.ZeroPadding2D(1, data_format="channels_last", name="pad")]
            layers += [keras.layers.MaxPooling2D(3, self.pool, data_format="channels_last", name="pool")]
        return Series(layers, name="stem")


CIFAR = Stem(16)
"""3x3, 16 filters (He et al. 2015, sec. 4.2)."""

IMAGENET = Stem(64, kernel_size=7, strides=2, pool=2)
"""7x7 with stride 2, 64 filters, and a 3x3 max-pool with stride 2 (He et al. 2015, Table 1)."""


IMAGENET_3X3 = Stem(64)
"""3x3, 64 filters, no stride: the ImageNet widths for images too small for `IMAGENET`."""

STEMS = {"cifar": CIFAR, "imagenet": IMAGENET, "imagenet_3x3": IMAGENET_3X3}

"""scikit-learn's handwritten digits: 1,797 real images of 8x8 grey pixels, shipped with the library."""

from __future__ import annotations

import numpy as np

from .images import ImageData


def load_digits() -> ImageData:
    """1,437 training and 360 test images, a fifth of each class. Pixel values 0..16 are scaled to 0..255."""
    from sklearn.datasets import load_digits as load
    from sklearn.model_selection import train_test_split

    digits = load()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    x_train, x_test, y_train, y_test = train_test_split(
        images, digits.target, test_size=360, stratify=digits.target, random_state=0
    )
    return ImageData((x_train, y_train), (x_test, y_test), [str(name) for name in digits.target_names])

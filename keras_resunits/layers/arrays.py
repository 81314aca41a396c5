"""Values of tensors for NumPy."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops


def array(value) -> np.ndarray:
    """Return a tensor, a variable or a number as a float64 array.

    Values in bfloat16 pass through float32: NumPy takes no bfloat16 scalar of TensorFlow.

    Example:

    >>> from keras import ops
    >>> array(ops.max(ops.cast([0.5, 1.5], "bfloat16")))
    array(1.5)
    """
    if keras.backend.standardize_dtype(getattr(value, "dtype", "float64")) == "bfloat16":
        value = ops.cast(value, "float32")
    return np.asarray(ops.convert_to_numpy(value), "float64")

"""The Keras backend in use, and the TensorFlow module if TensorFlow is that backend."""

from __future__ import annotations

from typing import Any

import keras

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
tf: Any = None
"""The TensorFlow module; `None` on other backends."""
if ON_TENSORFLOW:
    import tensorflow

    tf = tensorflow

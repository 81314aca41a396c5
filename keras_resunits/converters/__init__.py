"""Weights of other libraries: PyTorch checkpoints and `keras.applications`, matched by name, with equal logits.

python -m keras_resunits.converters --help
"""

from __future__ import annotations

from keras_resunits.converters.checkpoints import read_checkpoint
from keras_resunits.converters.errors import ConversionError
from keras_resunits.converters.keras_applications import load_keras_weights
from keras_resunits.converters.layouts import KERAS_LAYOUTS, TORCH_LAYOUTS, Layout
from keras_resunits.converters.pytorch import load_torch_weights

__all__ = [
    "KERAS_LAYOUTS",
    "TORCH_LAYOUTS",
    "ConversionError",
    "Layout",
    "load_keras_weights",
    "load_torch_weights",
    "read_checkpoint",
]

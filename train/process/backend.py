"""TensorFlow for the modules that train with it: `from ..process.backend import tf`.

Raises:
    WrongBackend: where Keras runs on another backend.
"""

import keras

from .errors import WrongBackend

if keras.backend.backend() != "tensorflow":
    raise WrongBackend(f"training requires Keras on TensorFlow; got KERAS_BACKEND={keras.backend.backend()}.")

import tensorflow as tf

__all__ = ["tf"]

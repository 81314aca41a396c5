"""TensorFlow for the modules that train with it, `from train.backend import tf`: elsewhere an error of one line."""

from __future__ import annotations

import keras
import tensorflow as tf

from .errors import WrongBackend

if keras.backend.backend() != "tensorflow":
    raise WrongBackend(f"training wants Keras on TensorFlow; got KERAS_BACKEND={keras.backend.backend()}.")


__all__ = ["tf"]

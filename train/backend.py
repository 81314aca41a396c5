"""TensorFlow for the modules that train with it, `from train.backend import tf`: elsewhere an error of one line."""

import keras

from train.errors import WrongBackend

if keras.backend.backend() != "tensorflow":
    raise WrongBackend(f"training wants Keras on TensorFlow; got KERAS_BACKEND={keras.backend.backend()}.")

import tensorflow as tf

__all__ = ["tf"]

"""Two ways to read an exported directory: TF2's loader, and the TF1 session that TensorFlow Serving uses."""

import numpy as np
import tensorflow as tf


def pixels(shape, seed: int = 3) -> np.ndarray:
    """Random images like those that a server receives."""
    return np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


def answers_tf2(path, images) -> dict[str, np.ndarray]:
    """Every output by name, through `tf.saved_model.load`."""
    loaded = tf.saved_model.load(str(path))
    answers = loaded.signatures["serving_default"](images=tf.constant(images))
    return {name: value.numpy() for name, value in answers.items()}


def answers_tf1(path, images) -> dict[str, np.ndarray]:
    """Every output by name, through a TF1 session."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def["serving_default"]
        outputs = {name: tensor.name for name, tensor in signature.outputs.items()}
        return session.run(outputs, {signature.inputs["images"].name: images})

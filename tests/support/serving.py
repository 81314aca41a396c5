"""Two ways to read an exported directory: TF2's loader, and the TF1 session that TensorFlow Serving uses."""

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.support.cpp_loader import Request


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
    return asked_tf1(path, "serving_default", images)


def asked_tf1(path, signature: str, *inputs) -> dict[str, np.ndarray]:
    """Every output of a signature by name, through a TF1 session."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(path))
        wanted = request(path, signature, *inputs)
        return session.run(wanted.fetches, wanted.feeds)


def definitions(path):
    """The signatures in the file of a SavedModel, by name."""
    found = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    return found.meta_graphs[0].signature_def


def request(path, signature: str, *inputs) -> Request:
    """A request of a signature by the names of its tensors."""
    definition = definitions(path)[signature]
    feeds = {definition.inputs[key].name: each for key, each in zip(sorted(definition.inputs), inputs, strict=True)}
    return Request(feeds, {key: info.name for key, info in definition.outputs.items()})

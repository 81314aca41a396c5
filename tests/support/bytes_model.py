"""A small SavedModel with both signatures for pictures: pixels, and the bytes of PNG files with a status per row."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

NAMES = ["red", "green", "blue é"]
SIDE = 4
MAGIC = b"\x89PNG\r\n\x1a\n"


class OfColours(tf.Module):
    """Classifies by the mean colour; a sharper model is surer."""

    def __init__(self, sharpness: float):
        super().__init__()
        self.sharpness = sharpness

    @tf.function(input_signature=[tf.TensorSpec((None, SIDE, SIDE, 3), tf.uint8, name="images")])
    def pixels(self, images):
        """Names by score, the highest first."""
        means = tf.reduce_mean(tf.cast(images, tf.float32), axis=(1, 2)) * self.sharpness / 64
        probabilities = tf.nn.softmax(means)
        scores, best = tf.math.top_k(probabilities, len(NAMES))
        return {"probabilities": probabilities, "classes": tf.gather(tf.constant(NAMES), best), "scores": scores}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")])
    def bytes(self, image_bytes):
        """The same for files; those that are no PNG have status 2."""
        good = tf.equal(tf.strings.substr(image_bytes, 0, len(MAGIC)), MAGIC)
        empty = tf.io.encode_png(tf.zeros((SIDE, SIDE, 3), tf.uint8))
        images = tf.map_fn(
            lambda content: tf.ensure_shape(tf.io.decode_png(content, channels=3), (SIDE, SIDE, 3)),
            tf.where(good, image_bytes, empty),
            fn_output_signature=tf.TensorSpec((SIDE, SIDE, 3), tf.uint8),
        )
        status = tf.where(good, 0, 2)
        return {**self.pixels(images), "status": status, "error": tf.where(good, "", "not a PNG file")}


def write(path: Path, version: int = 1, sharpness: float = 1.0) -> Path:
    """Write the model as a version of a folder; return the version."""
    model, folder = OfColours(sharpness), path / str(version)
    tf.saved_model.save(model, str(folder), {"serving_default": model.pixels, "serve_bytes": model.bytes})
    return folder

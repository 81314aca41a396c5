"""The signatures of an exported classifier: what a server can be asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from keras_resunits.serving.cores import Cores
from keras_resunits.serving.decoding import ERRORS, LARGEST, NO_VALUE, OK, contents_of, images_of
from keras_resunits.serving.graph import InferenceGraph
from keras_resunits.serving.heads import probabilities
from keras_resunits.serving.views import VIEWS
from keras_resunits.serving.writing import Preparation, Signature

Answers = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class Classifier:
    """Inference graphs and what their outputs mean.

    Args:
        cores: The graphs.
        shape: `(None, height, width, channels)` of the images.
        head: What the outputs are, one of `keras_resunits.serving.heads.HEADS`.
        names: The names of the classes.
        k: Number of classes in `classes` and `scores`.
        view: What images show of pictures, one of `keras_resunits.serving.views.VIEWS`.
    """

    cores: Cores
    shape: tuple[Any, ...]
    head: str
    names: Sequence[str]
    k: int
    view: str = "stretch"

    def signatures(self) -> tuple[dict[str, Signature], dict[str, str]]:
        """Return the signatures by name, and the reasons why others are left out."""
        images = tf.TensorSpec(self.shape, tf.uint8, "images")
        tensors = tf.TensorSpec(self.shape, tf.float32, "tensors")
        found = {
            "serving_default": Signature(self.of_images, [images], apart=self._apart()),
            "serve_tensors": Signature(self.of_tensors, [tensors]),
        }
        omitted = {}
        if not self.cores.with_features:
            omitted["features"] = "the model does not end in a dense layer on pooled features"
        if why := self._not_decoded():
            omitted |= dict.fromkeys(("serve_bytes", "classify"), why)
        else:
            contents, examples = (tf.TensorSpec([None], tf.string, name) for name in ("image_bytes", "inputs"))
            classify = Preparation("classify", contents_of, examples, ("classes", "scores"), "classify")
            found["serve_bytes"] = Signature(self.of_bytes, [contents], classify)
        return found, omitted

    def of_images(self, images: tf.Tensor) -> Answers:
        """Answer uint8 images of the model's size, and return their features, if the model has any."""
        pixels = self._pixels(images)
        if not self.cores.with_features:
            return self._answers(self._probabilities(self.cores.outputs, pixels))
        found = _run(self.cores.with_features, pixels)
        return {**self._answers(probabilities(found["outputs"], self.head)), "features": found["features"]}

    def of_bytes(self, contents: tf.Tensor) -> Answers:
        """Answer image files, with a status for each."""
        images, status = images_of(tf.ensure_shape(contents, [None]), self.shape[1:], VIEWS[self.view])
        found = self._probabilities(self.cores.outputs, self._pixels(images))
        return self._marked(found, status)

    def of_tensors(self, tensors: tf.Tensor) -> Answers:
        """Answer preprocessed float32 tensors of the model's size, with a status for each."""
        tensors = tf.ensure_shape(tensors, self.shape)
        axes = range(1, len(self.shape))
        good = tf.reduce_all(tf.abs(tensors) <= LARGEST, axes)
        kept = tf.where(tf.reshape(good, [-1] + [1] * len(axes)), tensors, 0)
        found = self._probabilities(self.cores.of_tensors, kept)
        good &= tf.reduce_all(tf.math.is_finite(found), 1)
        return self._marked(found, tf.where(good, OK, NO_VALUE))

    def _apart(self) -> dict[str, list[str]]:
        """Return the outputs for uint8 images that another signature answers, by its name."""
        return {"features": ["features"]} if self.cores.with_features else {}

    def _pixels(self, images: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.ensure_shape(images, self.shape), tf.float32)

    def _probabilities(self, core: InferenceGraph, x: tf.Tensor) -> tf.Tensor:
        return probabilities(_run(core, x), self.head)

    def _answers(self, found: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, best = tf.math.top_k(found, self.k)
        return {"probabilities": found, "classes": tf.gather(tf.constant(self.names), best), "scores": scores}

    def _marked(self, found: tf.Tensor, status: tf.Tensor) -> Answers:
        """Return the answers with their status; what has no answer gets zeros, and no class."""
        good = tf.equal(status, OK)[:, tf.newaxis]
        answers = self._answers(tf.where(good, found, 0))
        answers["classes"] = tf.where(good, answers["classes"], "")
        return {**answers, "status": status, "error": tf.gather(tf.constant(ERRORS), status)}

    def _not_decoded(self) -> str | None:
        """Return why image files cannot be answered, if so."""
        if len(self.shape) != 4 or self.shape[-1] not in (1, 3):
            return f"image files have 1 or 3 channels, and the model takes {list(self.shape)}"
        if None in self.shape[1:]:
            return "the model takes images of any size, and a batch of files requires one"
        return None


def _run(core: InferenceGraph, x: tf.Tensor) -> Any:
    """Return a graph's outputs; without a row, those of a blank one are cut off again, as kernels fail on no rows."""
    rows = tf.shape(x)[0]
    blank = tf.cast(tf.equal(rows, 0), tf.int32)
    filled = tf.pad(x, tf.scatter_nd([[0, 1]], [blank], [len(x.shape), 2]))
    found = core(tf.ensure_shape(filled, x.shape))
    return tf.nest.map_structure(lambda each: each[:rows], found)

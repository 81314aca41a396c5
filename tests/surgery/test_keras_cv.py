"""keras-cv's heads train on the package's backbones."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import keras_resunits as kr

pytestmark = pytest.mark.slow
keras_cv = pytest.importorskip("keras_cv")
SIDE, BOX = 64, 24


@pytest.fixture(scope="module")
def pictures():
    """Eight pictures of noise with a white square: `(images, boxes as x, y, width, height, masks)`."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 1, (8, SIDE, SIDE, 3)).astype("float32")
    corners = rng.integers(0, SIDE - BOX, (8, 2))
    masks = np.zeros((8, SIDE, SIDE, 1), "int32")
    for image, mask, (x, y) in zip(images, masks, corners, strict=True):
        image[y : y + BOX, x : x + BOX] = 1
        mask[y : y + BOX, x : x + BOX] = 1
    boxes = np.concatenate([corners, np.full((8, 2), BOX)], axis=1)[:, np.newaxis].astype("float32")
    return images, boxes, masks


@pytest.fixture
def body():
    return kr.backbone(kr.ResNet(depth=18, input_shape=(SIDE, SIDE, 3)))


def test_a_retinanet_trains_on_a_backbone(pictures, body):
    images, boxes, _ = pictures
    model = keras_cv.models.RetinaNet(num_classes=1, bounding_box_format="xywh", backbone=body)
    sgd = keras.optimizers.SGD(0.01, global_clipnorm=10.0)
    model.compile(classification_loss="focal", box_loss="smoothl1", optimizer=sgd, jit_compile=False)
    before = body.get_layer("unit007").trainable_weights[0].numpy()
    labels = {"boxes": boxes, "classes": np.zeros((8, 1), "float32")}
    losses = model.fit(images, labels, batch_size=4, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert (body.get_layer("unit007").trainable_weights[0].numpy() != before).any()


@pytest.mark.long
def test_a_deeplab_head_trains_on_a_backbone(pictures, body):
    images, _, masks = pictures
    model = keras_cv.models.DeepLabV3Plus(num_classes=2, backbone=body)
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy())
    losses = model.fit(images, masks, batch_size=4, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]

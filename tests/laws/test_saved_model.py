"""Law: an exported network returns what the model does, through TF2 and through the TF1 session of a server."""

import keras
import numpy as np
import tensorflow as tf

import keras_resunits as kr
from tests.catalog import CLASSES, NETWORKS, REPRESENTATIVE, over
from tests.support.serving import answers_tf1, answers_tf2, pixels

NAMES = [f"class {i}" for i in range(CLASSES)]


@over(NETWORKS, quick=REPRESENTATIVE)
def test_an_exported_network_returns_what_the_model_does(case, tmp_path):
    model, images = case.model(), pixels(case.shape)
    path = kr.export_saved_model(model, tmp_path, NAMES, keras.layers.Rescaling(1 / 255))
    outputs = model(images / np.float32(255), training=False)
    softmax = model.layers[-1].activation is keras.activations.softmax
    wanted = np.asarray(outputs if softmax else tf.nn.softmax(outputs))
    tf2, tf1 = answers_tf2(path, images), answers_tf1(path, images)
    for answers in (tf2, tf1):
        np.testing.assert_allclose(answers["probabilities"], wanted, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(answers["scores"], -np.sort(-wanted), rtol=1e-4, atol=1e-6)
    for name in tf2:
        np.testing.assert_array_equal(tf1[name], tf2[name])

"""The faster forms of an export: bfloat16 in the SavedModel, and files for other runtimes."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from keras_resunits.serving.formats import FORMATS
from keras_resunits.serving.graph import inference_graph
from keras_resunits.serving.precision import in_bfloat16
from keras_resunits.serving.runtimes import opened
from tests.catalog import randomize
from tests.serving.conftest import NAMES
from tests.support.serving import answers_tf1, pixels

pytestmark = pytest.mark.slow


def metadata(version) -> dict:
    return json.loads((version / "metadata.json").read_text())


def test_bfloat16_stays_inside_and_moves_the_answers_little(classifier, exported, tmp_path):
    model, preprocessing = classifier
    version = kr.export_saved_model(
        model, tmp_path, NAMES, preprocessing, serving_precision="bfloat16", batch_sizes=(1, 2)
    )
    images = pixels((4, 8, 8, 3))
    found, wanted = (answers_tf1(path, images) for path in (version, exported))
    assert {name: array.dtype for name, array in found.items()} == {n: a.dtype for n, a in wanted.items()}
    difference = np.abs(found["probabilities"] - wanted["probabilities"]).max()
    assert 1e-6 < difference < 0.02
    assert (metadata(version)["precision"], metadata(exported)["precision"]) == ("bfloat16", "float32")


def test_the_first_and_the_last_steps_stay_in_float32():
    model = kr.ResNet(8, (8, 8, 3), 4)
    scaled = keras.layers.Rescaling(1 / 255, -0.3)
    graph = inference_graph(lambda x: model(scaled(x), training=False), tf.TensorSpec(model.input_shape))
    kinds = {(node.op, node.attr["T"].type) for node in in_bfloat16(graph).definition.node if node.attr["T"].type}
    half, single = tf.bfloat16.as_datatype_enum, tf.float32.as_datatype_enum
    assert ("Conv2D", half) in kinds and ("Conv2D", single) not in kinds
    assert ("MatMul", single) in kinds and ("MatMul", half) not in kinds
    assert ("Mean", single) in kinds


def test_a_pool_behind_a_relu_pads_zeros():
    model = kr.ResNet(18, (64, 64, 3), 4, stem="imagenet")
    graph = inference_graph(lambda x: model(x, training=False), tf.TensorSpec(model.input_shape))
    assert "PadV2" not in {node.op for node in graph.definition.node}  # of minus infinity, which int8 cannot hold


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"serving_precision": "float16"}, "`serving_precision` must be"),
        ({"formats": "onnx"}, r"`formats` must be a sequence\..*formats='onnx'"),
        ({"formats": ["tflite"]}, "`formats` must be some of"),
    ],
)
def test_other_forms_are_refused(options, message, classifier, tmp_path):
    with pytest.raises(ValueError, match=message):
        kr.export_saved_model(classifier[0], tmp_path / "served", **options)
    assert not (tmp_path / "served").exists()


def test_a_missing_package_is_answered_with_the_extra(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_resunits.serving.formats.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"`formats` require onnx, .* pip install 'keras_resunits\[formats\]'"):
        kr.export_saved_model(classifier[0], tmp_path / "served", formats=["onnx"])
    assert not (tmp_path / "served").exists()


@pytest.mark.peers
def test_each_format_answers_as_the_model_in_its_own_runtime(tmp_path):
    for package in sorted({each for kind in FORMATS.values() for each in kind.packages}):
        pytest.importorskip(package, reason=f"{package} is not installed")
    keras.utils.set_random_seed(0)
    model = kr.ResNet(8, (8, 8, 3), 4, tail=lambda slot: kr.squeeze_excite(slot, 2))
    randomize(model)
    images, scaled = pixels((12, 8, 8, 3)), keras.layers.Rescaling(1 / 64, -2)
    version = kr.export_saved_model(
        model, tmp_path, NAMES, scaled, formats=list(FORMATS), images=images, batch_sizes=(1,)
    )
    wanted = np.asarray(tf.nn.softmax(model(scaled(images.astype("float32")), training=False)))
    told, manifest = metadata(version)["formats"], (version / "manifest.sha256").read_text()
    assert list(told) == list(FORMATS)
    for name, each in told.items():
        answer = opened(version / each["file"])
        bound = 0.05 if FORMATS[name].integers else 1e-5
        for rows in (12, 1, 5):  # any batch
            assert np.abs(answer(images[:rows]) - wanted[:rows]).max() < bound, name
        assert each["difference"] < bound and each["file"] in manifest
    with pytest.raises(ValueError, match=r"`formats` require `images`: uint8 \[None, 8, 8, 3\]"):
        kr.export_saved_model(model, tmp_path, formats=["onnx"], images=images / 255)

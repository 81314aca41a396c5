"""Signatures: names, types and shapes of the contract; equal answers whichever way; what is left out and why."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import keras_resunits as kr
from tests.catalog import randomize
from tests.serving.conftest import NAMES, SHAPE
from tests.support import pictures
from tests.support.serving import answers_tf1, asked_tf1, definitions, pixels, request
from train.data.datasets.decoding import resized, test_view

pytestmark = pytest.mark.slow

COUNT = len(NAMES)
IMAGES = (tf.uint8, [None, *SHAPE])
ANSWERS = {
    "probabilities": (tf.float32, [None, COUNT]),
    "classes": (tf.string, [None, COUNT]),
    "scores": (tf.float32, [None, COUNT]),
}
STATUS = {"status": (tf.int32, [None]), "error": (tf.string, [None])}
CONTRACT = {
    "serving_default": ({"images": IMAGES}, ANSWERS),
    "serve_bytes": ({"image_bytes": (tf.string, [None])}, ANSWERS | STATUS),
    "serve_tensors": ({"tensors": (tf.float32, [None, *SHAPE])}, ANSWERS | STATUS),
    "classify": ({"inputs": (tf.string, [None])}, {name: ANSWERS[name] for name in ("classes", "scores")}),
    "features": ({"images": IMAGES}, {"features": (tf.float32, [None, 64])}),
}


def nodes(path):
    """All operations of a SavedModel, also of its functions."""
    (graph,) = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs
    library = graph.graph_def.library.function
    return [*graph.graph_def.node, *(node for function in library for node in function.node_def)]


def example(content, name="image/encoded"):
    """A serialised `tf.Example` with a file."""
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
    return tf.train.Example(features=tf.train.Features(feature={name: feature})).SerializeToString()


@pytest.mark.parametrize("name", CONTRACT)
def test_names_types_and_shapes_are_those_of_the_contract(name, exported):
    def told(infos):
        found = ((key, tf.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape)) for key, info in infos.items())
        return {key: (dtype, shape.as_list()) for key, dtype, shape in found}

    definition = definitions(exported)[name]
    assert (told(definition.inputs), told(definition.outputs)) == CONTRACT[name]
    kind = "classify" if name == "classify" else "predict"
    assert definition.method_name == f"tensorflow/serving/{kind}"


def test_all_signatures_are_there_and_named_in_the_metadata(exported):
    assert set(definitions(exported)) - {"__saved_model_init_op"} == set(CONTRACT)
    metadata = json.loads((exported / "metadata.json").read_text())
    told = {"head": "logits", "signatures": sorted(CONTRACT), "omitted": {}}
    assert {name: metadata[name] for name in told} == told


def test_files_are_answered_as_their_pixels(exported):
    files = [pictures.written("PNG"), pictures.written("BMP"), pictures.written("GIF")]
    found = asked_tf1(exported, "serve_bytes", files)
    wanted = answers_tf1(exported, np.stack([pictures.decoded(file) for file in files]))
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(("height", "width"), [(375, 500), (5, 3), (8, 20)])
def test_files_are_resized_as_training_does(height, width, exported):
    file = pictures.written("PNG", height=height, width=width)
    images = resized(tf.constant(pictures.decoded(file)), *SHAPE[:2]).numpy()[np.newaxis]
    found = asked_tf1(exported, "serve_bytes", [file])
    np.testing.assert_array_equal(found["probabilities"], answers_tf1(exported, images)["probabilities"])


@pytest.mark.parametrize("view", ["paper", "central"])
def test_files_are_cut_as_the_evaluation_does(view, classifier, exported, tmp_path):
    model, preprocessing = classifier
    version = kr.export_saved_model(model, tmp_path, NAMES, preprocessing, batch_sizes=(1,), view=view)
    files = [pictures.written("JPEG", height=h, width=w) for h, w in ((30, 41), (41, 30), (5, 3))]
    images = np.stack([test_view(tf.constant(file), SHAPE[0], view).numpy() for file in files])
    found = asked_tf1(version, "serve_bytes", files)
    np.testing.assert_array_equal(found["probabilities"], answers_tf1(exported, images)["probabilities"])
    assert json.loads((version / "metadata.json").read_text())["view"] == view


def test_a_square_view_requires_square_images(tmp_path):
    with pytest.raises(ValueError, match="view='paper' requires a model of square images"):
        kr.export_saved_model(kr.ResNet([1, 1, 1], (8, 16, 3)), tmp_path, view="paper")


def test_examples_are_answered_as_their_files(exported):
    good, bad = pictures.written("PNG"), b"text"
    of_numbers = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    wrong_type = tf.train.Example(features=tf.train.Features(feature={"image/encoded": of_numbers}))
    odd = [b"no example", b"", example(good, "other"), wrong_type.SerializeToString()]
    found = asked_tf1(exported, "classify", [example(good), example(bad), *odd, example(good)])
    wanted = asked_tf1(exported, "serve_bytes", [good, bad, *[b""] * 4, good])
    for name in ("classes", "scores"):
        np.testing.assert_array_equal(found[name], wanted[name])


def test_tensors_are_answered_as_the_pixels_before_preprocessing(classifier, exported):
    images = pixels((5, *SHAPE))
    tensors = classifier[1](images.astype("float32")).numpy()
    found, wanted = asked_tf1(exported, "serve_tensors", tensors), answers_tf1(exported, images)
    np.testing.assert_allclose(found["probabilities"], wanted["probabilities"], rtol=1e-4, atol=1e-6)
    assert found["status"].tolist() == [0] * 5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -2e9])
def test_a_tensor_that_is_not_finite_or_too_large_is_marked_and_spares_its_neighbours(value, exported):
    tensors = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype("float32")
    alone = asked_tf1(exported, "serve_tensors", tensors)
    tensors[1, 2:4] = value
    found = asked_tf1(exported, "serve_tensors", tensors)
    assert found["status"].tolist() == [0, 4, 0]
    assert found["error"].tolist() == [b"", b"a value is NaN, infinite, or beyond 1e9", b""]
    assert not found["probabilities"][1].any() and not any(found["classes"][1])
    np.testing.assert_array_equal(found["probabilities"][[0, 2]], alone["probabilities"][[0, 2]])


def test_features_are_what_the_classifier_reads(classifier, exported):
    model, preprocessing = classifier
    images = pixels((3, *SHAPE))
    wanted = keras.Model(model.input, model.get_layer("classifier").input)(preprocessing(images.astype("float32")))
    found = asked_tf1(exported, "features", images)["features"]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_preprocessing_under_mixed_precision_is_left_out_of_tensors(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model, images = kr.PreActResNet(8, SHAPE, 3), pixels((4, *SHAPE))
    path = kr.export_saved_model(model, tmp_path, preprocessing=keras.layers.Rescaling(1 / 256))
    found = asked_tf1(path, "serve_tensors", images / np.float32(256))
    np.testing.assert_allclose(found["probabilities"], answers_tf1(path, images)["probabilities"], atol=0.01)


def without_dense():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs)))


LEFT_OUT = {
    "any size": (lambda: kr.PreActResNet(8, (None, None, 3), 4), ["classify", "serve_bytes"], "images of any size"),
    "two channels": (lambda: kr.PreActResNet(8, (8, 8, 2), 4), ["classify", "serve_bytes"], "1 or 3 channels"),
    "no dense layer": (without_dense, ["features"], "does not end in a dense layer"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_has_a_reason(case, tmp_path):
    make, names, reason = LEFT_OUT[case]
    path = kr.export_saved_model(make(), tmp_path, metadata={"step": 3})
    metadata = json.loads((path / "metadata.json").read_text())
    assert sorted(metadata["omitted"]) == names and all(reason in why for why in metadata["omitted"].values())
    assert set(metadata["signatures"]) == CONTRACT.keys() - set(names)
    assert metadata["step"] == 3


def test_grey_networks_take_files_of_any_colour(tmp_path):
    model = kr.PreActResNet(8, (8, 8, 1), 4)
    randomize(model)
    path = kr.export_saved_model(model, tmp_path)
    kinds = {name: content for name, (content, status) in pictures.pictures().items() if status == pictures.OK}
    found = asked_tf1(path, "serve_bytes", list(kinds.values()))
    assert dict(zip(kinds, found["status"].tolist(), strict=True)) == dict.fromkeys(kinds, 0)


def test_the_graph_neither_reads_nor_writes_nor_prints(exported):
    found = {node.op for node in nodes(exported)}
    words = "File", "Print", "Assert", "PyFunc", "Summary", "Restore", "Save", "Directory", "Iterator", "Shell"
    assert "DecodePng" in found  # the functions of a data set are looked into
    assert not [op for op in found if any(word in op for word in words)]


def test_every_weight_is_written_once(tmp_path):
    model = kr.PreActResNet(56, SHAPE, 10)
    path = kr.export_saved_model(model, tmp_path, preprocessing=keras.layers.Rescaling(1 / 255))
    size = sum(file.stat().st_size for file in [path / "saved_model.pb", *path.glob("variables/*")])
    assert size <= 1.1 * sum(weight.nbytes for weight in model.get_weights())


def test_requests_of_one_signature_do_not_run_the_others(exported):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(exported))
        asked, ran = request(exported, "serving_default", pixels((1, *SHAPE))), tf.compat.v1.RunMetadata()
        options = tf.compat.v1.RunOptions(output_partition_graphs=True)
        session.run(asked.fetches, asked.feeds, options, ran)
    assert not [n.name for g in ran.partition_graphs for n in g.node if "serve_bytes" in n.name or "Dataset" in n.op]


def test_the_network_is_written_once_for_each_input(classifier, exported):
    model, _ = classifier
    convolutions = sum(isinstance(layer, keras.layers.Conv2D) for layer in model._flatten_layers())
    assert sum(node.op == "Conv2D" for node in nodes(exported)) == 3 * convolutions  # images, files, tensors
    default, features = (definitions(exported)[name].inputs["images"].name for name in ("serving_default", "features"))
    assert default == features


def test_values_that_would_overflow_are_marked_in_networks_whose_relus_are_merged(tmp_path):
    """oneDNN's merged ReLU makes 0 of NaN, and of a sum that overflows a likely answer."""
    model = kr.ResNet([1, 1, 1], input_shape=SHAPE, classes=3)
    randomize(model)
    directory = kr.export_saved_model(model, tmp_path / "served", ["a", "b", "c"])
    tensors = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype("float32")
    tensors[1] = np.where(tensors[1] > 0, 3e38, -3e38)
    assert asked_tf1(directory, "serve_tensors", tensors)["status"].tolist() == [0, 4, 0]
    tensors[1] = np.where(tensors[1] > 0, 9e8, -9e8)
    assert asked_tf1(directory, "serve_tensors", tensors)["status"].tolist() == [0, 0, 0]

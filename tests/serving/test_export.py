"""Export: signature, versions, class names, nothing left behind after a failure, and readers without Keras."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from keras_resunits.serving.checks import checked_k
from tests.catalog import CLASSES, IMAGES, NETWORKS, of_order, randomize
from tests.support.serving import answers_tf1, answers_tf2, definitions, pixels

pytestmark = pytest.mark.slow

NAMES = ["aeroplane", "bird", "cat", "dog", "naïve café"]
SCALE = 1 / 255


def preprocessing():
    return keras.layers.Rescaling(SCALE)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """`(model, directory)` of an export that uses every argument."""
    keras.utils.set_random_seed(0)
    model = NETWORKS["PreActResNet"].model()
    return model, kr.export_saved_model(model, tmp_path_factory.mktemp("model"), NAMES, preprocessing(), top_k=3)


def signature_of(path):
    return tf.saved_model.load(str(path)).signatures["serving_default"]


def probabilities(model, images):
    return tf.nn.softmax(model(images * np.float32(SCALE), training=False)).numpy()


def test_the_signature_has_the_names_types_and_shapes_of_the_contract(exported):
    signature = signature_of(exported[1])
    _, inputs = signature.structured_input_signature
    assert inputs == {"images": tf.TensorSpec((None, *IMAGES), tf.uint8, name="images")}
    assert {name: (spec.dtype, tuple(spec.shape)) for name, spec in signature.structured_outputs.items()} == {
        "probabilities": (tf.float32, (None, CLASSES)),
        "classes": (tf.string, (None, 3)),
        "scores": (tf.float32, (None, 3)),
    }


@pytest.mark.parametrize("batch", [1, 7])
def test_classes_are_sorted_by_score_and_cut_at_top_k(exported, batch):
    model, path = exported
    images = pixels((batch, *IMAGES))
    wanted = probabilities(model, images)
    best = np.argsort(-wanted)[:, :3]
    answers = answers_tf2(path, images)
    np.testing.assert_allclose(answers["probabilities"], wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(answers["scores"], np.take_along_axis(wanted, best, 1), rtol=1e-4, atol=1e-6)
    assert [[name.decode() for name in row] for row in answers["classes"]] == [[NAMES[i] for i in row] for row in best]


def test_by_default_all_classes_are_returned_and_named_by_numbers(tmp_path):
    path = kr.export_saved_model(of_order(kr.PostAct())(), tmp_path)
    answers = answers_tf2(path, pixels((2, *IMAGES)))
    assert sorted(answers["classes"][0].tolist()) == [b"0", b"1", b"2", b"3", b"4"]
    assert answers["scores"].shape == (2, CLASSES)


@pytest.mark.parametrize("last", ["argument", "Softmax", "Activation"])
def test_softmax_is_not_applied_twice(last, tmp_path):
    model = of_order(kr.FullPreAct(), classifier_activation="softmax" if last == "argument" else None)()
    if last != "argument":
        ending = keras.layers.Softmax() if last == "Softmax" else keras.layers.Activation("softmax")
        model = keras.Model(model.input, ending(model.output))
    randomize(model)
    images = pixels((3, *IMAGES))
    answers = answers_tf2(kr.export_saved_model(model, tmp_path, preprocessing=preprocessing()), images)
    wanted = model(images * np.float32(SCALE), training=False)
    np.testing.assert_allclose(answers["probabilities"], wanted, rtol=1e-4, atol=1e-6)


def test_versions_count_up_and_are_never_overwritten(tmp_path):
    model, images = of_order(kr.PostAct())(), pixels((2, *IMAGES))
    first = kr.export_saved_model(model, tmp_path / "deep" / "model", preprocessing=preprocessing())
    before = answers_tf2(first, images)["probabilities"]
    (tmp_path / "deep" / "model" / "notes").mkdir()
    randomize(model)
    second = kr.export_saved_model(model, tmp_path / "deep" / "model", preprocessing=preprocessing())
    (second.parent / "9").mkdir()
    third = kr.export_saved_model(model, str(tmp_path / "deep" / "model"))
    assert [path.name for path in (first, second, third)] == ["1", "2", "10"]
    assert sorted(os.listdir(first.parent)) == ["1", "10", "2", "9", "notes"]
    np.testing.assert_array_equal(answers_tf2(first, images)["probabilities"], before)
    assert not np.allclose(answers_tf2(second, images)["probabilities"], before)


class Failing(keras.layers.Layer):
    """Preprocessing that fails while the graph is written."""

    def call(self, x):
        raise OSError("no luck")

    def compute_output_shape(self, shape):
        return shape


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"preprocessing": Failing()}, (OSError, "no luck")),
        ({"class_names": ["a", "b"]}, (ValueError, r"`class_names` must hold 5 names.*'small'. Received: 2")),
        ({"class_names": map(str, range(10))}, (ValueError, "Received: 10")),
        ({"class_names": "abcde"}, (ValueError, r"`class_names` must be a sequence of names.*class_names='abcde'")),
        ({"class_names": dict.fromkeys(NAMES)}, (ValueError, r"must be a sequence of names.*\{'aeroplane': None")),
        ({"class_names": ["a", "b", "a", "c", "d"]}, (ValueError, r"must all be different.*'a' more than once")),
        (
            {"class_names": [b"\xff", *NAMES[1:]]},
            (ValueError, r"must be strings, or bytes in UTF-8\. Received: b'.xff'"),
        ),
        (
            {"class_names": ["\udcff", *NAMES[1:]]},
            (ValueError, r"must be strings, or bytes in UTF-8\. Received: '.udcff'"),
        ),
        ({"top_k": 0}, (ValueError, r"`top_k` must be an int in 1\.\.5.*Received: top_k=0")),
        ({"top_k": 6}, (ValueError, r"Received: top_k=6")),
        ({"top_k": True}, (ValueError, r"`top_k` must be an int in 1\.\.5.*Received: top_k=True")),
        ({"top_k": "3"}, (ValueError, r"`top_k` must be an int in 1\.\.5.*Received: top_k='3'")),
        ({"top_k": 2.0}, (ValueError, r"`top_k` must be an int in 1\.\.5.*Received: top_k=2\.0")),
        ({"preprocessing": abs}, (ValueError, r"`preprocessing` must be a Keras layer.*<built-in function abs>")),
    ],
)
def test_a_failure_leaves_nothing_behind(kwargs, error, tmp_path):
    kind, text = error
    with pytest.raises(kind, match=text):
        kr.export_saved_model(of_order(kr.PostAct(), name="small")(), tmp_path / "deep" / "model", **kwargs)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_a_folder_that_existed(tmp_path):
    with pytest.raises(OSError, match="no luck"):
        kr.export_saved_model(of_order(kr.PostAct())(), tmp_path, preprocessing=Failing())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("top_k", "expected"), [(None, 5), (1, 1), (np.int64(4), 4), (5, 5)])
def test_an_answer_has_up_to_all_classes_and_by_default_all(top_k, expected):
    assert checked_k(top_k, 5) == expected


def test_names_may_be_bytes_and_top_k_an_int_of_numpy(tmp_path):
    names = [name.encode() for name in NAMES]
    path = kr.export_saved_model(of_order(kr.PostAct())(), tmp_path, names, top_k=np.int64(2))
    (row,) = answers_tf2(path, pixels((1, *IMAGES)))["classes"].tolist()
    assert len(row) == 2 and set(row) <= set(names)


def test_a_model_without_classes_is_refused(tmp_path):
    model = of_order(kr.PostAct(), include_top=False, name="small")()
    with pytest.raises(
        ValueError, match=r"`model` must output \[batch, classes\].*\(None, 4, 4, 16\) \(model 'small'\)"
    ):
        kr.export_saved_model(model, tmp_path)


@pytest.mark.parametrize("shape", [(2, 8, 9, 3), (2, 8, 8, 1), (8, 8, 3), (2, 2, 8, 8, 3), (0,)], ids=str)
def test_a_wrong_shape_is_an_error_and_not_a_crash_in_the_session_of_a_server(exported, shape):
    images = pixels(shape)
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match=r"shape|rank"):
        answers_tf1(exported[1], images)


def test_preprocessing_is_part_of_what_is_served(tmp_path):
    model, images = of_order(kr.PostAct())(), pixels((3, *IMAGES))
    randomize(model)
    normalization = keras.layers.Normalization(mean=[120.0, 110.0, 100.0], variance=[60.0, 61.0, 62.0])
    path = kr.export_saved_model(model, tmp_path, preprocessing=normalization)
    wanted = tf.nn.softmax(model(normalization(images.astype("float32")), training=False))
    np.testing.assert_allclose(answers_tf2(path, images)["probabilities"], wanted, rtol=1e-4, atol=1e-6)


def test_preprocessing_may_be_a_layer_without_an_output_shape(tmp_path):
    class Halved(keras.layers.Layer):
        def call(self, x):
            return x / 2.0

    model, images = of_order(kr.PostAct())(), pixels((3, *IMAGES))
    path = kr.export_saved_model(model, tmp_path, preprocessing=Halved())
    wanted = tf.nn.softmax(model(images / np.float32(2), training=False))
    np.testing.assert_allclose(answers_tf2(path, images)["probabilities"], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("given", ["shape", "build"])
def test_a_sequential_model_that_is_built_is_served_with_its_features(given, tmp_path):
    first = [keras.Input(IMAGES)] if given == "shape" else []
    model = keras.Sequential([*first, keras.layers.Flatten(), keras.layers.Dense(6), keras.layers.Dense(4)])
    model.build((None, *IMAGES))
    images = pixels((3, *IMAGES))
    path = kr.export_saved_model(model, tmp_path, preprocessing=preprocessing())
    expected = keras.ops.softmax(model(images * np.float32(SCALE)))
    np.testing.assert_allclose(answers_tf2(path, images)["probabilities"], expected, atol=1e-6)
    assert tf.saved_model.load(str(path)).signatures["features"].structured_outputs["features"].shape == (None, 6)


@pytest.mark.parametrize("layer", [keras.layers.RandomFlip, lambda: keras.layers.GaussianNoise(0.9)])
def test_preprocessing_answers_as_in_inference_even_where_it_is_nothing_then(layer, tmp_path):
    model, images = of_order(kr.PostAct())(), pixels((3, *IMAGES))
    path = kr.export_saved_model(model, tmp_path, preprocessing=layer())
    expected = answers_tf2(kr.export_saved_model(model, tmp_path), images)["probabilities"]
    np.testing.assert_allclose(answers_tf2(path, images)["probabilities"], expected, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_sixteen_bit_network_answers_in_float32(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    model, images = NETWORKS["PreActResNet"].model(), pixels((3, *IMAGES))
    path = kr.export_saved_model(model, tmp_path, preprocessing=preprocessing())
    answers = answers_tf1(path, images)
    assert answers["probabilities"].dtype == np.float32
    np.testing.assert_allclose(answers["probabilities"], probabilities(model, images), atol=0.02)
    np.testing.assert_allclose(answers["probabilities"].sum(axis=1), 1, rtol=1e-5)


def test_a_network_for_every_image_size_serves_every_size(tmp_path):
    model = of_order(kr.FullPreAct(), input_shape=(None, None, 3))()
    path = kr.export_saved_model(model, tmp_path, preprocessing=preprocessing())
    for size in ((8, 8), (7, 9)):
        images = pixels((2, *size, 3))
        wanted = probabilities(model, images)
        np.testing.assert_allclose(answers_tf1(path, images)["probabilities"], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.peers
def test_openvino_reads_it_and_answers_the_same(exported):
    openvino = pytest.importorskip("openvino")
    _, path = exported
    images = pixels((3, *IMAGES))
    compiled = openvino.Core().compile_model(openvino.convert_model(str(path)), "CPU")
    found, wanted = compiled({"images": images}), answers_tf2(path, images)
    np.testing.assert_allclose(found["probabilities"], wanted["probabilities"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["scores"], wanted["scores"], rtol=1e-3, atol=1e-4)
    assert [[str(name) for name in row] for row in found["classes"]] == [
        [name.decode() for name in row] for row in wanted["classes"]
    ]


WITHOUT_KERAS = """
import sys
sys.modules["keras"] = sys.modules["keras_resunits"] = None  # an import of either now fails
import numpy as np, tensorflow as tf
with tf.Graph().as_default(), tf.compat.v1.Session() as session:  # as TensorFlow Serving loads it
    signature = tf.compat.v1.saved_model.load(session, ["serve"], sys.argv[1]).signature_def["serving_default"]
    images, probabilities = signature.inputs["images"].name, signature.outputs["probabilities"].name
    np.save(sys.argv[3], session.run(probabilities, {images: np.load(sys.argv[2])}))
assert not any(sys.modules.get(name) for name in ("keras", "keras_resunits"))
"""


def test_a_process_without_keras_and_this_package_answers_the_same(exported, tmp_path):
    _, path = exported
    images = pixels((3, *IMAGES))
    np.save(tmp_path / "images.npy", images)
    arguments = [str(path), str(tmp_path / "images.npy"), str(tmp_path / "found.npy")]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_KERAS, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-4000:]
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), answers_tf1(path, images)["probabilities"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value, tmp_path):
    model = kr.PreActResNet(8, (8, 8, 3), 2)
    kernel = model.weights[0]
    kernel.assign(np.full(kernel.shape, value))
    with pytest.raises(ValueError, match=rf"NaN or infinite values in '{kernel.path}'"):
        kr.export_saved_model(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_an_address_is_no_folder_and_a_tilde_is_the_users(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    model = kr.PreActResNet(8, (8, 8, 3), 2)
    with pytest.raises(ValueError, match="`path` must be a local folder"):
        kr.export_saved_model(model, "gs://bucket/model")
    assert list(tmp_path.iterdir()) == []
    assert kr.export_saved_model(model, "~/model") == tmp_path / "home" / "model" / "1"


class Counting(keras.layers.Layer):
    """A layer that counts how often it is called."""

    calls = 0

    def call(self, x):
        """Count, and return `x`."""
        Counting.calls += 1
        return x


def test_a_model_is_called_once_for_all_signatures(tmp_path):
    images = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(Counting()(images))
    model, before = keras.Model(images, keras.layers.Dense(2)(pooled)), Counting.calls
    version = kr.export_saved_model(model, tmp_path, preprocessing=keras.layers.Rescaling(1 / 255))
    assert len(definitions(version)) >= 5 and Counting.calls == before + 1

"""What lies in a version's folder beside the SavedModel, and which versions are kept."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format, wrappers_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

import keras_resunits as kr
from keras_resunits.serving.kit.warmup import FILE, LOGS, PredictionLog, _require_answered, replay, write_warmup
from keras_resunits.serving.writing import Signature
from keras_resunits_client.messages import declared
from tests.client.test_messages import names, require_equal
from tests.serving.conftest import NAMES, SHAPE
from tests.support.serving import answers_tf2, asked_tf1, pixels

BATCHING = """
package tensorflow.serving;
message BatchingParameters {
  .google.protobuf.Int64Value max_batch_size = 1;
  .google.protobuf.Int64Value batch_timeout_micros = 2;
  .google.protobuf.Int64Value max_enqueued_batches = 3;
  .google.protobuf.Int64Value num_batch_threads = 4;
  .google.protobuf.StringValue thread_pool_name = 5;
  repeated int64 allowed_batch_sizes = 6;
  bool pad_variable_length_inputs = 7;
}
"""
SIGNATURES = ["classify", "features", "serve_bytes", "serve_tensors", "serving_default"]


def tiny() -> keras.Model:
    images = keras.Input((4, 4, 1))
    return keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(images)), name="ti|ny")


def metadata(version: Path) -> dict:
    return json.loads((version / "metadata.json").read_text())


def logs(version: Path) -> list:
    return [PredictionLog.FromString(each.numpy()) for each in tf.data.TFRecordDataset(str(version / FILE))]


def asked(log) -> tuple[str, int]:
    """The signature of a warm-up request, and its number of rows."""
    if log.HasField("classify_log"):
        request = log.classify_log.request
        return request.model_spec.signature_name, len(request.input.example_list.examples)
    request = log.predict_log.request
    (tensor,) = request.inputs.values()
    return request.model_spec.signature_name, tensor.tensor_shape.dim[0].size


def test_every_signature_is_warmed_up_at_every_batch_size(exported):
    found = [asked(log) for log in logs(exported)]
    assert sorted(found) == sorted((name, size) for name in SIGNATURES for size in (1, 2, 4, 8, 16, 32))
    assert replay(exported) == len(found) == 30
    assert (exported / FILE).stat().st_size < 100_000  # one value stands for all pixels


@pytest.mark.peers
@pytest.mark.parametrize("name", names(LOGS))
def test_the_messages_are_tensorflow_servings(name):
    pytest.importorskip("tensorflow_serving.apis", reason="tensorflow-serving-api is not installed")
    from tensorflow_serving.apis import prediction_log_pb2

    if name.endswith("ExampleList"):  # its examples are messages there, and bytes here
        theirs = prediction_log_pb2.DESCRIPTOR.pool.FindMessageTypeByName(name).fields_by_name["examples"]
        assert (theirs.number, theirs.is_repeated, theirs.message_type.full_name) == (1, True, "tensorflow.Example")
    else:
        require_equal(name, prediction_log_pb2.DESCRIPTOR.pool.FindMessageTypeByName(name))


@pytest.mark.peers
def test_tensorflow_serving_reads_the_requests(exported):
    pytest.importorskip("tensorflow_serving.apis", reason="tensorflow-serving-api is not installed")
    from tensorflow_serving.apis import prediction_log_pb2

    for each in tf.data.TFRecordDataset(str(exported / FILE)):
        log = prediction_log_pb2.PredictionLog.FromString(each.numpy())
        if log.WhichOneof("log_type") == "classify_log":
            inputs = [example.SerializeToString() for example in log.classify_log.request.input.example_list.examples]
            name = log.classify_log.request.model_spec.signature_name
        else:
            (tensor,) = log.predict_log.request.inputs.values()
            name, inputs = log.predict_log.request.model_spec.signature_name, tf.make_ndarray(tensor)
        if len(inputs) == 1:
            for output in asked_tf1(exported, name, np.array(inputs)).values():
                assert len(output) == 1


def test_a_warmup_that_does_not_fit_its_signature_or_is_refused_is_an_error(exported, tmp_path):
    version = shutil.copytree(exported, tmp_path / "1")
    default, *_ = [log for log in logs(exported) if asked(log) == ("serving_default", 1)]
    files, *_ = [log for log in logs(exported) if asked(log) == ("serve_bytes", 1)]

    def replayed(log):
        with tf.io.TFRecordWriter(str(version / FILE)) as file:
            file.write(log.SerializeToString())
        replay(version)

    files.predict_log.request.inputs["image_bytes"].string_val[0] = b"no picture"
    with pytest.raises(RuntimeError, match="serve_bytes refuses a grey image: not an image: expected JPEG"):
        replayed(files)
    tensor = default.predict_log.request.inputs["images"]
    tensor.tensor_shape.dim[1].size = 7
    with pytest.raises(RuntimeError, match=r"serving_default expects uint8 \(None, 8, 8, 3\), .* uint8 \[1, 7, 8, 3\]"):
        replayed(default)
    default.predict_log.request.inputs["pixels"].CopyFrom(tensor)
    with pytest.raises(RuntimeError, match=r"serving_default expects \['images'\], and .* \['images', 'pixels'\]"):
        replayed(default)


@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32, tf.string], ids=lambda dtype: dtype.name)
def test_a_request_is_of_grey_images_those_of_any_size_of_64_pixels(dtype, tmp_path):
    signature = Signature(tf.identity, [tf.TensorSpec((None, None, None, 1), dtype, "x")])
    write_warmup(tmp_path, {"any": signature}, (None, None, None, 1), [2])
    (log,) = logs(tmp_path)
    tensor = log.predict_log.request.inputs["x"]
    assert [dim.size for dim in tensor.tensor_shape.dim] == [2, 64, 64, 1]
    if dtype == tf.string:  # which the server resizes
        picture = tf.io.decode_image(tensor.string_val[0]).numpy()
        assert picture.shape == (128, 128, 1) and (picture == 127).all()
    else:
        assert [*tensor.int_val, *tensor.float_val] == [127 if dtype == tf.uint8 else 0.0]


def test_the_two_smallest_requests_of_a_signature_are_answered(exported, tmp_path):
    version = shutil.copytree(exported, tmp_path / "1")
    requests = {size: log for log in logs(exported) for name, size in [asked(log)] if name == "serve_bytes"}

    def replayed(spoilt: int) -> int:
        with tf.io.TFRecordWriter(str(version / FILE)) as file:
            for size in (1, 2, 4):
                log = PredictionLog.FromString(requests[size].SerializeToString())
                if size == spoilt:
                    log.predict_log.request.inputs["image_bytes"].string_val[0] = b"no picture"
                file.write(log.SerializeToString())
        return replay(version)

    with pytest.raises(RuntimeError, match="refuses a grey image"):
        replayed(spoilt=2)
    assert replayed(spoilt=4) == 3


@pytest.mark.parametrize(
    ("answers", "wrong"),
    [
        ({"classes": [[b"a"], [b"b"]], "scores": [[0.5], [0.25]], "status": [0, 0]}, None),
        ({"scores": [[0.5]]}, "scores of f has 1 rows for a batch of 2"),
        ({"scores": [[0.5]] * 3}, "scores of f has 3 rows for a batch of 2"),
        ({"scores": [[0.5], [np.inf]]}, "scores of f is NaN or infinite"),
        ({"status": [0, 3], "error": [b"first", b"second"]}, "f refuses a grey image: first"),
    ],
)
def test_an_answer_has_a_finite_row_for_each_image(answers, wrong):
    found = {key: np.array(rows) for key, rows in answers.items()}
    with pytest.raises(RuntimeError, match=wrong) if wrong else nullcontext():
        _require_answered(Path("1"), "f", 2, found)


def test_a_model_whose_answers_are_not_finite_is_not_published(tmp_path):
    model = tiny()
    for weight in model.weights:
        weight.assign(np.full(weight.shape, 3e38))  # finite, unlike their products
    with pytest.raises(RuntimeError, match=r"\w+ of \w+ (is NaN or infinite|refuses)"):
        kr.export_saved_model(model, tmp_path / "served")
    assert not (tmp_path / "served").exists()


def test_the_batch_sizes_are_those_that_the_server_may_form(tmp_path):
    version = kr.export_saved_model(tiny(), tmp_path, batch_sizes=(1, 3))
    pool = DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(declared(BATCHING, [wrappers_pb2.DESCRIPTOR.name]).SerializeToString())
    parameters = GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.BatchingParameters"))()
    text_format.Parse((version / "batching_params.pbtxt").read_text(), parameters)
    assert list(parameters.allowed_batch_sizes) == metadata(version)["batch_sizes"] == [1, 3]
    assert (parameters.max_batch_size.value, parameters.batch_timeout_micros.value) == (3, 2000)
    assert {size for _, size in map(asked, logs(version))} == {1, 3}


@pytest.mark.parametrize("sizes", [(), (0, 1), (2, 1), (1, 1), (1.0, 2), (True, 2), "12", 4], ids=repr)
def test_other_batch_sizes_are_refused(sizes, tmp_path):
    with pytest.raises(ValueError, match=r"`batch_sizes(\[\d\])?` must be "):
        kr.export_saved_model(tiny(), tmp_path / "served", batch_sizes=sizes)
    assert not (tmp_path / "served").exists()


def test_metadata_state_what_is_served(exported):
    told = metadata(exported)
    assert (told["head"], told["signatures"], told["omitted"]) == ("logits", SIGNATURES, {})
    assert (told["class_names"], told["input_shape"]) == (NAMES, list(SHAPE))
    assert told["norms"] == {"folded": 7, "kept": 0}
    assert told["packages"] == {
        "keras_resunits": kr.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }


def test_the_card_states_what_is_known_and_of_the_rest_that_it_is_not(exported, tmp_path):
    card = (exported / "MODEL.md").read_text()
    assert f"```text\n{kr.describe(kr.PreActResNet(depth=8, input_shape=SHAPE, classes=4))}\n```" in card
    for unknown in ("data", "data digest", "test accuracy", "configuration", "licence"):
        assert f"| {unknown} | not stated |" in card
    known = {"data": "a\nb|c", "accuracy": 0.97125, "configuration": {"fingerprint": "f00d", "epochs": 3}}
    card = (kr.export_saved_model(tiny(), tmp_path, metadata=known) / "MODEL.md").read_text()
    assert card.startswith("# ti\\|ny\n")
    for row in ("| data | a b\\|c |", "| test accuracy | 97.12% |", "| configuration | f00d |", "| epochs | 3 |"):
        assert row in card.splitlines()


def test_the_card_of_a_layer_whose_cost_is_unknown_says_so(tmp_path):
    images = keras.Input((4, 4, 1))
    x = keras.layers.Flatten()(images)
    x = keras.layers.EinsumDense("ab,bc->ac", output_shape=2)(x)
    card = (kr.export_saved_model(keras.Model(images, x), tmp_path) / "MODEL.md").read_text()
    assert "Not stated: " in card and "```" not in card


def test_the_manifest_finds_a_changed_file(exported, tmp_path):
    version = shutil.copytree(exported, tmp_path / "1")

    def check() -> subprocess.CompletedProcess:
        line = ["sha256sum", "--check", "--strict", "--quiet", "manifest.sha256"]
        return subprocess.run(line, cwd=version, capture_output=True, text=True)

    listed = {line.split("  ", 1)[1] for line in (version / "manifest.sha256").read_text().splitlines()}
    files = {path.relative_to(version).as_posix() for path in version.rglob("*") if path.is_file()}
    assert listed == files - {"manifest.sha256"}
    assert check().returncode == 0
    with open(version / FILE, "ab") as file:
        file.write(b"x")
    assert check().returncode == 1 and "FAILED" in check().stdout


def test_old_versions_are_removed_and_other_folders_stay(exported, tmp_path):
    for version in ("9", "100"):
        shutil.copytree(exported, tmp_path / version)
    for other in ("199", "kit"):  # no SavedModels
        (tmp_path / other).mkdir()
    version = kr.export_saved_model(tiny(), tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["100", "199", "200", "kit"]
    assert answers_tf2(version, pixels((1, 4, 4, 1)))["scores"].shape == (1, 2)


@pytest.mark.parametrize("keep", [0, -1, 1.5, True, "2"])
def test_keep_is_a_positive_int(keep, tmp_path):
    with pytest.raises(ValueError, match=f"`keep` must be a positive int, or None.*keep={keep!r}"):
        kr.export_saved_model(tiny(), tmp_path / "served", keep=keep)
    assert not (tmp_path / "served").exists()

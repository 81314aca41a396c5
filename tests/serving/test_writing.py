"""Writing: signatures share the weights, constants or variables, and equal models give equal files."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from keras_resunits.serving import weights
from keras_resunits.serving.graph import inference_graph
from keras_resunits.serving.writing import Signature, write_saved_model
from tests.catalog import IMAGES, NETWORKS
from tests.support.serving import pixels

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served():
    """`(model, its inference graph)`."""
    model = NETWORKS["WideResNet"].make(width=8)
    return model, inference_graph(lambda x: model(x, training=False), tf.TensorSpec((None, *IMAGES), tf.float32))


def write(core, path):
    """Write two signatures of one core: logits of bytes, and probabilities of floats."""
    write_saved_model(
        path,
        {
            "serving_default": Signature(
                lambda images: {"logits": core(tf.cast(images, tf.float32))},
                [tf.TensorSpec((None, *IMAGES), tf.uint8, "images")],
            ),
            "likely": Signature(
                lambda x, offset: {"probabilities": tf.nn.softmax(core(x) + offset)},
                [tf.TensorSpec((None, *IMAGES), tf.float32, "x"), tf.TensorSpec((), tf.float32, "offset")],
            ),
        },
    )
    return path


def size(path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


@pytest.mark.parametrize("largest", [weights.LARGEST_CONSTANTS, 0], ids=["constants", "variables"])
def test_signatures_share_their_weights_and_answer_in_both_loaders(served, largest, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "LARGEST_CONSTANTS", largest)
    monkeypatch.setattr(weights, "SMALL", min(weights.SMALL, largest))
    model, core = served
    path = write(core, tmp_path / "model")
    assert size(path) <= 1.1 * sum(array.nbytes for array in core.weights.values())
    x = pixels((3, *IMAGES))
    logits = np.asarray(model(x.astype("float32"), training=False))
    loaded = tf.saved_model.load(str(path)).signatures
    np.testing.assert_allclose(loaded["serving_default"](images=tf.constant(x))["logits"], logits, rtol=1e-4, atol=1e-3)
    likely = loaded["likely"](x=tf.constant(x, tf.float32), offset=tf.constant(1.0))["probabilities"]
    np.testing.assert_allclose(likely, tf.nn.softmax(logits), rtol=1e-3, atol=1e-5)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def["serving_default"]
        found = session.run(signature.outputs["logits"].name, {signature.inputs["images"].name: x})
    np.testing.assert_array_equal(found, loaded["serving_default"](images=tf.constant(x))["logits"])


@pytest.mark.parametrize("largest", [weights.LARGEST_CONSTANTS, 0], ids=["constants", "variables"])
def test_equal_models_give_equal_files(served, largest, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "LARGEST_CONSTANTS", largest)
    monkeypatch.setattr(weights, "SMALL", min(weights.SMALL, largest))
    first, second = (write(served[1], tmp_path / name) for name in ("first", "second"))
    files = sorted(file.relative_to(first) for file in first.rglob("*") if file.is_file())
    assert files == sorted(file.relative_to(second) for file in second.rglob("*") if file.is_file())
    assert all((first / file).read_bytes() == (second / file).read_bytes() for file in files)


class Counted(tf.compat.v1.Session):
    """A session that counts its runs."""

    runs = 0

    def run(self, *args, **kwargs):
        """Count, and run."""
        self.runs += 1
        return super().run(*args, **kwargs)


def test_all_variables_get_their_values_in_one_run(served, monkeypatch):
    monkeypatch.setattr(weights, "LARGEST_CONSTANTS", 0)
    monkeypatch.setattr(weights, "SMALL", 0)
    _, core = served
    with tf.Graph().as_default() as graph, Counted() as session:
        placed = weights.place(core.weights)
        weights.load(graph, session)
        assert session.runs == 1
        found = session.run(placed)
    assert found.keys() == core.weights.keys()
    for name, array in core.weights.items():
        np.testing.assert_array_equal(found[name], array)


def test_small_arrays_are_constants_where_large_ones_are_variables(monkeypatch):
    """A variable has about ten operations of its own, and a thousand layers have two thousand arrays."""
    monkeypatch.setattr(weights, "LARGEST_CONSTANTS", 0)
    large, small = np.zeros(weights.SMALL // 4 + 1, "float32"), np.ones(weights.SMALL // 4, "float32")
    with tf.Graph().as_default():
        placed = weights.place({"large": large, "small": small})
    assert {name: tensor.op.type for name, tensor in placed.items()} == {"large": "Identity", "small": "Const"}


def test_nodes_state_no_shapes(served, tmp_path):
    saved = SavedModel.FromString((write(served[1], tmp_path / "model") / "saved_model.pb").read_bytes())
    assert not [node.name for node in saved.meta_graphs[0].graph_def.node if "_output_shapes" in node.attr]

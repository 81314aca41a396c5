"""Heads: what a model returns is found, declared or refused, and is never served as something else."""

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.serving.heads import head_of
from tests.support.serving import answers_tf1, pixels

pytestmark = pytest.mark.slow

SHAPE = (8, 8, 3)


def network(classes=3, activation=None, name=None):
    """A small network that returns logits, or what its activation makes of them."""
    return kr.PreActResNet(8, SHAPE, classes, classifier_activation=activation, name=name)


def behind(layer, classes=3, activation=None):
    """A network with one more layer, or function, behind it."""
    model = network(classes, activation)
    return keras.Model(model.input, layer(model.output))


def averaged(activation):
    """The mean of two networks."""
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, keras.layers.Average()([network(3, activation, name)(inputs) for name in "ab"]))


def dropped(activation):
    """A network inside a `Sequential`, with dropout behind it."""
    return keras.Sequential([keras.Input(SHAPE), network(3, activation), keras.layers.Dropout(0.5)])


def compiled(loss):
    """A network of logits that was trained with a loss."""
    model = network()
    model.compile(loss=loss)
    return model


@keras.saving.register_keras_serializable("tests")
class Own(keras.layers.Layer):
    """A softmax of the user's own."""

    def call(self, x):
        return keras.ops.softmax(x * 1.0)


class Pooled(keras.layers.Layer):
    """A classifier whose activation is a function of the user's own."""

    def __init__(self, activation=None):
        super().__init__()
        self.activation = activation

    def call(self, x):
        return x if self.activation is None else self.activation(x)


def by_tensorflow(x):
    """A softmax that Keras does not know."""
    return keras.ops.exp(x) / keras.ops.sum(keras.ops.exp(x), axis=-1, keepdims=True)


BINARY = keras.losses.BinaryCrossentropy(from_logits=True)
FOUND = {
    "logits": (network, "logits"),
    "softmax": (lambda: network(3, "softmax"), "softmax"),
    "sigmoids": (lambda: network(3, "sigmoid"), "sigmoid"),
    "a logit": (lambda: network(1), "logits"),
    "a sigmoid": (lambda: network(1, "sigmoid"), "sigmoid"),
    "log-probabilities": (lambda: network(3, "log_softmax"), "logits"),
    "Softmax": (lambda: behind(keras.layers.Softmax()), "softmax"),
    "Activation": (lambda: behind(keras.layers.Activation("softmax")), "softmax"),
    "ops.softmax": (lambda: behind(keras.ops.softmax), "softmax"),
    "activations.softmax": (lambda: behind(keras.activations.softmax), "softmax"),
    "ops.sigmoid": (lambda: behind(keras.ops.sigmoid), "sigmoid"),
    "linear activation": (lambda: behind(keras.layers.Activation("linear"), 3, "softmax"), "softmax"),
    "Lambda, softmax": (lambda: behind(keras.layers.Lambda(keras.ops.softmax)), "softmax"),
    "Lambda, logits": (lambda: behind(keras.layers.Lambda(lambda x: 3 * x - 1)), "logits"),
    "own layer": (lambda: behind(Own()), "softmax"),
    "own activation": (lambda: behind(Pooled(by_tensorflow)), "softmax"),
    "Average of softmax": (lambda: averaged("softmax"), "softmax"),
    "Average of logits": (lambda: averaged(None), "logits"),
    "Sequential, softmax": (lambda: dropped("softmax"), "softmax"),
    "Sequential, logits": (lambda: dropped(None), "logits"),
    "mean by arithmetic": (lambda: behind(lambda x: (x + keras.ops.flip(x, -1)) / 2, 3, "softmax"), "softmax"),
    "binary loss": (lambda: compiled(BINARY), "sigmoid_logits"),
    "loss by name": (lambda: compiled("binary_crossentropy"), "sigmoid_logits"),
    "other loss": (lambda: compiled("sparse_categorical_crossentropy"), "logits"),
}


def images():
    """Images as a model takes them."""
    return pixels((8, *SHAPE)).astype("float32") / 255


@pytest.mark.parametrize("case", FOUND)
def test_what_a_model_returns_is_found(case):
    make, head = FOUND[case]
    assert head_of(make(), images) == head


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


WANTED = {
    "softmax": lambda x: x,
    "logits": softmax,
    "sigmoid": lambda x: x,
    "sigmoid_logits": sigmoid,
}


@pytest.mark.parametrize(
    "case", ["Lambda, softmax", "Average of softmax", "Sequential, softmax", "sigmoids", "binary loss"]
)
def test_outputs_are_served_as_what_they_are(case, tmp_path):
    make, head = FOUND[case]
    model, asked = make(), pixels((4, *SHAPE))
    wanted = WANTED[head](np.asarray(model(asked.astype("float32"), training=False)))
    answers = answers_tf1(kr.export_saved_model(model, tmp_path), asked)
    np.testing.assert_allclose(answers["probabilities"], wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(answers["scores"], -np.sort(-wanted), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("activation", "head"), [(None, "logits"), (None, "sigmoid_logits"), ("sigmoid", "sigmoid")])
def test_one_output_is_the_second_of_two_classes(activation, head, tmp_path):
    model, asked = network(1, activation), pixels((4, *SHAPE))
    outputs = np.asarray(model(asked.astype("float32"), training=False))
    second = outputs if activation else sigmoid(outputs)
    answers = answers_tf1(kr.export_saved_model(model, tmp_path, ["cat", "dog"], head=head), asked)
    np.testing.assert_allclose(answers["probabilities"], np.hstack([1 - second, second]), rtol=1e-4, atol=1e-6)
    first = [b"dog" if p > 0.5 else b"cat" for p in second[:, 0]]
    assert answers["classes"][:, 0].tolist() == first


def subclassed():
    class Subclassed(keras.Model):
        def call(self, x):
            return keras.ops.mean(x, axis=(1, 2))

    model = Subclassed(name="m")
    model(np.zeros((1, *SHAPE), "float32"))
    return model


def of_outputs(outputs):
    model = network(name="m")
    return keras.Model(model.input, outputs(model.output), name="m")


def of_inputs():
    first, second = keras.Input(SHAPE), keras.Input(SHAPE)
    return keras.Model([first, second], network()(first + second), name="m")


REFUSED = {
    "no model": (
        lambda: keras.layers.Dense(3),
        {},
        r"`model` must be a functional Keras model.*Received: model=<Dense",
    ),
    "subclassed": (subclassed, {}, r"`model` must be a functional Keras model.*Received: model=<Subclassed name=m"),
    "not built": (
        lambda: keras.Sequential([keras.layers.Dense(3)], name="m"),
        {},
        r"`model` must be a functional Keras model, or a built `Sequential`.*Received: model=<Sequential name=m",
    ),
    "several outputs": (lambda: of_outputs(lambda x: [x, x]), {}, r"`model` must return one tensor.*\(model 'm'\)"),
    "outputs by name": (lambda: of_outputs(lambda x: {"a": x}), {}, r"`model` must return one tensor.*'a'.*'m'"),
    "a list of one": (lambda: of_outputs(lambda x: [x]), {}, r"`model` must return one tensor"),
    "several inputs": (of_inputs, {}, r"`model` must take one tensor"),
    "rank 3": (lambda: of_outputs(lambda x: x[:, None]), {}, r"must output \[batch, classes\].*\(None, 1, 3\)"),
    "fixed batch": (
        lambda: keras.Sequential(
            [keras.Input(batch_shape=(4, *SHAPE)), keras.layers.GlobalAveragePooling2D()], name="m"
        ),
        {},
        r"`model` must take batches of any size\. Received: input shape \(4, 8, 8, 3\) \(model 'm'\)",
    ),
    "unknown head": (network, {"head": "binary"}, r"`head` must be 'softmax' or 'logits'.*head='binary'"),
    "softmax as logits": (lambda: network(3, "softmax"), {"head": "logits"}, r"`head` contradicts.*are softmax"),
    "logits as softmax": (network, {"head": "softmax"}, r"contradicts.*logits or sigmoid_logits.*head='softmax'"),
    "hidden softmax as logits": (FOUND["own layer"][0], {"head": "logits"}, r"`head` contradicts.*are softmax"),
    "hidden sigmoids": (
        lambda: behind(keras.layers.Lambda(keras.ops.sigmoid)),
        {},
        r"`head` is required, one of logits, sigmoid, sigmoid_logits",
    ),
    "halves": (
        lambda: behind(keras.layers.Lambda(lambda x: 0 * x + 0.5), 2),
        {},
        r"`head` is required, one of softmax, sigmoid",
    ),
    "NaN": (lambda: behind(keras.layers.Lambda(lambda x: x / 0)), {}, r"`model` returns NaN or infinite values"),
    "relu": (lambda: network(3, "relu"), {}, r"`model` must end in logits.*activation 'relu' \(layer 'classifier'\)"),
    "softmax of one": (lambda: network(1, "softmax"), {}, r"must not end in a softmax of one class"),
    "one name": (lambda: network(1), {"class_names": ["dog"]}, r"2 names, as one output stands for two classes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_served_is_refused(case, tmp_path):
    make, arguments, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        kr.export_saved_model(make(), tmp_path / "served", **arguments)
    assert not list(tmp_path.iterdir())


def test_a_declared_head_decides_where_the_images_do_not(tmp_path):
    model, asked = behind(keras.layers.Lambda(keras.ops.sigmoid)), pixels((4, *SHAPE))
    answers = answers_tf1(kr.export_saved_model(model, tmp_path, head="sigmoid"), asked)
    wanted = np.asarray(model(asked.astype("float32"), training=False))
    np.testing.assert_allclose(answers["probabilities"], wanted, rtol=1e-4, atol=1e-6)

"""Weights of the package's own networks, and heads for other classes: kept as they are, and told."""

import warnings
from functools import partial

import h5py
import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.converters import ConversionError, load_keras_weights
from keras_resunits.converters.statistics import STATISTICS, normalized
from tests.converters.test_automatic import by_hand, ours
from tests.converters.test_keras_applications import randomized

SHAPE = (8, 8, 3)
HEAD = ["classifier/kernel", "classifier/bias"]
net = partial(kr.PreActResNet, depth=8, input_shape=SHAPE)


@pytest.fixture(scope="module")
def theirs():
    """A network of five classes, no weight of which is what it was initialised to."""
    return randomized(net(classes=5))


@pytest.fixture(scope="module")
def saved(theirs, tmp_path_factory):
    """Its files: the network, its weights, and the network after a layer that normalises pixels."""
    folder = tmp_path_factory.mktemp("own")
    theirs.save(folder / "net.keras")
    theirs.save_weights(folder / "net.weights.h5")
    normalized(theirs, STATISTICS["cifar10"]).save(folder / "pixels.keras")
    return folder


FILES = pytest.mark.parametrize("file", ["net.keras", "net.weights.h5", "pixels.keras"])


def other_weights(model, theirs) -> list[str]:
    """The paths of a model's weights that are not those of the source."""
    wanted = {weight.path: weight.numpy() for weight in theirs.weights}
    return [weight.path for weight in model.weights if not np.array_equal(weight.numpy(), wanted[weight.path])]


@FILES
def test_a_file_of_the_same_network_is_carried_over_without_a_word(file, theirs, saved):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = net(classes=5, weights=saved / file)
        assert other_weights(model, theirs) == []
        for top in ({"include_top": False}, {"include_top": False, "pooling": "max"}):
            assert other_weights(net(**top, weights=str(saved / file)), theirs) == []
        larger = kr.create("PreActResNet", depth=8, input_shape=(16, 16, 3), classes=5, weights=saved / file)
    assert other_weights(larger, theirs) == []


@FILES
def test_a_head_for_other_classes_stays_as_initialised_and_is_told(file, theirs, saved):
    with pytest.warns(UserWarning, match=rf"{file}': a new head of 3 classes replaces that of 5\.") as told:
        model = net(classes=3, weights=saved / file, remat="unit")
    assert [each.filename for each in told if "head" in str(each.message)] == [__file__]
    assert other_weights(model, theirs) == HEAD
    assert not model.weights[-1].numpy().any() and model.weights[-2].numpy().any()


@FILES
def test_a_source_without_a_head_leaves_the_networks_own(file, saved, theirs, tmp_path):
    body = net(include_top=False)
    body.set_weights(theirs.get_weights()[:-2])
    path = tmp_path / file
    if file.endswith(".keras"):
        body.save(path)
    else:
        body.save_weights(path)
    with pytest.warns(UserWarning, match="a new head of 4 classes, without trained weights"):
        assert other_weights(net(classes=4, weights=path), theirs) == HEAD


OTHERS = {
    "depth": (partial(net, depth=14), "wanted 6 units, got 3"),
    "order": (partial(net, order="relu_only_pre_act"), "wanted F: conv norm ReLU conv norm"),
    "epsilon": (
        partial(net, order=kr.FullPreAct(partial(kr.BatchNormalization, epsilon=1e-3))),
        r"wanted epsilon 0\.001, got 1e-05 in 'stem/norm'",
    ),
    "stem": (partial(net, stem=kr.Stem(16, pool=2)), "wanted conv norm ReLU max-pool, got conv norm ReLU in the stem"),
    "channels": (
        partial(net, input_shape=(8, 8, 1)),
        r"1 of the shapes .* wanted \(3, 3, 1, 16\), got \(3, 3, 3, 16\)",
    ),
}


@pytest.mark.parametrize(
    ("file", "make", "says"),
    [
        *((file, *OTHERS[other]) for file in ("net.keras", "pixels.keras") for other in OTHERS),
        ("net.weights.h5", *OTHERS["depth"]),  # the file holds no more than Keras compares
        ("net.weights.h5", partial(net, input_shape=(8, 8, 1)), "does not fit network 'preactresnet8'"),
    ],
)
def test_another_network_is_refused_and_left_unchanged(file, make, says, saved):
    model = make(classes=5)
    before = model.get_weights()
    with pytest.raises(ConversionError, match=says):
        load_keras_weights(model, saved / file)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_converters_refuse_another_head_unless_they_are_told_whom_to_tell(theirs, saved):
    with pytest.raises(ConversionError, match=r"2 of the shapes .* wanted \(64, 3\), got \(64, 5\)"):
        load_keras_weights(net(classes=3), saved / "net.keras")
    with pytest.raises(ConversionError, match="lacks classifier/bias, classifier/kernel"):
        load_keras_weights(net(include_top=False), theirs)
    lines: list[str] = []
    model = net(classes=3)
    assert load_keras_weights(model, theirs, lines.append) == "keras_resunits"
    assert lines == ["the model 'preactresnet8': a new head of 3 classes replaces that of 5."]
    assert other_weights(model, theirs) == HEAD


def test_a_damaged_file_is_refused(saved, tmp_path):
    for name in ("net.keras", "net.weights.h5"):
        content = (saved / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ConversionError, match="is not a readable Keras file"):
            net(classes=5, weights=tmp_path / name)
    with h5py.File(saved / "net.weights.h5", "r") as old, h5py.File(tmp_path / "cut.weights.h5", "w") as new:
        old.copy("layers", new)
        del new["layers/unit_1/branch"]
    model = net(classes=5)
    before = model.get_weights()
    with pytest.raises(ConversionError, match=r"cut\.weights\.h5' does not fit network 'preactresnet8'"):
        load_keras_weights(model, tmp_path / "cut.weights.h5")
    for old_weight, new_weight in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old_weight, new_weight)


def test_a_head_under_automatic_names_is_exchanged_or_left_out(tmp_path):
    source = by_hand(True, units=(1, 1, 1))
    path = tmp_path / "theirs.weights.h5"
    source.save_weights(path)
    order = kr.PostAct(partial(kr.BatchNormalization, epsilon=1e-3))
    make = partial(kr.ResNet, [1, 1, 1], SHAPE, shortcut="projection", order=order)
    for top in ({"classes": 3}, {"include_top": False}):
        model = make(**top)
        lines: list[str] = []
        with pytest.raises(ConversionError, match="which has a stride, was padded"):  # the head is not what is refused
            load_keras_weights(model, path, lines.append)
        assert len(lines) == ("classes" in top)
    assert ours(units=(1, 1, 1)).count_params() == source.count_params()


@pytest.mark.slow
def test_a_head_of_keras_applications_is_exchanged_or_left_out(tmp_path):
    make = partial(keras.applications.ResNet50V2, weights=None, input_shape=(32, 32, 3), classifier_activation=None)
    source = make(classes=4)
    source.save_weights(tmp_path / "v2.weights.h5")
    create = partial(kr.create, "keras_resnet50v2", input_shape=(32, 32, 3), weights=tmp_path / "v2.weights.h5")
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    with pytest.warns(UserWarning, match="a new head of 3 classes replaces that of 4"):
        model = create(classes=3)
    backbone = create(include_top=False, pooling="avg")
    wanted = np.asarray(keras.Model(source.input, source.layers[-2].output)(images))
    pooled = keras.Model(model.input, model.get_layer("pool").output)
    for found in (backbone(images), pooled(images)):
        np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())

"""Trained networks by name, on a shelf of one: what they are created as, and what is refused."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import replace

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.zoo import pretrained as shipped
from keras_resunits.zoo.pretrained import Pretrained, table
from tests.support import shelf
from tests.support.backends import under

NAME = "preactresnet8:shades"
SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def tool():
    return shelf.tool()


@pytest.fixture(scope="module")
def one(tool, tmp_path_factory):
    """A shelf with one network, and the network itself."""
    folder = tmp_path_factory.mktemp("shelf")
    keras.utils.set_random_seed(1)
    model = kr.PreActResNet(depth=8, input_shape=SHAPE, classes=2)
    with pytest.MonkeyPatch.context() as patched:
        shelf.put_up(folder, patched)
        patched.setattr(tool, "FOLDER", folder)
        row = Pretrained(
            name=NAME,
            family="PreActResNet",
            arguments={"depth": 8},
            input_shape=SHAPE,
            class_names=("dark", "light"),
            mean=(0.4,),
            std=(0.2,),
            data="shades",
            test_images=10,
            correct=9,
            correct_of_tenths=1,
            parameters=75_000,
            command="python -m train",
            seed=0,
            code_licence="Apache-2.0",
            data_licence="none stated",
            sha256="",
        )
        tool.write(tool.normalized(model, tool.Statistics(row.mean, row.std)), ["dark", "light"], row.file)
        tool.enter(replace(row, sha256=hashlib.sha256(row.file.read_bytes()).hexdigest()))
        yield model
    table.cache_clear()


def in_float16(model) -> list[np.ndarray]:
    return [w.numpy().astype("float16" if len(w.shape) > 1 else "float32") for w in model.weights]


def assert_weights(model, wanted) -> None:
    for weight, array in zip(model.get_weights(), wanted, strict=True):
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(weight, array.astype("float32"))


def test_a_network_is_created_by_each_of_its_names_without_a_word(one):
    assert kr.list_models(pretrained=True) == kr.list_models("*:shades", pretrained=True) == [NAME]
    assert NAME not in kr.list_models() and kr.list_models("x*", pretrained=True) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for model in (
            kr.create(NAME),
            kr.PreActResNet(depth=8, weights="shades"),
            kr.create("preactresnet20_cifar", depth=8, weights="shades", name="mine"),
            kr.PreActResNet(8, (8, 8, 1), 2, order=None, weights="shades", remat="unit"),
        ):
            assert (model.input_shape, model.output_shape) == ((None, *SHAPE), (None, 2))
            assert_weights(model, in_float16(one))
        free = kr.create(NAME, input_shape=(None, None, 1), include_top=False, pooling="avg")
    assert (free.input_shape, free.output_shape) == ((None, None, None, 1), (None, 64))
    assert_weights(free, in_float16(one)[:-2])


def test_other_classes_get_a_new_head(one):
    with pytest.warns(UserWarning, match=rf"^{NAME}: a new head of 3 classes replaces that of 2\.$"):
        model = kr.create(NAME, classes=3)
    assert_weights(keras.Model(model.input, model.layers[-2].output), in_float16(one)[:-2])


def test_the_record_tells_how_to_use_the_network(one):
    record = kr.pretrained(NAME)
    assert (record.weights, record.accuracy, record.class_names) == ("shades", 0.9, ("dark", "light"))
    pixels = np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype("float32")
    normalised = record.normalization()(pixels)
    np.testing.assert_allclose(normalised, (pixels / 255 - 0.4) / 0.2, atol=1e-5)
    whole = keras.saving.load_model(record.path)
    np.testing.assert_allclose(whole(pixels), kr.create(NAME)(normalised), atol=1e-5)
    assert Pretrained.from_dict(record.to_dict()) == record


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: kr.create(NAME, input_shape=(28, 28, 1)), r"wanted input_shape=\(8, 8, 1\), got \(28, 28, 1\)"),
        (lambda: kr.create(NAME, input_shape=(8, 8, 3)), r"wanted input_shape=\(8, 8, 1\), got \(8, 8, 3\)"),
        (lambda: kr.create(NAME, input_shape=8), r"`input_shape` must be"),
        (lambda: kr.create(NAME, order="post_act"), r"those of PreActResNet\(depth=8\)\. Received: .*order='post_act'"),
        (lambda: kr.PreActResNet(weights="shades"), r"PreActResNet\(depth=8\)\. Received: PreActResNet\(depth=164\)"),
        (lambda: kr.ResNet(8, weights="shades"), r"are those of PreActResNet\(depth=8\)\. Received: ResNet\(depth=8\)"),
        (lambda: kr.PreActResNet(8, weights="shade"), r"or are 'imagenet'.* Trained weights .* by name: shades\."),
        (lambda: kr.create("preactresnet8:shade"), r"no trained network .* Did you mean 'preactresnet8:shades'"),
        (lambda: kr.create(NAME, weights="shades"), "has weights of its own"),
        (lambda: kr.create(NAME, wdth=2), r"no argument 'wdth'.* Did you mean 'width'"),
        (lambda: kr.list_models(pretrained=1), "`pretrained` must be True or False"),
        (lambda: kr.pretrained(8), "`name` must be a string that is not empty"),
    ],
)
def test_what_does_not_fit_is_refused(one, make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_damaged_or_missing_file_is_refused(one):
    path = kr.pretrained(NAME).path
    content = path.read_bytes()
    try:
        wanted = hashlib.sha256(content).hexdigest()
        damaged = {hashlib.sha256(each).hexdigest(): each for each in (content[:-1] + bytes([i]) for i in range(1, 40))}
        for got in (min(damaged), max(damaged)):  # a digest below the right one, and one above it
            path.write_bytes(damaged[got])
            digests = rf"wanted SHA-256 {wanted[:12]}\.\.\., got {got[:12]}\.\.\. \('{path}'\)\.$"
            with pytest.raises(ValueError, match=f"'{NAME}' are not those of the table: {digests}"):
                kr.create(NAME)
        assert min(damaged) < wanted < max(damaged)
        path.unlink()
        with pytest.raises(ValueError, match="are missing: no such file"):
            kr.PreActResNet(8, weights="shades")
    finally:
        path.write_bytes(content)
    assert kr.create(NAME).count_params() == one.count_params()


def test_files_that_are_too_many_are_refused(one, tool, monkeypatch):
    monkeypatch.setattr(tool, "MOST", 100)
    with pytest.raises(tool.BadInput, match=f"with '{NAME}' they have"):
        tool.enter(kr.pretrained(NAME))


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_it_answers_the_same_under_another_backend(one, backend, tmp_path):
    pytest.importorskip(backend)
    images = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, numpy as np, keras\n"
        "from keras_resunits.zoo import pretrained\n"
        "from pathlib import Path\n"
        "import keras_resunits as kr\n"
        "pretrained.FOLDER, out = map(Path, sys.argv[1:])\n"
        f"logits = kr.create({NAME!r})(np.load(out / 'images.npy'))\n"
        "np.save(out / 'logits.npy', keras.ops.convert_to_numpy(logits))\n"
    )
    under(backend, "-c", code, shipped.FOLDER, tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), kr.create(NAME)(images), atol=1e-4)

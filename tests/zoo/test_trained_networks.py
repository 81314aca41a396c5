"""The trained networks of the package: their files are whole, their rows true, and their accuracy is the one stated."""

from __future__ import annotations

import gzip
import inspect
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_resunits as kr
from keras_resunits.models.family import FAMILIES
from keras_resunits.zoo.pretrained import FOLDER, table
from tests.support import shelf
from tests.support.paths import ROOT
from train.data.datasets import load
from train.settings.sections import Source

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
CIFAR10 = ROOT.parent / "shared" / "data" / "cifar10-jpeg.tar.xz"

ROWS = table()


def test_the_files_of_the_package_are_those_of_its_table():
    assert {path.name for path in FOLDER.glob("*.keras")} == {row.path.name for row in ROWS.values()}
    sizes = [row.path.stat().st_size for row in ROWS.values()]
    assert max(sizes) < 6e6 and sum(sizes) < 20e6


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_true(name):
    row = ROWS[name]
    model = kr.create(name)
    assert model.name == name.partition(":")[0]
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == row.parameters
    assert model.output_shape == (None, len(row.class_names)) and model.input_shape == (None, *row.input_shape)
    assert len(row.mean) == len(row.std) == row.input_shape[-1]
    assert 0.5 < row.accuracy <= 1 and abs(row.correct_of_tenths / (row.test_images / 10) - row.accuracy) < 0.05
    inspect.signature(FAMILIES[row.family].build).bind(**row.arguments)


def idx(name: str, start: int) -> np.ndarray:
    """The bytes of an IDX file after its header."""
    return np.frombuffer(gzip.decompress((FASHION_MNIST / f"{name}-ubyte.gz").read_bytes()), np.uint8, offset=start)


def fashion_mnist():
    """Every tenth test image of Fashion-MNIST, and its label."""
    images = idx("t10k-images-idx3", 16).reshape(-1, 28, 28, 1)
    return images[::10], idx("t10k-labels-idx1", 8)[::10]


def cifar10():
    """Every tenth test image of CIFAR-10 as JPEGs, by class and file name, and its label."""
    with tarfile.open(CIFAR10) as archive:
        found = {
            member.name: np.asarray(Image.open(archive.extractfile(member)))
            for member in archive
            if member.isfile() and member.name.startswith("test/")
        }
    names = sorted(found)
    classes = sorted({name.split("/")[1] for name in names})
    chosen = names[::10]
    return np.stack([found[name] for name in chosen]), np.array([classes.index(name.split("/")[1]) for name in chosen])


def digits():
    """Every tenth test image of scikit-learn's digits, as the training program splits them, and its label."""
    images, labels = load(Source()).test
    return images[::10], labels[::10]


HERE = Path(__file__)
DATA = {"digits": (HERE, digits), "fashion-mnist": (FASHION_MNIST, fashion_mnist), "cifar10-jpeg": (CIFAR10, cifar10)}


@pytest.mark.slow
@pytest.mark.parametrize("weights", sorted({row.weights for row in ROWS.values()}))
def test_networks_are_as_accurate_as_the_table_states(weights):
    place, images_and_labels = DATA[weights]
    if not place.exists():
        pytest.skip(f"the data are not available: {place}")
    images, labels = images_and_labels()
    for name in kr.list_models(f"*:{weights}", pretrained=True):
        row = ROWS[name]
        logits = kr.create(name).predict(row.normalization()(images.astype("float32")), verbose=0)
        assert (logits.argmax(1) == labels).sum() == pytest.approx(row.correct_of_tenths, abs=1), name


def test_the_page_has_the_cards_of_the_table():
    tool = shelf.tool()
    assert tool.PAGE.read_text() == tool.page()


def test_a_refusal_states_every_argument_that_the_weights_are_of():
    with pytest.raises(ValueError, match=r"dropout=0\.0\)\. Received: WideResNet\(depth=16, width=4, dropout=0\.3\)"):
        kr.WideResNet(depth=16, width=4, weights="cifar10-jpeg")

"""The page of all analyses, and the command that writes it."""

import zipfile

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.analysis.__main__ import main


class Unknown(keras.layers.Layer):
    """A layer of somebody else, which Keras does not know when it reads a file."""

    def call(self, x):
        return x


IMAGES = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
LABELS = np.arange(8) % 5


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    kr.PlainNet([1, 1, 1], (8, 8, 3), 5).save(folder / "plain.keras")
    np.savez(folder / "set.npz", x_test=IMAGES, y_test=LABELS)
    np.savez(folder / "other.npz", pixels=IMAGES)
    np.savez(folder / "small.npz", images=IMAGES[:, :4], labels=LABELS)
    np.savez(folder / "objects.npz", images=np.array([{}], object), labels=LABELS)  # loading could run any code
    (folder / "no.npz").write_text("no archive")
    np.savez(folder / "onehot.npz", images=IMAGES, labels=np.eye(5)[LABELS])
    np.savez(folder / "number.npz", images=3, labels=0)
    x = keras.Input((8, 8, 3))
    keras.Model(x, Unknown()(x)).save(folder / "others.keras")
    zipfile.ZipFile(folder / "empty.keras", "w").close()
    return folder


@pytest.mark.slow
def test_a_page_shows_every_analysis_and_the_reason_where_one_is_not_defined(files, capsys):
    page = files / "page.html"
    arguments = [str(files / "plain.keras"), str(files / "set.npz"), f"--report={page}", "--images=6"]
    assert main(arguments) == 0, capsys.readouterr().err
    assert capsys.readouterr().out == f"6 images -> {page}\n"
    text = page.read_text()
    refused = text.count('class="refused">')
    assert refused and text.count("data:image/png;base64,") == 8 - refused
    assert "Not defined here" in text and "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("plain.keras", "other.npz"), "DATA must have the arrays images and labels, or x_test and y_test. Received: "),
        (("plain.keras", "no.npz"), "DATA must be an .npz file of arrays"),
        (("plain.keras", "objects.npz"), "Object arrays cannot be loaded"),
        (("plain.keras", "small.npz"), "`images` must be"),
        (("plain.keras", "onehot.npz"), "Received: shape (8, 5), float64 (propagation). One-hot labels become ints"),
        (("plain.keras", "number.npz"), "DATA must be an .npz file of arrays. Received: 'number.npz' (too many"),
        (
            ("others.keras", "set.npz"),
            "MODEL must be a .keras file of a network of this package. Received: 'others.keras'",
        ),
        (
            ("empty.keras", "set.npz"),
            "MODEL must be a .keras file of a network of this package. Received: 'empty.keras'",
        ),
        (("plain.keras", "gone.npz"), "DATA must be an .npz file of arrays. Received: 'gone.npz' (No such file"),
        (("plain.keras", "."), "DATA must be an .npz file of arrays. Received: '.' (Is a directory)"),
        (("gone.keras", "set.npz"), "MODEL must be a .keras file. Received: "),
        (("plain.keras", "set.npz", "--report=gone/page.html"), "--report must lie in a folder that exists"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(files, arguments, line, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("analysis: ") and line in error and error.count("\n") == 1

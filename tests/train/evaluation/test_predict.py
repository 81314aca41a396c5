"""`python -m train.predict`: images to rows of a csv file, whole or not at all."""

from __future__ import annotations

import codecs
import csv
import re
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_resunits import PreActResNet, export_saved_model, load
from keras_resunits.serving.classifiers import save_classifier
from tests.support.processes import finished
from tests.train.conftest import Outcome
from train.data.datasets.decoding import test_view as view_of
from train.data.datasets.folder import pixels
from train.evaluation.inputs import Inputs
from train.evaluation.predicting import in_words, read_batches
from train.evaluation.submission import _is_share
from train.predict import entry

NAMES = ["cat", "dog", "eel"]
SHAPE = (8, 8, 3)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return PreActResNet(8, SHAPE, len(NAMES))


@pytest.fixture(scope="module")
def net(model, tmp_path_factory) -> Path:
    """A file that states its classes."""
    path = tmp_path_factory.mktemp("models") / "net.keras"
    save_classifier(model, path, NAMES, keras.layers.Rescaling(1 / 64, -2))
    return path


@pytest.fixture
def folder(tmp_path, files) -> Path:
    """Six pictures of several sizes and formats, `0.png` to `5.bmp`, in two folders."""
    rng = np.random.default_rng(1)
    names = ["0.png", "1.png", "2.jpg", "b/3.png", "b/4.png", "b/5.bmp"]
    for i, name in enumerate(names):
        size = (8, 8, 3) if i < 2 else (11, 9 + i, 3) if i < 4 else (8, 8)
        files.image(tmp_path / "pictures" / name, rng.integers(0, 256, size, dtype=np.uint8))
    return tmp_path / "pictures"


@pytest.fixture
def predict(capsys, tmp_path):
    """`predict("MODEL", ...)` is `python -m train.predict MODEL ... --output=OUT.csv` in this process."""

    def predict(*arguments) -> Outcome:
        capsys.readouterr()
        given = [str(argument) for argument in (*arguments, f"--output={tmp_path / 'out.csv'}")]
        return Outcome(entry.run(given), *capsys.readouterr())

    return predict


def rows(path: Path, delimiter: str = ",") -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=delimiter))


def expected(model, folder: Path, names) -> np.ndarray:
    """The probabilities of pictures, by PIL and NumPy."""
    read = [pixels(folder / name, 8)[0] for name in names]
    images = np.stack([image if image.ndim == 3 else np.stack([image] * 3, -1) for image in read])
    logits = np.asarray(model(images.astype("float32") / 64 - 2, training=False), np.float64)
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


ALL = ["0.png", "1.png", "2.jpg", "b/3.png", "b/4.png", "b/5.bmp"]


def test_a_folder_is_walked_and_each_picture_gets_its_class(predict, net, model, folder, tmp_path):
    (folder / "notes.txt").write_text("no image")
    outcome = predict(net, folder, "--batch_size=4")
    assert outcome.code == 0, outcome.err
    header, *found = rows(tmp_path / "out.csv")
    assert header == ["image", "class", "probability"]
    wanted = expected(model, folder, ALL)
    assert [row[:2] for row in found] == [
        [name, NAMES[place]] for name, place in zip(ALL, wanted.argmax(1), strict=True)
    ]
    np.testing.assert_allclose([float(row[2]) for row in found], wanted.max(1), rtol=1e-4)
    assert "ignored 1 file in other formats (1 .txt)" in outcome.err
    assert "predicted  6 images" in outcome.out


def test_what_was_predicted_is_summed_up(predict, folder, tmp_path, monkeypatch):
    """Seven classes, of which five are shown; three images a second."""
    keras.utils.set_random_seed(0)
    seven = PreActResNet(8, SHAPE, 7)
    save_classifier(seven, tmp_path / "seven.keras", list("abcdefg"))
    answers = iter([np.eye(7)[[0, 1, 1]], np.eye(7)[[2, 3, 4]]])
    monkeypatch.setattr("train.evaluation.classifiers.Classifier.probabilities", lambda *_: next(answers))
    clock = iter([10.0, 12.0])
    own = SimpleNamespace(monotonic=lambda: next(clock))  # the module's alone: other threads read the clock too
    monkeypatch.setattr("train.evaluation.predicting.time", own)
    outcome = predict(tmp_path / "seven.keras", folder, "--normalize=none", "--batch_size=3")
    assert outcome.code == 0, outcome.err
    assert "predicted  6 images in 2.0 s, 3 img/s\nclasses    b 2, a 1, c 1, d 1, e 1\n" in outcome.out
    answers, clock = iter([np.eye(7)[[0]]]), iter([10.0, 12.0])
    outcome = predict(tmp_path / "seven.keras", folder / "1.png", "--normalize=none")
    assert "predicted  1 image in 2.0 s, 0 img/s\n" in outcome.out


def test_the_next_classes_and_all_probabilities_are_columns(predict, net, model, folder, tmp_path):
    assert predict(net, folder / "1.png", folder / "b", "--top_k=2", "--probabilities").code == 0
    header, *found = rows(tmp_path / "out.csv")
    assert header == ["image", "class", "probability", "class_2", "probability_2", *NAMES]
    assert [row[0] for row in found] == [str(folder / name) for name in ["1.png", "b/3.png", "b/4.png", "b/5.bmp"]]
    wanted = expected(model, folder, ["1.png", "b/3.png", "b/4.png", "b/5.bmp"])
    order = np.argsort(-wanted, 1)
    assert [[row[1], row[3]] for row in found] == np.array(NAMES)[order[:, :2]].tolist()
    np.testing.assert_allclose([[float(cell) for cell in row[5:]] for row in found], wanted, rtol=1e-4)


@pytest.mark.parametrize("kind", [".npy", ".npz"])
def test_arrays_are_named_by_their_numbers(predict, net, model, folder, tmp_path, kind):
    images = np.stack([pixels(folder / name, 8)[0] for name in ALL[:3]])
    path = tmp_path / f"images{kind}"
    np.save(path, images) if kind == ".npy" else np.savez(path, x_test=images, y_test=[0, 1, 2])
    assert predict(net, path, "--probabilities").code == 0
    _, *found = rows(tmp_path / "out.csv")
    assert [row[0] for row in found] == ["0", "1", "2"]
    wanted = expected(model, folder, ALL[:3])
    np.testing.assert_allclose([[float(cell) for cell in row[3:]] for row in found], wanted, rtol=1e-4)


@pytest.mark.parametrize(
    "content", [b"id\n4\n1\n2\n", codecs.BOM_UTF8 + b"row;id\r\n7;4.png\r\n8;1.png\r\n9;2.jpg\r\n"]
)
def test_a_table_names_the_pictures_with_or_without_suffix(predict, net, model, folder, tmp_path, content):
    (tmp_path / "test.csv").write_bytes(content)
    outcome = predict(net, tmp_path / "test.csv", f"--images={folder}")
    assert outcome.code == 0, outcome.err
    header, *found = rows(tmp_path / "out.csv")
    wanted = expected(model, folder, ["b/4.png", "1.png", "2.jpg"])
    assert header[0] == "id" and [row[0].partition(".")[0] for row in found] == ["4", "1", "2"]
    assert [row[1] for row in found] == np.array(NAMES)[wanted.argmax(1)].tolist()


IDS = ["3", "0", "5", "1", "4", "2"]
FILES = ["b/3.png", "0.png", "b/5.bmp", "1.png", "b/4.png", "2.jpg"]


def sample(path: Path, header, cells, separator=",", end="\n", ids=IDS, mark=b"") -> Path:
    lines = [header, *([each, *cells] for each in ids)]
    path.write_bytes(mark + "".join(separator.join(line) + end for line in lines).encode())
    return path


def test_a_submission_keeps_ids_order_and_names(predict, net, model, folder, tmp_path):
    given = sample(tmp_path / "sample.csv", ["id", "breed"], ["cat"])
    outcome = predict(net, folder, f"--submission={given}")
    assert outcome.code == 0, outcome.err
    answers = np.array(NAMES)[expected(model, folder, FILES).argmax(1)]
    assert rows(tmp_path / "out.csv") == [["id", "breed"], *(list(pair) for pair in zip(IDS, answers, strict=True))]
    assert "ids in column 'id', classes (cat, dog, eel) in column 'breed'" in outcome.out


def test_a_submission_of_numbers_before_the_ids_keeps_its_columns(predict, net, model, folder, tmp_path):
    path = tmp_path / "sample.csv"
    path.write_text("label,file\n" + "".join(f"0,{Path(name).name}\n" for name in FILES))
    assert predict(net, folder, f"--submission={path}").code == 0
    answers = expected(model, folder, FILES).argmax(1)
    wanted = [["label", "file"], *([str(n), Path(name).name] for n, name in zip(answers, FILES, strict=True))]
    assert rows(tmp_path / "out.csv") == wanted


def test_a_submission_of_probabilities_keeps_the_order_of_its_columns(predict, net, model, folder, tmp_path):
    given = sample(tmp_path / "sample.csv", ["id", "eel", "cat", "dog"], ["0.3"] * 3, ";", "\r\n", mark=codecs.BOM_UTF8)
    outcome = predict(net, folder, f"--submission={given}")
    assert outcome.code == 0, outcome.err
    header, *found = rows(tmp_path / "out.csv", ";")
    assert header == ["id", "eel", "cat", "dog"] and [row[0] for row in found] == IDS
    wanted = expected(model, folder, FILES)[:, [2, 0, 1]]
    np.testing.assert_allclose([[float(cell) for cell in row[1:]] for row in found], wanted, rtol=1e-4)


def test_a_submission_of_one_probability_is_of_the_second_class(predict, folder, tmp_path):
    keras.utils.set_random_seed(0)
    save_classifier(two := PreActResNet(8, SHAPE, 2), tmp_path / "two.keras", ["cat", "dog"])
    given = sample(tmp_path / "sample.csv", ["id", "label"], ["0.5"])
    outcome = predict(tmp_path / "two.keras", folder, f"--submission={given}", "--normalize=none")
    assert outcome.code == 0, outcome.err
    logits = np.asarray(two(np.float32([pixels(folder / "1.png", 8)[0]])))[0]
    found = {row[0]: row[1] for row in rows(tmp_path / "out.csv")}
    assert float(found["1"]) == pytest.approx(1 / (1 + np.exp(logits[0] - logits[1])), rel=1e-4)


@pytest.mark.parametrize("placeholder", ["0", "2", "-1"])
def test_classes_that_are_numbers_are_never_counted_from_0(predict, model, folder, tmp_path, placeholder):
    """Labels 1 to 3, and a sample with 0 in every row: 0, 1, 2 would be wrong in every row."""
    save_classifier(model, tmp_path / "net.keras", ["1", "2", "3"], keras.layers.Rescaling(1 / 64, -2))
    given = sample(tmp_path / "sample.csv", ["id", "label"], [placeholder])
    outcome = predict(tmp_path / "net.keras", folder, f"--submission={given}")
    assert outcome.code == 0 and "classes (1, 2, 3) in column 'label'" in outcome.out, outcome.err
    answers = expected(model, folder, FILES).argmax(1) + 1
    assert [row[1] for row in rows(tmp_path / "out.csv")[1:]] == list(map(str, answers))
    given.write_text(given.read_text().replace(f"3,{placeholder}", "3,7"))
    refused = predict(tmp_path / "net.keras", folder, f"--submission={given}")
    assert_refused(refused, r"has .*'7'.*: expected classes of the model \(1, 2, 3\)\.")


@pytest.mark.parametrize(
    ("names", "cells", "wanted"),
    [
        (["0.0", "1.0", "2.0"], ["0", "1", "2"], ["0", "1", "2"]),
        (["0.0", "1.0", "2.0"], ["0"], ["0", "1", "2"]),
        (["1", "2", "3"], ["1.0", "3.0"], ["1.0", "2.0", "3.0"]),
        (["0.5", "1.0", "2.0"], ["0"], None),
        (["1", "2", "3"], ["1.0", "7.0"], None),
    ],
)
def test_numbers_are_written_as_the_samples(predict, model, folder, tmp_path, names, cells, wanted):
    save_classifier(model, tmp_path / "net.keras", names, keras.layers.Rescaling(1 / 64, -2))
    given = tmp_path / "sample.csv"
    given.write_text("id,label\n" + "".join(f"{each},{cells[i % len(cells)]}\n" for i, each in enumerate(IDS)))
    outcome = predict(tmp_path / "net.keras", folder, f"--submission={given}")
    if wanted is None:
        assert_refused(outcome, "expected classes of the model")
        return
    assert outcome.code == 0, outcome.err
    answers = expected(model, folder, FILES).argmax(1)
    assert [row[1] for row in rows(tmp_path / "out.csv")[1:]] == [wanted[answer] for answer in answers]


def test_the_numbers_of_rows_are_not_taken_for_ids(predict, net, folder, tmp_path):
    """Pictures 0 to 5, and a table as pandas writes it, with a column of 0 to 5 without a name."""
    order, table = [4, 2, 0, 5, 1, 3], tmp_path / "test.csv"
    for name in ("image_id", "key"):
        table.write_text(f",{name}\n" + "".join(f"{i},{each}\n" for i, each in enumerate(order)))
        outcome = predict(net, table, f"--images={folder}")
        if name == "key":
            assert_refused(
                outcome, r"columns '' and 'key' of .* both name images, in row 2 '0' and '4': pass --column\."
            )
        else:
            assert [row[0] for row in rows(tmp_path / "out.csv")] == ["image_id", *map(str, order)], outcome.err
    assert predict(net, table, f"--images={folder}", "--column=key").code == 0


@pytest.mark.parametrize("least", [1, 8])
def test_integers_name_pictures_with_zeros_before_numbers(predict, net, files, tmp_path, least):
    """Of `08.png` to `12.png`, three are named as they are."""
    for number in range(least, least + 5):
        files.image(tmp_path / "test" / f"{number:02d}.png", np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "sample.csv").write_text("id,label\n" + "".join(f"{i},cat\n" for i in range(least, least + 5)))
    outcome = predict(net, tmp_path / "test", f"--submission={tmp_path / 'sample.csv'}")
    assert outcome.code == 0, outcome.err
    assert [row[0] for row in rows(tmp_path / "out.csv")[1:]] == [str(i) for i in range(least, least + 5)]
    assert f"has numbers without zeros before them: {least} is 0{least}.png." in outcome.err
    files.image(tmp_path / "test" / f"00{least}.png", np.zeros((8, 8, 3), np.uint8))
    outcome = predict(net, tmp_path / "sample.csv", f"--images={tmp_path / 'test'}")
    assert outcome.code == 2 and f"'{least}' in column 'id' of" in outcome.err
    assert "may be any of 2 images: '00" in outcome.err


def test_a_share_is_a_number_from_0_to_1():
    assert [text for text in ("0", "1", "0.5", "1e-3", "-0.1", "1.1", "nan", "yes", "") if _is_share(text)] == [
        "0",
        "1",
        "0.5",
        "1e-3",
    ]


def test_an_arrays_ids_may_count_from_one(predict, net, model, folder, tmp_path):
    np.save(tmp_path / "x.npy", np.stack([pixels(folder / name, 8)[0] for name in ALL[:4]]))
    given = sample(tmp_path / "sample.csv", ["ImageId", "Label"], ["0"], ids=["4", "1", "2", "3"])
    outcome = predict(net, tmp_path / "x.npy", f"--submission={given}")
    assert outcome.code == 0, outcome.err
    wanted = expected(model, folder, ALL[:4]).argmax(1)[[3, 0, 1, 2]]
    assert [row[1] for row in rows(tmp_path / "out.csv")[1:]] == list(map(str, wanted))


SUBMISSIONS = {
    "empty": (b"", "has nothing; expected a header and rows"),
    "header only": (b"id,label\n", "has only a header"),
    "one column": (b"id\n1\n", "has one column, 'id'"),
    "id without image": (
        b"id,label\n0,cat\n1,cat\n2,cat\n3,cat\n4,cat\n5,cat\n77,cat\n",
        "1 of 7 names .* no image: '77'",
    ),
    "image without id": (
        b"id,label\n0,cat\n1,cat\n2,cat\n3,cat\n",
        r"2 of 6 images have no row in .*: 'b/4.png', 'b/5",
    ),
    "duplicate ids": (b"id,label\n0,cat\n1,cat\n1.png,cat\n", "1 names in column 'id' .* more than once: '1'"),
    "other ids": (b"id,label\nx,cat\ny,cat\n", "no column of .* names one of the 6 images .*first row: id=x.*: 0.png"),
    "no header": (b"0.png,cat\n1,cat\n2,cat\n3,cat\n4,cat\n5,cat\n", "the first row .* names an image .0.png"),
    "other labels": (b"id,label\n0,cow\n1,cat\n2,cat\n3,cat\n4,cat\n5,cat\n", "column 'label' .* 'cow'.*cat, dog, eel"),
    "other classes": (b"id,cat,cow\n0,1,1\n1,1,1\n2,1,1\n3,1,1\n4,1,1\n5,1,1\n", "got cat, cow"),
    "too many cells": (b"id,label\n0,cat,1\n", "row 2 has 3 cells, the header 2"),
    "binary": (b"id,label\n0,\0\n", "bytes of 0"),
    "probabilities of three": (b"id,label\n0,0.5\n1,1\n2,0\n3,0\n4,0\n5,0\n", "'label' .* '0.5': expected .* 0..2"),
}


@pytest.mark.parametrize("case", SUBMISSIONS)
def test_a_sample_that_does_not_fit_is_refused_and_nothing_is_written(predict, net, folder, tmp_path, case):
    content, text = SUBMISSIONS[case]
    (tmp_path / "sample.csv").write_bytes(content)
    (tmp_path / "out.csv").write_text("an earlier one")
    assert_refused(predict(net, folder, f"--submission={tmp_path / 'sample.csv'}"), text)
    assert (tmp_path / "out.csv").read_text() == "an earlier one"


@pytest.mark.parametrize("model", ["exported", "runs/mine", "net.h5"])
def test_what_normalises_by_itself_is_asked_for_nothing_else(predict, folder, model):
    wrong = f"--normalize=none has no effect on {model}: it normalises as it was trained"
    assert_refused(predict(model, folder, "--normalize=none"), wrong)


def assert_refused(outcome: Outcome, text: str) -> None:
    assert outcome.code == 2
    assert len(outcome.said) == 1, outcome.err
    assert re.search(text, outcome.said[0])


MISTAKES = {
    "no such picture": (["nowhere.png"], "'nowhere.png': there is no such file or folder"),
    "an empty folder": (["{tmp}/empty"], "empty has no images"),
    "an array of other sizes": (
        ["{tmp}/wide.npy"],
        r"expected uint8 images \[n, 8, 8, 3\], 0..255; got uint8 \[2, 8, 9, 3\]",
    ),
    "an array of floats": (["{tmp}/floats.npy"], r"got float64 .* \(images \* 255\)"),
    "a damaged array": (["{tmp}/damaged.npy"], "not a readable file of arrays"),
    "pickled objects": (["{tmp}/objects.npy"], "not a readable file of arrays: .*Python objects in dtype"),
    "pickled objects of an .npz": (["{tmp}/objects.npz"], "not a readable file of arrays: Object arrays cannot"),
    "an .npz of several": (["{tmp}/several.npz"], "has the arrays a, b: expected one, or x_test"),
    "a table and more": (["{tmp}/ids.csv", "{folder}"], "or one table, or one array"),
    "a table without its folder": (["{tmp}/ids.csv", "--images=nowhere"], "--images=nowhere: there is no such folder"),
    "an unknown column": (
        ["{tmp}/ids.csv", "--images={folder}", "--column=x"],
        "--column=x: .* no such column; it has id",
    ),
    "names without files": (["{tmp}/ids.csv", "--images={folder}"], "1 of 2 names in column 'id' .* no image: '99'"),
    "a folder for a table": (["{folder}", "--images={folder}"], "--images=.* has no effect without a table"),
    "an id column alone": (["{folder}", "--id_column=x"], "no effect without --submission"),
    "too many classes": (["{folder}", "--top_k=4"], "--top_k=4 must be at most 3"),
    "other names": (["{folder}", "--class_names=a,b,c"], "has its own, cat, dog, eel"),
    "another size": (["{folder}", "--image_size=9"], "takes images of 8x8"),
    "statistics of its own": (["{folder}", "--mean=imagenet"], "expects normalised pixels, but its layer"),
    "a state": (["{folder}", "--state=best"], "of a run's states"),
    "an output that is read": (["{tmp}/out.csv"], "would overwrite a file that is read"),
    "top k of a sample": (["{folder}", "--submission=x.csv", "--top_k=2"], "--top_k has no effect with --submission"),
    "no sample": (["{folder}", "--submission=nowhere.csv"], "--submission=nowhere.csv: there is no such file"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_answered_in_one_line(predict, net, folder, tmp_path, case):
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "wide.npy", np.zeros((2, 8, 9, 3), np.uint8))
    np.save(tmp_path / "floats.npy", np.zeros((2, 8, 8, 3)))
    (tmp_path / "damaged.npy").write_bytes(b"no array")
    objects = np.array([{}], object)  # of which loading could run any code
    np.save(tmp_path / "objects.npy", objects)
    np.savez(tmp_path / "objects.npz", x=objects)
    np.savez(tmp_path / "several.npz", a=np.zeros(1), b=np.zeros(1))
    (tmp_path / "ids.csv").write_text("id\n1\n99\n")
    (tmp_path / "out.csv").write_text("id\n1\n")
    arguments, text = MISTAKES[case]
    assert_refused(predict(net, *(each.format(tmp=tmp_path, folder=folder) for each in arguments)), text)
    assert (tmp_path / "out.csv").read_text() == "id\n1\n"


def test_there_is_no_such_model(predict, folder):
    assert_refused(predict("nowhere", folder), "nowhere: there is no such run, file or folder")


@pytest.mark.parametrize("spoil", ["no image", "truncated"])
def test_bad_pictures_are_named_or_left_out(predict, net, model, folder, tmp_path, spoil):
    whole = (folder / "b/3.png").read_bytes()
    (folder / "b/3.png").write_bytes(b"text" if spoil == "no image" else whole[: len(whole) // 2])
    assert_refused(predict(net, folder, "--batch_size=2"), r"1 unreadable image \(b/3.png: .*--skip_bad_images")
    assert list(tmp_path.glob("*out.csv")) == []
    outcome = predict(net, folder, "--batch_size=2", "--skip_bad_images")
    assert outcome.code == 0 and "left out 1 unreadable image (b/3.png: " in outcome.err
    assert [row[0] for row in rows(tmp_path / "out.csv")[1:]] == [name for name in ALL if name != "b/3.png"]


@pytest.mark.parametrize("name", ["wide.jpg", "wide.bmp"])
def test_a_truncated_picture_of_a_view_is_named(predict, model, folder, tmp_path, name):
    save_classifier(model, tmp_path / "cut.keras", NAMES, keras.layers.Rescaling(1 / 64, -2), "paper")
    Image.open(folder / "1.png").resize((60, 50)).save(path := folder / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    outcome = predict(tmp_path / "cut.keras", path)
    assert_refused(outcome, rf"1 unreadable image \(\S*{name}: [^{{]+\)\. Fix or remove them")


@pytest.mark.parametrize(("count", "text"), [(1, "1 unreadable image (0: why)"), (5, "5 unreadable images (0: why;")])
def test_five_bad_pictures_are_named(count, text):
    assert in_words({str(i): "why" for i in range(count)}).startswith(text)
    assert in_words({str(i): "why" for i in range(count)}).endswith(f"{count - 1}: why)")
    assert in_words({str(i): "why" for i in range(6)}).endswith("; 4: why; ...)")


def plain_file(path: Path, shape, classes: int = 3) -> Path:
    keras.utils.set_random_seed(0)
    PreActResNet(8, shape, classes).save(path)
    return path


def test_classes_without_names_are_numbers_or_named_by_the_option(predict, folder, tmp_path):
    file = plain_file(tmp_path / "plain.keras", SHAPE)
    line = (file, folder, "--normalize=none", "--probabilities")
    for names, header in ((), ["0", "1", "2"]), (("--class_names=a,b,c",), ["a", "b", "c"]):
        assert predict(*line, *names).code == 0
        assert rows(tmp_path / "out.csv")[0][3:] == header
    assert_refused(predict(*line, "--class_names=a,b"), "--class_names must have 3 names, one for each class; got 2")
    assert predict(*line, "--top_k=3").code == 0


def test_a_model_of_any_size_requires_one(predict, folder, tmp_path):
    file = plain_file(tmp_path / "any.keras", (None, None, 3))
    assert_refused(predict(file, folder, "--normalize=none"), "takes images of any size: pass --image_size")
    assert predict(file, folder, "--normalize=none", "--image_size=8", "--probabilities").code == 0
    found = np.array([row[3:] for row in rows(tmp_path / "out.csv")[1:]], float)
    fixed = plain_file(tmp_path / "fixed.keras", SHAPE)
    assert predict(fixed, folder, "--normalize=none", "--image_size=8", "--probabilities").code == 0
    np.testing.assert_allclose(found, np.array([row[3:] for row in rows(tmp_path / "out.csv")[1:]], float), rtol=1e-4)


def test_pictures_and_arrays_are_grey_for_a_grey_network(predict, folder, tmp_path):
    file = plain_file(tmp_path / "grey.keras", (8, 8, 1))
    images = np.stack([np.asarray(Image.open(folder / name).convert("L")) for name in ALL[:2]])
    np.save(tmp_path / "x.npy", images)
    found = []
    for inputs in ([tmp_path / "x.npy"], [folder / "0.png", folder / "1.png"]):
        assert predict(file, *inputs, "--normalize=none", "--probabilities").code == 0
        found.append(np.array([row[3:] for row in rows(tmp_path / "out.csv")[1:]], float))
    np.testing.assert_allclose(*found, rtol=1e-4)


def test_a_name_of_two_pictures_is_refused(predict, net, folder, tmp_path, files):
    files.image(folder / "c" / "3.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "test.csv").write_text("id\n3\n")
    outcome = predict(net, tmp_path / "test.csv", f"--images={folder}")
    assert_refused(outcome, "'3' in column 'id' .* may be any of 2 images: 'b/3.png', 'c/3.png'")


def test_answers_that_are_no_numbers_are_reported(predict, model, folder, tmp_path):
    spoilt = keras.models.clone_model(model)
    spoilt.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    save_classifier(spoilt, tmp_path / "spoilt.keras", NAMES, keras.layers.Rescaling(1 / 64))
    outcome = predict(tmp_path / "spoilt.keras", folder)
    assert outcome.code == 3 and "answers 6 of 6 images with NaN or infinity" in outcome.said[-1]
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("view", ["central", "paper"])
def test_pictures_are_cut_as_the_evaluation_does(predict, model, folder, tmp_path, view):
    save_classifier(model, tmp_path / "cut.keras", NAMES, keras.layers.Rescaling(1 / 64, -2), view)
    Image.open(folder / "1.png").resize((30, 21)).save(folder / "wide.jpg")
    assert predict(tmp_path / "cut.keras", folder / "wide.jpg", folder / "b/5.bmp", "--probabilities").code == 0
    seen = [view_of(tf.constant((folder / "wide.jpg").read_bytes()), 8, view), pixels(folder / "b/5.bmp", 8)[0]]
    logits = np.asarray(model(seen[0][np.newaxis].numpy().astype("float32") / 64 - 2))[0]
    found = np.array(rows(tmp_path / "out.csv")[1][3:], float)
    np.testing.assert_allclose(found, np.exp(logits) / np.exp(logits).sum(), rtol=1e-4)


def test_two_batches_are_in_memory_at_most():
    begun: list[int] = []

    def read(number: int) -> np.ndarray:
        begun.append(number)
        return np.zeros(1)

    for done, (numbers, images, bad) in enumerate(read_batches(Inputs("", [""] * 40, read, []), 4)):
        assert len(numbers) == len(images) == 4 and not bad
        assert len(begun) <= 4 * (done + 2)
    assert sorted(begun) == list(range(40))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run on two devices, with averaged weights."""
    from tests.train.conftest import Files

    folder = tmp_path_factory.mktemp("run")
    Files.npz(folder / "set.npz")
    options = [f"--dataset={folder / 'set.npz'}", "--class_names=dark,bright", "--depth=8", "--batch_size=8"]
    options += ["--epochs=2", "--ema=0.5", "--cpu_devices=2", f"--output={folder}", "--run=mine"]
    outcome = finished("train", *options)
    assert outcome.code == 0, outcome.err
    assert f"saved         {folder}/runs/mine/model.keras" in outcome.out
    return folder


@pytest.mark.slow
def test_a_run_its_file_and_its_export_predict_alike(run, predict, tmp_path):
    images = np.load(run / "set.npz")["x_test"]
    np.save(tmp_path / "x.npy", images)
    models = [run / "runs" / "mine", run / "runs" / "mine" / "model.keras", run / "saved_models" / "mine"]
    found = []
    for each in models:
        outcome = predict(each, tmp_path / "x.npy", "--probabilities")
        assert outcome.code == 0, outcome.err
        header, *lines = rows(tmp_path / "out.csv")
        assert header[3:] == ["dark", "bright"]
        found.append(np.array([line[3:] for line in lines], float))
    classifier = load(run / "runs" / "mine")
    found.append(classifier.predict(images))
    np.testing.assert_allclose(found, np.broadcast_to(found[0], np.shape(found)), atol=1e-5)
    plain = keras.saving.load_model(models[1])
    np.testing.assert_allclose(
        keras.ops.softmax(plain(images.astype("float32"))), classifier.predict(images), atol=1e-6
    )
    assert classifier.class_names == ["dark", "bright"] and classifier.facts["run"] == "mine"


@pytest.mark.slow
def test_a_run_of_which_only_the_file_is_left_predicts(run, predict, tmp_path):
    left = tmp_path / "runs" / "mine"
    left.mkdir(parents=True)
    for name in ("config.json", "data.json", "model.keras"):
        (left / name).write_bytes((run / "runs" / "mine" / name).read_bytes())
    np.save(tmp_path / "x.npy", np.load(run / "set.npz")["x_test"])
    outcome = predict(left, tmp_path / "x.npy")
    assert outcome.code == 0 and {row[1] for row in rows(tmp_path / "out.csv")[1:]} <= {"dark", "bright"}


def test_an_export_that_names_few_classes_is_read_by_its_metadata(predict, model, folder, tmp_path):
    export_saved_model(model, tmp_path / "served", NAMES, keras.layers.Rescaling(1 / 64, -2), top_k=1)
    assert predict(tmp_path / "served", folder, "--probabilities").code == 0
    assert rows(tmp_path / "out.csv")[0][3:] == NAMES

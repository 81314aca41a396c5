"""A table of labels beside a folder of images, well made and broken in the ways people break it."""

from __future__ import annotations

import codecs

import numpy as np
import pytest

from tests.train.conftest import Files
from train.data.datasets import load
from train.data.datasets.tables import labelled
from train.process.errors import BadInput
from train.settings.sections import Source

ROWS = [(f"img{i}", ("cat", "dog")[i % 2]) for i in range(12)]


@pytest.fixture
def folder(tmp_path):
    """Images in `train/`, others in `test/`, without a table."""
    for split in ("train", "test"):
        for name, _ in ROWS:
            Files.image(tmp_path / split / f"{name}.png", np.full((8, 8), len(name), np.uint8))
    return tmp_path


def write(folder, rows=ROWS, header=("id", "breed"), separator=",", end="\n", encoding="utf-8", bom=b""):
    text = end.join(separator.join(map(str, row)) for row in [header, *rows]) + end
    (folder / "train.csv").write_bytes(bom + text.encode(encoding))


def found(folder, **options):
    return labelled(Source(dataset=str(folder), labels="train.csv", **options))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"separator": ";"},
        {"separator": "\t", "end": "\r\n"},
        {"bom": codecs.BOM_UTF8, "end": "\r\n"},
        {"end": "\r"},
        {"encoding": "utf-16-le", "bom": codecs.BOM_UTF16_LE},
        {"rows": [(f"{name}.png", label) for name, label in ROWS]},
        {"rows": [(label, f"train/{name}.png") for name, label in ROWS], "header": ("what", "path")},
        {"rows": [(label, f"train\\{name}.png") for name, label in ROWS], "header": ("what", "path")},
    ],
    ids=["plain", "semicolons", "tabs", "mark", "old Mac", "UTF-16", "suffix", "path", "Windows path"],
)
def test_a_table_is_read_however_it_is_written(folder, how):
    write(folder, **how)
    layout = found(folder)
    assert layout.classes == ["cat", "dog"]
    assert [[path.stem for path in paths] for paths in layout.files["train"]] == [
        sorted(name for name, label in ROWS if label == each) for each in ("cat", "dog")
    ]
    assert all(path.parent == folder / "train" for paths in layout.files["train"] for path in paths)


def test_what_was_guessed_is_said_and_may_be_overridden(folder, capsys):
    rows = [(i, name, label, i % 3) for i, (name, label) in enumerate(ROWS)]
    write(folder, rows, ("number", "picture", "label", "fold"))
    source = Source(dataset=str(folder), labels="train.csv", validation=0.3)
    data = load(source)
    assert "train.csv, images in column 'picture', labels in 'label' (" in capsys.readouterr().out
    assert (data.class_names, data.names) == (["cat", "dog"], ["train", "validation"])
    data = load(Source(dataset=str(folder), labels="train.csv", label_column="fold", validation=0.3))
    assert data.class_names == ["0", "1", "2"]
    with pytest.raises(BadInput, match=r"none to test on\. Pass --validation=0\.2"):
        load(Source(dataset=str(folder), labels="train.csv"))


def test_numbers_are_classes_in_their_order(folder):
    write(folder, [(name, 8 + i % 3) for i, (name, _) in enumerate(ROWS)])
    assert found(folder).classes == ["8", "9", "10"]
    write(folder, [(name, f"{8 + i % 3}.0") for i, (name, _) in enumerate(ROWS)])
    assert found(folder).classes == ["8.0", "9.0", "10.0"]


NUMBERED = [(4, "cat"), (2, "dog"), (0, "cat"), (5, "dog"), (1, "cat"), (3, "dog")]


@pytest.fixture
def numbered(tmp_path):
    """Images `0.png` to `5.png` in `a/`."""
    for number in range(6):
        Files.image(tmp_path / "a" / f"{number}.png", np.full((8, 8), number, np.uint8))
    return tmp_path


def stems(layout):
    return [[int(path.stem) for path in paths] for paths in layout.files["train"]]


def test_the_numbers_of_rows_and_labels_are_not_taken_for_ids(numbered):
    rows = [(i, name, label) for i, (name, label) in enumerate(NUMBERED)]
    write(numbered, rows, ("", "id", "label"))  # as pandas writes them
    assert stems(found(numbered)) == [[0, 1, 4], [2, 3, 5]]
    write(numbered, rows, ("", "key", "label"))
    with pytest.raises(
        BadInput, match=r"columns '' and 'key' of .* name images, .* '0' and '4': pass --image_column\."
    ):
        found(numbered)
    assert stems(found(numbered, image_column="key")) == [[0, 1, 4], [2, 3, 5]]
    write(numbered, [(i % 2, i) for i in range(6)], ("what", "key"))
    assert stems(found(numbered)) == [[0, 2, 4], [1, 3, 5]]
    write(numbered, [(f"{name}.png", name, label) for name, label in NUMBERED], ("picture", "key", "label"))
    assert stems(found(numbered)) == [[0, 1, 4], [2, 3, 5]]  # both name the same


@pytest.fixture
def padded(tmp_path):
    """Images `0000.png` to `0011.png` in `a/`; names of numbers, of which two or four digits are significant."""
    for number in range(12):
        Files.image(tmp_path / "a" / f"{number:04d}.png", np.full((8, 8), number, np.uint8))
    return tmp_path


def test_integers_name_files_with_zeros_before_numbers(padded, capsys):
    """As pandas writes ids: 7 for `0007.png`."""
    write(padded, [(i, ("cat", "dog")[i % 2]) for i in range(12)], ("id", "label"))
    assert stems(found(padded)) == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]
    load(Source(dataset=str(padded), labels="train.csv", validation=0.3))
    assert "images in column 'id' (0 is 0000.png), labels in 'label' (" in capsys.readouterr().out
    write(padded, [(f"{i:04d}", ("cat", "dog")[i % 2]) for i in range(12)], ("id", "label"))
    load(Source(dataset=str(padded), labels="train.csv", validation=0.3))
    assert "images in column 'id', labels in" in capsys.readouterr().out


def test_integers_name_files_of_which_some_have_zeros(tmp_path):
    """`01.png` to `12.png` are 1 to 12, of which three are names as they are."""
    for number in range(1, 13):
        Files.image(tmp_path / "a" / f"{number:02d}.png", np.full((8, 8), number, np.uint8))
    write(tmp_path, [(i, ("cat", "dog")[i % 2]) for i in range(1, 13)], ("id", "label"))
    assert stems(found(tmp_path)) == [[2, 4, 6, 8, 10, 12], [1, 3, 5, 7, 9, 11]]


def test_an_integer_that_fits_two_files_is_refused(padded):
    Files.image(padded / "a" / "007.png", np.zeros((8, 8), np.uint8))
    write(padded, [(i, ("cat", "dog")[i % 2]) for i in range(12)], ("id", "label"))
    with pytest.raises(BadInput, match=r"'7' may be .*/0?007\.png or .*/0?007\.png; expected the names of files"):
        found(padded)
    write(padded, [("7", "cat"), ("07", "dog"), ("8", "dog")], ("id", "label"))
    with pytest.raises(BadInput, match=r"must name each image once; several rows name '7'\."):
        found(padded)


def test_a_row_of_integers_in_the_place_of_the_header_is_refused(padded):
    write(padded, [(i, ("cat", "dog")[i % 2]) for i in range(1, 12)], ("0", "cat"))
    with pytest.raises(BadInput, match=r"first row of .* names an image \(0\): expected a header"):
        found(padded)


def test_labels_are_never_joined_to_the_images_of_another_folder(numbered):
    """`test/0.png` is not the image that a table of labels means by 0."""
    write(numbered, NUMBERED, ("id", "label"))
    (numbered / "train.csv").rename(numbered / "labels.csv")
    for number in range(6):
        Files.image(numbered / "b" / f"{number}.png", np.full((8, 8), number, np.uint8))
    source = Source(dataset=str(numbered), labels="labels.csv")
    with pytest.raises(BadInput, match=r"names images in .*/a and in .*/b: pass the one that is meant as --dataset"):
        labelled(source)
    (numbered / "a").rename(numbered / "test")
    (numbered / "b").rename(numbered / "train")
    (numbered / "train" / "3.png").unlink()  # so that test/ has more of the images
    with pytest.raises(BadInput, match=r"1 of 6 names in column 'id' of .* have no file in .*/train: '3'"):
        labelled(source)
    Files.image(numbered / "train" / "3.png", np.zeros((8, 8), np.uint8))
    assert {path.parent.name for paths in labelled(source).files["train"] for path in paths} == {"train"}


BROKEN = {
    "empty": (lambda f: (f / "train.csv").write_text(""), {}, "has nothing; expected a header and rows"),
    "header only": (lambda f: write(f, []), {}, "has only a header"),
    "missing": (lambda f: None, {}, "--labels=train.csv: there is no such file"),
    "a folder": (lambda f: (f / "train.csv").mkdir(), {}, "is not a regular file"),
    "one column": (lambda f: write(f, [(n,) for n, _ in ROWS], ("id",)), {}, "has one column, 'id'"),
    "no text": (lambda f: (f / "train.csv").write_bytes(b"id,label\n\xff\xfe,a\n"), {}, "is not text in UTF-8"),
    "zeros": (lambda f: (f / "train.csv").write_bytes(b"id,label\n\0,a\n"), {}, "bytes of 0"),
    "ragged": (lambda f: write(f, [*ROWS, ("img1", "cat", "?")]), {}, "row 14 has 3 cells, the header 2"),
    "columns twice": (lambda f: write(f, header=("id", "id")), {}, "has the column 'id' more than once"),
    "no such column": (lambda f: write(f), {"image_column": "x"}, "--image_column=x: .*; it has id, breed"),
    "no such label": (lambda f: write(f), {"label_column": "x"}, "--label_column=x: .*; it has id, breed"),
    "one for both": (lambda f: write(f), {"label_column": "id"}, "is the column of the images"),
    "ids without files": (lambda f: write(f, [*ROWS, ("none", "cat")]), {}, "1 of 13 names .* no file in .*: 'none'"),
    "files without ids": (lambda f: write(f, ROWS[2:]), {}, "2 images beside .* have no row in it: .*img0"),
    "nothing fits": (lambda f: write(f, [("q", "w"), ("e", "r")]), {}, "no column of .* names images in"),
    "ids twice": (lambda f: write(f, [*ROWS, ROWS[0]]), {}, "must name each image once; several rows name 'img0'"),
    "a label missing": (lambda f: write(f, [("img0", ""), *ROWS[1:]]), {}, "column 'breed' is empty in 1 rows.*img0"),
    "no header": (lambda f: write(f, ROWS[1:], ROWS[0]), {}, r"the first row .* names an image \(img0\): expected a h"),
    "one number twice": (
        lambda f: write(f, [(n, "1.0" if n == "img0" else i % 2) for i, (n, _) in enumerate(ROWS, 1)]),
        {},
        "column 'breed' of .* has '1' and '1.0', which are one number",
    ),
    "one class": (lambda f: write(f, [(n, "cat") for n, _ in ROWS]), {}, "has one class, 'cat'"),
    "several columns": (
        lambda f: write(f, [(n, c, c) for n, c in ROWS], ("id", "a", "b")), {}, "several columns .*: pass --label_col",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_table_is_told_in_one_line(folder, case):
    breaks, options, text = BROKEN[case]
    breaks(folder)
    with pytest.raises(BadInput, match=text) as error:
        found(folder, **options)
    assert "\n" not in str(error.value)


def test_names_without_partners_may_be_left_out(folder, capsys):
    write(folder, [*ROWS[2:], ("none", "cat")])
    assert found(folder, skip_bad_images=True).count("train") == 10
    assert capsys.readouterr().err.count("left out") == 2


def test_a_name_that_fits_two_files_is_refused(folder):
    write(folder)
    Files.image(folder / "train" / "img3.bmp", np.zeros((8, 8), np.uint8))
    with pytest.raises(BadInput, match=r"'img3' may be .*img3\.bmp or .*img3\.png; expected the names of files"):
        found(folder)
    write(folder, [(f"{name}.png", label) for name, label in ROWS])
    with pytest.raises(BadInput, match=r"1 images beside .* have no row in it: .*img3\.bmp"):
        found(folder)

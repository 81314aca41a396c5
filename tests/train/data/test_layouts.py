"""Folders as people have them: which folder holds which split and class, and what is said of it."""

from __future__ import annotations

import io
import shutil
from unicodedata import normalize

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from keras_resunits.serving.decoding import images_of
from tests.train.conftest import Files
from train.data.datasets import EncodedData, identity, load
from train.data.datasets.decoding import decoded, image_size
from train.process.errors import BadInput
from train.settings.sections import Source


def read(root, streamed=False, seed=0, earlier=False, **options):
    return load(Source(dataset=str(root), **options), streamed, seed, earlier)


def names(data, split):
    """The files of a split, from the folder of the class on."""
    return {"/".join(data.file_of(split, i).split("/")[-2:]) for i in range(len(data.of(split)[0]))}


@pytest.mark.parametrize("names_of", [("train", "val"), ("Training", "Validation"), ("train", "valid", "test")])
def test_splits_are_called_what_they_are(tmp_path, capsys, names_of):
    root = Files.image_folder(tmp_path)
    shutil.copytree(root / "test", root / "held")
    (root / "train").rename(root / "t")
    (root / "t").rename(root / names_of[0])
    (root / "held").rename(root / names_of[1])
    if len(names_of) == 2:
        shutil.rmtree(root / "test")
    data = read(root)
    assert data.names == ["train", "validation", "test"][: len(names_of)]
    assert (data.watched, data.tested, data.selects) == ("validation", data.names[-1], True)
    assert identity(data)["splits"] == data.names
    said = capsys.readouterr().out
    assert f"train from {root / names_of[0]} (6 images), validation from {root / names_of[1]} (4 images)" in said
    assert said.count("\n") == 1


def test_folders_of_classes_alone_need_a_share(tmp_path):
    root = Files.image_folder(tmp_path, train=20, test=1) / "train"
    with pytest.raises(BadInput, match=r"train/train is missing; .*or --validation=0\.2 for .* \(cat, dog"):
        read(root)
    data = read(root, validation=0.25)
    assert (data.names, data.test_count + data.train_count) == (["train", "validation"], 40)
    assert all(2 <= n <= 9 for n in np.bincount(data.test[1]))
    assert not names(data, "train") & names(data, "validation")


def test_a_share_is_taken_from_train_beside_a_test_split_however_images_are_kept(tmp_path):
    root = Files.image_folder(tmp_path, train=10, test=2)
    data, streamed = read(root, validation=0.3), read(root, validation=0.3, streamed=True, image_size=8)
    assert data.names == ["train", "validation", "test"]
    assert isinstance(streamed, EncodedData)
    for split in data.names:
        assert [streamed.file_of(split, i) for i in range(streamed.of(split).count)] == list(data.files[split])
    np.testing.assert_array_equal(streamed.validation.labels, data.validation[1])


def test_adding_images_moves_none_and_a_seed_moves_some(tmp_path):
    root = Files.image_folder(tmp_path, train=30, test=1)
    before = names(read(root, validation=0.2), "validation")
    assert names(read(root, validation=0.2), "validation") == before
    assert names(read(root, validation=0.2, seed=1), "validation") != before
    for i in range(30, 60):
        shutil.copy(root / "train" / "cat" / "0.png", root / "train" / "cat" / f"{i}.png")
    after = names(read(root, validation=0.2), "validation")
    assert {name for name in after if int(name[4:-4]) < 30} == before
    moved = tmp_path / "elsewhere"
    root.joinpath("train").rename(moved)
    assert names(read(moved, validation=0.2), "validation") == after


def test_folds_divide_the_images(tmp_path):
    root = Files.image_folder(tmp_path, train=40, test=1)
    folds = [names(read(root, fold=f"{k}/3"), "validation") for k in (1, 2, 3)]
    assert len(set.union(*folds)) == sum(map(len, folds)) == 80
    for fold in ("0/3", "4/3", "1", "1/1", "x/y", "2/-3"):
        with pytest.raises(BadInput, match="--fold must be like 2/5"):
            read(root, fold=fold)
    with pytest.raises(BadInput, match="exclude each other"):
        read(root, fold="1/3", validation=0.2)


def test_arrays_are_divided_by_their_numbers(tmp_path, capsys):
    path = Files.npz(tmp_path / "set.npz", **Files.arrays(train=100))
    whole, data = read(path), read(path, validation=0.2)
    assert "training images are the validation split (--validation=0.2)" in capsys.readouterr().out
    assert data.train_count + data.validation_count == 100 and 10 < data.validation_count < 30
    together = np.concatenate([data.train[0], data.validation[0]])
    assert sorted(image.tobytes() for image in together) == sorted(image.tobytes() for image in whole.train[0])
    assert data.digest != whole.digest
    with pytest.raises(BadInput, match=r"--validation=0\.001 leaves class '0' without a validation image: it has 50"):
        read(path, validation=0.001)


def test_a_share_that_leaves_a_class_without_an_image_is_refused(tmp_path):
    root = Files.image_folder(tmp_path, train=3, test=1)
    with pytest.raises(BadInput, match=r"--validation=0\.1 leaves class '(cat|dog)' without a validation image"):
        read(root, validation=0.1)
    (root / "val").mkdir()
    shutil.copytree(root / "test", root / "val", dirs_exist_ok=True)
    with pytest.raises(BadInput, match=r"--validation=0\.4 has no effect: .* has validation images, .*val"):
        read(root, validation=0.4)


def test_prefixes_and_wrappers_are_seen_through(tmp_path, capsys):
    inner = Files.image_folder(tmp_path / "kept")
    for split in ("train", "test"):
        (tmp_path / "data" / f"seg_{split}").mkdir(parents=True)
        (inner / split).rename(tmp_path / "data" / f"seg_{split}" / f"seg_{split}")
    Files.image(tmp_path / "data" / "seg_pred" / "1.png", np.zeros((8, 8), np.uint8))
    data = read(tmp_path / "data")
    assert (data.train_count, data.test_count, data.class_names) == (6, 4, ["cat", "dog"])
    assert "data/seg_train/seg_train (6 images)" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "kept")
    assert read(tmp_path).train_count == 6  # below a folder that only wraps it


def test_a_class_may_be_called_train(tmp_path):
    for name in ("bus", "train"):
        for i in range(10):
            Files.image(tmp_path / name / f"{i}.png", np.full((8, 8), i, np.uint8))
    assert read(tmp_path, validation=0.3).class_names == ["bus", "train"]


def test_folders_of_one_class_are_refused(tmp_path):
    for i in range(10):
        Files.image(tmp_path / "cat" / f"{i}.png", np.full((8, 8), i, np.uint8))
    with pytest.raises(BadInput, match=r"has one class \('cat'\); expected a folder of images for each class"):
        read(tmp_path, validation=0.3)


def test_a_test_folder_without_classes_needs_a_share(tmp_path):
    root = Files.image_folder(tmp_path, train=9, test=1)
    shutil.rmtree(root / "test")
    Files.image(root / "test" / "0.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(BadInput, match=r"test has no class; expected .*, or --validation=0\.2 to leave it aside"):
        read(root)


def test_a_test_folder_without_classes_is_not_used(tmp_path, capsys):
    root = Files.image_folder(tmp_path, train=10)
    shutil.rmtree(root / "test")
    Files.image(root / "test" / "1.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(BadInput, match="test has no class"):
        read(root)
    assert read(root, validation=0.3).names == ["train", "validation"]
    assert "test has no folders of classes: not used" in capsys.readouterr().err


def test_two_folders_of_one_split_and_a_class_missing_in_one_are_refused(tmp_path):
    root = Files.image_folder(tmp_path)
    shutil.copytree(root / "test", root / "val")
    shutil.rmtree(root / "val" / "dog")
    (root / "val" / "eel").mkdir()
    with pytest.raises(BadInput, match="must have the same classes; validation lacks dog; train lacks eel"):
        read(root)
    shutil.copytree(root / "test", root / "valid")
    with pytest.raises(BadInput, match=r"val and .*valid: expected one folder for each split"):
        read(root)


def test_names_composed_in_two_ways_are_one_class(tmp_path):
    root = Files.image_folder(tmp_path, classes=("cafe\u0301", "dog"))
    (root / "test" / "cafe\u0301").rename(root / "test" / "caf\u00e9")
    if len(list((root / "test").iterdir())) != 2:
        pytest.skip("the file system has one form of names")
    data = read(root)
    assert data.class_names == [normalize("NFC", "cafe\u0301"), "dog"]
    assert read(root, class_names=["dog", "cafe\u0301"]).class_names == ["dog", "caf\u00e9"]


@pytest.mark.parametrize("streamed", [False, True])
def test_class_names_of_a_folder_are_an_order_and_no_renaming(tmp_path, streamed):
    root = Files.image_folder(tmp_path)
    options = {"image_size": 8} if streamed else {}
    data = read(root, streamed, class_names=["dog", "cat"], **options)
    labels = data.train.labels if streamed else data.train[1]
    assert data.class_names == ["dog", "cat"]
    assert all(f"/{data.class_names[label]}/" in data.file_of("train", i) for i, label in enumerate(labels))
    with pytest.raises(BadInput, match="the data have no class 'hound', they have cat, dog"):
        read(root, streamed, class_names=["cat", "hound"], **options)
    before = read(root, streamed, class_names=["hound", "tom"], earlier=True, **options)
    assert before.class_names == ["hound", "tom"]  # a run that began when they renamed


def test_other_formats_are_read_and_files_of_no_format_are_counted(tmp_path, capsys):
    root = Files.image_folder(tmp_path, train=1, test=1, shape=(8, 8, 3))
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    kinds = {"a.bmp": "BMP", "b.webp": "WEBP", "c.tiff": "TIFF", "d.tif": "TIFF", "e.jpe": "JPEG", "f.jfif": "JPEG"}
    for name, kind in kinds.items():
        Image.fromarray(pixels).save(
            root / "train" / "cat" / name, kind, **({"lossless": True} if kind == "WEBP" else {})
        )
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (7, 200)]
    frames[0].save(root / "train" / "cat" / "g.gif", save_all=True, append_images=frames[1:])
    for name in ("x.heic", "y.heic", "z.txt", "Thumbs.db"):
        (root / "train" / "dog" / name).write_bytes(b"?")
    data = read(root)
    assert "ignored 3 files in other formats (2 .heic, 1 .txt): " in capsys.readouterr().err
    found = dict(zip(data.files["train"], data.train[0], strict=True))
    folder = f"{root}/train/cat"
    for name in ("a.bmp", "b.webp", "c.tiff", "d.tif"):
        np.testing.assert_array_equal(found[f"{folder}/{name}"], pixels)
    assert np.unique(found[f"{folder}/g.gif"]).tolist() == [7]
    streamed = read(root, streamed=True, image_size=8)
    for i in range(streamed.train_count):
        view = decoded(streamed.train.read(tf.constant(i, tf.int64))[0], (0, 0, 8, 8)).numpy()
        np.testing.assert_array_equal(view, found[streamed.file_of("train", i)])


def test_images_outside_the_folders_of_classes_are_counted(tmp_path, capsys):
    root = Files.image_folder(tmp_path)
    read(root)
    assert "ignored" not in capsys.readouterr().err
    for name in ("a.png", "train/b.png", "seg_pred/seg_pred/c.png", "train/.d.png", ".e/e.png", "__MACOSX/f.png"):
        Files.image(root / name, np.zeros((8, 8), np.uint8))
    read(root)
    assert f"ignored 3 images outside the folders of classes ({root}/a.png, ...)\n" in capsys.readouterr().err
    Files.image(root / "train" / "cat" / "deeper" / "0.png", np.zeros((8, 8), np.uint8))
    read(root)
    said = capsys.readouterr().err
    assert "ignored 1 image deeper than" in said and "ignored 3 images outside" in said


def test_the_line_about_the_data_counts_the_images_that_are_used(tmp_path, capsys):
    root = Files.image_folder(tmp_path)
    (root / "train" / "cat" / "0.png").write_bytes(b"?")
    read(root, skip_bad_images=True)
    assert "train (5 images), test from" in capsys.readouterr().out


def test_an_image_is_upright_whichever_of_eight_ways_the_camera_was_held(tmp_path):
    shades = np.linspace(0, 255, 12 * 20 * 3).reshape(12, 20, 3).astype(np.uint8)
    shades[:6, :10] = 0
    path = tmp_path / "0.jpg"
    for tag in range(1, 9):
        exif = Image.Exif()
        exif[0x010F], exif[0x0112] = "a maker", tag
        Image.fromarray(shades).save(path, exif=exif, quality=90)
        contents = tf.constant(path.read_bytes())
        theirs = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(path.read_bytes()))))
        rows, columns = (int(side) for side in image_size(contents))
        assert (rows, columns) == theirs.shape[:2]
        np.testing.assert_array_equal(decoded(contents, (0, 0, rows, columns)), theirs)
        np.testing.assert_array_equal(decoded(contents, (2, 3, 5, 7)), theirs[2:7, 3:10])
        assert [int(side) for side in image_size(contents, exact=False)] == [12, 20]
        served, status = images_of(contents[None], theirs.shape)
        assert status.numpy().tolist() == [0]
        np.testing.assert_array_equal(served[0], theirs)


def test_images_in_memory_are_upright(tmp_path):
    root = Files.image_folder(tmp_path, train=1, test=1)
    dark_above = np.repeat([[0], [255]], 4, axis=0).astype(np.uint8) * np.ones((1, 8), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 3
    for name in ("0.png", "0.jpg"):
        Image.fromarray(dark_above).save(root / "train" / "cat" / name, exif=exif)
    first = [read(root, earlier=earlier).train[0][i, ..., 0] for earlier in (False, True) for i in (0, 1)]
    assert [image[0, 0] > 250 for image in first] == [True, True, False, False]


def test_sixteen_bits_are_scaled_and_a_range_hardly_used_is_told(tmp_path, capsys):
    arrays = Files.arrays(train=4, test=4)
    wide = {name: arrays[name].astype(np.uint16) * 257 for name in ("x_train", "x_test")}
    np.testing.assert_array_equal(read(Files.npz(tmp_path / "a.npz", **{**arrays, **wide})).train[0], arrays["x_train"])
    assert "16 bits" not in capsys.readouterr().err
    narrow = {name: arrays[name].astype(np.uint16) * 16 for name in ("x_train", "x_test")}
    assert read(Files.npz(tmp_path / "b.npz", **{**arrays, **narrow})).train[0].max() < 16
    assert "only use 0.." in capsys.readouterr().err
    root = Files.image_folder(tmp_path / "pets", train=1, test=1)
    for path in root.rglob("*.png"):
        Files.image(path, np.full((8, 8), 3000, np.uint16))
    assert read(root).train[0].max() == 3000 // 257
    assert "the images of 16 bits only use 0..3000 of 0..65535" in capsys.readouterr().err
    read(root, streamed=True, image_size=8)
    assert "the images of 16 bits only use 0..3000 of 0..65535" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{}, {"streamed": True, "image_size": 8}], ids=["in memory", "streamed"])
def test_eight_bits_in_files_of_sixteen_are_refused_not_trained_on_as_black(tmp_path, options):
    root = Files.image_folder(tmp_path, train=1, test=1)
    for path in root.rglob("*.png"):
        Files.image(path, np.full((8, 8), 200, np.uint16))
    with pytest.raises(BadInput, match=r"of 16 bits only use 0\.\.200 of 0\.\.65535, .* black\. Save them with 8 bits"):
        read(root, **options)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"x_train": np.zeros((8, 4, 16, 16), np.uint8)},
            r"Are these channels first\? .*np\.moveaxis\(",
        ),
        ({"x_train": np.zeros((16, 8, 8), np.float32)}, r"\(images \* 255\)\.round\(\)\.astype\('uint8'\)"),
        ({"x_train": np.full((16, 8, 8), 9.0)}, r"The values fit: images\.round\(\)\.astype\('uint8'\)"),
        ({"x_train": np.zeros((16, 8, 8), bool)}, r"images\.astype\('uint8'\) \* 255"),
        ({"y_train": np.array(["a", "b"] * 8)}, r"names, labels = np\.unique\(labels, return_inverse=True\)"),
        ({"y_train": np.zeros(16)}, r"The values are whole: labels\.astype\('int64'\)"),
    ],
)
def test_arrays_of_other_types_come_with_a_way_out(tmp_path, changes, text):
    with pytest.raises(BadInput, match=text):
        read(Files.npz(tmp_path / "set.npz", **changes))


def test_arrays_under_other_names_and_their_own_validation_split(tmp_path, capsys):
    arrays = Files.arrays()
    medmnist = {
        f"{s}_{k}": arrays[f"{x}_{t}"]
        for k, x in (("images", "x"), ("labels", "y"))
        for s, t in (("train", "train"), ("val", "test"), ("test", "test"))
    }
    np.savez(tmp_path / "medmnist.npz", **medmnist)
    data = read(tmp_path / "medmnist.npz")
    assert (data.names, data.validation_count) == (["train", "validation", "test"], 8)
    assert "validation from val_images and val_labels" in capsys.readouterr().out
    emnist = {
        "training_images": "x_train",
        "training_labels": "y_train",
        "test_images": "x_test",
        "test_labels": "y_test",
    }
    np.savez(tmp_path / "emnist.npz", **{theirs: arrays[ours] for theirs, ours in emnist.items()})
    assert read(tmp_path / "emnist.npz").names == ["train", "test"]
    np.savez(tmp_path / "both.npz", **arrays, train_images=arrays["x_train"])
    with pytest.raises(BadInput, match="has x_train and train_images: expected one of them"):
        read(tmp_path / "both.npz")
    np.savez(tmp_path / "half.npz", x_train=arrays["x_train"], y_train=arrays["y_train"], x_val=arrays["x_test"])
    with pytest.raises(BadInput, match="lacks y_validation"):
        read(tmp_path / "half.npz")


def test_idx_files_under_their_other_names(tmp_path):
    plain = read(Files.idx_folder(tmp_path / "plain"))
    for template in ("{0}-{1}.idx{2}-ubyte", "emnist-letters-{0}-{1}-idx{2}-ubyte"):
        folder = Files.idx_folder(tmp_path / template.split("-")[0] / "set")
        for path in list(folder.iterdir()):
            split, kind, idx, _ = path.name.split("-")
            path.rename(folder / template.format(split.replace("t10k", "test"), kind, idx[-1]))
        assert read(folder).digest == plain.digest
    folder = Files.idx_folder(tmp_path / "nested")
    for path in list(folder.iterdir()):
        path.rename(folder / "file")
        path.mkdir()
        (folder / "file").rename(path / path.name)
    assert read(folder).digest == plain.digest
    Files.idx_folder(tmp_path / "two")
    (tmp_path / "two" / "emnist-digits-train-images-idx3-ubyte").write_bytes(b"")
    with pytest.raises(BadInput, match="holds 2 sets"):
        read(tmp_path / "two")

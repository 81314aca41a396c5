"""Every source of images returns the same: uint8 images, integer labels, named classes."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image, ImageOps

from tests.support.paths import ROOT
from train.data.datasets import identity, load
from train.data.doubts import doubts
from train.process.errors import BadInput
from train.settings.resolving import resolve

CIFAR10 = ROOT.parent / "shared" / "data" / "cifar10-jpeg.tar.xz"
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
FASHION_NAMES = "T-shirt,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Boot"


@pytest.fixture
def loaded(parse):
    """`loaded(dataset, "--image_size=8", ...)`: the images that a command line names."""

    def loaded(dataset, *arguments):
        parse(f"--dataset={dataset}", *arguments)
        config = resolve()
        return load(config.source, streamed=config.augmenting.streamed)

    return loaded


def assert_same(data, arrays) -> None:
    """The data holds these arrays, grey ones with a channel."""
    for (images, labels), split in ((data.train, "train"), (data.test, "test")):
        expected = arrays[f"x_{split}"]
        np.testing.assert_array_equal(images, expected[..., None] if expected.ndim == 3 else expected)
        np.testing.assert_array_equal(labels, arrays[f"y_{split}"])
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)


# digits


def test_digits_are_scikit_learns_split_by_class(loaded):
    from sklearn.datasets import load_digits

    data = loaded("digits")
    assert (data.train[0].shape, data.test[0].shape) == ((1437, 8, 8, 1), (360, 8, 8, 1))
    assert data.class_names == [str(i) for i in range(10)]
    assert min(np.bincount(data.test[1])) >= 34
    digits = load_digits()
    ours = np.concatenate([data.train[0], data.test[0]])[..., 0]
    labels = np.concatenate([data.train[1], data.test[1]])
    theirs = np.round(digits.images * (255 / 16)).astype(np.uint8)

    def records(images, labels):
        return sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))

    assert records(ours, labels) == records(theirs, digits.target)
    assert (ours.min(), ours.max()) == (0, 255)
    assert data.test[1][:8].tolist() == [7, 6, 3, 7, 7, 3, 2, 8]  # published figures are of this split


# npz


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (6, 9, 3)])
def test_an_npz_file_is_read_as_it_is(loaded, files, tmp_path, shape):
    arrays = files.arrays(shape=shape, classes=3)
    data = loaded(files.npz(tmp_path / "set.npz", **arrays))
    assert_same(data, arrays)
    assert data.class_names == ["0", "1", "2"]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_labels_may_be_a_column_of_any_integers_as_keras_stores_them(loaded, files, tmp_path, dtype):
    arrays = files.arrays()
    columns = {name: arrays[name].astype(dtype)[:, None] for name in ("y_train", "y_test")}
    assert_same(loaded(files.npz(tmp_path / "set.npz", **columns)), arrays)


def test_class_names_are_given_in_the_order_of_the_labels(loaded, files, tmp_path):
    data = loaded(files.npz(tmp_path / "set.npz"), "--class_names=dark,light,never seen")
    assert (data.class_names, data.classes) == (["dark", "light", "never seen"], 3)


@pytest.mark.parametrize("damage", ["empty", "junk", "cut", "overwritten", "an .npy file", "pickled"])
def test_a_damaged_npz_file_is_named(loaded, files, tmp_path, damage):
    path = tmp_path / "set.npz"
    np.savez_compressed(path, **files.arrays(train=200))
    whole = path.read_bytes()
    if damage == "an .npy file":
        np.save(tmp_path / "array.npy", np.zeros(3))
        path.write_bytes((tmp_path / "array.npy").read_bytes())
    elif damage == "pickled":
        np.savez(path, **{**files.arrays(), "y_train": np.array([{}] * 16, dtype=object)})
    else:
        middle = len(whole) // 4
        overwritten = whole[:middle] + b"\xff" * 40 + whole[middle + 40 :]
        path.write_bytes({"empty": b"", "junk": b"junk" * 9, "cut": whole[:-200], "overwritten": overwritten}[damage])
    with pytest.raises(BadInput, match=r"set\.npz is not a readable \.npz file"):
        loaded(path)


# IDX


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_packed_or_not(loaded, files, tmp_path, packed):
    folder = files.idx_folder(tmp_path / "set", packed)
    assert_same(loaded(folder), files.arrays(shape=(8, 8)))


@pytest.mark.parametrize("ending", ["-idx3-ubyte", "-idx3", "-ubyte", ".idx3", ".gz", "-idx3-ubyte.gz"])
def test_an_idx_file_has_any_of_its_usual_endings(loaded, files, tmp_path, ending):
    folder = files.idx_folder(tmp_path / "set")
    images = folder / "train-images-idx3-ubyte"
    content = images.read_bytes()
    images.unlink()
    (folder / f"train-images{ending}").write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
    (folder / "train-labels").write_bytes(b"something else")  # named like a part, but with no such ending
    assert_same(loaded(folder), files.arrays(shape=(8, 8)))


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"\0\0\x08", b"\0\0\x08\x03", b"\0\0\x08\x03\0\0", b"\0\0\x08\x01\0\0\0\x09", b"\0\0\x0d\x01\0\0\0\0"],
    ids=["empty", "one byte", "no rank", "no sizes", "half a size", "no values", "floats"],
)
def test_a_damaged_idx_file_is_named(loaded, files, tmp_path, content):
    folder = files.idx_folder(tmp_path / "set", y_train=content)
    with pytest.raises(BadInput, match=r"train-labels-idx1-ubyte (is not|is truncated|does not hold what its header)"):
        loaded(folder)


def test_idx_sizes_below_zero_are_damage(loaded, files, tmp_path):
    folder = files.idx_folder(tmp_path / "set", y_train=b"\0\0\x08\x02" + b"\xff" * 8 + b"x")
    with pytest.raises(BadInput, match="train-labels-idx1-ubyte"):
        loaded(folder)


@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_debians_fashion_mnist_is_read(loaded):
    data = loaded(FASHION_MNIST, f"--class_names={FASHION_NAMES}")
    assert (data.train[0].shape, data.test[0].shape) == ((60_000, 28, 28, 1), (10_000, 28, 28, 1))
    assert set(np.bincount(data.train[1])) == {6000}
    assert data.class_names[9] == "Boot"
    assert data.train[0][data.train[1] == 1].mean() < data.train[0][data.train[1] == 4].mean()  # trousers are narrow


# folders of images


def test_a_folder_of_grey_pngs_is_read_in_the_order_of_classes_and_names(loaded, files, tmp_path):
    root = files.image_folder(tmp_path, classes=("dog", "cat"))
    data = loaded(root)
    assert (data.class_names, data.image_shape) == (["cat", "dog"], (8, 8, 1))
    np.testing.assert_array_equal(data.train[1], [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(data.test[1], [0, 0, 1, 1])
    paths = [root / "train" / name / f"{i}.png" for name in ("cat", "dog") for i in range(3)]
    np.testing.assert_array_equal(data.train[0][..., 0], [np.asarray(Image.open(path)) for path in paths])


def test_colour_images_have_three_channels_and_jpegs_are_near(loaded, files, tmp_path):
    rng = np.random.default_rng(0)
    smooth = {}
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            smooth[split, name] = np.tile(rng.integers(0, 256, 3, dtype=np.uint8), (16, 16, 1))
            files.image(tmp_path / split / name / "0.JPG", smooth[split, name])
    data = loaded(tmp_path)
    assert data.image_shape == (16, 16, 3)
    expected = np.stack([smooth["train", "cat"], smooth["train", "dog"]]).astype(int)
    assert np.abs(data.train[0] - expected).max() <= 3


def test_one_colour_image_makes_all_images_rgb(loaded, files, tmp_path):
    root = files.image_folder(tmp_path)
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    files.image(root / "test" / "cat" / "0.png", red)
    data = loaded(root)
    assert data.image_shape == (8, 8, 3)
    np.testing.assert_array_equal(data.train[0], np.repeat(data.train[0][..., :1], 3, axis=-1))
    np.testing.assert_array_equal(data.test[0][0], red)


def test_palettes_and_transparency_become_rgb_and_1_bit_images_become_grey(loaded, files, tmp_path):
    root = files.image_folder(tmp_path, classes=("cat", "dog"), train=1, test=1, shape=(8, 8, 3))
    Image.new("RGBA", (8, 8), (10, 20, 30, 40)).save(root / "train" / "cat" / "0.png")
    Image.new("RGB", (8, 8), (10, 20, 30)).quantize(4).save(root / "train" / "dog" / "0.png")
    Image.new("1", (8, 8), 1).save(root / "test" / "cat" / "0.png")
    Image.new("LA", (8, 8), (77, 3)).save(root / "test" / "dog" / "0.png")
    data = loaded(root)
    assert np.unique(data.train[0].reshape(-1, 3), axis=0).tolist() == [[10, 20, 30]]
    assert [np.unique(image).tolist() for image in data.test[0]] == [[255], [77]]


def test_images_of_sixteen_bits_keep_their_shades(loaded, files, tmp_path):
    root = files.image_folder(tmp_path, train=1, test=1)
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    files.image(root / "train" / "cat" / "0.png", ramp)
    assert np.abs(loaded(root).train[0][0, ..., 0] - ramp / 257).max() <= 1


def test_images_are_resized_to_the_size_asked_for(loaded, files, tmp_path):
    root = files.image_folder(tmp_path, shape=(10, 14))
    files.image(root / "train" / "cat" / "0.png", np.full((5, 3), 99, np.uint8))
    data = loaded(root, "--image_size=6")
    assert data.image_shape == (6, 6, 1)
    assert (data.train[0][0] == 99).all()
    with Image.open(root / "train" / "cat" / "1.png") as picture:
        expected = np.asarray(picture.resize((6, 6), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(data.train[0][1, ..., 0], expected)


def test_other_files_and_hidden_ones_are_ignored(loaded, files, tmp_path):
    root = files.image_folder(tmp_path)
    before = loaded(root)
    (root / "train" / "cat" / "notes.txt").write_text("not an image")
    (root / "train" / "cat" / "._0.png").write_bytes(b"what macOS leaves in archives")
    (root / "train" / ".git").mkdir()
    np.testing.assert_array_equal(loaded(root).train[0], before.train[0])


def test_bad_images_are_named_and_counted_or_left_out(loaded, files, tmp_path, capsys):
    root = files.image_folder(tmp_path, train=12)
    whole = loaded(root).train[0]
    for i in range(7):
        path = root / "train" / "dog" / f"{i}.png"
        path.write_bytes(path.read_bytes()[:60] if i else b"")
    with pytest.raises(BadInput, match=r"^7 unreadable images \(.*dog/0\.png: .*; \.\.\.\).*--skip_bad_images"):
        loaded(root)
    data = loaded(root, "--skip_bad_images")
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("skipped 7 unreadable images (")
    assert said.count(".png: ") == 5
    np.testing.assert_array_equal(data.train[1], [0] * 12 + [1] * 5)
    kept = [*range(12), *(12 + i for i, name in enumerate(sorted(map(str, range(12)))) if int(name) > 6)]
    np.testing.assert_array_equal(data.train[0], whole[kept])


@pytest.mark.parametrize("arguments", [(), ("--crop=resized", "--image_size=8"), ("--crop=resized",)])
def test_a_file_of_another_format_named_png_is_recognised_however_images_are_read(loaded, files, tmp_path, arguments):
    root = files.image_folder(tmp_path)
    Image.new("L", (8, 8)).save(root / "train" / "cat" / "1.png", "PPM")
    with pytest.raises(BadInput, match=r"1 unreadable image \(.*train/cat/1\.png: PPM, expected JPEG, PNG, BMP"):
        loaded(root, *arguments)


@pytest.mark.parametrize("crop", ["pad", "resized"])
def test_images_deeper_than_their_class_are_counted_once(loaded, files, tmp_path, crop, capsys):
    root = files.image_folder(tmp_path)
    before = loaded(root, f"--crop={crop}")
    assert "ignored" not in capsys.readouterr().err
    for path in ("train/cat/more/0.png", "test/dog/a/b/0.png"):
        files.image(root / path, np.zeros((8, 8), np.uint8))
    np.testing.assert_array_equal(loaded(root, f"--crop={crop}").train[0], before.train[0])
    said = [line for line in capsys.readouterr().err.splitlines() if "ignored" in line]
    assert said == [f"ignored 2 images deeper than <class>/* ({root}/train/cat/more/0.png, ...)"]


def test_a_class_whose_images_all_lie_deeper_is_refused(loaded, files, tmp_path):
    root = files.image_folder(tmp_path)
    (root / "train" / "cat").rename(tmp_path / "moved")
    (root / "train" / "cat").mkdir()
    (tmp_path / "moved").rename(root / "train" / "cat" / "all")
    with pytest.raises(BadInput, match=r"train/cat has no images \(.*\), but 3 in folders below it \(.*all/0\.png\)"):
        loaded(root)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_whose_every_image_is_bad_cannot_be_skipped(loaded, files, tmp_path, split):
    root = files.image_folder(tmp_path)
    for path in (root / split).rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(BadInput, match=rf"{split}/\w+ has no readable image"):
        loaded(root, "--skip_bad_images")


@pytest.mark.skipif(not CIFAR10.exists(), reason="the archive of CIFAR-10 as JPEGs is not available")
def test_a_few_images_a_class_of_cifar10_as_jpegs(loaded, tmp_path):
    taken: dict[str, int] = {}
    with tarfile.open(CIFAR10) as archive:
        for member in archive:  # a stream: whole classes lie one after another
            folder = str(Path(member.name).parent)
            if member.isfile() and taken.get(folder, 0) < 3:
                taken[folder] = taken.get(folder, 0) + 1
                archive.extract(member, tmp_path, filter="data")
    data = loaded(tmp_path)
    assert (data.classes, data.image_shape) == (10, (32, 32, 3))
    assert data.class_names[:3] == ["airplane", "automobile", "bird"]
    assert np.bincount(data.train[1]).tolist() == np.bincount(data.test[1]).tolist() == [3] * 10
    assert 80 < data.train[0].mean() < 160


# tensorflow-datasets


LIGHT_AND_DARK = tfds.features.ClassLabel(names=["dark", "light"])
SQUARE = tfds.features.Image(shape=(6, 6, 3))


class Shades(tfds.core.GeneratorBasedBuilder):
    """Real sets of tensorflow-datasets, small: the features, the splits and the keys are what differs."""

    VERSION = tfds.core.Version("1.0.0")
    features: ClassVar = {"image": SQUARE, "label": LIGHT_AND_DARK}
    splits = ("train", "test")
    supervised_keys: tuple[str, str] | None = ("image", "label")
    ragged = False

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(self.features),
            supervised_keys=self.supervised_keys,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples() for split in self.splits}

    def _generate_examples(self):
        picture, label = self.features
        for i in range(4):
            yield i, {picture: np.full((6 + i * self.ragged, 6, 3), 10 + 60 * (i % 2) + i, np.uint8), label: i % 2}


class Portraits(Shades):
    """JPEG files, every other one taken with the camera upside down."""

    features: ClassVar = {
        "image": tfds.features.Image(shape=(24, 16, 3), encoding_format="jpeg"),
        "label": LIGHT_AND_DARK,
    }

    @staticmethod
    def contents(number: int) -> bytes:
        exif, file = Image.Exif(), io.BytesIO()
        exif[0x0112] = 3 if number % 2 else 1
        noise = np.random.default_rng(number).integers(0, 256, (24, 16, 3), np.uint8)
        Image.fromarray(noise).save(file, "JPEG", exif=exif, quality=75)
        return file.getvalue()

    def _generate_examples(self):
        for i in range(4):
            yield i, {"image": io.BytesIO(self.contents(i)), "label": i % 2}


class ShadesToValidate(Shades):
    splits = ("train", "validation")


class ShadesWithoutKeys(Shades):
    supervised_keys = None


class ShadesWithoutTest(Shades):
    splits = ("train",)


class ShadesOfACompetition(Shades):
    splits = ("train", "test", "validation")

    def _split_generators(self, dl_manager):
        secret = ((i, {**record, "label": -1}) for i, record in self._generate_examples())
        return {**super()._split_generators(dl_manager), "test": secret}


class ShadesWithoutNames(Shades):
    features: ClassVar = {"image": SQUARE, "label": tfds.features.Scalar(np.int64)}


class ShadesOfManySizes(Shades):
    features: ClassVar = {"image": tfds.features.Image(shape=(None, None, 3)), "label": LIGHT_AND_DARK}
    ragged = True


class ShadesByOtherWords(Shades):
    features: ClassVar = {"picture": SQUARE, "kind": LIGHT_AND_DARK}
    supervised_keys = ("picture", "kind")


class ShadesToFindOut(ShadesByOtherWords):
    supervised_keys = None


class ShadesOfWords(Shades):
    features: ClassVar = {"image": SQUARE, "label": tfds.features.Text()}


@pytest.mark.parametrize("name", ["shades", "shades_to_validate", "shades_without_keys", "shades_by_other_words"])
def test_a_set_of_tensorflow_datasets_is_read_by_name(loaded, tmp_path, name):
    data = loaded(name, f"--data_dir={tmp_path}")
    assert (tmp_path / name / "1.0.0" / "features.json").exists()
    assert (data.class_names, data.image_shape) == (["dark", "light"], (6, 6, 3))
    for images, labels in (data.train, data.test):
        np.testing.assert_array_equal(images[:, 0, 0, 0], [10, 71, 12, 73])
        np.testing.assert_array_equal(labels, [0, 1, 0, 1])
    again = loaded(f"{name}:1.0.0", f"--data_dir={tmp_path}")
    np.testing.assert_array_equal(again.train[0], data.train[0])


def test_a_set_whose_test_labels_are_secret_is_tested_on_its_validation_split(loaded, tmp_path):
    data = loaded("shades_of_a_competition", f"--data_dir={tmp_path}")
    np.testing.assert_array_equal(data.test[1], [0, 1, 0, 1])


def test_a_set_without_a_test_split_holds_out_the_last_tenth_and_reports_it(loaded, tmp_path, capsys):
    data = loaded("shades_without_test", f"--data_dir={tmp_path}")
    np.testing.assert_array_equal(data.train[0][:, 0, 0, 0], [10, 71, 12])
    np.testing.assert_array_equal(data.test[0][:, 0, 0, 0], [73])
    assert "shades_without_test has no labelled test split: the last tenth of 'train' is " in capsys.readouterr().err


def test_a_set_of_many_sizes_is_resized_where_asked(loaded, tmp_path):
    data = loaded("shades_of_many_sizes", f"--data_dir={tmp_path}", "--image_size=4")
    assert data.image_shape == (4, 4, 3)
    np.testing.assert_array_equal(data.train[0][:, 0, 0, 0], [10, 71, 12, 73])


def test_jpegs_of_a_set_are_upright_and_have_pils_pixels(loaded, tmp_path):
    images, _ = loaded("portraits", f"--data_dir={tmp_path}").train
    for number, image in enumerate(images):
        theirs = ImageOps.exif_transpose(Image.open(io.BytesIO(Portraits.contents(number))))
        np.testing.assert_array_equal(image, theirs)


def test_labels_without_names_are_numbered(loaded, tmp_path):
    assert loaded("shades_without_names", f"--data_dir={tmp_path}").class_names == ["0", "1"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("shades_to_find_out", r"got kind \(ClassLabel\), picture \(Image\)"),
        ("shades_of_words", r"expected features 'image' and 'label' \(a class\); got image \(Image\), label \(Text\)"),
        ("imdb_reviews", r"got label \(ClassLabel\), text \(Text\)"),
        ("coco", r"got image \(Image\), .*objects"),
    ],
)
def test_a_set_without_labelled_images_is_refused_before_it_is_prepared(loaded, tmp_path, name, text):
    with pytest.raises(BadInput, match=text):
        loaded(name, f"--data_dir={tmp_path}")
    assert not list(tmp_path.iterdir())


def test_a_set_of_images_of_many_sizes_is_refused(loaded, tmp_path):
    with pytest.raises(BadInput, match=r"--dataset=shades_of_many_sizes: .*size"):
        loaded("shades_of_many_sizes", f"--data_dir={tmp_path}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cifar11", r"unknown dataset 'cifar11'\. Did you mean .*'cifar10'.*\? Expected 'digits'"),
        ("digit", r"unknown dataset 'digit'\. Did you mean .*'digits'"),
        ("Fashion-MNIST", r"'Fashion-MNIST'.*Did you mean .*'fashion_mnist'"),
        ("cifar 10", r"'cifar 10'.*Did you mean .*'cifar10'"),
        ("mnist:9.9.9", r"mnist:9\.9\.9.*3\.0\.1"),
        ("cmaterdb/bangle", r"cmaterdb/bangle.*BuilderConfig bangle not found"),
        ("a/b/c", r"'?a/b/c'?"),
    ],
)
def test_an_unknown_set_is_refused_with_the_near_names(loaded, tmp_path, name, text):
    with pytest.raises(BadInput, match=f"(?s){text}"):  # the command joins them to one line
        loaded(name, f"--data_dir={tmp_path}")


def test_what_tensorflow_datasets_needs_to_find_its_own_sets_is_installed(tmp_path):
    """4.9.10 imports importlib_resources without requiring it; without it, each of its own sets fails."""
    assert str(tfds.builder("mnist", data_dir=tmp_path).code_path).endswith(".py")


@pytest.mark.parametrize(
    ("dataset", "text"),
    [
        ("/no/such/folder", r"--dataset=/no/such/folder: there is no such folder"),
        ("./nothing", r"--dataset=nothing: there is no such folder"),
        ("nothing/", r"--dataset=nothing: there is no such folder"),
        ("train.csv", r"--dataset=train\.csv: there is no such file or folder\.$"),
        ("nothing.npz", r"--dataset=nothing\.npz: there is no such file"),
        (__file__, r"test_datasets\.py must be a folder, an \.npz file or a name; got another file"),
        ("", r"--dataset"),
    ],
)
def test_a_missing_dataset_is_refused(loaded, dataset, text):
    with pytest.raises(BadInput, match=text):
        loaded(dataset)


def test_data_are_identified_by_a_digest_of_images_and_labels(loaded, files, tmp_path):
    arrays = files.arrays()
    changed = {"x_test": arrays["x_test"] + 1, "y_train": 1 - arrays["y_train"]}
    found = [identity(loaded(files.npz(tmp_path / "same.npz")))] * 2
    for name, array in changed.items():
        found.append(identity(loaded(files.npz(tmp_path / f"{name}.npz", **{name: array}))))
    assert len({each["digest"] for each in found}) == 3
    assert found[0] == {**found[2], "digest": found[0]["digest"]}
    assert (found[0]["train_count"], found[0]["image_shape"], found[0]["class_names"]) == (16, [8, 8, 1], ["0", "1"])


def test_classes_without_a_training_image_are_reported_once(loaded, files, tmp_path, capsys):
    labels = files.arrays()["y_train"] * 12
    (line,) = doubts(loaded(files.npz(tmp_path / "set.npz", y_train=labels)))
    assert line.startswith("classes without a training image: 11 of 13 (1, 2, 3, 4, 5, ...).")
    assert capsys.readouterr().err == ""

"""Images of any size stay encoded: decoded when needed, viewed as the protocols state, read by index."""

from __future__ import annotations

import hashlib
import http.server
import io
import re
from functools import partial
from threading import Thread
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from train.data.augmentation import Augmentation
from train.data.augmentation.draws import keys
from train.data.augmentation.rectangles import rectangles
from train.data.batches import test_batches, training_batches
from train.data.datasets import EncodedData, ImageData, decoding, encoded, load
from train.data.datasets.records import records
from train.process.errors import BadInput
from train.process.machine import memory
from train.settings.resolving import resolve

RESIZED = Augmentation(crop="resized", flip=True)
SIZES = [(61, 83), (90, 40), (50, 50), (37, 120), (64, 48), (47, 53)]


def picture(height: int, width: int, seed: int) -> np.ndarray:
    """A smooth image with colours and a little noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return np.clip(smooth + rng.integers(-9, 10, smooth.shape), 0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """JPEGs of many sizes and one PNG; two classes."""
    for split in ("train", "test"):
        for i, (height, width) in enumerate(SIZES):
            path = tmp_path / split / ("cat", "dog")[i % 2] / f"{i}.{'png' if i == 5 else 'jpg'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(height, width, i)).save(path)
    return tmp_path


@pytest.fixture
def loaded(parse):
    """`loaded(dataset, "--crop=resized", ...)`: the images that a command line names."""

    def loaded(dataset, *arguments):
        parse(f"--dataset={dataset}", *arguments)
        config = resolve()
        return load(config.source, streamed=config.augmenting.streamed)

    return loaded


def take(steps, batches):
    """The first batches, each part one array."""
    return [np.concatenate(part) for part in zip(*batches.take(steps).as_numpy_iterator(), strict=True)]


def by_pil(contents) -> Image.Image:
    """The image that PIL decodes, as in memory."""
    return Image.open(io.BytesIO(contents.numpy() if tf.is_tensor(contents) else contents)).convert("RGB")


# decoding


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("mode", ["RGB", "L", "progressive"])
def test_a_decoded_window_equals_that_of_the_whole_image(subsampling, mode):
    pixels = picture(101, 137, 0)
    options = {"subsampling": subsampling} if mode != "L" else {}
    contents = tf.constant(
        jpeg(pixels[..., 0] if mode == "L" else pixels, progressive=mode == "progressive", **options)
    )
    whole = np.asarray(by_pil(contents))
    rng = np.random.default_rng(0)
    for _ in range(40):
        rows, columns = rng.integers(1, 102), rng.integers(1, 138)
        top, left = rng.integers(0, 102 - rows), rng.integers(0, 138 - columns)
        part = decoding.decoded(contents, tuple(tf.constant(v, tf.int32) for v in (top, left, rows, columns)))
        np.testing.assert_array_equal(part, whole[top : top + rows, left : left + columns])


@pytest.mark.parametrize("save", ["PNG", "JPEG"])
def test_sizes_are_read_from_either_kind(save):
    buffer = io.BytesIO()
    Image.fromarray(picture(20, 31, 0)).save(buffer, save)
    assert [int(side) for side in decoding.image_size(tf.constant(buffer.getvalue()))] == [20, 31]


@pytest.mark.parametrize(("rows", "columns"), [(20, 30), (90, 120), (20, 120), (61, 83)])
def test_resizing_matches_pil(rows, columns):
    pixels = picture(61, 83, 0)
    theirs = np.asarray(Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(decoding.resized(tf.constant(pixels), rows, columns).numpy() - theirs).max() <= 1


def test_a_training_view_is_its_rectangle_resized_and_half_are_mirrored():
    contents = tf.constant(jpeg(picture(61, 83, 0), quality=95))
    whole = by_pil(contents)
    turned = []
    for key in keys(0, tf.range(40, dtype=tf.int64)):
        view = decoding.random_crop(contents, key, 32, RESIZED).numpy().astype(int)
        top, left, rows, columns = (int(v) for v in rectangles(key, "crop", 61, 83, (0.08, 1.0), 4 / 3))
        box = (left, top, left + columns, top + rows)
        theirs = np.asarray(whole.crop(box).resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
        straight, mirror = (np.abs(view - other).max() for other in (theirs, theirs[:, ::-1]))
        assert min(straight, mirror) <= 1
        turned.append(mirror < straight)
    assert 8 < sum(turned) < 32


# protocols


def pils_resized(image: Image.Image, shorter: int) -> Image.Image:
    scale = shorter / min(image.size)
    return image.resize([round(side * scale) for side in image.size], Image.Resampling.BILINEAR)


@pytest.mark.parametrize("shape", [(300, 400), (400, 300), (200, 250), (256, 256)])
def test_the_papers_view_is_the_centre_after_the_shorter_side_is_256(shape):
    contents = jpeg(picture(*shape, 0), quality=95)
    ours = decoding.test_view(tf.constant(contents), 224, "paper").numpy()
    image = pils_resized(by_pil(contents), 256)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    theirs = np.asarray(image.crop((left, top, left + 224, top + 224))).astype(int)
    assert ours.shape == (224, 224, 3)
    assert np.abs(ours - theirs).max() <= 1


def test_the_central_view_is_seven_eighths_of_the_central_square():
    contents = jpeg(picture(320, 400, 0), quality=95)
    ours = decoding.test_view(tf.constant(contents), 224, "central").numpy()
    image = by_pil(contents).crop((60, 20, 340, 300))
    theirs = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(ours - theirs).max() <= 1


def test_ten_crops_are_corners_centre_and_mirrors_of_the_papers_image():
    contents = tf.constant(jpeg(picture(300, 400, 0), quality=95))
    crops = decoding.test_view(contents, 224, "ten_crop").numpy()
    assert crops.shape == (10, 224, 224, 3)
    np.testing.assert_array_equal(crops[4], decoding.test_view(contents, 224, "paper"))
    np.testing.assert_array_equal(crops[5:], crops[:5, :, ::-1])
    image = np.asarray(pils_resized(by_pil(contents), 256)).astype(int)
    corners = [image[:224, :224], image[:224, -224:], image[-224:, :224], image[-224:, -224:]]
    assert np.abs(crops[:4] - np.stack(corners)).max() <= 1


def test_views_of_another_size_are_in_proportion():
    """A view of 112 shows what a view of 224 does."""
    contents = tf.constant(jpeg(picture(300, 400, 0), quality=95))
    for protocol in decoding.VIEWS[:2]:
        small, large = (decoding.test_view(contents, size, protocol).numpy().astype(int) for size in (112, 224))
        halved = large.reshape(112, 2, 112, 2, 3).mean(axis=(1, 3))
        assert np.abs(small - halved).mean() < 3


# folders


def test_a_folder_of_many_sizes_streams_at_one_size(loaded, folder):
    data = loaded(folder, "--crop=resized", "--image_size=32")
    assert isinstance(data, EncodedData)
    assert (data.image_shape, data.classes, data.train_count, data.test_count) == ((32, 32, 3), 2, 6, 6)
    images, labels = take(3, training_batches(data, 2, RESIZED, 0))
    assert (images.shape, images.dtype, labels.dtype) == ((6, 32, 32, 3), np.uint8, np.int64)
    assert sorted(labels) == [0, 0, 0, 1, 1, 1]
    mean, variance = data.statistics()
    paths = (folder / "train").rglob("*.*g")
    pixels = np.concatenate(
        [decoding.test_view(path.read_bytes(), 32, "central").numpy().reshape(-1, 3) for path in paths]
    )
    np.testing.assert_allclose((mean, variance), (pixels.mean(0), pixels.var(0)), rtol=1e-6)
    assert loaded(folder, "--crop=resized").size == 224


def test_a_training_image_is_the_view_of_the_example_at_its_position(loaded, folder):
    data = loaded(folder, "--crop=resized", "--image_size=32")
    images, labels = take(2, training_batches(data, 6, RESIZED, 3))
    of = keys(3, tf.range(12, dtype=tf.int64))
    for epoch in range(2):
        seen = set()
        for position in range(6 * epoch, 6 * epoch + 6):
            views = [decoding.random_crop(data.train.read(n)[0], of[position], 32, RESIZED) for n in range(6)]
            (number,) = [n for n, view in enumerate(views) if (view == images[position]).numpy().all()]
            assert int(data.train.read(number)[1]) == labels[position]
            seen.add(number)
        assert seen == set(range(6))


@pytest.mark.parametrize("more", [{}, {"mixup": 1.0, "erasing": 0.5}], ids=["crops", "mixed and erased"])
def test_shards_and_later_steps_of_a_stream_are_parts_of_it(loaded, folder, more):
    data = loaded(folder, "--crop=resized", "--image_size=32")
    augmentation = Augmentation(crop="resized", flip=True, **more)
    images, labels = take(4, training_batches(data, 4, augmentation, 1))
    parts = [take(2, training_batches(data, 4, augmentation, 1, 2, shard, 2)) for shard in (0, 1)]
    for whole, part in ((images, 0), (labels, 1)):
        halves = [p[part].reshape(2, 2, *whole.shape[1:]) for p in parts]
        np.testing.assert_array_equal(np.concatenate(halves, axis=1).reshape(8, *whole.shape[1:]), whole[8:])


def test_contents_in_memory_and_on_the_disk_give_the_same_batches(loaded, folder, monkeypatch):
    held = take(3, training_batches(loaded(folder, "--crop=resized", "--image_size=32"), 4, RESIZED, 0))
    monkeypatch.setattr(encoded, "MEMORY_SHARE", 0)
    data = loaded(folder, "--crop=resized", "--image_size=32")
    streamed = take(3, training_batches(data, 4, RESIZED, 0))
    for a, b in zip(held, streamed, strict=True):
        np.testing.assert_array_equal(a, b)
    for path in (folder / "train").rglob("*.*"):
        path.unlink()
    with pytest.raises(tf.errors.NotFoundError):  # it does read from the disk
        take(1, training_batches(data, 4, RESIZED, 0))


def test_images_of_one_size_are_decoded_once_where_they_fit(loaded, files, tmp_path):
    root = files.image_folder(tmp_path, shape=(16, 16, 3))
    data = loaded(root, "--crop=resized")
    assert isinstance(data, ImageData) and data.image_shape == (16, 16, 3)
    assert isinstance(loaded(root, "--crop=resized", "--image_size=8"), EncodedData)
    assert isinstance(loaded(root, "--crop=resized", "--test_view=central"), EncodedData)


@pytest.mark.parametrize("protocol", decoding.VIEWS)
def test_test_batches_of_a_stream_hold_every_image_once(loaded, folder, protocol):
    data = loaded(folder, "--crop=resized", "--image_size=32", f"--test_view={protocol}")
    parts = [list(test_batches(data, 4, shard, 2).as_numpy_iterator()) for shard in (0, 1)]
    found = [
        (image, label)
        for step in zip(*parts, strict=True)
        for images, labels, weights in step
        for image, label, weight in zip(images, labels, weights, strict=True)
        if weight
    ]
    assert [label for _, label in found] == [0, 0, 0, 1, 1, 1]
    expected = [decoding.test_view(data.test.read(n)[0], 32, protocol) for n in range(6)]
    np.testing.assert_array_equal([image for image, _ in found], expected)


def test_files_that_are_not_images_are_named_or_skipped(loaded, folder, capsys):
    (folder / "train" / "cat" / "0.jpg").write_bytes(b"no image")
    Image.fromarray(picture(9, 9, 0)).save(folder / "train" / "dog" / "1.jpg", "PPM")
    with pytest.raises(
        BadInput, match=r"2 unreadable images \(.*cat/0\.jpg: .*dog/1\.jpg: PPM, expected JPEG, PNG, BMP"
    ):
        loaded(folder, "--crop=resized")
    data = loaded(folder, "--crop=resized", "--skip_bad_images")
    assert data.train_count == 4
    assert "skipped 2 unreadable images" in capsys.readouterr().err


def test_truncated_images_are_named_once_one_was_met(folder, command, tmp_path):
    """Their headers are valid, so that only decoding detects it."""
    cut = [folder / "train" / "cat" / "0.jpg", folder / "train" / "dog" / "5.png"]
    for path in cut:
        path.write_bytes(path.read_bytes()[:-300])
    flags = ("--crop=resized", "--image_size=32", "--depth=8", "--epochs=1", f"--output={tmp_path / 'out'}")
    done = command(f"--dataset={folder}", *flags)
    assert done.code == 2
    (line,) = done.said
    assert line.startswith("train: images that cannot be used: ")
    assert all(f"{path}: " in line for path in cut)


def test_truncated_images_are_skipped_where_asked(loaded, folder, capsys):
    (folder / "test" / "cat" / "2.jpg").write_bytes(b"no image")
    cut = [folder / "train" / "cat" / "0.jpg", folder / "train" / "dog" / "5.png"]
    for path in cut:
        path.write_bytes(path.read_bytes()[:-300])
    data = loaded(folder, "--crop=resized", "--skip_bad_images")
    assert (data.train_count, data.test_count) == (4, 5)
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "skipped" in line]
    assert said.startswith("skipped 3 unreadable images (") and all(f"{path}: " in said for path in cut)


@pytest.mark.slow
def test_a_stream_trains_to_a_checked_model(folder, command, tmp_path):
    views = ("--image_size=32", "--crop=resized", "--test_view=ten_crop")
    more = ("--mixup=0.2", "--cutmix=1", "--randaugment=9", "--erasing=0.25", "--label_smoothing=0.1")
    done = command(f"--dataset={folder}", *views, *more, "--depth=8", "--epochs=1", f"--output={tmp_path / 'out'}")
    assert done.code == 0, done.err
    assert "its answers differ from the trained network's" in done.out


def test_a_class_without_a_readable_image_cannot_be_skipped(loaded, folder):
    for path in (folder / "test" / "cat").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(BadInput, match="test/cat has no readable image"):
        loaded(folder, "--crop=resized", "--skip_bad_images")


def test_the_classes_of_a_stream_have_the_order_asked_for(loaded, folder):
    plain, turned = (loaded(folder, "--crop=resized", f"--class_names={names}") for names in ("cat,dog", "dog,cat"))
    assert turned.class_names == ["dog", "cat"]
    classes = [
        {data.train.name(i): data.class_names[label] for i, label in enumerate(data.train.labels)}
        for data in (plain, turned)
    ]
    assert classes[0] == classes[1]
    with pytest.raises(BadInput, match=r"--class_names must have 2 names, one for each class; got 1\."):
        loaded(folder, "--crop=resized", "--class_names=Katze")


def test_a_test_view_has_no_effect_on_images_in_memory(loaded, folder, files, tmp_path):
    with pytest.raises(BadInput, match=r"--test_view has no effect on an \.npz file"):
        loaded(files.npz(tmp_path / "set.npz"), "--test_view=paper")
    root = files.image_folder(tmp_path / "same")
    with pytest.raises(BadInput, match=r"--test_view has no effect on images that are all of one size"):
        loaded(root, "--test_view=paper")


# tensorflow-datasets


class Photographs(tfds.core.GeneratorBasedBuilder):
    """A set like ImageNet: JPEGs of many sizes, 'train' and 'validation', labels of many records."""

    VERSION = tfds.core.Version("1.0.0")
    COUNTS: ClassVar = {"train": 11, "validation": 5}
    LABEL: ClassVar = tfds.features.ClassLabel(names=["a", "b", "c"])

    def _info(self):
        features = {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "label": self.LABEL,
            "file_name": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=("image", "label")
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(count) for split, count in self.COUNTS.items()}

    def _generate_examples(self, count):
        for i in range(count):
            contents = io.BytesIO(jpeg(picture(*SIZES[i % 6], i)))
            yield f"{i}", {"image": contents, "label": i % 3, "file_name": f"{i}.jpg"}


class PhotographsWithoutTest(Photographs):
    COUNTS: ClassVar = {"train": 11}


class PhotographsOfWhichOneHasNoLabel(Photographs):
    def _generate_examples(self, count):
        for i, (key, record) in enumerate(super()._generate_examples(count)):
            yield key, record if i != 3 else {**record, "label": -1}


class PhotographsByNumber(Photographs):
    LABEL: ClassVar = tfds.features.Scalar(np.int64)


class DownloadedPhotographs(Photographs):
    url: ClassVar = ""
    url_infos: ClassVar = {}

    def _split_generators(self, dl_manager):
        dl_manager.download(self.url)
        return super()._split_generators(dl_manager)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The URL of a file, which `DownloadedPhotographs` requires."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "images.bin").write_bytes(b"what is downloaded")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(DownloadedPhotographs, "url", f"http://127.0.0.1:{server.server_port}/images.bin")
        yield DownloadedPhotographs.url
        server.shutdown()


def info(contents: bytes):
    digest = hashlib.sha256(contents).hexdigest()
    return tfds.download.checksums.UrlInfo(size=len(contents), checksum=digest, filename="images.bin")


@pytest.mark.parametrize("known", [b"what was published", None], ids=["another", "none"])
def test_a_download_without_the_checksum_that_is_known_is_refused(served, known, loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(DownloadedPhotographs, "url_infos", {} if known is None else {served: info(known)})
    with pytest.raises(BadInput, match=r"^--dataset=downloaded_photographs is not prepared in .* and cannot be: .*"):
        loaded("downloaded_photographs", f"--data_dir={tmp_path}", "--crop=resized")


def test_a_download_with_the_checksum_that_is_known_is_prepared(served, loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(DownloadedPhotographs, "url_infos", {served: info(b"what is downloaded")})
    assert loaded("downloaded_photographs", f"--data_dir={tmp_path}", "--crop=resized").train_count == 11


def test_a_set_of_tensorflow_datasets_streams_from_its_prepared_records(loaded, tmp_path):
    data = loaded("photographs", f"--data_dir={tmp_path}", "--crop=resized", "--image_size=32")
    assert isinstance(data, EncodedData)
    assert (data.train_count, data.test_count, list(data.class_names)) == (11, 5, ["a", "b", "c"])
    builder = tfds.builder("photographs", data_dir=tmp_path)
    for split, name in ((data.train, "train"), (data.test, "validation")):
        theirs = list(builder.as_dataset(split=name).as_numpy_iterator())
        for number, record in enumerate(theirs):
            contents, label = split.read(tf.constant(number, tf.int64))
            np.testing.assert_array_equal(tf.io.decode_jpeg(contents), record["image"])
            assert int(label) == record["label"]
    images, labels = take(11, training_batches(data, 2, RESIZED, 0))
    assert images.shape == (22, 32, 32, 3)
    assert sorted(labels[:11]) == sorted(labels[11:]) == sorted(i % 3 for i in range(11))


def test_a_streamed_set_without_a_test_split_holds_out_the_last_tenth(loaded, tmp_path):
    data = loaded("photographs_without_test", f"--data_dir={tmp_path}", "--crop=resized", "--image_size=32")
    assert (data.train_count, data.test_count) == (10, 1)
    builder = tfds.builder("photographs_without_test", data_dir=tmp_path)
    *_, last = builder.as_dataset(split="train").as_numpy_iterator()
    np.testing.assert_array_equal(tf.io.decode_jpeg(data.test.read(0)[0]), last["image"])


def test_a_streamed_set_whose_labels_are_numbers_of_unknown_range_is_refused_before_it_is_prepared(loaded, tmp_path):
    with pytest.raises(BadInput, match=r"--crop=resized requires classes; 'label' is a number"):
        loaded("photographs_by_number", f"--data_dir={tmp_path}", "--crop=resized")
    assert not list(tmp_path.iterdir())


def test_a_streamed_image_without_a_class_is_named_in_one_line(command, tmp_path):
    flags = ("--crop=resized", "--image_size=32", "--depth=8", "--epochs=1", f"--output={tmp_path / 'out'}")
    done = command("--dataset=photographs_of_which_one_has_no_label", f"--data_dir={tmp_path}", *flags)
    assert done.code == 2
    assert "Traceback" not in done.err
    wanted = r"train: images that cannot be used: record \d+ of 'train\S* in .*: label -1, expected 0\.\.2[.;]"
    assert re.match(wanted, done.said[-1])


# records


@pytest.fixture
def record_file(tmp_path):
    path = tmp_path / "some.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for i in range(5):
            writer.write(bytes([i]) * (i * 7))
    return path


def test_records_are_read_by_number_over_files_and_parts(record_file):
    count, read = records([(record_file, 0, -1), (record_file, 1, 3)])
    assert count == 8
    expected = [0, 1, 2, 3, 4, 1, 2, 3]
    assert [read(tf.constant(n, tf.int64)).numpy() for n in range(8)] == [bytes([i]) * (i * 7) for i in expected]


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda b: b[:-1], r"is cut short: the record at byte \d+ ends after the file"),
        (lambda b: b[:5], r"is damaged or not a TFRecord file: no record begins at byte 0"),
        (lambda b: b"not a record file at all", r"is damaged or not a TFRecord file: no record begins at byte 0"),
        (lambda b: b"\x01" + b[1:], r"is damaged or not a TFRecord file: no record begins at byte 0"),  # a length
    ],
    ids=["end", "header", "text", "length"],
)
def test_a_damaged_record_file_is_named(record_file, damage, text):
    record_file.write_bytes(damage(record_file.read_bytes()))
    with pytest.raises(BadInput, match=rf"some\.tfrecord {text}"):
        records([(record_file, 0, -1)])


def test_a_record_with_a_flipped_bit_is_not_read(record_file):
    content = bytearray(record_file.read_bytes())
    content[-5] ^= 1  # the last byte of the last record's data
    record_file.write_bytes(content)
    count, read = records([(record_file, 0, -1)])
    assert read(tf.constant(count - 2, tf.int64)).numpy() == bytes([3]) * 21
    with pytest.raises(ValueError, match=r"some\.tfrecord: the record at byte \d+ does not match"):
        read(tf.constant(count - 1, tf.int64))


def test_a_missing_record_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"none\.tfrecord cannot be read: No such file"):
        records([(tmp_path / "none.tfrecord", 0, -1)])


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_the_memory_of_a_container_is_its_limit(tmp_path, file):
    machine = memory(tmp_path)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    for limit, found in (("1048576", 1048576), (str(2**62), machine)):
        (tmp_path / file).write_text(limit + "\n")
        assert memory(tmp_path) == found
    (tmp_path / "memory.max").write_text("max\n")
    assert memory(tmp_path) == machine

"""Each augmentation matches its paper, depends only on the examples' keys, and is off by default."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from train.data.augmentation import Augmentation, erasing, mixing, randaugment
from train.data.augmentation.crops import padded_crops, resized_crops
from train.data.augmentation.draws import keys, uniform
from train.data.augmentation.mixing import mixed, neighbours, smoothed
from train.data.augmentation.rectangles import rectangles

COUNT, HEIGHT, WIDTH, CLASSES = 64, 24, 32, 5
MEAN = np.array([100.2, 120.7, 140.1])
ALONE = {
    "resized crops": Augmentation(crop="resized", flip=True),
    "padded crops": Augmentation(pad=4, flip=True),
    "reflected crops": Augmentation(pad=4, padding="reflect", flip=True),
    "randaugment": Augmentation(randaugment=20),
    "erasing": Augmentation(erasing=1.0),
    "mixup": Augmentation(mixup=1.0),
    "cutmix": Augmentation(cutmix=1.0),
    "both mixes": Augmentation(mixup=0.2, cutmix=1.0),
    "smoothing": Augmentation(label_smoothing=0.1),
}


def keys_of(count=COUNT, seed=0, first=0):
    return keys(seed, tf.range(first, first + count, dtype=tf.int64))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (COUNT, HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def labels():
    return np.arange(COUNT) % CLASSES


def augmented(augmentation, images, labels, keys):
    """The complete augmentation: crops, then everything that follows; as NumPy arrays."""
    crops = augmentation.crops(images, MEAN)(tf.range(len(images)), keys)
    return [part.numpy() for part in augmentation.finish(crops, tf.constant(labels), keys, MEAN, CLASSES)]


# draws


def test_draws_are_uniform_and_independent_over_keys_purposes_and_numbers():
    draws = np.concatenate([uniform(keys_of(20_000), purpose, 2).numpy() for purpose in ("crop", "flip")], axis=1)
    assert draws.min() >= 0 and draws.max() < 1
    counts = np.stack([np.bincount((column * 20).astype(int), minlength=20) for column in draws.T])
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)
    columns = [*draws.T, np.roll(draws[:, 0], 1), uniform(keys_of(20_000, seed=1), "crop", 1).numpy()[:, 0]]
    for a, b in itertools.combinations(columns, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(20_000)


def test_keys_differ_over_positions_and_seeds():
    found = np.concatenate([keys_of(10_000, seed, first).numpy() for seed in (0, 1, 2**32 - 1) for first in (0, 2**40)])
    assert len(set(found.tolist())) == len(found)


# rectangles


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 200), (224, 160)])
@pytest.mark.parametrize(("areas", "aspect"), [((0.02, 0.4), 1 / 0.3), ((0.08, 1.0), 4 / 3), ((1.0, 1.0), 4 / 3)])
def test_a_rectangle_lies_in_the_image_and_has_the_area_and_aspect_asked_for(height, width, areas, aspect):
    top, left, rows, columns = (
        part.numpy().astype(float) for part in rectangles(keys_of(2000), "test", height, width, areas, aspect)
    )
    assert min(top.min(), left.min(), rows.min() - 1, columns.min() - 1) >= 0
    assert max((top + rows).max() - height, (left + columns).max() - width) <= 0
    rounding = (rows + columns + 1) / 2
    area = rows * columns
    assert ((area >= areas[0] * height * width - rounding) & (area <= areas[1] * height * width + rounding)).all()
    free = (rows < height) & (columns < width) & (area > 100)  # elsewhere the image itself bounds the aspect
    ratio = np.maximum(rows / columns, columns / rows)[free]
    assert (ratio <= aspect * 1.25).all()
    if areas[0] < areas[1]:
        assert area.min() < (areas[0] + 0.02) * height * width and area.max() > (areas[1] - 0.02) * height * width
        assert len(set(top)) > 5


# properties of every augmentation


@pytest.mark.parametrize("augmentation", ALONE.values(), ids=ALONE)
def test_an_augmentation_depends_only_on_the_keys(augmentation, images, labels):
    first, again, other = (
        augmented(augmentation, images, labels, keys_of(first=position)) for position in (0, 0, COUNT)
    )
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    if augmentation != ALONE["smoothing"]:
        changed = (first[0] != other[0]).any(axis=(1, 2, 3))
        assert changed.mean() > 0.9  # the next epoch draws again


@pytest.mark.parametrize("augmentation", [v for k, v in ALONE.items() if k != "smoothing"])
def test_examples_differ_in_their_draws(augmentation, images, labels):
    """Copies of the same pair of images come out differently."""
    pairs = np.tile(images[:2], (COUNT // 2, 1, 1, 1))
    pictures, _ = augmented(augmentation, pairs, labels, keys_of())
    assert len({picture.tobytes() for picture in pictures}) > 0.8 * COUNT


@pytest.mark.parametrize("augmentation", ALONE.values(), ids=ALONE)
def test_half_a_batch_equals_its_part_of_the_whole(augmentation, images, labels):
    whole = augmented(augmentation, images, labels, keys_of())
    half = augmented(augmentation, images[32:], labels[32:], keys_of(32, first=32))
    for few, many in zip(half, whole, strict=True):
        np.testing.assert_array_equal(few, many[32:])


def test_off_means_off(images, labels):
    pictures, of = augmented(Augmentation(), images, labels, keys_of())
    np.testing.assert_array_equal(pictures, images)
    np.testing.assert_array_equal(of, labels)
    assert (pictures.dtype, of.dtype) == (np.uint8, np.int64)


@pytest.mark.parametrize("augmentation", ALONE.values(), ids=ALONE)
def test_labels_are_classes_or_distributions_as_promised(augmentation, images, labels):
    pictures, of = augmented(augmentation, images, labels, keys_of())
    assert (pictures.dtype, pictures.shape) == (np.uint8, images.shape)
    if augmentation.gives_distributions:
        assert (of.dtype, of.shape) == (np.float32, (COUNT, CLASSES))
        assert of.min() >= 0
        np.testing.assert_allclose(of.sum(1), 1, atol=1e-6)
    else:
        np.testing.assert_array_equal(of, labels)


# crops


def test_a_resized_crop_of_all_of_the_image_is_the_image(images):
    crops = resized_crops(images, least_area=1.0, flip=False)(tf.range(COUNT), keys_of())
    np.testing.assert_array_equal(crops, images)


@pytest.mark.parametrize(("height", "width"), [(2, 3), (1, 2), (3, 1)])
def test_a_resized_crop_of_all_of_a_tiny_image_is_the_image(height, width):
    tiny = np.arange(COUNT * height * width, dtype=np.uint8).reshape(COUNT, height, width, 1)
    crops = resized_crops(tiny, least_area=1.0, flip=False)(tf.range(COUNT), keys_of())
    np.testing.assert_array_equal(crops, tiny)


def test_a_resized_crop_reaches_from_end_to_end_of_its_window_and_half_are_mirrored():
    ramp = np.tile(np.arange(WIDTH, dtype=np.uint8) * 7, (COUNT, HEIGHT, 1))[..., np.newaxis]
    crops = resized_crops(ramp, least_area=0.08, flip=True)(tf.range(COUNT), keys_of()).numpy().astype(int)
    _, left, _, columns = (part.numpy() for part in rectangles(keys_of(), "crop", HEIGHT, WIDTH, (0.08, 1.0), 4 / 3))
    assert (crops == crops[:, :1]).all()  # a ramp to the right has equal rows
    ends = np.sort(crops[:, 0, [0, -1], 0], axis=1)
    np.testing.assert_array_equal(ends, np.stack([7 * left, 7 * (left + columns - 1)], axis=1))
    turned = crops[:, 0, 0, 0] > crops[:, 0, -1, 0]
    assert 0.25 < turned.mean() < 0.75
    unmirrored = resized_crops(ramp, least_area=0.08, flip=False)(tf.range(COUNT), keys_of()).numpy().astype(int)
    np.testing.assert_array_equal(np.where(turned[:, None, None, None], crops[:, :, ::-1], crops), unmirrored)


@pytest.mark.parametrize("flip", [False, True])
def test_crops_of_the_reflected_image_are_windows_of_numpys_reflection(images, flip):
    reflected = np.pad(images[:1], ((0, 0), (3, 3), (3, 3), (0, 0)), "reflect")[0]
    windows = [reflected[top:, left:][:HEIGHT, :WIDTH] for top, left in np.ndindex(7, 7)]
    windows += [window[:, ::-1] for window in windows] * flip
    numbers = {window.tobytes(): number for number, window in enumerate(windows)}
    crops = Augmentation(pad=3, padding="reflect", flip=flip).crops(images[:1], MEAN)
    found = crops(tf.zeros(2000, tf.int64), keys_of(2000)).numpy()
    assert {numbers[crop.tobytes()] for crop in found} == set(range(len(windows)))


def test_the_mean_colour_is_the_default_padding(images):
    crops = [Augmentation(pad=3, padding=padding).crops(images, MEAN) for padding in (None, "mean", "reflect")]
    default, mean, reflected = (crop(tf.range(COUNT), keys_of()).numpy() for crop in crops)
    assert np.array_equal(default, mean) and not np.array_equal(default, reflected)


def test_pad_and_mean():
    crops = padded_crops(np.zeros((COUNT, 4, 4, 3), np.uint8), 4, True, MEAN)(tf.range(COUNT), keys_of()).numpy()
    assert {tuple(pixel) for pixel in crops.reshape(-1, 3)} == {(0, 0, 0), (100, 121, 140)}


# erasing


def test_the_erased_part_is_a_rectangle_of_the_mean_colour_of_2_to_40_percent(images):
    pictures = erasing.erased(tf.constant(images), keys_of(), 1.0, MEAN).numpy()
    for before, after in zip(images, pictures, strict=True):
        hole = (after == [100, 121, 140]).all(-1)
        rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
        assert hole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert 0.01 < hole.mean() < 0.42
        np.testing.assert_array_equal(after[~hole], before[~hole])


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_as_many_images_are_erased_as_asked_for(probability):
    black = tf.zeros([4000, 8, 8, 3], tf.uint8)
    pictures = erasing.erased(black, keys_of(4000), probability, MEAN).numpy()
    assert abs(pictures.any(axis=(1, 2, 3)).mean() - probability) <= 4 * np.sqrt(probability * (1 - probability) / 4000)


# mixing


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_follows_the_equation_and_the_label_has_lambda(images, alpha):
    pictures, of = (
        part.numpy() for part in mixed(tf.constant(images), tf.one_hot(np.arange(COUNT), COUNT), keys_of(), alpha, 0.0)
    )
    share = of[np.arange(COUNT), np.arange(COUNT)]
    assert share.min() >= 0 and share.max() <= 1
    other = np.arange(COUNT) ^ 1
    np.testing.assert_allclose(of[np.arange(COUNT), other], 1 - share, atol=1e-6)
    weights = share[:, None, None, None].astype(np.float64)
    expected = weights * images + (1 - weights) * images[other]
    assert np.abs(pictures - expected).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_lambda_is_beta_distributed(alpha):
    from scipy.stats import beta, kstest

    drawn = mixing._beta(uniform(keys_of(20_000), "mixup", 1)[:, 0], alpha).numpy()
    assert drawn.min() >= 0 and drawn.max() <= 1
    assert kstest(drawn, beta(alpha, alpha).cdf).statistic < 0.02


def test_cutmix_pastes_a_rectangle_of_the_neighbour_and_the_label_has_its_area():
    own, other = np.zeros((1, HEIGHT, WIDTH, 1), np.uint8), np.full((1, HEIGHT, WIDTH, 1), 255, np.uint8)
    pairs = np.tile(np.concatenate([own, other]), (COUNT // 2, 1, 1, 1))
    pictures, of = (
        part.numpy() for part in mixed(tf.constant(pairs), tf.one_hot(np.arange(COUNT) % 2, 2), keys_of(), 0.0, 1.0)
    )
    np.testing.assert_allclose((pictures == 255).mean(axis=(1, 2, 3)), of[:, 1], atol=1e-6)
    assert len(set(of[:, 1].tolist())) > COUNT / 2
    for picture, before in zip(pictures, pairs, strict=True):
        hole = (picture != before)[..., 0]
        if hole.any():
            rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
            assert hole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_with_mixup_and_cutmix_half_of_the_examples_are_cut():
    pairs = tf.constant(np.tile(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1), (1000, 8, 8, 1)))
    pictures, of = (part.numpy() for part in mixed(pairs, tf.one_hot(np.arange(2000) % 2, 2), keys_of(2000), 1.0, 1.0))
    blended = ((pictures > 0) & (pictures < 255)).any(axis=(1, 2, 3))
    assert 0.45 < blended.mean() < 0.55
    np.testing.assert_allclose(pictures.mean(axis=(1, 2, 3)) / 255, of[:, 1], atol=0.5 / 255 + 1e-6)


def test_neighbours_are_mutual():
    np.testing.assert_array_equal(neighbours(neighbours(tf.range(10))), np.arange(10))


def test_smoothing_keeps_the_sum_and_the_order():
    of = smoothed(tf.constant([[0.7, 0.3, 0.0]]), 0.3).numpy()
    np.testing.assert_allclose(of, [[0.59, 0.31, 0.1]], atol=1e-6)


# RandAugment


def pils(picture, name, strength):
    """PIL's result."""
    factor = 1 + 0.9 * strength
    return {
        "brightness": lambda: ImageEnhance.Brightness(picture).enhance(factor),
        "color": lambda: ImageEnhance.Color(picture).enhance(factor),
        "contrast": lambda: ImageEnhance.Contrast(picture).enhance(factor),
        "sharpness": lambda: ImageEnhance.Sharpness(picture).enhance(factor),
        "posterize": lambda: ImageOps.posterize(picture, 8 - round(4 * abs(strength))),
        "solarize": lambda: ImageOps.solarize(picture, 255 * (1 - abs(strength))),
        "auto_contrast": lambda: ImageOps.autocontrast(picture),
        "equalize": lambda: ImageOps.equalize(picture),
    }[name]()


@pytest.mark.parametrize("strength", [1.0, 0.4, -0.7])
@pytest.mark.parametrize(
    "name",
    ["brightness", "color", "contrast", "sharpness", "posterize", "solarize", "auto_contrast", "equalize"],
)
def test_an_operation_on_colours_matches_pil(name, strength):
    rng = np.random.default_rng(0)
    low, high = rng.integers(0, 80, 8), rng.integers(120, 256, 8)
    noise = np.stack([rng.integers(a, b, (HEIGHT, WIDTH, 3)) for a, b in zip(low, high, strict=True)]).astype(np.uint8)
    noise[0] = 77  # only one colour
    ours = getattr(randaugment, name)(tf.constant(noise), tf.fill([8], strength), MEAN).numpy()
    theirs = np.stack([np.asarray(pils(Image.fromarray(picture), name, strength)) for picture in noise])
    assert np.abs(ours.astype(int) - theirs).max() <= 1  # PIL computes in float32, in another order
    assert (ours != theirs).mean() < 0.01


def affine(name, strength):
    """Where a pixel's value comes from, about the centre: `(matrix, shift)` for `(x, y)`."""
    angle = np.radians(30 * strength)
    return {
        "shear_x": ([[1, 0.3 * strength], [0, 1]], [0, 0]),
        "shear_y": ([[1, 0], [0.3 * strength, 1]], [0, 0]),
        "translate_x": (np.eye(2), [150 / 331 * WIDTH * strength, 0]),
        "translate_y": (np.eye(2), [0, 150 / 331 * HEIGHT * strength]),
        "rotate": ([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], [0, 0]),
    }[name]


@pytest.mark.parametrize("strength", [1.0, 0.4, -0.7])
@pytest.mark.parametrize("name", ["shear_x", "shear_y", "translate_x", "translate_y", "rotate"])
def test_a_warp_follows_its_matrix_and_fills_with_the_mean_colour(name, strength):
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    plane = np.stack([3 * columns + 2 * rows + 10, 2 * columns + 30, 4 * rows + 5], axis=-1)  # bilinear is exact on it
    image = plane[np.newaxis].astype(np.uint8)
    ours = getattr(randaugment, name)(tf.constant(image), tf.constant([strength]), MEAN).numpy()[0]
    matrix, shift = affine(name, strength)
    centre = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    x, y = np.moveaxis((np.stack([columns, rows], -1) - centre) @ np.transpose(matrix) + centre + shift, -1, 0)
    inside = (x >= 0) & (x <= WIDTH - 1) & (y >= 0) & (y <= HEIGHT - 1)
    expected = np.stack([3 * x + 2 * y + 10, 2 * x + 30, 4 * y + 5], axis=-1)
    assert np.abs(ours - expected)[inside].max() <= 0.51
    outside = (x < -1) | (x > WIDTH) | (y < -1) | (y > HEIGHT)
    assert (ours[outside] == [100, 120 + 1, 140]).all()
    assert inside.mean() > 0.3


def test_all_operations_are_drawn_evenly_and_each_image_gets_its_own():
    chosen = tf.cast(uniform(keys_of(14_000), "randaugment 0", 2)[:, 0] * 14, tf.int32)
    counts = np.bincount(chosen, minlength=14)
    assert len(counts) == 14 and np.abs(counts - 1000).max() < 150
    batch = np.random.default_rng(0).integers(0, 256, (28, 8, 8, 3), dtype=np.uint8)
    which = np.arange(28) % 14
    strengths = tf.fill([28], 0.5)
    together = randaugment._each(tf.constant(batch), tf.constant(which, tf.int32), strengths, MEAN).numpy()
    for operation, image, result in zip(which, batch, together, strict=True):
        alone = randaugment.OPERATIONS[operation](tf.constant(image[None]), tf.constant([0.5]), MEAN)
        np.testing.assert_array_equal(result, alone[0])


def test_randaugment_takes_grey_images():
    grey = tf.constant(np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), dtype=np.uint8))
    pictures = randaugment.randaugmented(grey, keys_of(64), 30.0, 2, MEAN[:1])
    assert pictures.shape == grey.shape
    assert (pictures != grey).numpy().any(axis=(1, 2, 3)).mean() > 0.5


def test_a_greater_magnitude_changes_more(images):
    def change(magnitude):
        done = randaugment.randaugmented(tf.constant(images), keys_of(), magnitude, 1, MEAN).numpy()
        return np.abs(done.astype(int) - images).mean()

    assert 0 < change(3.0) < change(15.0) < change(30.0)

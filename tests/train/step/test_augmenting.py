"""Layers that augment batches draw from the seed, the step and the replica, and from nothing else."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from train.process.errors import BadInput
from train.settings.references import realized
from train.settings.sections import Augmenting
from train.step.augmenting import LayerAugmentation
from train.step.trainer import Trainer

SHAPE = (8, 8, 3)
LAYERS = keras.layers
REPEATABLE = {
    "rand_augment": LAYERS.RandAugment,
    "rotation": lambda: LAYERS.RandomRotation(0.2),
    "zoom": lambda: LAYERS.RandomZoom(0.3),
    "erasing": lambda: LAYERS.RandomErasing(factor=1.0),
    "colours": lambda: LAYERS.RandomColorJitter(brightness_factor=0.5, contrast_factor=0.5),
    "several": lambda: LAYERS.Pipeline([LAYERS.RandomFlip(), LAYERS.RandomContrast(0.5)]),
}


def images(count: int = 8) -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).integers(0, 256, (count, *SHAPE)).astype("uint8"))


def drawn(seed: int, step: int, make) -> np.ndarray:
    """The images after a layer that is new, in a traced step."""
    return tf.function(LayerAugmentation([make()], seed, SHAPE))(images(), tf.constant(step, tf.int64)).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", REPEATABLE)
def test_a_step_draws_the_same_in_every_process_and_another_step_differently(name):
    make = REPEATABLE[name]
    traced = tf.function(LayerAugmentation([make()], 0, SHAPE))
    first, other = (traced(images(), tf.constant(step, tf.int64)).numpy() for step in (5, 6))
    assert first.shape == (8, *SHAPE) and first.dtype == np.float32 and (other != first).any()
    np.testing.assert_array_equal(drawn(0, 5, make), first)
    assert (drawn(1, 5, make) != first).any()


def test_every_draw_has_a_state_of_its_own_which_releases_keep():
    seeds = {seed: LayerAugmentation([], seed, SHAPE) for seed in (0, 1, 2**30, 2**31, 2**32, 2**40)}
    draws = list(itertools.product(seeds, (0, 1), (0, 1, 2**15), (0, 1, 2**30)))  # seed, layer, generator, step
    states = [seeds[seed]._state(*draw, "int64").numpy().tolist() for seed, *draw in draws]
    assert len({tuple(state) for state in states}) == len(draws)
    assert 2**30 < max(map(max, states)) < 2**31 and min(map(min, states)) >= 0
    assert states[draws.index((2**40, 1, 2**15, 1))] == [20813576, 0]  # or a run would not resume as it began


def test_two_layers_of_a_kind_draw_differently():
    turn = REPEATABLE["rotation"]
    augment = LayerAugmentation([turn(), turn()], 0, SHAPE)
    x = tf.cast(images(), tf.float32)
    first, second = (augment._applied(number, augment.layers[0], x, 3).numpy() for number in (0, 1))
    assert (first != second).any()


def test_steps_leave_the_states_of_the_layers_alone():
    layer = LAYERS.RandomFlip()
    augment = LayerAugmentation([layer], 0, SHAPE)
    before = [variable.numpy() for variable in layer.variables]
    augment(images(), 1)
    for variable, old in zip(layer.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)


class Noise(LAYERS.Layer):
    """Noise by a TensorFlow generator, and as much by an operation; another for each image."""

    def call(self, x):
        generator = tf.random.get_global_generator()
        return tf.map_fn(lambda image: image + tf.random.uniform(()) + generator.uniform(()), x)


@pytest.mark.parametrize("make", [lambda: LAYERS.RandomRotation(0.5), Noise], ids=["keras", "tensorflow"])
def test_replicas_draw_differently_and_repeatably(two_devices, make):
    with two_devices.scope():
        augment = LayerAugmentation([make()], 0, SHAPE)

    def each():
        return two_devices.experimental_local_results(
            two_devices.run(tf.function(augment), (images(4), tf.constant(2)))
        )

    first, again = ([part.numpy() for part in each()] for _ in range(2))
    assert len(first) == 2 and (first[0] != first[1]).any()
    np.testing.assert_array_equal(first, again)


def test_pixels_keep_float32_where_the_network_computes_in_less():
    keras.config.set_dtype_policy("mixed_bfloat16")
    found = drawn(0, 0, LAYERS.RandomFlip)
    assert set(found.ravel()) <= set(images().numpy().astype("float32").ravel())
    np.testing.assert_array_equal(np.sort(found.ravel()), np.sort(images().numpy().ravel()))


def test_the_training_step_sees_the_augmented_images_and_the_test_step_does_not():
    inputs = keras.Input(SHAPE)
    means = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, kernel_initializer="ones", use_bias=False)(means))
    dark = LayerAugmentation([LAYERS.RandomBrightness((-1.0, -1.0))], 0, SHAPE)
    trainer = Trainer(model, keras.layers.Rescaling(1 / 255), keras.optimizers.SGD(1.0), augment=dark)
    before = model.weights[0].numpy()
    trainer.train_step(images(), tf.constant([0, 1] * 4), tf.constant(0.0), tf.constant(3, tf.int64))
    assert float(trainer.test_step(images(), tf.constant([0, 1] * 4), tf.ones(8), 0.0)[0]) > 0
    np.testing.assert_array_equal(model.weights[0].numpy(), before)  # black images have no gradient
    bright = Trainer(model, keras.layers.Rescaling(1 / 255), keras.optimizers.SGD(1.0))
    bright.train_step(images(), tf.constant([0, 1] * 4), tf.constant(0.0))
    assert (model.weights[0].numpy() != before).any()


class Unseeded(keras.layers.Layer):
    """Draws from Keras' global generator."""

    def call(self, x):
        return x + keras.random.uniform(keras.ops.shape(x))


@pytest.mark.parametrize(
    ("layer", "line"),
    [
        (3, r"must be Keras layers; got 3"),
        (Unseeded(name="unseeded"), r"unseeded changes variables other than the states of its own generators"),
        (LAYERS.RandomCrop(4, 4, name="crop"), r"crop must keep the shape \(4, 8, 8, 3\); got \(4, 4, 4, 3\)"),
        (LAYERS.CutMix(), r"CutMix changes labels too, which layers do not get: --cutmix"),
        (LAYERS.Reshape((7,), name="reshape"), r"reshape: ValueError: "),
    ],
)
def test_what_does_not_augment_images_is_refused(layer, line):
    with pytest.raises(BadInput, match=line):
        LayerAugmentation([layer], 0, SHAPE)


class TwoWays(keras.layers.Layer):
    """Draws by Keras' generators and by TensorFlow's operations."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator(0)

    def call(self, x):
        return x + keras.random.uniform((), seed=self.generator) + tf.random.uniform(())


class Poisson(keras.layers.Layer):
    """Draws by an operation that cannot be replaced, and by one that can."""

    def call(self, x):
        return x + tf.random.uniform(()) + tf.random.poisson((), 3.0)


class Traced(keras.layers.Layer):
    """Draws one number when it is traced, and others in the step."""

    def call(self, x):
        return x + tf.random.uniform(()) + np.random.uniform()


@pytest.mark.parametrize(
    ("layer", "line"),
    [
        (TwoWays(name="two"), r"^--augment: two draws by TensorFlow's operations and by Keras' generators\. A layer"),
        (
            Poisson(name="poisson"),
            r"^--augment: poisson uses TensorFlow's RandomPoissonV2, whose state no step",
        ),
        (Traced(name="traced"), r"^--augment: traced draws random numbers that are not of its own generators"),
    ],
)
def test_tensorflows_draws_that_no_step_can_set_are_refused(layer, line):
    with pytest.raises(BadInput, match=line):
        LayerAugmentation([layer], 0, SHAPE)


KERAS_CV = {  # by the arguments of `--augment=keras_cv:NAME(...)`
    "AugMix": "",
    "ChannelShuffle": "",
    "GridMask": "",
    "RandAugment": "",
    "RandomBrightness": "(0.5)",
    "RandomChannelShift": "(factor=0.5)",
    "RandomColorDegeneration": "(0.5)",
    "RandomColorJitter": "(brightness_factor=0.5, contrast_factor=0.5, saturation_factor=0.5, hue_factor=0.5)",
    "RandomContrast": "(factor=0.5)",
    "RandomCutout": "(0.5, 0.5, 'gaussian_noise')",
    "RandomFlip": "('horizontal_and_vertical')",
    "RandomGaussianBlur": "(3, 1.0)",
    "RandomHue": "(0.5)",
    "RandomJpegQuality": "((10, 90))",
    "RandomRotation": "(0.5)",
    "RandomSaturation": "(0.5)",
    "RandomSharpness": "(0.5)",
    "RandomShear": "(0.5, 0.5)",
    "RandomTranslation": "(0.3, 0.3)",
    "RandomZoom": "(0.5)",
    "Solarization": "(addition_factor=100, threshold_factor=200)",
}


def named(*names: str) -> list[keras.layers.Layer]:
    pytest.importorskip("keras_cv")
    section = Augmenting(augment=[f"keras_cv:{name}" for name in names])
    return realized(section, {}).augment


QUICK = ("GridMask", "RandomHue")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in QUICK else pytest.mark.long) for n in KERAS_CV]
)
def test_keras_cvs_layers_by_name_draw_by_seed_step_and_image(name):
    alike = tf.repeat(images(1), 8, axis=0)

    def augmented(*steps: int) -> list[np.ndarray]:
        """By a layer that is new, as after a new start."""
        augment = tf.function(LayerAugmentation(named(name + KERAS_CV[name]), 0, SHAPE))
        return [augment(alike, tf.constant(step, tf.int64)).numpy() for step in steps]

    (first, other), (again,) = augmented(5, 6), augmented(5)
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32 and (first != alike.numpy()).any() and (first != other).any()
    assert len({image.tobytes() for image in first}) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["AutoContrast", "Equalization", "Grayscale(3)", "Posterization(bits=3)"])
def test_keras_cvs_layers_without_draws_are_applied_as_they_are(name):
    (layer,) = named(name)
    dark = np.random.default_rng(1).integers(0, 128, (2, 24, 24, 3)).astype("float32")  # so few values are stretched
    found = LayerAugmentation([layer], 0, dark.shape[1:])(dark, 0).numpy()
    np.testing.assert_array_equal(found, layer(dark))
    assert (found != dark).any()


@pytest.mark.slow
def test_keras_cvs_layers_of_layers_draw_for_every_image():
    keras_cv = pytest.importorskip("keras_cv")
    choice = keras_cv.layers.RandomChoice([keras_cv.layers.RandomHue(0.5, (0, 255)), keras_cv.layers.GridMask()])
    augment = LayerAugmentation([keras_cv.layers.RandomApply(choice, 0.9)], 0, SHAPE)
    alike = tf.repeat(images(1), 8, axis=0)
    first, again = (augment(alike, 0).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len({image.tobytes() for image in first}) > 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("CutMix", r"CutMix changes labels too, .*: --cutmix\.$"),
        ("MixUp", r"MixUp changes labels too, .*: --mixup\.$"),
        ("GridMask(fill_mode='gaussian_noise')", r"grid_mask.*: AttributeError: "),
        ("RandomCropAndResize((4, 4), (0.5, 1), (1, 1))", r"must keep the shape \(4, 8, 8, 3\); got \(4, 4, 4, 3\)"),
        ("Augmenter([])", r"--augment: Augmenter: AttributeError: "),
    ],
)
def test_keras_cvs_layers_that_cannot_serve_are_refused(name, line):
    with pytest.raises(BadInput, match=line):
        LayerAugmentation(named(name), 0, SHAPE)

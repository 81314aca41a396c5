"""What every test starts from: two logical CPU devices, one seed, the float32 policy."""

import gc

import pytest

from train.process.startup import importing

with importing():  # as the program starts TensorFlow
    import keras

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


# the libraries' million objects are not looked through again in every test, and the tests' own more seldom
gc.freeze()
gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True)
def the_same_start():
    """Seeds, and puts back what a test may have set for the whole process."""
    policy, data_format = keras.config.dtype_policy(), keras.config.image_data_format()
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(data_format)


@pytest.fixture(scope="session")
def two_devices():
    """One strategy for all: a second one would take the keys of the first anew."""

    class Mirrored(tf.distribute.MirroredStrategy):
        """Two CPU devices; its collective operations bear other keys than those of any other strategy."""

        _collective_key_base = 1_000_000

    return Mirrored(["CPU:0", "CPU:1"])

"""The state in which every test starts: two logical CPU devices, one seed, the float32 policy."""

import gc
import os
from importlib.util import find_spec

import pytest

from tests.support.threads import ONE
from train.process.startup import importing

os.environ |= ONE
with importing():  # as the program starts TensorFlow
    import keras

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


collect_ignore = [] if find_spec("torch") else ["support/torch_networks.py"]


def pytest_collection_modifyitems(items):
    """Mark the examples that use PyTorch as `peers`, and skip them where it is not installed."""
    for item in items:
        if isinstance(item, pytest.DoctestItem) and any("torch" in example.source for example in item.dtest.examples):
            item.add_marker(pytest.mark.peers)
            item.add_marker(pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed"))


# keeps garbage collection from scanning the libraries' million objects in every test, and makes it less frequent
gc.freeze()
gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True)
def the_same_start():
    """Set the seed, and restore afterwards what a test may have changed for the whole process."""
    policy, data_format = keras.config.dtype_policy(), keras.config.image_data_format()
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(data_format)


@pytest.fixture(scope="session")
def two_devices():
    """One strategy for all tests: a second one would use the keys of the first again."""

    class Mirrored(tf.distribute.MirroredStrategy):
        """Two CPU devices; the keys of its collective operations differ from those of any other strategy."""

        _collective_key_base = 1_000_000

    return Mirrored(["CPU:0", "CPU:1"])

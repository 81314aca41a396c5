"""A run that stopped and went on is the run that never stopped."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_resunits import PreActResNet
from train.augmentation import Augmentation
from train.checkpoints import Checkpoints
from train.datasets import ImageData
from train.errors import BadInput
from train.loop import Trainer
from train.pipeline import test_batches, training_batches
from train.recipe import optimizer

SHAPE, CLASSES, BATCH, STEPS, EPOCHS = (8, 8, 1), 2, 8, 2, 4


class Sitting:
    """All objects of one process: made from the configuration alone, trained, saved."""

    def __init__(self, folder, config, seed: int = 0, depth: int = 8):
        keras.utils.set_random_seed(seed)
        keras.config.set_dtype_policy(config.precision)
        self.model = PreActResNet(depth, SHAPE, CLASSES)
        self.trainer = Trainer(
            self.model, keras.layers.Rescaling(1 / 255), optimizer(config, EPOCHS * STEPS, self.model)
        )
        self.checkpoints = Checkpoints(folder, self.model, self.trainer.optimizer)

    def train(self, data, epochs: range):
        batches = iter(training_batches(data, BATCH, Augmentation(1, True), seed=0, first_step=epochs.start * STEPS))
        save = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: self.checkpoints.save(epoch + 1))
        callbacks = keras.callbacks.CallbackList([save], model=self.model)
        self.trainer.fit(batches, test_batches(data, BATCH), epochs, STEPS, callbacks)
        return self

    @property
    def state(self) -> dict[str, np.ndarray]:
        variables = {f"model/{w.path}": w for w in self.model.weights}
        variables |= {f"optimizer/{i}/{v.path}": v for i, v in enumerate(self.trainer.optimizer.variables)}
        return {path: variable.numpy() for path, variable in variables.items()}


@pytest.fixture
def data(files):
    arrays = files.arrays(shape=SHAPE)
    return ImageData((arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"]), ["0", "1"])


@pytest.fixture
def config(parse):
    from train.config import resolve

    parse("--learning_rate=0.05")
    return resolve()


def assert_equal(ours: dict, theirs: dict) -> None:
    assert [path.split("/")[-1] for path in ours] == [path.split("/")[-1] for path in theirs]
    for (path, array), other in zip(ours.items(), theirs.values(), strict=True):
        np.testing.assert_array_equal(array, other, err_msg=path)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_two_sittings_are_one_to_the_last_bit(tmp_path, data, parse, precision):
    from train.config import resolve

    parse("--learning_rate=0.05", f"--precision={precision}")
    config = resolve()
    whole = Sitting(tmp_path / "whole", config).train(data, range(EPOCHS))
    half = Sitting(tmp_path / "half", config).train(data, range(EPOCHS // 2))
    rest = Sitting(tmp_path / "half", config, seed=99)  # other weights, that the checkpoint must replace
    assert rest.checkpoints.restore() == EPOCHS // 2
    assert_equal(rest.state, half.state)
    rest.train(data, range(EPOCHS // 2, EPOCHS))
    assert_equal(rest.state, whole.state)
    assert any((a != b).any() for a, b in zip(half.state.values(), whole.state.values(), strict=True))


def test_the_last_three_are_kept_and_the_newest_is_restored(tmp_path, config):
    sitting = Sitting(tmp_path, config)
    assert sitting.checkpoints.newest is None
    bias = sitting.model.trainable_variables[-1]
    for epoch in range(1, 6):
        bias.assign(np.full(bias.shape, epoch))
        sitting.checkpoints.save(epoch)
    assert sorted(path.stem for path in tmp_path.glob("*.index")) == ["ckpt-3", "ckpt-4", "ckpt-5"]
    assert sitting.checkpoints.newest.endswith("ckpt-5")
    other = Sitting(tmp_path, config, seed=1)
    assert other.checkpoints.restore() == 5
    assert (other.model.trainable_variables[-1].numpy() == 5).all()


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(tmp_path, config):
    assert Sitting(tmp_path / "nothing", config).checkpoints.restore() == 0


def test_a_checkpoint_of_another_network_is_refused(tmp_path, config):
    Sitting(tmp_path, config, depth=8).checkpoints.save(1)
    with pytest.raises(BadInput, match=r"--resume: .*ckpt-1 does not fit this network or is damaged"):
        Sitting(tmp_path, config, depth=14).checkpoints.restore()


@pytest.mark.parametrize("part", ["ckpt-1.index", "ckpt-1.data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["cut", "missing", "overwritten"])
def test_a_damaged_checkpoint_is_refused(tmp_path, config, part, damage):
    sitting = Sitting(tmp_path, config)
    sitting.checkpoints.save(1)
    path = tmp_path / part
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "overwritten":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + b"\x55" * 64 + content[middle + 64 :])
    with pytest.raises(BadInput, match=r"--resume: .*ckpt-1 does not fit this network or is damaged"):
        Sitting(tmp_path, config).checkpoints.restore()

"""What a checkpoint holds, which ones are kept, and what is reported about those that do not fit."""

from __future__ import annotations

import hashlib
import json
import os
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resunits import PreActResNet
from tests.support.sittings import Sitting, dense, image_data
from train.process.errors import BadInput, StorageError
from train.run.checkpoints import Checkpoints, Position, _seal, environment, require_checkpoint, state_hash


@pytest.fixture
def data(files, parse):
    parse("--learning_rate=0.05")
    return image_data(files)


def small(folder, units=2, **options) -> tuple[Checkpoints, keras.Variable]:
    """Checkpoints of one dense layer; its kernel."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, use_bias=False)])
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    return Checkpoints(folder, model, optimizer, **options), model.trainable_variables[0]


def saved(folder, steps, scores=None, **options) -> Checkpoints:
    """Checkpoints whose kernel equals the step."""
    checkpoints, kernel = small(folder, **options)
    for step in steps:
        kernel.assign(np.full(kernel.shape, step))
        assert checkpoints.save(Position(epoch=step, step=step), (scores or {}).get(step))
    return checkpoints


@pytest.mark.parametrize("flags", [(), ("--precision=mixed_float16", "--ema=0.9")])
def test_another_process_restores_every_variable(tmp_path, data, parse, flags):
    parse("--learning_rate=0.05", *flags)
    one = Sitting(tmp_path, data).run()
    other = Sitting(tmp_path, data, seed=99)
    assert (other.restored.epoch, other.restored.step) == (2, 6)
    assert set(other.restored.tested) >= {"val_loss", "val_accuracy"}
    for path, a, b in zip([v.name for v in one.trainer.variables], one.values, other.values, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=path)
    assert one.state == other.state != Sitting(tmp_path / "none", data, seed=99).state


def test_a_position_is_restored(tmp_path):
    position = Position(2, 17, 1 / 3, 5.0, 8.0, 0.1 + 0.2, [3, 11], {"val_accuracy": 1 / 7})
    small(tmp_path)[0].save(position)
    assert small(tmp_path)[0].restore() == position


def test_the_newest_stay_and_the_newest_is_restored(tmp_path):
    assert saved(tmp_path, range(1, 6)).steps == [3, 4, 5]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-{step:08}" for step in (3, 4, 5)]
    checkpoints, kernel = small(tmp_path)
    assert checkpoints.restore() == Position(epoch=5, step=5)
    assert (kernel.numpy() == 5).all()


def test_the_best_stays_as_well(tmp_path):
    checkpoints = saved(tmp_path, range(1, 8), {1: 0.5, 2: 0.9, 4: 0.7, 6: 0.8}, keep=2)
    assert checkpoints.steps == [2, 6, 7]
    checkpoints.save(Position(epoch=8, step=8), 0.95)
    assert checkpoints.steps == [7, 8]


def test_other_workers_take_part_and_leave_nothing(tmp_path):
    saved(tmp_path, [1, 2], worker=1)
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_is_saved_again_replaces_the_first(tmp_path):
    checkpoints, kernel = small(tmp_path)
    for value in (1.0, 2.0):
        kernel.assign(np.full(kernel.shape, value))
        assert checkpoints.save(Position(step=7))
    checkpoints, kernel = small(tmp_path)
    checkpoints.restore()
    assert (checkpoints.steps, kernel.numpy()[0, 0]) == ([7], 2.0)


def test_a_checkpoint_survives_a_kill_while_it_was_replaced(tmp_path):
    saved(tmp_path, [7])
    (tmp_path / "step-00000007").rename(tmp_path / "replaced-step-00000007")  # between the two renames
    (tmp_path / "unfinished-0-7").mkdir()
    assert small(tmp_path)[0].restore().step == 7
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000007"]


def test_a_run_stopped_before_its_first_checkpoint_starts_again(tmp_path):
    assert small(tmp_path / "nothing")[0].restore() == Position()


def test_a_run_without_checkpoints_does_not_start_over_after_two_epochs(tmp_path):
    history = tmp_path / "history.csv"
    history.write_text("epoch\n0\n1\n")
    require_checkpoint(history, tmp_path, step=6)
    with pytest.raises(StorageError, match=r"^no checkpoint in .*, but .*history\.csv has 2 epochs\. Refusing"):
        require_checkpoint(history, tmp_path, step=0)


def test_a_checkpoint_of_another_network_is_refused_and_left_as_it_is(tmp_path):
    saved(tmp_path, [1])
    with pytest.raises(BadInput, match=r"--resume: .*step-00000001 does not fit this network"):
        small(tmp_path, units=4)[0].restore()
    model = PreActResNet(8, (8, 8, 1), 2)
    with pytest.raises(BadInput, match=r"--resume: .*step-00000001 does not fit this network"):
        Checkpoints(tmp_path, model, keras.optimizers.SGD(0.1)).restore()
    assert small(tmp_path)[0].restore() == Position(epoch=1, step=1)


def test_an_environment_that_changes_the_last_bits_is_reported_on_resume(tmp_path, capsys):
    saved(tmp_path, [1])
    manifest = tmp_path / "step-00000001" / "manifest.json"
    content = json.loads(manifest.read_text())
    here = content["made_with"]["TensorFlow"]
    content["made_with"] |= {"TensorFlow": "1.0.0", "cores": 999}
    del content["seal"]
    manifest.write_text(json.dumps(content | {"seal": _seal(content)}))
    assert small(tmp_path)[0].restore().step == 1
    err = capsys.readouterr().err
    assert err.startswith(f"train: TensorFlow 1.0.0 is now {here}, cores 999 is now ")
    assert err.endswith("the run continues, but no longer bit for bit.\n")


def test_the_environment_is_what_changes_the_last_bits(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0: {1, 4, 5}}[process], raising=False)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    made = environment()
    assert made == {
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
        "devices": 1,
        "cores": 3,
        "intra-op threads": 0,
        "oneDNN": "0",
    }
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "2")
    assert environment() == made | {"intra-op threads": "2"}
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS has none
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert environment()["cores"] == 8


def test_a_seal_is_that_of_earlier_versions_whatever_the_order():
    assert _seal({"b": 1, "a": [2]}) == hashlib.sha256(b'{"a": [2], "b": 1}').hexdigest()


def test_equal_hashes_mean_equal_bytes():
    a, b = keras.Variable([1.0, 2.0]), keras.Variable([1.0, 2.0])
    assert re.fullmatch("[0-9a-f]{12}", state_hash([a]))
    assert state_hash([a]) == state_hash([b])
    b.assign([1.0, np.nextafter(np.float32(2), np.float32(3))])
    assert state_hash([a]) != state_hash([b])


def test_random_states_are_part_of_it(tmp_path, data):
    """`tf.train.Checkpoint` by itself ignores them silently."""
    one = Sitting(tmp_path, data, dense).run()
    (before,) = (v.numpy().tolist() for v in one.model.variables if "seed_generator" in v.path)
    (after,) = (v.numpy().tolist() for v in Sitting(tmp_path, data).model.variables if "seed_generator" in v.path)
    (fresh,) = (v.numpy().tolist() for v in dense().variables if "seed_generator" in v.path)
    assert before == after != fresh

"""The estimate of a step's memory grows with what the step keeps, and a lack is reported before the step."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf

import keras_resunits as kr
from tests.support.sittings import Sitting, image_data
from train.process import machine
from train.process.machine import free_memory, memory
from train.step.activations import peak_bytes, shortage


def peak(batch: int, **choices) -> int:
    """The estimate for a gradient of a small network."""
    model = kr.PreActResNet([4, 4, 4], input_shape=(8, 8, 3), **choices)

    @tf.function
    def gradient(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images, training=True))
        return tape.gradient(loss, [weight.value for weight in model.trainable_weights])

    return peak_bytes(gradient.get_concrete_function(tf.TensorSpec([batch, 8, 8, 3])).graph)


def test_the_estimate_grows_with_the_batch_and_is_less_with_remat_and_in_16_bits():
    one, two = peak(64), peak(128)
    assert 1.8 * one < two < 2 * one
    # a unit keeps the input, the normalised input and the input of the second weights: 3 x 64 x 8 x 8 x 16 floats
    first = 4 * 3 * 64 * 8 * 8 * 16 * 4
    assert first * (1 + 1 / 2 + 1 / 4) < one < 2 * first * (1 + 1 / 2 + 1 / 4)
    assert peak(64, remat="auto") < 0.6 * one
    assert peak(64, remat="norms") < 0.8 * one
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert peak(64) < 0.6 * one


def test_a_tensor_lives_until_it_is_read_last_and_a_view_takes_nothing():
    @tf.function
    def step(x):
        first = tf.sin(x)  # read at the end
        second = tf.cos(tf.reshape(tf.cos(x), [10, 100]))
        return tf.reduce_sum(tf.reshape(second, [1000]) * first)

    assert peak_bytes(step.get_concrete_function(tf.TensorSpec([1000])).graph) == 3 * 4000


def test_the_free_memory_is_what_machine_and_container_leave(tmp_path):
    meminfo = tmp_path / "meminfo"
    assert free_memory(tmp_path, meminfo) is None
    meminfo.write_text("MemTotal:       900 kB\nMemAvailable:   500 kB\n")
    assert free_memory(tmp_path, meminfo) == 500 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(tmp_path, meminfo) == 500 * 1024
    (tmp_path / "memory.max").write_text("300000\n")
    (tmp_path / "memory.current").write_text("280000\n")
    (tmp_path / "memory.stat").write_text("file 9\ninactive_file 30000\n")  # cache, which Linux gives up
    assert free_memory(tmp_path, meminfo) == 50_000
    (tmp_path / "memory.current").write_text("900000\n")
    assert free_memory(tmp_path, meminfo) == 0


VERSIONS = [
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
]


@pytest.mark.parametrize(("limit", "usage", "detail", "cache"), VERSIONS, ids=["version 2", "version 1"])
def test_each_version_of_containers_tells_its_memory(tmp_path, limit, usage, detail, cache):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("")
    assert free_memory(tmp_path, meminfo) is None
    told = [(limit, "1000\n", 1000), (usage, "300\n", 700), (detail, "file 9\n", 700), (detail, f"{cache} 200\n", 900)]
    for name, text, free in told:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        assert (free_memory(tmp_path, meminfo), memory(tmp_path)) == (free, 1000)


SHORT = "a step takes about 8.0 GB, but 2.0 GB of memory are free"


@pytest.mark.parametrize(
    ("needed", "remat", "told"),
    [
        (2_000_000_000, None, None),
        (8_000_000_000, None, f"{SHORT}: pass --remat=auto, or a --batch_size of 3."),
        (8_000_000_000, "norms", f"{SHORT}: pass --remat=auto, or a --batch_size of 3."),
        (8_000_000_000, "auto", f"{SHORT}: pass a --batch_size of 3."),
        (80_000_000_000, 4, f"{SHORT.replace('8.0', '80.0')}: pass a smaller --depth."),
    ],
)
def test_a_shortage_is_told_with_what_fits(needed, remat, told):
    assert shortage(needed, 2_000_000_000, 15, remat) == told


def test_too_little_memory_is_reported_once_before_the_first_step(parse, files, tmp_path, monkeypatch, capsys):
    parse("--learning_rate=0.05")
    sitting = Sitting(tmp_path / "enough", image_data(files)).run()
    assert "memory" not in capsys.readouterr().err
    assert sitting.trainer.train_step.experimental_get_tracing_count() == 1
    (tmp_path / "memory.max").write_text("100000\n")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    Sitting(tmp_path / "little", image_data(files)).run()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "memory" in line]
    assert line.startswith("train: a step takes about 0.0 GB, but 0.0 GB of memory are free: pass --remat=auto, or ")

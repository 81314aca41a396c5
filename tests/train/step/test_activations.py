"""The estimate of a step's memory grows with what the step keeps, and a lack is reported before the step."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf

import keras_resunits as kr
from tests.support.sittings import Sitting, image_data
from train.process import machine
from train.process.machine import free_memory, memory
from train.step.activations import estimated_bytes, peak_bytes, shortage


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


WEIGHTS, NAMES = tf.Variable(tf.ones([1000])), tf.constant(["a"] * 1000)
STEPS = {  # kilobytes of tensors of 1,000 floats, 4 kB each
    "a weight, a constant and the input are there anyway": (
        4,
        lambda x: tf.sin(x) * WEIGHTS * tf.constant([2.0] * 1000) + x,
    ),
    "names are no numbers": (4, lambda x: [tf.sin(x), tf.strings.lower(NAMES)]),
    "two results and what one of them is made of": (12, lambda x: tf.cos(tf.sin(x)) * tf.sin(x + x)),
    "a product with itself takes its place": (4, lambda x: (y := tf.sin(x)) * y),
    "a product beside what is read later does not": (8, lambda x: [2.0 * (y := tf.sin(x)), tf.identity(y)]),
    "a result stays to the end": (12, lambda x: [tf.sin(x), tf.cos(x), tf.exp(x)]),
    "what nobody reads goes at once": (8, lambda x: tf.cos(tf.split(tf.sin(x), 2)[1])),
    "16 bits are two bytes": (4, lambda x: tf.sin(tf.cast(x, tf.bfloat16))),
    "views of several": (8, lambda x: tf.add_n(tf.identity_n([tf.sin(x), tf.cos(x)]))),
}


def graph_of(function, length: int | None = 1000) -> tf.Graph:
    return tf.function(function).get_concrete_function(tf.TensorSpec([length])).graph


@pytest.mark.parametrize("what", STEPS)
def test_the_most_bytes_that_live_at_once_are_counted(what):
    kilobytes, function = STEPS[what]
    assert peak_bytes(graph_of(function)) == kilobytes * 1000


def test_every_operation_takes_20_kilobytes_and_unknown_shapes_nothing():
    graph = graph_of(tf.sin, None)
    assert peak_bytes(graph) == 0
    assert estimated_bytes(graph) == 20_000 * len(graph.get_operations()) > 0


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

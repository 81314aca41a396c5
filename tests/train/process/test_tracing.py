"""The graph optimisers that stay on."""

from __future__ import annotations

import tensorflow as tf

from train.process.startup import FRUITLESS, trace_lightly


def left_out() -> set[str]:
    """The fruitless optimisers that are switched off."""
    options = tf.config.optimizer.get_experimental_options()
    return {name for name in FRUITLESS if not options.get(name, True)}


def test_a_run_on_the_cpu_switches_off_fruitless_optimisers(command, files, tmp_path):
    data = files.npz(tmp_path / "set.npz")
    line = [f"--dataset={data}", f"--output={tmp_path}", "--depth=8", "--epochs=1", "--noexport"]
    assert not left_out()
    assert command(*line).code == 0
    assert left_out() == set(FRUITLESS)


def test_with_other_devices_all_stay_on(monkeypatch):
    devices = [tf.config.PhysicalDevice(f"/physical_device:{kind}:0", kind) for kind in ("CPU", "GPU")]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: devices)
    trace_lightly()
    assert not left_out()

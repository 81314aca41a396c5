"""The graph optimisers that stay."""

from __future__ import annotations

import pytest
import tensorflow as tf

from train.tracing import FRUITLESS, trace_lightly


@pytest.fixture
def options():
    """What is set now comes back."""
    before = tf.config.optimizer.get_experimental_options()
    yield tf.config.optimizer.get_experimental_options
    tf.config.optimizer.set_experimental_options({**dict.fromkeys(FRUITLESS, True), **before})


def test_on_processors_what_brings_nothing_is_left_out(options):
    tf.config.optimizer.set_experimental_options(dict.fromkeys(FRUITLESS, True))
    trace_lightly()
    assert {name: options()[name] for name in FRUITLESS} == dict.fromkeys(FRUITLESS, False)


def test_with_other_devices_all_stay(options, monkeypatch):
    tf.config.optimizer.set_experimental_options(dict.fromkeys(FRUITLESS, True))
    devices = [tf.config.PhysicalDevice(f"/physical_device:{kind}:0", kind) for kind in ("CPU", "GPU")]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: devices)
    trace_lightly()
    assert {name: options()[name] for name in FRUITLESS} == dict.fromkeys(FRUITLESS, True)

"""Which graphs are rewritten, and that a user's own choice is put back."""

import pytest
import tensorflow as tf

from train import graphs

CHOSEN = tf.config.optimizer.get_experimental_options


@pytest.fixture
def own_choice():
    """A user without constant folding."""
    before = CHOSEN()
    tf.config.optimizer.set_experimental_options({"constant_folding": False})
    yield
    tf.config.optimizer.set_experimental_options({"constant_folding": before.get("constant_folding", True)})


def chosen() -> dict[str, bool]:
    """What is set of the passes; what is not set is on."""
    return {name: CHOSEN().get(name, True) for name in graphs.PASSES}


def test_the_passes_are_off_inside_and_as_they_were_behind_an_error(own_choice):
    before = chosen()
    with pytest.raises(KeyError), graphs.hardly_rewritten():
        assert not any(chosen().values())
        raise KeyError
    assert chosen() == before == {**dict.fromkeys(graphs.PASSES, True), "constant_folding": False}


def test_where_not_only_processors_compute_nothing_changes(own_choice, monkeypatch):
    devices = [tf.config.LogicalDevice("CPU:0", "CPU"), tf.config.LogicalDevice("GPU:0", "GPU")]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: devices)
    before = chosen()
    with graphs.hardly_rewritten():
        assert chosen() == before

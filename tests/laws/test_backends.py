"""Law: a network saved under TensorFlow is the same network under JAX and Torch, in processes without TensorFlow."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from tests.catalog import KERAS_LAYOUTS, LAYERS, NETWORKS, OPTIMIZERS, REPRESENTATIVE, STEMS, Case, side_by_side
from tests.support.backend_probe import given, observed, stepped
from tests.support.backends import under
from tests.support.paths import ROOT

PROBED = {
    "units": Case(side_by_side),
    **{name: REPRESENTATIVE[name] for name in ("FractalNet", "FullyConnectedResNet", "PreActResNet-softmax")},
    **LAYERS,
    **STEMS,
}
SLOW = {
    **NETWORKS,
    # two images on one pixel: in training, only rounding decides on which side of their mean each of them is
    **{name: replace(case, random=True) for name, case in KERAS_LAYOUTS.items()},
}


@pytest.mark.peers
@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("probed", [PROBED, pytest.param(SLOW, marks=pytest.mark.long)], ids=["all", "networks"])
def test_a_saved_network_computes_the_same_under_another_backend(backend, probed, tmp_path):
    pytest.importorskip(backend)
    wanted, twins = {}, {}
    for name, case in probed.items():
        model, inputs = case.model(), case.arrays()
        shape = (len(inputs[0]), *model.output.shape[1:])
        cotangent = np.random.default_rng(4).normal(size=shape).astype("float32")
        model.save(tmp_path / f"{name}.keras")
        named = {f"input {i}": each for i, each in enumerate(inputs)}
        np.savez(tmp_path / f"{name}.inputs.npz", cotangent=cotangent, random=case.random, **named)
        wanted[name] = observed(model, inputs, cotangent, case.random)  # updates its statistics, as in the probe
        twins[name] = model
    for name, make in OPTIMIZERS.items():
        (tmp_path / f"{name}.optimizer.json").write_text(json.dumps(keras.optimizers.serialize(make())))
    (tmp_path / "back").mkdir()
    done = under(backend, ROOT / "tests" / "support" / "backend_probe.py", tmp_path)
    assert f"`export_saved_model` requires Keras on TensorFlow. Received: {backend}." in done.stdout
    assert not (tmp_path / "exported").exists()
    for name, case in probed.items():
        found = np.load(tmp_path / f"{name}.{backend}.npz")
        assert set(found) == set(wanted[name])
        for key, value in wanted[name].items():
            if case.random and not key.startswith("inference"):
                continue  # backends draw differently
            # a scalar's gradient sums all positions, to 0 where a normalisation follows: what is left is rounding
            atol = (1e-4 if value.ndim else 1e-3) * max(1.0, np.abs(value).max())
            np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=atol, err_msg=f"{name}: {key}")
        back = keras.saving.load_model(tmp_path / "back" / f"{name}.keras", safe_mode=True)
        if case.random:
            continue  # so the statistics differ too
        again, one = (network(given(case.arrays()), training=False) for network in (back, twins[name]))
        np.testing.assert_allclose(again, one, rtol=1e-3, atol=1e-3 * np.abs(one).max(), err_msg=name)
    for name, make in OPTIMIZERS.items():
        found = np.load(tmp_path / f"{name}.optimizer.{backend}.npy")
        np.testing.assert_allclose(found, stepped(make()), rtol=1e-5, atol=1e-6, err_msg=name)

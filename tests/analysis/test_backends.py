"""Every analysis measures the same under JAX and PyTorch, in processes of their own, as under TensorFlow."""

import numpy as np
import pytest

import keras_resunits as kr
from tests.analysis.nets import net
from tests.support.analysis_probe import measured
from tests.support.backends import under
from tests.support.paths import ROOT

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.normal(size=(30, 8, 8, 3)).astype("float32"), RNG.integers(0, 5, 30)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """A folder of saved networks with a set, and what TensorFlow measures in each."""
    folder = tmp_path_factory.mktemp("analysed")
    networks = {
        "pre-activation": net(3, 1),
        "gated": net(2, 1, order=kr.PostAct(), body=kr.basic, tail=kr.residual_gate),
        "exclusive": net(2, 1, merge=kr.exclusive_gating, shortcut=kr.projection),  # branches of a four-hundredth
    }
    np.savez(folder / "set.npz", images=IMAGES, labels=LABELS)
    for name, model in networks.items():
        model.save(folder / f"{name}.keras")
    return folder, {name: measured(model, IMAGES, LABELS) for name, model in networks.items()}


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_an_analysis_is_the_same_under_another_backend(backend, analysed):
    """Within 1e-4 of each figure, and 1e-5 of the largest of its array, which rounding leaves of small ones.

    The cost of a lesion is the difference of two losses. Each is rounded like the logits, by some 1e-7; of a cost of
    1e-4 that is a thousandth. So costs are held to 1e-6 of the loss.
    """
    pytest.importorskip(backend)
    folder, wanted = analysed
    under(backend, ROOT / "tests" / "support" / "analysis_probe.py", folder)
    for name, arrays in wanted.items():
        found = np.load(folder / f"{name}.{backend}.npz")
        assert set(found) == set(arrays)
        for key, value in arrays.items():
            largest = np.nanmax(np.abs(value))
            atol = 1e-6 * np.nanmax(arrays["lesions/loss"]) if key == "importance/lesion" else 1e-5 * largest
            np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=atol, err_msg=f"{name}: {key}")

"""Shattered gradients against the closed forms of Balduzzi et al. 2017, and the premise on which they rest."""

from functools import partial

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.layers.redrawing import redraw

BIASED = {"input_shape": (1, 1, 1), "classes": 1, "layers": 1, "bias": keras.initializers.RandomNormal(stddev=1.0)}


def of_depth(depth, norm, **choices):
    """The networks of the theorems."""
    return kr.FullyConnectedResNet(depth, **{**BIASED, "filters": 100}, order=kr.PreActBranch(norm=norm), **choices)


residual, plain = of_depth, partial(of_depth, merge="branch_only")


@pytest.mark.slow
def test_centred_residual_networks_follow_the_closed_forms():
    """20 draws of 100 filters: correlations within 0.1, variances within 30 %."""
    found = kr.analysis.shattering(residual, [2, 4, 8]).arrays
    np.testing.assert_allclose(found["expected_correlation"], [0.5625, 0.31640625, 0.1001129150390625])
    np.testing.assert_allclose(found["correlation"], found["expected_correlation"], atol=0.1)
    np.testing.assert_allclose(found["variance"], [4, 16, 256], rtol=0.3)
    np.testing.assert_allclose(found["coactivation"], 0.25, atol=0.02)
    assert found["gradients"].shape == (3, 20, 256)


@pytest.mark.slow
def test_without_centring_gradients_do_not_become_noise():
    """At 24 plain layers: white noise with centring or batch normalisation, within 0.1, and not without."""
    centred, normalized, bare = (
        kr.analysis.shattering(plain, [24], norm=norm, runs=5).rows[0]
        for norm in (kr.Centering, kr.BatchNormalization, kr.no_norm)
    )
    for row in (centred, normalized):
        assert abs(row["autocorrelation"]) < 0.1 and abs(row["correlation"]) < 0.1
        assert row["coactivation"] == pytest.approx(0.25, abs=0.02)
    assert bare["autocorrelation"] > 0.6 and bare["correlation"] > 0.2
    assert bare["coactivation"] > 0.4
    assert centred["variance"] == pytest.approx(1, abs=0.4)


def test_looks_linear_networks_have_the_same_gradient_everywhere():
    def network(depth, norm):
        return kr.FullyConnectedResNet(depth, **{**BIASED, "filters": 8}, order=kr.looks_linear())

    found = kr.analysis.shattering(network, [3], runs=2)
    assert found.rows[0]["autocorrelation"] == pytest.approx(1, abs=1e-3)
    gradients = found.arrays["gradients"]
    np.testing.assert_allclose(gradients, np.broadcast_to(gradients[..., :1], gradients.shape), rtol=1e-3)
    assert not np.allclose(gradients[0, 0], gradients[0, 1])  # the weights are drawn again


def test_the_result_repeats_and_is_drawn():
    network = partial(of_depth, merge="branch_only")
    found = kr.analysis.shattering(network, [1, 2], runs=2, seed=3)
    again = kr.analysis.shattering(network, [1, 2], runs=2, seed=3)
    np.testing.assert_array_equal(found.arrays["gradients"], again.arrays["gradients"])
    assert [row["expected_correlation"] for row in found.rows] == [0.5, 0.25]
    axes = found.plot()
    assert [line.get_label() for line in axes.lines][1] == "its closed form"


def test_what_does_not_fit_is_refused():
    for arguments, message in [
        ((of_depth, []), "at least one depth and two runs"),
        ((of_depth, [0]), r"`depths\[0\]` must be a positive int"),
        ((of_depth, [2], kr.Centering, 1), r"two runs.*runs=1"),
        ((lambda depth, norm: None, [2]), r"`network_of_depth\(depth, norm\)` must be a functional Keras model"),
        ((lambda depth, norm: kr.ResNet(depth, (None, None, 3)), [8]), "requires inputs of a fixed size"),
    ]:
        with pytest.raises(ValueError, match=message):
            kr.analysis.shattering(*arguments)


def test_redrawing_follows_the_global_seed_and_no_kernel_repeats():
    model = of_depth(3, kr.Centering, tail="residual_gate")
    values = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        redraw(model)
        values.append(model.get_weights())
    drawn = [weight.path.endswith(("kernel", "dense/bias", "dense1/bias")) for weight in model.weights]
    for first, again, other, random in zip(*values, drawn, strict=True):
        np.testing.assert_array_equal(first, again)
        assert random is bool((first != other).any())
    kernels = [unit.branch.layers[-2].kernel for unit in model.layers if isinstance(unit, kr.Unit)]
    assert not np.allclose(kernels[0], kernels[1])

"""Signal and gradient at initialisation against their closed forms."""

import keras
import numpy as np
import pytest

import keras_resunits as kr
from tests.analysis.nets import net

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.normal(size=(16, 8, 8, 3)).astype("float32"), RNG.integers(0, 5, 16)


def same_shape(count, **kwargs):
    """A network of one stage, whose units keep the shape, at initialisation."""
    return net(count, body=kr.basic, filters=16, moved=False, **kwargs)


@pytest.fixture(scope="module")
def pre_activation():
    return kr.analysis.propagation(same_shape(9), IMAGES, LABELS)


def test_the_direct_term_of_pre_activation_units_is_one(pre_activation):
    found = pre_activation.arrays
    np.testing.assert_allclose(found["direct"], found["gradient"][-1], rtol=1e-6)
    np.testing.assert_allclose(found["predicted"], found["gradient"][-1], rtol=1e-6)


def test_with_a_scale_of_a_half_the_direct_term_halves_at_each_unit():
    found = kr.analysis.propagation(same_shape(4, shortcut="constant_scaling"), IMAGES, LABELS).arrays
    powers = 0.5 ** np.arange(4, -1, -1)
    for name in ("direct", "predicted"):
        np.testing.assert_allclose(found[name] / found["gradient"][-1], powers, rtol=1e-6)


def test_the_signal_of_pre_activation_units_grows_with_the_number_of_branches(pre_activation):
    """x_l is the sum of the stem's output, whose square is 1/2, and of l branches of about .9 each."""
    assert pre_activation.training  # without moved statistics
    found = pre_activation.arrays
    np.testing.assert_allclose(found["rms"] ** 2, 0.5 + 0.9 * np.arange(10), rtol=0.2)
    np.testing.assert_allclose(found["ratio"][4:9], 1 / np.sqrt(np.arange(4, 9)), rtol=0.2)


def test_plain_units_have_no_direct_term_and_grow_as_the_rectifier_allows():
    model = same_shape(8, order=kr.PostAct(), merge=kr.branch_only)
    found = kr.analysis.propagation(model, IMAGES, LABELS)
    assert (found.arrays["direct"][:-1] == 0).all() and (found.arrays["predicted"][:-1] == 0).all()
    assert [row["ratio"] for row in found.rows] == [None] * 9
    growth = (found.arrays["gradient"][1] / found.arrays["gradient"][-2]) ** (1 / 6)
    assert 1.2 < growth < np.pi / (np.pi - 1)


def test_the_mode_is_inference_once_statistics_have_moved():
    model = same_shape(1)
    assert kr.analysis.propagation(model, IMAGES, LABELS).training
    assert not kr.analysis.propagation(model, IMAGES, LABELS, training=False).training
    model(IMAGES, training=True)
    assert not kr.analysis.propagation(model, IMAGES, LABELS).training


def test_a_comparison_draws_a_panel_for_each_network():
    nets = {"plain": same_shape(2, merge=kr.branch_only), "residual": same_shape(2)}
    found = kr.analysis.compare(nets, IMAGES, LABELS)
    assert [row["network"] for row in found.rows] == ["plain"] * 3 + ["residual"] * 3
    figure = found.plot().figure
    assert [axes.get_title() for axes in figure.axes] == ["plain", "residual"]
    solid, dashed = figure.axes[1].lines
    np.testing.assert_allclose(dashed.get_ydata(), 1, rtol=1e-6)
    assert solid.get_linestyle() == "-" and dashed.get_linestyle() == "--"
    assert "gradient" in str(found).splitlines()[0]
    with pytest.raises(ValueError, match="at least one network"):
        kr.analysis.compare({}, IMAGES, LABELS)
    with pytest.raises(ValueError, match=r"`models\['other'\]`: `propagation` requires"):
        kr.analysis.compare({"other": keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])}, IMAGES, LABELS)


@pytest.mark.filterwarnings("error")
def test_a_gradient_of_0_is_drawn_and_has_no_lengths():
    model = net(2)
    model.layers[-1].kernel.assign(1e6 * model.layers[-1].kernel)
    right = np.asarray(model(IMAGES)).argmax(1)
    found = kr.analysis.propagation(model, IMAGES, right)
    assert not found.arrays["gradient"].any()
    found.plot()
    kr.analysis.compare({"sure": model}, IMAGES, right).plot()
    paths = kr.analysis.paths(model, IMAGES, right, sampled=1)
    assert [row["share"] for row in paths.rows] == [row["sampled_share"] for row in paths.rows] == [None] * 3
    assert np.isnan([paths.effective_length, paths.sampled_length]).all()
    paths.plot()


@pytest.mark.parametrize("order", [("plain", "residual"), ("residual", "plain")])
def test_a_comparison_shows_every_gradient_whatever_the_order(order):
    nets = {"plain": same_shape(8, merge=kr.branch_only), "residual": same_shape(2)}
    found = kr.analysis.compare({name: nets[name] for name in order}, IMAGES, LABELS)
    low, high = found.plot().get_ylim()
    gradients = [each.arrays["gradient"] / each.arrays["gradient"][-1] for each in found.networks.values()]
    assert low < min(map(np.min, gradients)) and max(map(np.max, gradients)) < high
    assert max(map(np.max, gradients)) > 2  # what the other order cut off

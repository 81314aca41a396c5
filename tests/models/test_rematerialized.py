"""Networks that compute activations again train to the same bits, and keep their setting in files."""

import inspect
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from keras_resunits.models.family import FAMILIES
from keras_resunits.models.rematerialized import grows, segments
from tests.support.backends import under
from tests.support.paths import ROOT

SMALL = {"input_shape": (8, 8, 3)}


def residual(remat) -> keras.Model:
    """A network of units that add, with random numbers."""
    return kr.PreActResNet(8, tail=kr.chained("branch_dropout", "stochastic_depth"), remat=remat, **SMALL)


def dense(remat) -> keras.Model:
    """A network of units that grow, three after each other and then one, with random numbers."""
    return kr.DenseNet([3, 1], dropout=0.2, remat=remat, **SMALL)


def trained(make, remat, policy: str) -> list[np.ndarray]:
    """All variables of a random network after two steps: weights, moving statistics, seeds."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        model = make(remat)
    finally:
        keras.config.set_dtype_policy("float32")
    optimizer = keras.optimizers.SGD(0.1)
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(4, 8, 8, 3)).astype("float32"), np.arange(4)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)

    step()
    step()
    return [np.asarray(variable.value) for variable in model.variables]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("make", [residual, dense])
def test_a_recomputing_network_trains_to_the_same_bits(make, policy):
    kept = trained(make, None, policy)
    for remat in (2, "norms"):
        for variable, again in zip(kept, trained(make, remat, policy), strict=True):
            np.testing.assert_array_equal(again, variable)


def test_a_step_without_a_call_context_trains_every_layer():
    x = np.random.default_rng(1).normal(size=(4, 8, 8, 3)).astype("float32")
    plain, again = kr.PreActResNet(8, **SMALL), kr.PreActResNet(8, remat="unit", **SMALL)
    again.set_weights(plain.get_weights())
    np.testing.assert_array_equal(again.call(x, training=True), plain.call(x, training=True))


def test_files_and_clones_recompute_and_have_the_same_paths(tmp_path):
    model = kr.create("PreActResNet", depth=8, remat=2, **SMALL)
    model.save(tmp_path / "model.keras")
    read = keras.saving.load_model(tmp_path / "model.keras")
    assert (read.remat, read.get_config()["remat"]) == (2, 2)
    paths = [variable.path for variable in kr.PreActResNet(8, **SMALL).variables]
    assert [v.path for v in read.variables] == [v.path for v in model.variables] == paths
    for saved, loaded in zip(model.get_weights(), read.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded, saved)
    clone = type(model).from_config(model.get_config())
    assert (type(clone), clone.remat, [v.path for v in clone.variables]) == (type(model), 2, paths)
    with pytest.raises(ValueError, match=r"cloned by `type\(model\).*Received: no `remat`.*preactresnet8"):
        keras.models.clone_model(model)


@pytest.mark.peers
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_step_under_another_backend_is_that_without_recomputation(backend, tmp_path):
    pytest.importorskip(backend)
    under(backend, ROOT / "tests" / "support" / "remat_probe.py", tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")
    for path in [name.removeprefix("None ") for name in found if name.startswith("None ")]:
        kept = found[f"None {path}"]
        assert not np.array_equal(kept, found[f"before {path}"]), path
        for remat in ("2", "norms"):  # statistics that move twice are off by a tenth
            np.testing.assert_allclose(found[f"{remat} {path}"], kept, rtol=1e-5, atol=1e-5, err_msg=path)


def test_new_heads_recompute_as_their_backbones():
    model = kr.new_head(kr.PreActResNet(8, remat=2, **SMALL), classes=3)
    assert (model.remat, model.output.shape) == (2, (None, 3))
    fractal = kr.FractalNet(columns=2, filters=(8,), dropout=(0.0,), remat="unit")
    assert kr.deepest_column(fractal).remat == "unit"


@pytest.mark.parametrize("argument", ["remat", "weights"])
def test_every_family_documents_what_all_take(argument):
    for name, family in FAMILIES.items():
        assert argument in inspect.signature(family.build).parameters
        assert re.search(rf"\b{argument}(?:, \w+)*: |\*\*choices: As for `ResNet`", family.build.__doc__), name


def test_settings_that_cannot_be_are_refused():
    for remat in (0, -1, True, 1.5, "units"):
        with pytest.raises(ValueError, match=r"`remat` must be a number of units > 0.*preactresnet8"):
            kr.PreActResNet(8, remat=remat, **SMALL)
    with pytest.raises(ValueError, match=r"at most the number of units, 3\. Received: remat=4"):
        kr.PreActResNet(8, remat=4, **SMALL)
    with pytest.raises(ValueError, match=r"remat='norms' requires normalisations"):
        kr.ResNet(8, order="fixup", remat="norms", **SMALL)


def test_a_loss_inside_a_recomputed_unit_is_refused():
    def penalized(slot):
        return [keras.layers.ActivityRegularization(l2=0.1, name="penalty")]

    model = kr.PreActResNet(8, tail=penalized, remat="unit", **SMALL)
    with pytest.raises(ValueError, match=r"must not add losses.*'unit000'"):
        model(np.ones((2, 8, 8, 3), "float32"), training=True)


def test_units_that_follow_each_other_share_segments_and_all_else_is_alone():
    unit, other = kr.Unit(kr.Series([])), keras.layers.ReLU()
    order = [other, other, unit, unit, unit, other, unit, unit, other]
    found = segments(order, 2)
    assert [layer for part in found for layer in part] == order
    assert [len(part) for part in found] == [1, 1, 2, 1, 1, 2, 1]


def test_units_that_grow_are_alone():
    model = kr.DenseNet([3, 3], **SMALL)
    assert all(len(part) == 1 for part in segments(model.layers, 4))


def test_only_the_equation_itself_grows():
    class Reversed(kr.Concat):
        def call(self, carry, branch, z):
            return keras.ops.concatenate([branch, carry], -1)

    same, act = keras.layers.Identity, keras.layers.ReLU
    assert grows(kr.Unit(same(), merge=kr.Concat()))
    assert not any(grows(unit) for unit in (kr.Unit(same(), merge=Reversed()), kr.Unit(same(), act(), kr.Concat())))

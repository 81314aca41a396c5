"""Laws: what the operations of `kr.surgery` promise, on every network of the catalog; the old one is untouched."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from tests.catalog import KERAS_LAYOUTS, NETWORKS, Case, long_but, over, randomize

STAGED = {name: case for name, case in NETWORKS.items() if getattr(case.make, "args", None) == ([1, 1, 1],)}
"""Networks with one unit per stage, of which deeper ones can be made."""
REFUSED = {  # networks that cannot be deepened, and why
    "DenseNet": "requires a pattern",
    "DenseNet-plain": "requires a pattern",
    "GatedPlainNet": r"gate g\(k\) has no gradient where it is closed",
    "HighwayNet": "'act1' would pass no gradient at 0",
    "PlainNet": "merge BranchOnly does not return the carry",
    "ResNet-C": "shortcut h changes",
    "exclusive_gating": "merge Highway does not return the carry",
    "shortcut_gating": "shortcut h changes",
    "zero_gamma": "shortcut h changes",
}


def state(model):
    """The values of all variables, as bytes."""
    return [keras.ops.convert_to_numpy(variable.value).tobytes() for variable in model.variables]


def difference(model, other, images, training=False):
    """The largest difference of two networks' outputs, relative to the largest output."""
    expected = np.asarray(model(images, training=training))
    return np.abs(np.asarray(other(images, training=training)) - expected).max() / np.abs(expected).max()


@over(NETWORKS, KERAS_LAYOUTS, quick=("Fixup", "FractalNet", "HighwayNet"))
def test_a_network_taken_apart_and_put_together_is_the_same(case, tmp_path):
    model, (images,) = case.model(), case.arrays()
    before = state(model)
    again = kr.surgery.put_together(kr.surgery.take_apart(model))
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    np.testing.assert_array_equal(again(images), model(images))
    units = [layer for layer in model.layers if isinstance(layer, kr.Unit)]
    again.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    kept = [(layer.origin, layer.slot) for layer in loaded.layers if isinstance(layer, kr.Unit)]
    assert kept == [(unit.name, unit.slot) for unit in units]
    assert None not in [slot for _, slot in kept]
    assert state(model) == before


def deeper(case: Case) -> Case:
    """The same network with two units per stage."""
    return Case(partial(case.make.func, [2, 2, 2], **case.make.keywords), case.shape, random=case.random)


DEEPENED = ("Fixup", "GatedPlainNet", "GatedResNet")


@pytest.mark.parametrize(
    ("name", "where"), long_but(DEEPENED, {name: (name, ("end", "spread")[i % 2]) for i, name in enumerate(STAGED)})
)
def test_a_deepened_network_computes_the_same_and_every_new_weight_learns(name, where):
    case = deeper(STAGED[name])
    model, (images,) = case.make(), case.arrays()
    randomize(model)
    before = state(model)
    stages = len({tuple(unit.output.shape) for unit in model.layers if isinstance(unit, kr.Unit)})
    wanted = [3, 2, 3] if stages == 3 else [2] * stages
    grow = partial(kr.surgery.deepen, model, units_per_stage=wanted, where=where)
    if name in REFUSED:
        with pytest.raises(ValueError, match=rf"{REFUSED[name]}[^$]*Pass `recipe="):
            grow()
        assert state(model) == before
        return
    found = grow()
    assert state(model) == before
    assert difference(model, found, images) <= 1e-6
    assert difference(kr.surgery.put_together(kr.surgery.take_apart(model)), found, images, training=True) <= 1e-6
    units = [layer for layer in found.layers if isinstance(layer, kr.Unit)]
    new = [weight for unit in units if unit.origin is None for weight in unit.trainable_weights]
    assert new and [unit.origin for unit in units if unit.origin] == [f"unit00{i}" for i in range(6)]
    assert unmoved(found, new, images, steps=12 if case.random else 2) == []


def unmoved(model, weights, images, steps):
    """The paths of weights that get no gradient in so many steps."""
    for weight in weights:
        if weight.path.endswith("squeeze/bias"):  # else its own rectifier may be closed from the start
            weight.assign(keras.ops.ones_like(weight))
    left, variables = {weight.path for weight in weights}, model.trainable_variables
    for _ in range(steps):
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = tf.reduce_sum(outputs * tf.random.stateless_normal(outputs.shape, seed=(1, 2)))
        gradients = tape.gradient(loss, [variable.value for variable in variables], unconnected_gradients="zero")
        rate = 1e-3 / tf.linalg.global_norm(gradients)
        for variable, gradient in zip(variables, gradients, strict=True):
            left -= {variable.path} if np.any(gradient) else set()
            variable.assign_sub(rate * gradient)
    return sorted(left)


@over(NETWORKS, quick=("Fixup", "FractalNet", "GatedResNet"))
def test_a_folded_network_computes_the_same_with_fewer_layers(case):
    keras.config.set_dtype_policy("float64")  # in float32 the networks' own rounding is as large as 1e-6
    model, images = case.model(), case.arrays()[0].astype("float64")
    before = state(model)
    found = kr.surgery.fold(model)
    assert difference(model, found, images) <= 1e-12
    assert state(model) == before
    norms = [sum("norm" in layer.name for layer in each._flatten_layers()) for each in (found, model)]
    foldable = case not in (NETWORKS["DenseNet-plain"], NETWORKS["Fixup"], NETWORKS["looks_linear"])
    assert (norms[0] < norms[1]) == foldable


@over(NETWORKS, quick=("GatedPlainNet", "HighwayNet"))
def test_open_gates_change_nothing_and_constants_replace_gates(case):
    model, (images,) = case.model(), case.arrays()
    before = state(model)
    try:
        gated = kr.surgery.to_gated(model)
    except ValueError as error:
        assert "requires units that add, or plain units with edges of one shape" in str(error)
        units = [layer for layer in model.layers if isinstance(layer, kr.Unit)]
        assert not all(isinstance(unit.merge, kr.Add) for unit in units)
        return
    np.testing.assert_array_equal(gated(images), model(images))
    assert list(kr.gates(gated)) == [layer.name for layer in model.layers if isinstance(layer, kr.Unit)]
    for gates in kr.scalar_gates(gated).values():
        gates[0].k.assign(0.7)
    constant = kr.surgery.from_gated(gated)
    assert kr.gates(constant) == {}
    assert difference(gated, constant, images) <= 1e-6
    copy = kr.surgery.put_together(kr.surgery.take_apart(gated))
    assert difference(copy, constant, images, training=True) <= 1e-6
    assert state(model) == before


@over(NETWORKS, KERAS_LAYOUTS, quick=("Fixup", "FractalNet", "PreActResNet-softmax"))
def test_features_and_new_heads_keep_the_backbone_bit_for_bit(case):
    model, (images,) = case.model(), case.arrays()
    before, units = state(model), [layer for layer in model.layers if isinstance(layer, kr.Unit)]
    last = next((layer for layer in model.layers if layer.name == "post"), units[-1])
    pyramid, whole = kr.features(model), keras.Model(model.input, [last.output, model.get_layer("pool").output])
    maps, pooled = whole(images, training=False)
    np.testing.assert_array_equal(list(pyramid(images, training=False).values())[-1], maps)
    changed = kr.new_head(model, classes=3)
    backbone = keras.Model(changed.input, changed.get_layer("pool").output)
    np.testing.assert_array_equal(backbone(images, training=False), pooled)
    for copy in (pyramid, changed):
        copies = [layer for layer in copy.layers if isinstance(layer, kr.Unit)]
        assert [unit.origin for unit in copies] == [unit.name for unit in units]
        assert {w.path for w in copy.weights} <= {w.path for w in model.weights} | {"classifier/bias"}
        copy.set_weights([0 * weight for weight in copy.get_weights()])  # weights of its own
    assert state(model) == before


def units_of(model):
    return [layer for layer in model.layers if isinstance(layer, kr.Unit)]


def staged(case: Case):
    """A network with random weights, with two units per stage where the catalog's has one, and images."""
    model = (deeper(case) if case in STAGED.values() else case).make()
    randomize(model)
    return model, case.arrays()[0]


def keeping(model):
    """The names of the units that keep the shape."""
    return [unit.name for unit in units_of(model) if unit.input.shape == unit.output.shape]


@over(NETWORKS, quick=("Fixup", "FractalNet", "GatedPlainNet"))
def test_units_are_dropped_moved_and_replaced_and_come_back_bit_for_bit(case):
    model, images = staged(case)
    before, expected, names = state(model), model(images, training=False), [unit.name for unit in units_of(model)]

    def same(found):
        np.testing.assert_array_equal(found(images, training=False), expected)
        assert [weight.path for weight in found.weights] == [weight.path for weight in model.weights]
        assert [unit.origin for unit in units_of(found)] == names

    for i, name in enumerate(names):
        if name not in keeping(model):
            with pytest.raises(ValueError, match=rf"unit '{name}' of .* cannot be dropped"):
                kr.surgery.drop(model, name)
            continue
        shorter = kr.surgery.drop(model, name)
        assert [unit.origin for unit in units_of(shorter)] == [*names[:i], *names[i + 1 :]]
        same(kr.surgery.insert(shorter, model.get_layer(name), before=name if i + 1 < len(names) else None))
    same(kr.surgery.replace(model, {names[0]: model.get_layer(names[0])} | {names[-1]: model.get_layer(names[-1])}))
    for a, b in zip(keeping(model), keeping(model)[1:], strict=False):
        if model.get_layer(a).output is model.get_layer(b).input:
            order = [{a: b, b: a}.get(name, name) for name in names]
            moved = kr.surgery.reorder(model, order)
            assert [unit.origin for unit in units_of(moved)] == order
            same(kr.surgery.reorder(moved, order))
    assert state(model) == before


CHANGING = {"BnAfterAdd", "ResNet-C", "shortcut_gating", "zero_gamma"}
"""Networks whose units change what passes, even where their branch returns 0."""


@over(NETWORKS, quick=("GatedPlainNet", "GatedResNet", "StochasticDepthResNet"))
def test_units_behind_closed_gates_are_dropped_bit_for_bit(case, request):
    model, images = staged(case)
    try:
        gated = kr.surgery.to_gated(model)
    except ValueError as error:
        assert "requires units that add, or plain units with edges of one shape" in str(error)
        return
    closed = keeping(gated)[: len(units_of(gated)) - 1]
    for name in closed:
        for gate in kr.scalar_gates(gated)[name]:
            gate.k.assign(0.0)
    for found in (
        kr.surgery.drop(gated, *closed),
        kr.surgery.prune(gated, "gate", keep=len(units_of(gated)) - len(closed)).model,
    ):
        same = np.array_equal(found(images, training=False), gated(images, training=False))
        assert same or request.node.callspec.id in CHANGING


SERIES = "requires a branch that is a series of weight layers"
UNSWAPPED = {
    ("DenseNet", "swap_shortcut"): "must not change shapes",
    ("DenseNet-plain", "swap_shortcut"): "must not change shapes",
    ("FractalNet", "set_order"): SERIES,
    ("FractalNet-authors", "set_order"): SERIES,
    ("looks_linear", "set_order"): "would change the shape of weight",  # its activation doubles the channels
}
"""Networks and operations that do not fit, and why."""


@over(NETWORKS, quick=("FractalNet", "HighwayNet", "squeeze_excite"))
def test_units_in_another_order_or_with_another_shortcut_keep_the_rest(case, request):
    model, images = staged(case)
    before = state(model)
    for operation, kept in [
        (partial(kr.surgery.set_order, order="post_act"), ("/kernel",)),
        (partial(kr.surgery.set_order, order="full_pre_act"), ("/kernel",)),
        (
            partial(kr.surgery.swap_shortcut, shortcut="projection", order="post_act"),
            ("/branch/", "/merge/", "/entry/", "/exit/"),
        ),
    ]:
        reason = UNSWAPPED.get((request.node.callspec.id, operation.func.__name__))
        if reason:
            with pytest.raises(ValueError, match=reason):
                operation(model)
            continue
        found = operation(model)
        values = {weight.path: weight.numpy() for weight in model.weights}
        assert set(found.not_carried) <= set(values)
        for weight in found.model.weights:
            assert (weight.path in values and weight.path not in found.not_carried) or weight.path in found.new
            if weight.path not in found.new:
                np.testing.assert_array_equal(weight.numpy(), values[weight.path])
        lost = [path for path in found.not_carried if any(part in path for part in kept)]
        assert not lost, lost
        assert np.isfinite(np.asarray(found.model(images, training=False))).all()
    assert state(model) == before

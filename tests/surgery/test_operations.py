"""Units dropped, inserted, reordered, replaced and pruned; what surgery refuses, and with which words."""

from __future__ import annotations

import time

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.surgery import (
    deepen,
    drop,
    fold,
    insert,
    prune,
    put_together,
    reorder,
    replace,
    take_apart,
    to_plain,
)
from keras_resunits.surgery.costs import Cost, latencies, table
from keras_resunits.surgery.deepening import _units_of
from keras_resunits.surgery.pruning import Pruned
from tests.catalog import SMALL, randomize
from tests.support.backends import under

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.normal(size=(20, 8, 8, 3)).astype("float32"), np.arange(20) % 5


@pytest.fixture(scope="module")
def gated():
    """A gated network of three stages, whose third gate is closed; no test changes it."""
    keras.utils.set_random_seed(0)
    model = kr.GatedResNet([2, 2, 2], **SMALL)
    randomize(model)
    for i, unit in enumerate(kr.scalar_gates(model).values()):
        unit[0].k.assign(-1.0 if i == 3 else 0.1 * (i + 1))
    return model


UNITS = [f"unit00{i}" for i in range(6)]


def without_units(model):
    parts = take_apart(model)
    return parts.with_chain(part for part in parts.chain if not part.is_unit)


def origins(model):
    return [layer.origin for layer in model.layers if isinstance(layer, kr.Unit)]


def test_units_behind_closed_gates_are_dropped_bit_for_bit_and_inserted_again(gated):
    before = [weight.numpy() for weight in gated.weights]
    shorter = drop(gated, "unit003")
    np.testing.assert_array_equal(shorter(IMAGES), gated(IMAGES))
    assert origins(shorter) == ["unit000", "unit001", "unit002", "unit004", "unit005"]
    assert np.any(np.asarray(drop(gated, "unit001")(IMAGES)) != np.asarray(gated(IMAGES)))
    again = insert(shorter, gated.get_layer("unit003"), before="unit003")
    assert origins(again) == [f"unit00{i}" for i in range(6)]
    np.testing.assert_array_equal(again(IMAGES), gated(IMAGES))
    for now, then, copied in zip(gated.weights, before, again.weights, strict=True):
        np.testing.assert_array_equal(now.numpy(), then)
        np.testing.assert_array_equal(copied.numpy(), then)
    assert origins(insert(shorter, gated.get_layer("unit005"))) == [*origins(shorter), "unit005"]
    ended = insert(drop(gated, "unit005"), gated.get_layer("unit005"))
    assert origins(ended) == origins(again)


def test_units_change_places_and_are_replaced():
    model = kr.PreActResNet([3, 1, 1], **SMALL)
    randomize(model)
    other = reorder(model, ["unit000", "unit002", "unit001", "unit003", "unit004"])
    assert origins(other)[1:3] == ["unit002", "unit001"]
    kernels = (m.get_layer(name).branch.layers[2].kernel for m, name in ((other, "unit001"), (model, "unit002")))
    np.testing.assert_array_equal(*kernels)
    back = reorder(other, ["unit000", "unit002", "unit001", "unit003", "unit004"])
    np.testing.assert_array_equal(back(IMAGES), model(IMAGES))
    same = replace(model, {"unit001": model.get_layer("unit001")})
    assert origins(same) == UNITS[:5]
    slot = model.get_layer("unit001").slot
    assert origins(replace(model, {"unit001": kr.Recipe(kr.basic, kr.FullPreAct(), kr.identity)(slot)}))[1] is None
    np.testing.assert_array_equal(same(IMAGES), model(IMAGES))


def test_slots_and_survival_stay_those_of_the_network_that_was_built():
    model = kr.StochasticDepthResNet([2, 1, 1], **SMALL)
    shorter = drop(model, "unit001")
    kept = [layer for layer in shorter.layers if isinstance(layer, kr.Unit)]
    old = [model.get_layer(unit.origin) for unit in kept]
    assert [unit.slot for unit in kept] == [unit.slot for unit in old]
    assert kept[-1].slot.total == 4
    assert [unit.branch.layers[-1].survival for unit in kept] == [unit.branch.layers[-1].survival for unit in old]


def test_the_least_important_units_go_until_the_budget_is_met(gated):
    by_gate = prune(gated, "gate", keep=4, images=IMAGES, labels=LABELS)
    assert by_gate.dropped == ("unit003", "unit000")  # 0 and 0.1; the next changes the shape
    assert [row["units"] for row in by_gate.rows] == [6, 4]
    right = (np.asarray(gated(IMAGES)).argmax(-1) == LABELS).mean()
    assert by_gate.before.accuracy == pytest.approx(right)
    assert by_gate.before.latency > 0 and by_gate.after.latency > 0
    table = {row.unit: row.parameters for row in kr.describe(gated)}
    share = 1 - (table["unit005"] + 1) / sum(table.values())
    scores = {"unit000": 2, "unit001": 3, "unit003": 1, "unit005": 0}
    by_size = prune(gated, scores, budget=share, of="parameters")
    assert by_size.dropped == ("unit005", "unit003")
    assert by_size.after.parameters == sum(table.values()) - table["unit005"] - table["unit003"]
    assert prune(gated, lambda model, images, labels: scores, keep=5).dropped == ("unit005",)
    ratio = prune(gated, "ratio", keep=5, images=IMAGES, labels=LABELS)
    assert ratio.dropped == ("unit003",) and ratio.scores["unit003"] == 0


def test_pruning_to_what_is_there_drops_nothing_and_a_fixed_order_is_fixed(gated):
    assert prune(gated, "gate", keep=6).dropped == prune(gated, "gate", budget=1.0).dropped == ()
    assert prune(gated, "random", keep=2).dropped == ("unit005", "unit001", "unit000", "unit003")


def test_a_gate_below_zero_is_as_important_as_one_above():
    model = kr.GatedResNet([3, 1, 1], g="linear", **SMALL)
    for gate, value in zip(kr.scalar_gates(model).values(), (-2.0, 0.5, 1.0, 3.0, 3.0), strict=True):
        gate[0].k.assign(value)
    assert prune(model, "gate", keep=3).dropped == ("unit001", "unit002")
    assert prune(model, "gate", keep=4).scores == {"unit000": 2.0, "unit001": 0.5, "unit002": 1.0}


def test_of_a_single_stage_one_unit_is_kept():
    model = kr.FullyConnectedResNet(6, filters=4)
    with pytest.raises(ValueError, match="`budget` cannot be met: without all 2 units"):
        prune(model, "random", budget=0.01)
    assert prune(model, "random", keep=1).after.units == 1


def test_costs_are_a_table(gated):
    costs = [Cost("before", 9, 1_234_567, 41_000_000, 0.01234, 0.9), Cost("after", 7, 100, None)]
    assert table(costs).splitlines() == [
        "         units   parameters   multiply-adds    latency  accuracy",
        "before       9    1,234,567      41,000,000    12.3 ms    90.00%",
        "after        7          100               ?",
    ]
    pruned = Pruned(gated, (), {}, *costs)
    assert str(pruned).splitlines()[-1] == "dropped: nothing" and [row["units"] for row in pruned.rows] == [9, 7]


def test_latency_is_the_median_of_seven_turns_after_the_first():
    class Slow:
        """Takes longer when it is asked for the first time, as a model that is compiled then."""

        asked = 0

        def predict_on_batch(self, images):
            self.asked += 1
            time.sleep(0.2 if self.asked == 1 else 0.001)

    models = {"one": Slow(), "other": Slow()}
    found = latencies(models, IMAGES)
    assert list(found) == list(models) and all(0.001 <= each < 0.1 for each in found.values())
    assert [model.asked for model in models.values()] == [8, 8]


def test_pruning_that_cannot_be_done_is_refused(gated):
    for arguments, text in [
        ({"by": "gates", "keep": 5}, r"unknown criterion 'gates'\. Did you mean 'gate'\?"),
        ({"by": "gate"}, "either `keep` or `budget`"),
        ({"by": "gate", "keep": 1}, r"`keep` must be in 2\.\.6.*Received: keep=1"),
        ({"by": "gate", "budget": 0.01}, r"`budget` cannot be met: without all 4 units.*Received: budget=0\.01"),
        ({"by": "gate", "budget": 2}, r"`budget` must be a number in \(0, 1\]"),
        ({"by": {"unit000": 1.0}, "keep": 5}, "Received: None for 'unit001'"),
        ({"by": {"unit00": 1.0}, "keep": 5}, r"unknown unit 'unit00'.*Did you mean 'unit000'"),
        ({"by": "ratio", "keep": 5}, "'ratio' requires `images`"),
        ({"by": "gate", "keep": 5, "images": IMAGES[:0]}, "`images` must hold at least one image"),
        ({"by": "gate", "keep": 5, "images": IMAGES[:, :4]}, r"of shape \(images, 8, 8, 3\).* shape \(20, 4, 8, 3\)"),
        ({"by": "gate", "keep": 5, "images": IMAGES[0]}, r"of shape \(images, 8, 8, 3\).* shape \(8, 8, 3\)"),
        ({"by": "gate", "keep": 5, "images": 3.0}, r"of shape \(images, 8, 8, 3\).* shape \(\)"),
        (
            {"by": "gate", "keep": 5, "images": IMAGES, "labels": LABELS[:3]},
            r"each of the 20 .* shape \(3,\)",
        ),
        ({"by": "gate", "keep": 5, "images": IMAGES, "labels": LABELS + 1}, r"0 to 4. Received: 1 to 5 \(prune\)"),
        ({"by": "gate", "keep": 5, "images": IMAGES, "labels": LABELS - 1}, "0 to 4. Received: -1 to 3"),
        ({"by": "gate", "keep": 5, "images": IMAGES, "labels": LABELS / 2}, "must be ints.*float64"),
        ({"by": "gate", "keep": 5, "labels": LABELS}, "Received: no images"),
        ({"by": "gate", "keep": 5, "budget": 0.5}, "either `keep` or `budget`.* Received: both"),
        ({"by": "gate", "keep": 7}, r"`keep` must be in 2\.\.6.*Received: keep=7"),
        ({"by": dict.fromkeys(UNITS, np.nan), "keep": 5}, "finite number .* Received: nan for 'unit000'"),
        ({"by": lambda *_: 3, "keep": 5}, "a mapping from units to numbers. Received: 3"),
    ]:
        with pytest.raises(ValueError, match=text):
            prune(gated, **arguments)
    with pytest.raises(ValueError, match=r"'ratio' .* none for 'unit000', whose carry is dropped.* \(ranking\)\.$"):
        prune(kr.PlainNet([2, 1, 1], **SMALL), "ratio", keep=3, images=IMAGES, labels=LABELS)


@pytest.mark.slow
def test_pruning_takes_images_and_labels_as_analysis_does(gated):
    expected = prune(gated, "gate", keep=5, images=IMAGES, labels=LABELS).after.accuracy
    for images, labels in [(list(IMAGES), LABELS[:, None]), (IMAGES.tolist(), LABELS.tolist())]:
        assert prune(gated, "gate", keep=5, images=images, labels=labels).after.accuracy == expected


@pytest.mark.slow
def test_the_accuracy_of_what_is_no_classifier_is_refused():
    pooled = kr.PreActResNet([2, 1, 1], include_top=False, pooling="avg", input_shape=(8, 8, 3))
    features = kr.PreActResNet([2, 1, 1], include_top=False, input_shape=(8, 8, 3))
    single = kr.PreActResNet([2, 1, 1], classes=1, input_shape=(8, 8, 3))
    for model, text in [(pooled, "last layer is 'pool'"), (features, r"\(2, 2, 64\)"), (single, "two or more.*: 1")]:
        with pytest.raises(ValueError, match=text):
            prune(model, "random", keep=3, images=IMAGES, labels=0 * LABELS)
        assert prune(model, "random", keep=3, images=IMAGES).after.latency


@pytest.mark.parametrize("own, of_session", [("float64", "float32"), ("float32", "mixed_bfloat16")])
def test_new_layers_have_the_precision_of_the_network(own, of_session):
    """A series in the session's policy rounds what passes, in silence."""
    recipe = kr.Recipe(kr.basic, kr.FullPreAct(), kr.identity)
    keras.config.set_dtype_policy(own)
    gated, added = kr.GatedResNet([2, 1, 1], **SMALL), kr.PreActResNet([2, 1, 1], **SMALL)
    single = kr.ResNet([1, 1, 1], block="single", **SMALL)
    keras.config.set_dtype_policy(of_session)
    for model, operation in [
        (added, kr.surgery.to_gated),
        (gated, kr.surgery.from_gated),
        (single, to_plain),
        (added, lambda model: deepen(model, units_per_stage=[3, 1, 2], recipe=recipe)),
    ]:
        randomize(model)
        found = operation(model)
        np.testing.assert_allclose(found(IMAGES), model(IMAGES), rtol=1e-5, atol=1e-6)
        assert {layer.compute_dtype for layer in found._flatten_layers()} == {own}
    for found in (
        kr.surgery.set_order(added, "post_act").model,
        kr.surgery.swap_shortcut(added, "projection", "full_pre_act").model,
        kr.new_head(added, 3),
    ):
        assert {layer.compute_dtype for layer in found._flatten_layers()} == {own}
    assert keras.config.dtype_policy().name == of_session


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_networks_in_bfloat16_are_operated_on(policy):
    """TensorFlow's scalars in bfloat16 do not turn into NumPy's."""
    keras.config.set_dtype_policy(policy)
    model = kr.GatedResNet([2, 1, 1], **SMALL)
    randomize(model)
    expected = np.asarray(keras.ops.cast(model(IMAGES), "float32"))
    for operation, near in [
        (lambda model: deepen(model, units_per_stage=[3, 1, 1]), 0),
        (kr.surgery.from_gated, 0.02),
        (fold, 0.05),
        (lambda model: prune(model, "gate", keep=4).model, 0),
    ]:
        found = np.asarray(keras.ops.cast(operation(model)(IMAGES), "float32"))
        assert np.abs(found - expected).max() <= near * np.abs(expected).max()


def test_new_units_learn_in_a_frozen_network():
    model = kr.PreActResNet([2, 1, 1], **SMALL)
    kr.freeze(model)
    deeper = deepen(model, units_per_stage=[3, 1, 1])
    learning = [layer.origin for layer in deeper.layers if isinstance(layer, kr.Unit) and layer.trainable_weights]
    assert learning == [None]
    assert len(deeper.get_layer("unit002").trainable_weights) == 6


@keras.saving.register_keras_serializable("tests")
class Standardized(keras.layers.Conv2D):
    """A convolution whose kernel is standardised, so that scaling the kernel changes nothing."""

    def call(self, inputs):
        kernel = keras.ops.convert_to_tensor(self.kernel)
        return keras.ops.conv(inputs, kernel / keras.ops.std(kernel), self.strides, self.padding)


def test_convolutions_that_a_norm_cannot_be_folded_into_are_refused():
    body = kr.Body(lambda slot: [Standardized(16, 3, padding="same", use_bias=False, name="conv1")], depth=1)
    slots = kr.plan([kr.Stage(1, 16)], in_filters=16, activated=True)
    recipe = kr.Recipe(body, kr.PostAct(), kr.identity)
    model = kr.network([(recipe, slot) for slot in slots], kr.Stem(16), kr.PostAct(), **SMALL)
    randomize(model)
    with pytest.raises(ValueError, match=r"'unit000' cannot be folded: .* something else.*Received: .*Standardized"):
        fold(model)


@keras.saving.register_keras_serializable("tests")
class Forgetful(keras.layers.Layer):
    """A layer with a second weight that its configuration does not tell of."""

    names = ("shift",)

    def build(self, input_shape):
        for name in self.names:
            self.add_weight(name=name)

    def call(self, x):
        return sum(self.weights, x)

    def compute_output_shape(self, input_shape):
        return input_shape


def test_a_layer_that_its_configuration_does_not_restore_is_refused(gated):
    x = keras.Input((8, 8, 3))
    forgetful = Forgetful(name="forgetful")
    forgetful.names = ("shift", "more")
    y = forgetful(x)
    for layer in gated.layers[1:]:
        y = layer(y)
    with pytest.raises(ValueError, match="'forgetful' does not restore it: weight 'more' is lost"):
        take_apart(keras.Model(x, y))


def test_surgery_that_does_not_fit_is_refused(gated):
    wide = kr.ResNet([1, 1, 1], width=2, **SMALL).get_layer("unit000")
    x = keras.Input((8, 8, 3))
    nested = keras.Model(x, gated(x), name="whole")
    dropping = keras.Model(
        gated.input, keras.layers.Dropout(0.5, name="dropout")(gated.output, training=True), name="dropping"
    )
    last = keras.layers.Dense(5, name="last")
    twice = keras.Model(gated.input, last(last(gated.output)), name="twice")
    for operation, text in [
        (lambda: drop(gated, "unit009"), r"unknown unit 'unit009'.*Did you mean 'unit00\d'"),
        (lambda: drop(gated, "unit002"), r"unit 'unit002'.*turns .* cannot be dropped\. Drop .*: unit000, unit001"),
        (lambda: reorder(gated, ["unit000"]), r"each of the 6 units once\. Received: 'unit00\d' is missing"),
        (
            lambda: reorder(gated, [f"unit00{i}" for i in (1, 0, 3, 2, 4, 5)]),
            r"must not change shapes: layer 'unit003' expects \(None, 4, 4, 32\)\. Received: \(None, 8, 8, 16\)",
        ),
        (lambda: insert(gated, wide), "does not fit inputs of shape"),
        (lambda: replace(gated, {"unit000": keras.layers.ReLU()}), r"units\['unit000'\]` must be a `Unit`"),
        (lambda: take_apart(nested), r"whose layer '\w+' is a model\. Operate on `model.get_layer"),
        (lambda: fold(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])), "which has no units"),
        (lambda: take_apart(dropping), r"'dropout' called with training=True in 'dropping'"),
        (lambda: take_apart(twice), "'last' which is called twice in 'twice'"),
        (lambda: take_apart(keras.Model(x, gated.layers[1](x / 255))), r"'\w+' that is not a layer"),
        (lambda: deepen(gated, depth=15), r"no depth 15 from the 14.*14 \+ 6n\. Nearest: 14, 20"),
        (lambda: deepen(gated, depth=8), r"no depth 8 from the 14.*14 \+ 6n\. Nearest: 14, 20"),
        (lambda: deepen(gated, units_per_stage=[2, 2]), r"must hold 3 numbers.*Received: \[2, 2\]"),
        (lambda: deepen(gated, units_per_stage=[1, 2, 2]), r"at least \[2, 2, 2\].*Received: \[1, 2, 2\]"),
        (lambda: deepen(gated), "either `depth` or `units_per_stage`"),
        (lambda: to_plain(gated), "requires units that are linear before their exit"),
        (lambda: deepen(gated, depth=20, units_per_stage=[3, 2, 2]), "either `depth` or `units_per_stage`"),
        (lambda: put_together(without_units(gated)), "must keep at least one unit"),
        (lambda: reorder(gated, [*UNITS, "unit000"]), r"each of the 6 units once\. Received: a unit is named twice"),
        (lambda: insert(gated, gated.get_layer("unit002"), before="unit002"), "an inserted unit must keep"),
        (lambda: replace(gated, {"unit002": gated.get_layer("unit001")}), "must not change shapes|does not fit"),
        (lambda: kr.surgery.deepest_column(gated), "requires a network with `Fractal` layers"),
        (
            lambda: prune(kr.PreActResNet([1, 1, 1], **SMALL), "gate", keep=2),
            "requires scalar gates. Received: 'preact",
        ),
    ]:
        with pytest.raises(ValueError, match=text):
            operation()


def test_a_network_without_gates_has_none_to_take_out(gated):
    plain = kr.surgery.from_gated(gated)
    assert not kr.scalar_gates(plain)
    for model in (plain, kr.PreActResNet([1, 1, 1], **SMALL), kr.PlainNet([1, 1, 1], **SMALL)):
        with pytest.raises(ValueError, match=f"requires a network with scalar gates. Received: '{model.name}' without"):
            kr.surgery.from_gated(model)


def test_gates_that_start_closed_are_refused(gated):
    for initial in (0.0, 0.5):
        with pytest.raises(ValueError, match=rf"requires open gates, g\(initial\) = 1. Received: g\({initial}\)"):
            kr.surgery.to_gated(kr.PreActResNet([1, 1, 1], **SMALL), initial=initial)


def test_a_budget_of_multiply_adds_requires_the_size_of_images():
    model = kr.GatedResNet([2, 1, 1], input_shape=(None, None, 3), classes=5)
    with pytest.raises(ValueError, match="requires the size of images"):
        prune(model, "gate", budget=0.9)
    assert prune(model, "gate", budget=0.95, of="parameters").dropped == ("unit000",)


def test_an_activation_that_is_not_idempotent_is_refused_behind_itself():
    model = kr.ResNet([2, 1, 1], order=kr.PostAct(activation=keras.layers.ELU), **SMALL)
    with pytest.raises(ValueError, match=r"its exit f changes what the unit before it returns.*Pass `recipe="):
        deepen(model, units_per_stage=[3, 1, 1])


@pytest.mark.parametrize(
    ("where", "expected"),
    [("end", ["unit000", "unit001", None, None, None]), ("spread", ["unit000", None, "unit001", None, None])],
)
def test_new_units_come_at_the_end_of_their_stage_or_between_the_old_ones(where, expected):
    model = kr.PreActResNet([2, 1, 1], **SMALL)
    assert origins(deepen(model, units_per_stage=[5, 1, 1], where=where)) == [*expected, "unit002", "unit003"]


def test_a_depth_is_the_papers_where_it_has_one_and_else_equally_many_in_each_stage(gated):
    parts = take_apart(gated)  # units of two weight layers
    assert _units_of(parts, [1, 1, 1, 1], 34) == [3, 4, 6, 3]
    assert _units_of(parts, [1, 1, 1, 1], 50) == [6, 6, 6, 6]  # the paper's has units of three
    assert _units_of(parts, [2, 2, 2], 14) == [2, 2, 2] and _units_of(parts, [2, 2, 2], 26) == [4, 4, 4]
    single = kr.Recipe("single", "full_pre_act", "identity")(gated.get_layer("unit001").slot)
    with pytest.raises(ValueError, match=r"equally many weight layers; those of .* have \[1, 2\]"):
        deepen(insert(gated, single, before="unit002"), depth=20)


def test_a_recipe_makes_the_new_units_where_no_unit_is_a_pattern():
    model = kr.PreActResNet([1, 1, 1], **SMALL)
    randomize(model)
    with pytest.raises(ValueError, match="requires a pattern"):
        deepen(model, units_per_stage=[1, 1, 2])
    deeper = deepen(model, units_per_stage=[1, 1, 2], recipe=kr.Recipe(kr.basic, kr.FullPreAct(), kr.identity))
    np.testing.assert_array_equal(deeper(IMAGES), model(IMAGES))
    assert origins(deeper) == ["unit000", "unit001", "unit002", None]


@pytest.mark.parametrize("shortcut", ["A", "B", "C", "constant_scaling", "conv_1x1"])
def test_units_of_one_layer_become_plain_ones(shortcut):
    model = kr.ResNet([1, 1, 1], block="single", shortcut=shortcut, **SMALL)
    randomize(model)
    plain = to_plain(model)
    assert {row.M for row in kr.describe(plain) if row.M} == {"branch_only"}
    expected = np.asarray(model(IMAGES))
    assert np.abs(np.asarray(plain(IMAGES)) - expected).max() <= 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: kr.ResNet([1, 1, 1], block="single", merge="highway", **SMALL), "Received: Highway and "),
        (lambda: kr.ResNet([1, 1, 1], **SMALL), r"Received: Add and Conv2D \w+ Conv2D"),
        (
            lambda: kr.ResNet([1, 1, 1], block="single", order="relu_before_add", **SMALL),
            r"Received: Add and Conv2D \w+",
        ),
    ],
)
def test_units_of_another_merge_or_of_more_layers_are_not_made_plain(make, text):
    with pytest.raises(ValueError, match=text):
        to_plain(make())


def test_a_shortcut_that_averages_pixels_is_not_made_plain():
    with pytest.raises(ValueError, match="its shortcut is not linear in each pixel"):
        to_plain(kr.ResNet([1, 1, 1], block="single", shortcut="avg_pool_pad", **SMALL))


def test_another_order_carries_kernels_and_lists_the_rest():
    model = kr.ResNet([1, 1, 1], **SMALL)
    swapped = kr.surgery.set_order(model, "full_pre_act")
    values = {weight.path: weight.numpy() for weight in model.weights}
    for weight in swapped.model.weights:
        if weight.path not in swapped.new:
            np.testing.assert_array_equal(weight.numpy(), values[weight.path])
    kernels = {path for path in values if path.endswith("kernel")}
    assert not kernels & set(swapped.not_carried)
    assert {path.split("/")[-2].rstrip("12") for path in swapped.not_carried} == {"norm"}
    assert all(path.startswith(("unit", "post")) for path in swapped.new)


def test_another_order_leaves_the_tail():
    model = kr.PreActResNet([1, 1, 1], tail="residual_gate", **SMALL)
    swapped = kr.surgery.set_order(model, "post_act").model
    for name in ("unit000", "unit001", "unit002"):
        before, after = (type(net.get_layer(name).branch.layers[-1]) for net in (model, swapped))
        assert before is after
    assert kr.gates(swapped) == kr.gates(model)


def test_another_shortcut_leaves_the_branches():
    model = kr.ResNet([1, 1, 1], shortcut="C", **SMALL)
    swapped = kr.surgery.swap_shortcut(model, "zero_pad", order="post_act")
    assert swapped.new == () and len(swapped.not_carried) == 15
    assert all("/shortcut/" in path for path in swapped.not_carried)


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_surgery_on_other_backends_leaves_the_old_network_usable(backend):
    pytest.importorskip(backend)
    program = """
import keras, numpy as np, keras_resunits as kr
from keras_resunits import surgery
images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
model = kr.GatedResNet([2, 1, 1], input_shape=(8, 8, 3), classes=5)
expected = model.predict(images, verbose=0)
scale = abs(expected).max()
for made in (surgery.deepen(model, units_per_stage=[3, 1, 1]), surgery.fold(model), surgery.from_gated(model)):
    assert abs(made.predict(images, verbose=0) - expected).max() <= 1e-6 * scale
pruned = surgery.prune(model, "ratio", keep=3, images=images, labels=np.arange(4))
assert len(pruned.dropped) == 1 and pruned.after.accuracy is not None
np.testing.assert_array_equal(model.predict(images, verbose=0), expected)
"""
    under(backend, "-c", program)


OPERATIONS = {
    "drop": (lambda model: drop(model, "unit001", "unit003", "unit005"), {4: 3}),  # three units are left
    "deepen": (lambda model: deepen(model, units_per_stage=[3, 2, 2]), {}),
    "prune": (lambda model: prune(model, "random", keep=5).model, {}),
    "to_gated": (kr.surgery.to_gated, {}),
    "new_head": (lambda model: kr.new_head(model, classes=3), {}),
    "fold": (fold, {"norms": None}),  # no norm is left
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("remat", [4, "unit", "norms"])
def test_operations_keep_remat(name, remat):
    operation, changed = OPERATIONS[name]
    model = kr.ResNet([2, 2, 2], remat=remat, **SMALL)
    found = operation(model)
    assert getattr(found, "remat", None) == changed.get(remat, remat)
    assert model.remat == remat
    plain = operation(kr.ResNet([2, 2, 2], **SMALL))
    assert not hasattr(plain, "remat")
    plain.set_weights(found.get_weights())
    np.testing.assert_array_equal(found(IMAGES, training=True), plain(IMAGES, training=True))

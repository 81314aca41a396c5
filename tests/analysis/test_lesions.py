"""Units deleted, removed and exchanged, against models that are built so; importance and the lens."""

from importlib import import_module
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from tests.analysis.nets import net

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.normal(size=(30, 8, 8, 3)).astype("float32"), RNG.integers(0, 5, 30)


@pytest.fixture(scope="module")
def residual():
    return net(4, 2)


def loss(logits):
    return keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True).numpy().mean()


def chained(model, units):
    """The logits with the units of the given numbers only."""
    x = model.get_layer("stem")(IMAGES)
    for i in units:
        x = model.get_layer(f"unit{i:03d}")(x, training=False)
    return model.get_layer("classifier")(model.get_layer("pool")(model.get_layer("post")(x, training=False)))


def test_a_lesion_is_the_network_without_the_unit(residual):
    found = kr.analysis.lesions(residual, IMAGES, LABELS)
    assert found.whole == pytest.approx((residual(IMAGES).numpy().argmax(1) != LABELS).mean())
    without = chained(residual, [0, 2, 3, 4, 5])
    assert found.rows[1]["loss"] == pytest.approx(loss(without), rel=1e-5)
    assert found.rows[1]["error"] == pytest.approx((without.numpy().argmax(1) != LABELS).mean())
    unit = residual.get_layer("unit004")
    x = IMAGES
    for name in ("stem", *(f"unit{i:03d}" for i in range(4))):
        x = residual.get_layer(name)(x, training=False)
    x = unit.shortcut(unit.entry(x, training=False))
    for name in ("unit005", "post", "pool", "classifier"):
        x = residual.get_layer(name)(x)
    assert found.rows[4]["loss"] == pytest.approx(loss(x), rel=1e-5)


def test_an_answer_that_is_nan_is_an_error():
    broken = net(2, 2)
    broken.get_layer("unit001").weights[0].assign(np.nan * broken.get_layer("unit001").weights[0])
    found = kr.analysis.lesions(broken, IMAGES, LABELS)
    assert found.whole == found.rows[0]["error"] == 1 and found.rows[0]["loss"] is None
    assert found.rows[1]["error"] < 1


def test_a_plain_unit_that_changes_the_shape_cannot_be_deleted():
    found = kr.analysis.lesions(
        net(1, 1, merge=kr.branch_only, shortcut=kr.identity), IMAGES, LABELS, units=["unit001", "unit000"]
    )
    assert found.rows[0] == {"unit": "unit001", "error": None, "loss": None}
    assert found.rows[1]["error"] is not None


def test_an_unknown_unit_is_refused_with_near_matches(residual):
    for units, message in [
        (["unit01"], r"unit000 to unit005.*Received: unit='unit01'.*Did you mean 'unit001'"),
        ("unit01", r"Received: unit='unit01'.*Did you mean 'unit001'"),
        ([], r"`units` must hold at least one name. Received: none \(lesions\)"),
        (3, "`units` must be a sequence. Received: units=3"),
        ([None], r"`units\[0\]` must be a string"),
    ]:
        with pytest.raises(ValueError, match=message):
            kr.analysis.lesions(residual, IMAGES, LABELS, units=units)
    assert [row["unit"] for row in kr.analysis.lesions(residual, IMAGES, LABELS, units="unit003").rows] == ["unit003"]


def test_removal_goes_by_the_ranking_and_keeps_units_that_change_the_shape(residual):
    found = kr.analysis.removal(residual, IMAGES, LABELS)
    scores = kr.analysis.importance(residual, IMAGES, LABELS).scores
    assert list(found.orders) == ["lesion", "ratio", "taylor", "random"]
    for by, order in found.orders.items():
        assert sorted(order) == ["unit000", "unit001", "unit002", "unit003", "unit005"]
        assert [scores[by][unit] for unit in order] == sorted(scores[by][unit] for unit in order)
    order = [int(name[-3:]) for name in found.orders["ratio"]]
    left = chained(residual, sorted({*range(6)} - {*order[:2]}))
    assert found.rows[2]["ratio"] == pytest.approx((left.numpy().argmax(1) != LABELS).mean())


def test_reordering_runs_the_units_in_the_order_it_says(residual):
    found = kr.analysis.reorder(residual, IMAGES, LABELS, runs=6)
    assert found.rows[0]["tau"] == 1 and len(found.rows) == 7
    assert min(found.arrays["tau"]) < 0.5 and max(found.arrays["tau"][1:]) < 1
    order = [int(name[-3:]) for name in found.orders[-1]]
    assert order[4:] == [4, 5]  # stages of one unit
    other = chained(residual, order)
    assert found.rows[-1]["error"] == pytest.approx((other.numpy().argmax(1) != LABELS).mean())
    with pytest.raises(ValueError, match="requires a stage with two units that keep the shape"):
        kr.analysis.reorder(net(1, 1), IMAGES, LABELS)


def test_importance_by_each_criterion():
    model = net(2, 1, order=kr.PostAct(), tail=kr.residual_gate)
    model.get_layer("unit001").branch.layers[-1].k.assign(-0.5)  # closed: the branch is 0
    found = kr.analysis.importance(model, IMAGES, LABELS)
    assert {by: scores["unit001"] for by, scores in found.scores.items() if by != "random"} == {
        "lesion": 0.0,
        "ratio": 0.0,
        "taylor": 0.0,
        "gate": 0.0,
    }
    assert found.ranking("gate") == ["unit001", "unit000"]
    assert found.arrays["agreement"].shape == (5, 5) and found.arrays["agreement"][0, 0] == 1
    _, carry, branch = model.get_layer("unit000").edges(model.get_layer("stem")(IMAGES))
    sizes = [np.linalg.norm(np.reshape(each, (30, -1)), axis=1) for each in (branch, carry)]
    assert found.scores["ratio"]["unit000"] == pytest.approx((sizes[0] / sizes[1]).mean(), rel=1e-5)


def test_taylor_is_the_slope_of_the_loss_in_the_size_of_the_branch():
    model = net(2, tail=lambda slot: kr.residual_gate(slot, g="linear"))
    gate = model.get_layer("unit001").branch.layers[-1].k
    found = kr.analysis.importance(model, IMAGES[:1], LABELS[:1], "taylor").scores["taylor"]["unit001"]
    at, step = float(gate.numpy()), 1e-3
    losses = []
    for value in (at * (1 + step), at * (1 - step)):
        gate.assign(value)
        losses.append(float(keras.losses.sparse_categorical_crossentropy(LABELS[:1], model(IMAGES[:1]), True)[0]))
    assert found == pytest.approx(abs(losses[0] - losses[1]) / (2 * step), rel=0.02)


def test_criteria_that_do_not_fit_are_refused(residual):
    for by, message in [
        ("gates", "'gates'.*Did you mean 'gate'"),
        ("gate", "requires units with scalar gates"),
        ([], "`criteria` must hold at least one name. Received: none"),
        (3, "`criteria` must be a sequence. Received: criteria=3"),
    ]:
        with pytest.raises(ValueError, match=message):
            kr.analysis.importance(residual, IMAGES, LABELS, by)
    plain = net(2, merge=kr.branch_only)
    with pytest.raises(ValueError, match=r"criterion 'ratio' must score every unit.*Others do: lesion."):
        kr.analysis.removal(plain, IMAGES, LABELS, by=["ratio", "lesion"])


def test_the_lens_reads_the_head_behind_each_unit(residual):
    found = kr.analysis.lens(residual, IMAGES, LABELS)
    assert found.rows[-1]["loss"] == pytest.approx(loss(residual(IMAGES)), rel=1e-5)
    assert found.rows[5]["loss"] == pytest.approx(loss(chained(residual, range(5))), rel=1e-5)
    for row, logits in ((found.rows[-1], residual(IMAGES)), (found.rows[5], chained(residual, range(5)))):
        assert row["accuracy"] == pytest.approx((np.asarray(logits).argmax(1) == LABELS).mean())
    assert found.rows[4]["cosine"] is None
    x = IMAGES
    for name in ("stem", *(f"unit{i:03d}" for i in range(5))):
        x = residual.get_layer(name)(x, training=False)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = residual.get_layer("unit005")(x, training=False)
        for name in ("post", "pool", "classifier"):
            logits = residual.get_layer(name)(logits, training=False)
        losses = keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True)
    edges = (residual.get_layer("unit005").edges(x)[2], -tape.gradient(losses, x))
    a, b = (np.reshape(each, (30, -1)).astype("float64") for each in edges)
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert found.rows[5]["cosine"] == pytest.approx(cosines.mean(), rel=1e-3)
    plain = kr.analysis.lens(net(1, 1, merge=kr.branch_only, shortcut=kr.identity), IMAGES, LABELS)
    assert [row["accuracy"] is None for row in plain.rows] == [True, True, False]


@pytest.mark.parametrize("analysis", ["lens", "importance", "lesions", "credits"])
def test_a_set_of_several_batches_is_that_of_one(residual, monkeypatch, analysis):
    given = (IMAGES,) if analysis == "credits" else (IMAGES, LABELS)
    whole = getattr(kr.analysis, analysis)(residual, *given).arrays
    for module, name in (("lens", "TRACED"), ("importance", "TRACED"), ("chains", "AT_ONCE")):
        monkeypatch.setattr(import_module(f"keras_resunits.analysis.{module}"), name, 7)
    for name, values in getattr(kr.analysis, analysis)(residual, *given).arrays.items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-4, atol=1e-5)


def test_chance_follows_the_seed_alone(residual):
    for analysis in ("removal", "reorder"):
        first, again, other = (getattr(kr.analysis, analysis)(residual, IMAGES, LABELS, seed=s) for s in (1, 1, 2))
        assert first.orders == again.orders != other.orders


def test_credits_of_a_plain_network_are_refused(residual):
    with pytest.raises(ValueError, match=r"requires a network with shortcuts. Received: 'plain', whose units drop"):
        kr.analysis.credits(net(1, merge=kr.branch_only, name="plain"), IMAGES)
    with pytest.raises(ValueError, match=r"0 to 4. Received: classes=\(5,\)"):
        kr.analysis.credits(residual, IMAGES, classes=[5])


def test_credits_of_a_unit_are_what_its_branch_adds_to_a_logit():
    """In a network of one unit with linear head, by hand."""
    model = net(1, order=kr.ReluBeforeAdd())
    found = kr.analysis.credits(model, IMAGES[:3], classes=[2])
    assert found.sources == ("stem", "unit000", "constants", "unexplained")
    x = model.get_layer("stem")(IMAGES[:3])
    _, carry, branch = model.get_layer("unit000").edges(x)
    kernel, bias = model.get_layer("classifier").get_weights()
    for source, edge in ((0, carry), (1, branch)):
        by_hand = np.asarray(edge).mean((1, 2)) @ kernel[:, 2]
        np.testing.assert_allclose(found.arrays["credits"][source, :, 0], by_hand, atol=1e-5)
    np.testing.assert_allclose(found.arrays["credits"][2, :, 0], bias[2], atol=1e-5)


def test_sampled_paths_of_the_ends_are_exact_and_the_rest_is_a_mean(residual):
    found = kr.analysis.paths(residual, IMAGES, LABELS, sampled=2)
    for k in (0, 6):
        assert found.rows[k]["sampled"] == pytest.approx(found.rows[k]["norm"], rel=1e-4)
    assert found.effective_length == pytest.approx(sum(k * row["share"] for k, row in enumerate(found.rows)))
    assert found.rows[3]["binomial"] == 20 / 64


def test_every_picture_is_drawn_in_given_axes(residual):
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure

    from keras_resunits.analysis.drawing import COLOURS

    images, labels = IMAGES[:4], LABELS[:4]
    records = [getattr(kr.analysis, name)(residual, images, labels) for name in ("lesions", "removal", "lens", "paths")]
    records += [kr.analysis.reorder(residual, images, labels, runs=1), kr.analysis.credits(residual, images)]
    records += [kr.analysis.importance(residual, images, labels)]
    colours = ("01", "0124", "01", "06", "0", "0", "")  # of bars and lines, by their places in the palette
    for record, wanted in zip(records, colours, strict=True):
        axes = Figure().subplots()
        assert record.plot(axes) is axes and axes.get_title() and axes.get_xlabel()
        assert len(str(record).splitlines()) == len(record.rows) + 1
        drawn = [*(bar.get_facecolor() for bar in axes.patches[:1]), *(line.get_color() for line in axes.lines)]
        drawn += [line.get_color() for other in axes.figure.axes[1:] for line in other.lines]
        assert [to_hex(each) for each in drawn] == [COLOURS[int(place)] for place in wanted]
        assert (axes.get_legend() is not None) == (len(wanted) > 1)


def heights(ax):
    return [bar.get_height() for bar in ax.patches]


def test_pictures_show_the_figures_in_percent(residual):
    from matplotlib.figure import Figure

    def drawn(record):
        return record.plot(Figure().subplots())

    found = kr.analysis.lesions(residual, IMAGES, LABELS)
    ax = drawn(found)
    np.testing.assert_allclose(heights(ax), 100 * found.arrays["error"])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 100 * found.whole)
    found = kr.analysis.lens(residual, IMAGES, LABELS)
    ax = drawn(found)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 100 * found.arrays["accuracy"])
    np.testing.assert_allclose(ax.figure.axes[1].lines[0].get_ydata(), found.arrays["cosine"])
    found = kr.analysis.removal(residual, IMAGES, LABELS, by=["ratio", "random"])
    for line, by in zip(drawn(found).lines, ("ratio", "random"), strict=True):
        assert line.get_label() == by
        np.testing.assert_allclose(line.get_ydata(), 100 * found.arrays[by])
    found = kr.analysis.reorder(residual, IMAGES, LABELS, runs=2)
    np.testing.assert_allclose(drawn(found).lines[0].get_xydata().T, [found.arrays["tau"], 100 * found.arrays["error"]])
    found = kr.analysis.paths(residual, IMAGES[:2], LABELS[:2], sampled=1)
    ax = drawn(found)
    np.testing.assert_allclose(heights(ax), found.arrays["share"])
    for line, name in zip(ax.lines, ("binomial", "sampled_share"), strict=True):
        np.testing.assert_allclose(line.get_ydata(), found.arrays[name])
    found = kr.analysis.credits(residual, IMAGES[:2])
    np.testing.assert_allclose(heights(drawn(found)), np.abs(found.arrays["credits"]).mean((1, 2)))


def test_progress_is_told_every_five_seconds(monkeypatch, capsys):
    from keras_resunits.analysis.progress import progress

    clock = iter([0.0, 5.0, 5.5, 6.0, 6.5, 10.0, 11.5, 12.0])
    own = SimpleNamespace(monotonic=lambda: next(clock))  # the module's alone: other threads read the clock too
    monkeypatch.setattr("keras_resunits.analysis.progress.time", own)
    assert list(progress("abcde", "lens: batch")) == list("abcde")
    assert capsys.readouterr().err == "lens: batch 1 of 5\nlens: batch 4 of 5\n"


def test_credits_and_propagation_tell_their_progress(residual, monkeypatch, capsys):
    monkeypatch.setattr("keras_resunits.analysis.progress.EVERY", -1.0)
    kr.analysis.credits(residual, IMAGES, classes=[0, 1])
    assert capsys.readouterr().err == "credits: batch 0 of 1\ncredits: class 0 of 2\ncredits: class 1 of 2\n"
    kr.analysis.propagation(residual, IMAGES, LABELS)
    assert capsys.readouterr().err == "".join(f"propagation: unit {i} of 6\n" for i in range(6))

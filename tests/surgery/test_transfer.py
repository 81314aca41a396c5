"""Features by stage, new heads, and backbones that stay frozen, including their statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from tests.support.backends import under

IMAGES = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
LEAVES = ("kernel", "bias")


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (lambda: kr.PreActResNet(depth=14), [(32, 32, 16), (16, 16, 32), (8, 8, 64)]),
        (
            lambda: kr.ResNet(depth=[1, 1, 1, 1], input_shape=(64, 64, 3)),
            [(16, 16, 64), (8, 8, 128), (4, 4, 256), (2, 2, 512)],
        ),
        (lambda: kr.DenseNet(depth=[1, 1, 1], growth=4), [(32, 32, 12), (16, 16, 10), (8, 8, 9)]),
        (lambda: kr.ResNet(depth=14, input_shape=(None, None, 3)), [(None, None, c) for c in (16, 32, 64)]),
    ],
)
def test_every_stages_last_output_has_a_name(model, shapes):
    pyramid = kr.features(model())
    assert list(pyramid.output) == [f"stage{i}" for i in range(1, len(shapes) + 1)]
    assert [tensor.shape[1:] for tensor in pyramid.output.values()] == shapes


def test_the_last_stage_is_what_the_classifier_reads():
    model = kr.PreActResNet(depth=8)
    pooled = np.asarray(kr.features(model)(IMAGES)["stage3"]).mean((1, 2))
    np.testing.assert_allclose(model.get_layer("classifier")(pooled), model(IMAGES), rtol=1e-4, atol=1e-5)


def test_features_of_a_model_without_units_are_refused():
    with pytest.raises(ValueError, match=r"`features` requires a network with units\. Received: 'mlp'"):
        kr.features(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="mlp"))


def test_a_new_head_follows_the_old_backbone_and_leaves_the_old_model_unchanged():
    model = kr.PreActResNet(depth=8)
    before = model.get_weights()
    changed = kr.new_head(model, classes=3, classifier_activation="softmax", name="mine")
    assert (changed.name, changed.output.shape) == ("mine", (None, 3))
    new, old = (keras.Model(m.input, m.get_layer("pool").output) for m in (changed, model))
    np.testing.assert_array_equal(new(IMAGES), old(IMAGES))
    np.testing.assert_allclose(np.asarray(changed(IMAGES)).sum(1), 1, rtol=1e-5)
    changed.get_layer("unit000").set_weights([0 * w for w in changed.get_layer("unit000").get_weights()])
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_new_head_requires_a_pooling_layer():
    with pytest.raises(ValueError, match=r"`new_head` requires a network with a pooling layer"):
        kr.new_head(kr.PreActResNet(depth=8, include_top=False), classes=3)


def test_a_frozen_backbone_keeps_its_weights_and_its_statistics():
    model = kr.new_head(kr.PreActResNet(depth=8), classes=10)
    kr.freeze(model)
    model.compile(keras.optimizers.SGD(0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = {w.path: w.numpy() for w in model.weights}
    model.fit(IMAGES, np.arange(4), epochs=2, verbose=0)
    moved = {w.path for w in model.weights if not np.array_equal(w.numpy(), before[w.path])}
    assert moved == {"classifier/kernel", "classifier/bias"}


def test_the_layers_after_the_frozen_part_still_learn():
    model = kr.PreActResNet(depth=8)
    kr.freeze(model, until="unit002")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(IMAGES, training=True) ** 2)
    assert all(g is not None for g in tape.gradient(loss, [v.value for v in model.trainable_variables]))
    assert {w.path.split("/")[0] for w in model.trainable_weights} == {"unit002", "post", "classifier"}


def test_freezing_up_to_a_layer_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"`until` must be a layer of .*'unit999'"):
        kr.freeze(kr.PreActResNet(depth=8), until="unit999")


def test_freezing_again_up_to_an_earlier_layer_unfreezes_the_layers_after_it():
    model = kr.PreActResNet(depth=8)
    kr.freeze(model)
    kr.freeze(model, until="unit002")
    assert {w.path.split("/")[0] for w in model.trainable_weights} == {"unit002", "post", "classifier"}


def test_a_backbone_without_a_classifier_is_frozen_as_a_whole():
    backbone = kr.PreActResNet(depth=8, include_top=False, pooling="avg")
    kr.freeze(backbone)
    assert backbone.trainable_weights == []


def headed(nested):
    """A backbone with a head of the user's own; the backbone is one layer of the model, or all but its last ones."""
    backbone = kr.GatedResNet(depth=8, include_top=False, pooling="avg", name="backbone")
    images = keras.Input((32, 32, 3)) if nested else backbone.input
    hidden = keras.layers.Dense(6, "relu", name="hidden")(backbone(images) if nested else backbone.output)
    return keras.Model(images, keras.layers.Dense(3, name="mine")(hidden), name="whole")


@pytest.mark.parametrize("nested", [False, True])
def test_a_head_of_the_users_own_learns_on_a_frozen_backbone(nested):
    model = headed(nested)
    kr.freeze(model)
    model.compile(keras.optimizers.SGD(0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = {w.path: w.numpy() for w in model.weights}
    model.fit(IMAGES, np.arange(4) % 3, verbose=0)
    moved = {w.path for w in model.weights if not np.array_equal(w.numpy(), before[w.path])}
    assert (
        moved == {w.path for w in model.trainable_weights} == {f"{n}/{k}" for n in ("hidden", "mine") for k in LEAVES}
    )


@pytest.mark.parametrize("nested", [False, True])
def test_the_gates_of_a_backbone_with_a_head_are_read_by_unit(nested):
    assert kr.gates(headed(nested)) == {f"unit00{i}": 1.0 for i in range(3)}


def test_the_gates_of_two_backbones_are_distinguished():
    images = keras.Input((32, 32, 3))
    backbones = [kr.GatedResNet(depth=8, name=name) for name in ("one", "two")]
    model = keras.Model(images, keras.layers.Add()([backbone(images) for backbone in backbones]))
    assert list(kr.gates(model)) == ["unit000", "unit001", "unit002", "two/unit000", "two/unit001", "two/unit002"]


def test_features_of_a_nested_backbone_are_refused_with_a_hint():
    text = r"with units\. Received: 'whole', .*'backbone' has units: use `features\(model.get_layer\('backbone'\)\)`"
    with pytest.raises(ValueError, match=text):
        kr.features(headed(nested=True))
    assert list(kr.features(headed(nested=True).get_layer("backbone")).output) == ["stage1", "stage2", "stage3"]


def test_a_model_without_units_is_not_frozen_by_default():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="last")], name="mlp")
    with pytest.raises(ValueError, match=r"`freeze` requires a network with units\. Received: 'mlp'"):
        kr.freeze(model)
    kr.freeze(model, until="last")
    assert len(model.trainable_weights) == 2


@pytest.mark.peers
def test_gates_are_read_under_torch_without_a_warning():
    pytest.importorskip("torch")
    program = "import keras_resunits as kr; print(kr.gates(kr.GatedResNet(depth=8)))"
    done = under("torch", "-W", "always::UserWarning", "-c", program)
    assert done.stdout == "{'unit000': 1.0, 'unit001': 1.0, 'unit002': 1.0}\n"
    assert "Warning" not in done.stderr


def test_a_backbone_has_the_levels_of_its_pyramid_and_the_weights_of_the_network():
    model = kr.PreActResNet(depth=8, input_shape=(32, 32, 3))
    body = kr.backbone(model)
    assert dict(body.pyramid_level_inputs) == {"P0": "unit000", "P1": "unit001", "P2": "post"}
    for level, name in body.pyramid_level_inputs.items():
        assert body.get_layer(name).output.shape[1] == 32 // 2 ** int(level[1:])
    assert body.output_shape == (None, 8, 8, 64)
    assert [weight.path for weight in body.weights] == [weight.path for weight in model.weights[:-2]]
    assert all(ours is theirs for ours, theirs in zip(body.weights, model.weights, strict=False))


def test_a_backbone_requires_units_and_a_known_size():
    with pytest.raises(ValueError, match="`backbone` requires a network for images of a known size"):
        kr.backbone(kr.PreActResNet(depth=8, input_shape=(None, None, 3)))
    with pytest.raises(ValueError, match="`backbone` requires a network with units"):
        kr.backbone(keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()]))

"""Layers inside units: by their paths, in summaries, and their outputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_resunits as kr
from tests import catalog


def arrays(*tensors):
    return [keras.ops.convert_to_numpy(tensor) for tensor in tensors]


def test_a_layer_is_found_at_any_depth():
    model = catalog.NETWORKS["exclusive_gating"].model()
    unit = model.get_layer("unit001")
    assert kr.layer(model, "unit001") is unit
    assert kr.layer(model, "unit001/branch/conv1") is unit.branch.layers[0]
    assert kr.layer(model, "unit001/merge/gate/conv") is unit.merge.gate.layers[0]
    outer = keras.Sequential([keras.Input(catalog.IMAGES), keras.Model(model.input, model.output, name="backbone")])
    assert kr.layer(outer, "backbone/unit001/branch/conv1") is unit.branch.layers[0]


def test_every_weight_begins_with_the_path_of_its_layer():
    model = catalog.NETWORKS["ResNet"].make()
    assert all(
        any(each is weight for each in kr.layer(model, weight.path.rpartition("/")[0]).weights)
        for weight in model.weights
    )


def test_an_unknown_path_is_refused_with_similar_ones():
    model = catalog.NETWORKS["ResNet"].model()
    with pytest.raises(ValueError, match=r"`path`: .* has no layer 'unit001/branch/conv9'\. Did you mean 'unit001/br"):
        kr.layer(model, "unit001/branch/conv9")


def test_a_path_of_two_layers_is_refused():
    pair = kr.Series([keras.layers.ReLU(name="a"), keras.layers.ReLU(name="a")], name="pair")
    images = keras.Input((4,))
    with pytest.raises(ValueError, match=r"2 layers of .* have the path 'pair/a'"):
        kr.layer(keras.Model(images, pair(images)), "pair/a")


@pytest.mark.parametrize("name", ["FractalNet", "GatedResNet", "HighwayNet", "PreActResNet-softmax", "squeeze_excite"])
def test_the_output_of_an_inner_layer_is_that_of_its_place(name):
    case = catalog.NETWORKS[name]
    model, images = case.model(), case.arrays()[0]
    unit = model.get_layer("unit001")
    found = kr.activations(model, "unit001/branch", model.layers[-1].name)
    before = keras.Model(model.input, unit.input)(images)
    branch, whole = arrays(*(found(images)[path] for path in ("unit001/branch", model.layers[-1].name)))
    np.testing.assert_allclose(branch, arrays(unit.edges(before)[2])[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(whole, arrays(model(images))[0], rtol=1e-5, atol=1e-6)


def test_an_inner_layer_is_a_part_of_the_output():
    model = catalog.NETWORKS["ResNet"].model()
    found = kr.activations(model, "unit002/branch/conv2", "classifier")
    with tf.GradientTape() as tape:
        outputs = found(catalog.NETWORKS["ResNet"].arrays()[0])
        logit = outputs["classifier"][:, 0]
    gradient = tape.gradient(logit, outputs["unit002/branch/conv2"])
    assert gradient is not None
    assert float(tf.reduce_max(tf.abs(gradient))) > 0


def test_a_layer_that_is_called_twice_is_refused():
    with pytest.raises(ValueError, match=r"called once. Received: 'unit001/merge/gate', which is called 2 times"):
        kr.activations(catalog.NETWORKS["GatedPlainNet"].model(), "unit001/merge/gate")
    with pytest.raises(ValueError, match="`paths` must hold at least one path"):
        kr.activations(catalog.NETWORKS["ResNet"].model())


def test_a_recorded_layer_is_left_as_it_was():
    model = catalog.NETWORKS["ResNet"].model()
    kr.activations(model, "unit001/branch/conv1")
    assert "call" not in vars(kr.layer(model, "unit001/branch/conv1"))


def test_a_summary_opens_units(capsys):
    lines = []
    catalog.NETWORKS["HighwayNet"].model().summary(expand_nested=True, print_fn=lines.append, line_length=120)
    text = "\n".join(map(str, lines))
    assert all(f"└ {name} (" in text for name in ("branch", "conv1", "merge", "gate", "sigmoid", "exit"))


@pytest.mark.parametrize("name", ["HighwayNet", "FractalNet", "squeeze_excite", "shortcut_gating"])
def test_the_names_in_weight_files_are_those_of_the_slots(name, tmp_path):
    import h5py

    model = catalog.NETWORKS[name].make()
    model.save_weights(tmp_path / "all.weights.h5")
    with h5py.File(tmp_path / "all.weights.h5") as file:
        parts = set(file["layers/unit"])
    assert parts <= {"entry", "shortcut", "branch", "merge", "exit", "vars"}


def test_a_traced_graph_has_the_names_of_the_layers_inside_units():
    model = catalog.NETWORKS["ResNet"].model()
    graph = tf.function(model).get_concrete_function(tf.TensorSpec((1, *catalog.IMAGES))).graph
    names = [operation.name.replace("_1/", "/") for operation in graph.get_operations()]
    assert any("unit001/branch/conv1" in name for name in names)

"""Law: `compute_output_shape` is right, for odd sizes and for unknown sizes."""

import keras
import numpy as np

from tests.catalog import CLASSES, LAYERS, NETWORKS, PAIRS, STEMS, UNITS, over

SIZES = [(7, 7), (28, 28), (5, 9)]


@over(LAYERS, STEMS, UNITS)
def test_the_computed_shape_is_the_actual_shape(case):
    layer, channels = case.layer(), case.shape[-1]
    for size in SIZES:
        shape = (2, *size, channels)
        computed = layer.compute_output_shape(*[shape] * case.inputs)
        assert computed == tuple(layer(*[np.ones(shape, "float32")] * case.inputs).shape)


@over(LAYERS, STEMS, PAIRS)
def test_an_unknown_size_stays_unknown_and_the_channels_known(case):
    channels = case.shape[-1]
    known = case.layer().compute_output_shape(*[case.shape] * case.inputs)
    inputs = [keras.Input((None, None, channels)) for _ in range(case.inputs)]
    layer = case.make()
    output = layer(*inputs)
    assert output.shape == (None, None, None, known[-1])
    assert layer.compute_output_shape(*[x.shape for x in inputs]) == output.shape


# one family has a weight for each pixel
OF_ANY_SIZE = {name: case for name, case in NETWORKS.items() if name != "FullyConnectedResNet"}


@over(OF_ANY_SIZE)
def test_a_network_of_unknown_image_size_takes_all_sizes(case):
    model = case.make(input_shape=(None, None, 3), include_top=False)
    assert case.make(input_shape=(None, None, 3)).output_shape == (None, CLASSES)
    for size in SIZES:
        shape = (2, *size, 3)
        features = tuple(model(np.ones(shape, "float32")).shape)
        assert model.compute_output_shape(shape) == features
    fixed = case.make(input_shape=(28, 28, 3), include_top=False)
    assert fixed.output_shape[1:] == tuple(model(np.ones((1, 28, 28, 3), "float32")).shape[1:])

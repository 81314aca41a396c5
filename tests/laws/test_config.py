"""Law: config and weights determine a layer completely."""

import json

import numpy as np

from tests.catalog import LAYERS, NETWORKS, PAIRS, STEMS, over


@over(LAYERS, STEMS, PAIRS, NETWORKS)
def test_config_and_weights_make_the_layer_again(case):
    layer, inputs = case.layer(), case.arrays()
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == layer.get_config()
    assert json.loads(json.dumps(config)).keys() == config.keys()
    again(*inputs)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(*inputs, training=False), layer(*inputs, training=False))

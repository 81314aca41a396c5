"""Bodies: the shapes of their convolutions, with the depth and expansion that they state."""

from __future__ import annotations

import pytest

import keras_resunits as kr
from keras_resunits.units import bodies

TABLE = {  # of a slot of 8 to 16 filters: kernel, filters and stride of each layer; the places of biases; expansion
    "single": (kr.single, [(3, 16, 2)], (), 1),
    "basic": (kr.basic, [(3, 16, 2), (3, 16, 1)], (), 1),
    "wide_basic": (kr.wide_basic(), [(3, 16, 2), (3, 16, 1)], (), 1),
    "bottleneck": (kr.bottleneck, [(1, 4, 2), (3, 4, 1), (1, 16, 1)], (), 4),
    "bottleneck_v1_5": (kr.bottleneck_v1_5, [(1, 4, 1), (3, 4, 2), (1, 16, 1)], (), 4),
    "wide_bottleneck": (kr.wide_bottleneck(), [(1, 8, 1), (3, 8, 2), (1, 16, 1)], (), 4),
    "wide_bottleneck, 3": (kr.wide_bottleneck(3), [(1, 12, 1), (3, 12, 2), (1, 16, 1)], (), 4),
    "keras_bottleneck": (bodies.keras_bottleneck, [(1, 4, 2), (3, 4, 1), (1, 16, 1)], (1, 2, 3), 4),
    "keras_bottleneck_v2": (bodies.keras_bottleneck_v2, [(1, 4, 1), (3, 4, 2), (1, 16, 1)], (3,), 4),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_body_has_these_convolutions(name):
    body, shapes, biased, expansion = TABLE[name]
    layers = body(kr.Slot(1, 3, 8, 16, strides=2))
    assert [(each.kernel_size[0], each.filters, each.strides[0]) for each in layers] == shapes
    assert tuple(i for i, each in enumerate(layers, 1) if each.use_bias) == biased
    assert [each.name for each in layers] == [f"conv{i}" for i in range(1, len(layers) + 1)]
    assert (body.depth, body.expansion) == (len(layers), expansion)


@pytest.mark.parametrize(("bottleneck", "shapes"), [(True, [(1, 16), (3, 4)]), (False, [(3, 4)])])
def test_a_body_of_growth_adds_channels(bottleneck, shapes):
    slot = kr.Slot(1, 3, 8, 12)
    for dropout in (0.0, 0.25):
        body = kr.growth(bottleneck, dropout)
        layers = body(slot)
        convs = [each.layers[0] for each in layers] if dropout else layers
        assert [(each.kernel_size[0], each.filters) for each in convs] == shapes
        assert (body.depth, body.expansion) == (len(layers), 1)
        assert [each.layers[1].rate for each in layers if dropout] == [0.25] * (len(layers) if dropout else 0)
    with pytest.raises(ValueError, match="requires filters > in_filters and strides=1"):
        kr.growth()(kr.Slot(1, 3, 8, 8))
    assert [each.filters for each in kr.growth(bottleneck=False)(kr.Slot(1, 3, 8, 9))] == [1]


def test_a_bottleneck_requires_four_filters():
    assert [each.filters for each in kr.bottleneck(kr.Slot(1, 3, 4, 4))] == [1, 1, 4]
    with pytest.raises(ValueError, match=r"at least 4 filters.*Received: filters=3"):
        kr.bottleneck(kr.Slot(1, 3, 3, 3))

"""The table of a network against the network itself."""

import keras
import pytest

import keras_resunits as kr
from keras_resunits.analysis.counting import multiply_adds, operations
from tests.catalog import KERAS_LAYOUTS, NETWORKS, over

SINCE_3_9 = pytest.mark.skipif(
    not hasattr(keras.layers, "RMSNormalization"), reason="Keras has RMSNormalization since 3.9"
)


@over(NETWORKS, KERAS_LAYOUTS)
def test_every_network_is_described_and_its_parameters_add_up(case):
    model = case.make()
    table = kr.describe(model)
    assert [row.unit for row in table] == [layer.name for layer in model.layers[1:]]
    assert table.parameters == model.count_params()
    assert table.multiply_adds > 0
    lines = str(table).splitlines()
    assert len(lines) == len(table) + 3 and lines[-2].startswith("total")


def test_multiply_adds_are_those_counted_by_hand():
    table = {row.unit: row for row in kr.describe(kr.ResNet(depth=8, shortcut="projection"))}
    assert table["stem"].multiply_adds == 32 * 32 * 27 * 16
    assert table["unit001"].multiply_adds == 16 * 16 * (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32)
    assert table["classifier"].multiply_adds == 640


def test_without_an_image_size_there_are_no_multiply_adds_but_parameters():
    table = kr.describe(kr.ResNet(depth=8, input_shape=(None, None, 3)))
    assert (table.multiply_adds, table.parameters) == (None, kr.ResNet(depth=8).count_params())
    assert (table.operations, table.half_operations) == (None, None)
    *_, total, half = str(table).splitlines()
    assert total.split() == ["total", f"{table.parameters:,}", "?"] and half.endswith("pooling: ?")


@pytest.mark.parametrize(
    ("name", "half"),
    [
        ("pytorchcv_preresnet164", "255.08"),
        ("preactresnet164_cifar", "251.84"),
        pytest.param("resnet50", "3,877.95", marks=pytest.mark.slow),
        pytest.param("resnet50_v1_5", "4,110.48", marks=pytest.mark.slow),
    ],
)
def test_the_published_operations_are_the_last_line(name, half):
    table = kr.describe(kr.create(name))
    assert table.half_operations == table.operations / 2
    assert str(table).splitlines()[-1] == f"FLOPs/2 as pytorchcv counts, with norm, activation and pooling: {half}M"


@pytest.mark.parametrize(
    ("make", "each"),
    [
        pytest.param(lambda: keras.layers.GroupNormalization(2), 4, id="group_normalization"),
        pytest.param(keras.layers.LayerNormalization, 4, id="layer_normalization"),
        pytest.param(lambda: keras.layers.RMSNormalization(), 4, id="rms_normalization", marks=SINCE_3_9),
        pytest.param(kr.BatchNormalization, 4, id="batch_normalization"),
        pytest.param(kr.CReLU, 2, id="crelu"),
        pytest.param(keras.layers.ReLU, 1, id="relu"),
        pytest.param(lambda: keras.layers.Conv2D(4, 1), 2 * 4, id="convolution"),
        pytest.param(lambda: keras.layers.Dense(4), 2 * 4, id="dense"),
        pytest.param(lambda: keras.layers.Dense(4, "sigmoid", use_bias=False), 2 * 4 + 4, id="dense_sigmoid"),
    ],
)
def test_every_layer_costs_so_many_operations_a_value(make, each):
    layer = make()
    layer.build((1, 8, 8, 4))
    assert operations(layer, (1, 8, 8, 4)) == each * 8 * 8 * 4


@pytest.mark.parametrize("count", [multiply_adds, operations])
@pytest.mark.parametrize("make", [lambda: keras.layers.DepthwiseConv2D(3), lambda: keras.layers.SeparableConv2D(4, 3)])
def test_a_layer_whose_cost_is_not_known_is_named(count, make):
    strange = make()
    strange.build((1, 8, 8, 3))
    with pytest.raises(
        ValueError, match=rf"the cost of layer '{strange.name}', a {type(strange).__name__}, is not known"
    ):
        count(strange, (1, 8, 8, 3))


@pytest.mark.parametrize(
    ("options", "row"),
    [
        ({"shortcut": "shortcut_gating"}, ("id", "id *(1 - conv1 sigmoid)", "add")),
        ({"shortcut": "constant_scaling"}, ("id", "id *0.5", "add")),
        ({"shortcut": "dropout"}, ("id", "id dropout", "add")),
        ({"shortcut": "conv_1x1"}, ("id", "conv1", "add")),
        ({"merge": "exclusive_gating"}, ("id", "id", "highway(conv1 sigmoid)")),
        ({"merge": "branch_only"}, ("id", "id", "branch_only")),
    ],
    ids=str,
)
def test_the_slots_are_named_in_short(options, row):
    described = kr.describe(kr.ResNet(depth=8, **options))[1]
    assert (described.e, described.h, described.M) == row


def test_a_tail_shows_at_the_end_of_the_branch():
    assert kr.describe(kr.GatedResNet(depth=8))[1].F.endswith("conv3 *relu(k)")
    assert kr.describe(kr.StochasticDepthResNet(depth=8))[1].F.endswith("norm alive 0.83")
    assert kr.describe(kr.FractalNet(2, filters=(8,), dropout=(0,)))[0].F == "fractal2(conv3 norm act)"

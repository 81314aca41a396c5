"""Initialisation, bias and padding of the authors' Torch code."""

import keras
import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.layers.convolutions import conv


@pytest.mark.parametrize(("filters", "kernel_size", "strides"), [(64, 3, 1), (64, 3, 2), (256, 1, 1), (32, 7, 2)])
def test_a_kernel_starts_normal_over_its_fan_out_and_untruncated(filters, kernel_size, strides):
    layer = conv(filters, kernel_size, strides)
    layer.build((None, 8, 8, 64))
    (kernel,) = layer.get_weights()
    wanted = np.sqrt(2 / (kernel_size**2 * filters))
    assert kernel.std() == pytest.approx(wanted, rel=0.03)
    assert abs(kernel.mean()) < 0.05 * wanted
    assert np.mean(np.abs(kernel) > 2.2 * wanted) == pytest.approx(0.0278, rel=0.3)  # truncation stops at 2 / 0.88


def test_no_convolution_of_a_network_has_a_bias():
    names = [w.path for w in kr.PreActResNet([1, 1, 1], (8, 8, 3), block="bottleneck").weights]
    assert [name for name in names if name.endswith("bias")] == ["classifier/bias"]


def test_the_classifier_starts_as_torchs_linear_with_a_bias_of_zero():
    kernel, bias = kr.PreActResNet([1, 1, 1], (8, 8, 3), classes=100).get_layer("classifier").get_weights()
    bound = 1 / np.sqrt(64)
    assert 0.98 * bound < np.abs(kernel).max() <= bound
    assert kernel.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)
    assert not bias.any()


@pytest.mark.peers
@pytest.mark.parametrize("size", [(8, 8), (7, 7), (5, 9)], ids=str)
@pytest.mark.parametrize(("kernel_size", "strides"), [(3, 2), (3, 1), (7, 2), (1, 2), (5, 3)])
def test_a_padded_convolution_equals_torchs(size, kernel_size, strides):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    layer = kr.PaddedConv2D(4, kernel_size, strides=strides, bias_initializer="normal")
    y = layer(x)
    kernel, bias = layer.get_weights()
    padding = kernel_size // 2
    twin = torch.nn.Conv2d(3, 4, kernel_size, stride=strides, padding=padding)
    twin.weight.data, twin.bias.data = torch.tensor(kernel.transpose(3, 2, 0, 1).copy()), torch.tensor(bias)
    wanted = twin(torch.tensor(x.transpose(0, 3, 1, 2).copy())).detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel_size", "strides"), [(1, 1), (3, 1), (3, 2), (1, 2), (7, 2)])
def test_the_packages_convolution_pads_all_sides_equally(kernel_size, strides):
    layer = conv(4, kernel_size, strides)
    x = np.random.default_rng(0).normal(size=(1, 9, 9, 3)).astype("float32")  # odd: symmetric centres stay on the grid
    y, turned = np.asarray(layer(x)), None
    layer.set_weights([layer.get_weights()[0][::-1, ::-1]])
    turned = np.asarray(layer(x[:, ::-1, ::-1]))
    np.testing.assert_allclose(turned[:, ::-1, ::-1], y, rtol=1e-4, atol=1e-5)


def test_on_an_even_image_keras_same_padding_is_another_convolution():
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype("float32")
    ours = conv(4, 3, 2)
    same = keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)
    y = ours(x)
    same.build(x.shape)
    same.set_weights(ours.get_weights())
    assert same(x).shape == y.shape
    assert not np.allclose(same(x), y, atol=0.1)


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match=r"`kernel_size` must be odd\. Received: kernel_size=4"):
        kr.PaddedConv2D(8, 4, strides=2)

"""The libraries' own networks, where the libraries are installed: `pip install torchvision timm pytorchcv`.

CI runs without them; `torch_networks.py` contains the same layouts.
"""

import numpy as np
import pytest

import keras_resunits as kr
from keras_resunits.converters import load_torch_weights

torch = pytest.importorskip("torch")

from tests.support.torch_networks import logits, randomized  # noqa: E402

CASES = [
    *[("torchvision", name, f"torchvision_{name}") for name in ("resnet18", "resnet34", "resnet50", "resnet101")],
    *[("torchvision", name, f"torchvision_{name}") for name in ("wide_resnet50_2", "densenet121", "densenet169")],
    *[("timm", name, f"torchvision_{name}") for name in ("resnet18", "resnet50", "densenet121")],
    *[("timm", name, f"timm_{name}") for name in ("resnetv2_18", "resnetv2_50", "resnetv2_101")],
    *[("timm", name, f"timm_{name}") for name in ("seresnet18", "seresnet34", "seresnet50")],
    *[("pytorchcv", f"{name}_cifar10", f"pytorchcv_{name}") for name in ("seresnet20", "seresnet56")],
    ("pytorchcv", "seresnet164bn_cifar10", "pytorchcv_seresnet164"),
    *[("pytorchcv", f"{name}_cifar10", f"pytorchcv_{name}") for name in ("preresnet20", "preresnet110", "wrn16_10")],
    *[("pytorchcv", f"{name}_cifar10", f"pytorchcv_{name}") for name in ("resnet20", "resnet110")],
    *[("pytorchcv", f"{name}164bn_cifar10", f"pytorchcv_{name}164") for name in ("resnet", "preresnet")],
    *[("pytorchcv", name, f"pytorchcv_{name}") for name in ("preresnet18", "preresnet50", "preresnet50b")],
    *[("pytorchcv", f"densenet{name}_cifar10", f"pytorchcv_densenet{name}") for name in ("40_k12", "100_k12_bc")],
]

pytestmark = pytest.mark.peers


def theirs(library: str, name: str):
    """The library's own network, untrained."""
    module = pytest.importorskip(library, exc_type=ImportError)
    if library == "torchvision":
        return getattr(module.models, name)(weights=None)
    if library == "timm":
        return module.create_model(name)
    return pytest.importorskip("pytorchcv.model_provider").get_model(name)


@pytest.mark.slow
@pytest.mark.parametrize(("library", "name", "ours"), CASES)
def test_the_librarys_own_network_returns_the_same_logits(library, name, ours):
    network = randomized(theirs(library, name)).eval()
    shape = (32, 32, 3) if name.endswith("cifar10") else (224, 224, 3) if library == "pytorchcv" else (96, 96, 3)
    images = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    wanted = logits(network, images)
    model = kr.create(ours, input_shape=shape)
    load_torch_weights(model, network.state_dict())
    np.testing.assert_allclose(model(images, training=False), wanted, atol=1e-5 * np.abs(wanted).max())

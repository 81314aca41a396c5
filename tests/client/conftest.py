"""Servers for tests of the client: an export of this package, and a small model that takes the bytes of pictures."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
import pytest
from PIL import Image

import keras_resunits as kr
from keras_resunits_client import Client
from tests.catalog import IMAGES, NETWORKS
from tests.support import bytes_model
from tests.support.model_server import ModelServer

NAMES = ["aeroplane", "bird", "cat", "dog", "naïve café"]


def exported(folder, seed: int):
    """Export a network as the next version of a folder."""
    keras.utils.set_random_seed(seed)
    model = NETWORKS["PreActResNet"].make()
    return kr.export_saved_model(model, folder, NAMES, keras.layers.Rescaling(1 / 255), top_k=3)


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    """The folder of an export with version 1."""
    return exported(tmp_path_factory.mktemp("digits"), 1).parent


@pytest.fixture(scope="session")
def server(export):
    """A test server of the export."""
    with ModelServer(export, labels={"stable": 1}) as server:
        yield server


@pytest.fixture(scope="session")
def bytes_server(tmp_path_factory):
    """A test server of the model that takes bytes."""
    with ModelServer(bytes_model.write(tmp_path_factory.mktemp("colours")).parent, "colours") as server:
        yield server


class Way(NamedTuple):
    """A protocol, and what carries it."""

    protocol: str
    kind: str

    def client(self, server: ModelServer, model: str, **options) -> Client:
        """A client; a signature is a model of its own in KServe v2."""
        if self.protocol == "kserve" and (signature := options.pop("signature", None)):
            model = f"{model}_{signature}"
        return Client(getattr(server, self.kind), model, protocol=self.protocol, **options)


WAYS = [Way(protocol, kind) for protocol in ("tensorflow", "kserve") for kind in ("rest", "grpc")]


@pytest.fixture(params=WAYS, ids="-".join)
def way(request):
    """How the server is asked."""
    return request.param


@pytest.fixture(params=WAYS[:2], ids="-".join)
def tensorflow_way(request):
    """How TensorFlow Serving is asked."""
    return request.param


def picture(path, colour=(200, 10, 20), size=(4, 4)):
    """Write a picture of one colour."""
    Image.new("RGB", size, colour).save(path)
    return path


def images(n: int, seed: int = 3, shape: tuple[int, ...] = IMAGES) -> np.ndarray:
    """Random pixels, by default of the export's size."""
    return np.random.default_rng(seed).integers(0, 256, (n, *shape)).astype("uint8")

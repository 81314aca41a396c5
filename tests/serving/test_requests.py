"""Malformed requests through TensorFlow's C++ loader: each is one clear error, and the server lives on."""

import numpy as np
import pytest

from tests.serving.conftest import NAMES, SHAPE
from tests.support import cpp_loader, pictures
from tests.support.serving import pixels, request

pytestmark = pytest.mark.slow

IMAGES = pixels((2, *SHAPE))
FILES = np.array([pictures.written("PNG")] * 2, object)


def of_type(dtype):
    """Malformed inputs by name, for a signature that takes images of this type."""
    images = IMAGES.astype(dtype)
    shapes = {f"rank {rank}": np.resize(images, (8,) * rank) for rank in range(4)}
    return {
        **shapes,
        "rank 5": images[np.newaxis],
        "no batch": images[0],
        "another height": images[:, :7],
        "another width": images[:, :, :7],
        "a channel less": images[..., :1],
        "channels first": images.transpose(0, 3, 1, 2),
        "another type": IMAGES.astype("float64"),
        "text": FILES,
    }


OF_TEXT = {"rank 0": np.array(FILES[0], object), "rank 2": FILES[np.newaxis], "another type": IMAGES}
SIGNATURES = {
    "serving_default": of_type("uint8"),
    "serve_tensors": of_type("float32"),
    "features": of_type("uint8"),
    "serve_bytes": OF_TEXT,
    "classify": OF_TEXT,
}
CASES = [(signature, case) for signature, cases in SIGNATURES.items() for case in cases]


@pytest.fixture(scope="module")
def replies(exported, tmp_path_factory):
    """What became of each malformed request, and of a good one behind all of them, by signature and case."""
    good = {name: FILES if cases is OF_TEXT else next(iter(cases.values())) for name, cases in SIGNATURES.items()}
    good |= {"serving_default": IMAGES, "features": IMAGES, "serve_tensors": IMAGES.astype("float32")}
    good["classify"] = np.array([b""], object)
    asked = {case: SIGNATURES[case[0]][case[1]] for case in CASES}
    asked |= {(name, "good"): each for name, each in good.items()}
    asked |= {(name, "empty"): each[:0] for name, each in good.items()}
    requests = [request(exported, name, array) for (name, _), array in asked.items()]
    return dict(zip(asked, cpp_loader.ask(exported, requests, tmp_path_factory.mktemp("requests")), strict=True))


@pytest.mark.parametrize(("signature", "case"), CASES)
def test_a_malformed_request_is_an_error(signature, case, replies):
    reply = replies[signature, case]
    told = "is provided" if case in ("another type", "text") else "not compatible with expected shape"
    assert told in reply.error and not reply.outputs


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_server_lives_on_after_malformed_requests(signature, replies):
    assert not replies[signature, "good"].error and replies[signature, "good"].outputs


@pytest.mark.parametrize("signature", SIGNATURES)
def test_an_empty_batch_gets_an_empty_answer(signature, replies):
    reply = replies[signature, "empty"]
    columns = {"probabilities": (len(NAMES),), "classes": (len(NAMES),), "scores": (len(NAMES),), "features": (64,)}
    assert not reply.error
    assert {name: array.shape for name, array in reply.outputs.items()} == {
        name: (0, *columns.get(name, ())) for name in reply.outputs
    }

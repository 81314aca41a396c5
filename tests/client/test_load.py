"""Load on the test server: every answer right among corrupt requests, and versions swapped without a failed request."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from keras_resunits_client import Client
from tests.catalog import IMAGES
from tests.client.conftest import WAYS, exported, images, picture
from tests.support import bytes_model
from tests.support.load import RIGHT, Result, require_right, run, same, summary
from tests.support.model_server import Loaded, ModelServer

SIZES = [pytest.param(160), pytest.param(1000, marks=pytest.mark.slow)]


def cases(shape: tuple[int, ...] = IMAGES) -> list[np.ndarray]:
    """Batches of one to four images."""
    return [images(1 + seed % 4, seed, shape) for seed in range(8)]


def answers(version: Path, batches: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The answers of a version, from a session of its own."""
    loaded = Loaded(version)
    found = [loaded.run("serving_default", {"images": batch}) for batch in batches]
    loaded.close()
    return found


def any_way(server: ModelServer, number: int) -> Client:
    """Client `number`; every fourth asks in the same way."""
    return WAYS[number % len(WAYS)].client(server, server.name)


@pytest.mark.parametrize("requests", SIZES)
def test_every_answer_is_right_among_corrupt_requests(requests, export, server, capsys):
    results = run(lambda number: any_way(server, number), cases(), requests)
    with capsys.disabled():
        print(f"\n{summary(results)}")
    assert len(results) == requests
    require_right(results, answers(export / "1", cases()), rtol=1e-5)


def test_corrupt_pictures_change_no_neighbour_under_load(bytes_server, tmp_path):
    files = [picture(tmp_path / f"{n}.png", (5 * n, 90, 3 * n)).read_bytes() for n in range(8)]
    wrong = [b"", b"text", b"GIF89a" + bytes(99), files[0][1:]]
    batches = [[*files[n:], wrong[n % 4], *files[:n], wrong[-1 - n % 4]] for n in range(8)]
    loaded = Loaded(bytes_server.folder / "1")
    wanted = [loaded.run("serve_bytes", {"image_bytes": np.array(batch, dtype=object)}) for batch in batches]
    loaded.close()
    assert all(sorted(answer["status"]) == [0] * 8 + [2] * 2 for answer in wanted)
    results = run(lambda number: WAYS[number % 2].client(bytes_server, "colours"), batches, 160, kinds=(RIGHT,))
    require_right(results, wanted, rtol=1e-5)


def exports(folder: Path) -> list[Path]:
    """Three versions of a network."""
    return [exported(folder, seed) for seed in (1, 2, 3)]


def small_models(folder: Path) -> list[Path]:
    """Three versions of the model of colours."""
    return [bytes_model.write(folder, version, sharpness=version) for version in (1, 2, 3)]


@pytest.mark.parametrize(
    ("write", "shape", "requests"),
    [
        (small_models, (bytes_model.SIDE, bytes_model.SIDE, 3), 160),
        pytest.param(exports, IMAGES, 1000, marks=pytest.mark.slow),
    ],
    ids=["small", "full"],
)
def test_versions_are_swapped_under_load_without_a_failed_request(write, shape, requests, tmp_path, capsys):
    first, *others = write(tmp_path / "coming")
    wanted = {path.name: answers(path, cases(shape)) for path in (first, *others)}
    served = tmp_path / "served"
    served.mkdir()
    first.rename(served / first.name)
    done, results = threading.Event(), []
    with ModelServer(served) as server:

        def swap() -> None:
            """Publish each next version by renaming it, as the export does, and wait until the old one is gone."""
            for path in others:
                path.rename(served / path.name)
                while server.versions != [int(path.name)]:
                    time.sleep(0.005)
            done.set()

        swapping = threading.Thread(target=swap, daemon=True)
        swapping.start()
        while not done.is_set() or len(results) < requests:
            results += run(lambda number: any_way(server, number), cases(shape), 80, kinds=(RIGHT,))
        swapping.join()
    with capsys.disabled():
        print(f"\n{summary(results)}")
    answered = [(result, versions(result, wanted)) for result in results]
    assert [result.answer for result, found in answered if len(found) != 1] == []
    require_in_order([(result.began, result.ended, int(found[0])) for result, found in answered])


def versions(result: Result, wanted: dict[str, list[dict[str, np.ndarray]]]) -> list[str]:
    """The versions whose answer this is."""
    return [number for number, each in wanted.items() if same(result.answer, each[result.case], rtol=1e-5)]


def require_in_order(requests: list[tuple[float, float, int]]) -> None:
    """The first and the last version have answered; once one has, no request that begins later meets an older one."""
    assert {version for _, _, version in requests} >= {1, 3}
    for began, _, version in requests:
        assert version >= max((each for _, ended, each in requests if ended < began), default=1)

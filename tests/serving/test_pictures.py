"""Image files through TensorFlow's C++ loader: each gets its status, spares its neighbours, and fills no memory."""

import numpy as np
import pytest

from tests.support import cpp_loader, pictures
from tests.support.pictures import OK
from tests.support.serving import answers_tf1, request

pytestmark = pytest.mark.slow

MOST_MEMORY = 100e6


@pytest.fixture(scope="module")
def answers(exported, tmp_path_factory):
    """What became of each kind between two good neighbours, and of the neighbours beside each other, by name."""
    first, last = pictures.written("PNG"), pictures.written("JPEG", height=20, width=30)
    together = [content for content, _ in KINDS.values()]
    batches = {
        "neighbours": [first, first, last],
        "together": together,
        **{name: [first, content, last] for name, (content, _) in KINDS.items()},
    }

    def of_bytes(files):
        return request(exported, "serve_bytes", np.array(files, object))

    asked = [batches["neighbours"], *batches.values()]  # the first warms up
    replies = cpp_loader.ask(exported, map(of_bytes, asked), tmp_path_factory.mktemp("requests"))
    return dict(zip(batches, replies[1:], strict=True))


KINDS = pictures.pictures()
READ_AS_PIL = [
    *("png", "png, grey", "png, palette", "png, 1 bit", "png, animated", "gif", "gif, animated"),
    *("jpeg", "jpeg, progressive", "jpeg, grey", "jpeg, full chroma", "bmp", "bmp, grey", "bmp, 32 bit"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_file_gets_its_status_and_leaves_its_neighbours_alone(kind, answers):
    reply, alone = answers[kind], answers["neighbours"].outputs
    assert not reply.error
    assert reply.outputs["status"].tolist() == [OK, KINDS[kind][1], OK]
    for name in ("probabilities", "classes", "scores"):
        np.testing.assert_array_equal(reply.outputs[name][[0, 2]], alone[name][[0, 2]])
    answered = KINDS[kind][1] == OK
    assert bool(reply.outputs["error"][1]) != answered
    assert reply.outputs["probabilities"][1].sum() == pytest.approx(float(answered))
    assert all(reply.outputs["classes"][1]) == answered
    assert reply.grown <= MOST_MEMORY


@pytest.mark.parametrize("kind", READ_AS_PIL)
def test_files_have_the_pixels_that_pil_reads(kind, answers, exported):
    images = pictures.decoded(KINDS[kind][0])[np.newaxis]
    wanted = answers_tf1(exported, images)["probabilities"][0]
    np.testing.assert_allclose(answers[kind].outputs["probabilities"][1], wanted, rtol=0, atol=1e-6)


def test_all_kinds_in_one_batch_get_their_status_and_fill_no_memory(answers):
    reply = answers["together"]
    assert reply.outputs["status"].tolist() == [status for _, status in KINDS.values()]
    assert reply.grown <= MOST_MEMORY

"""Image files through TensorFlow's C++ loader: each gets its status, spares its neighbours, and fills no memory."""

import numpy as np
import pytest

from tests.support import cpp_loader, pictures
from tests.support.pictures import OK
from tests.support.serving import answers_tf1, request

pytestmark = pytest.mark.slow

MOST_MEMORY = 100e6


@pytest.fixture(scope="module")
def kinds():
    """Files and the status that each must get, by name; made here, as one of them is a bomb of 400 MB."""
    return pictures.pictures()


@pytest.fixture(scope="module")
def answers(exported, kinds, tmp_path_factory):
    """What became of each kind between two good neighbours, and of the neighbours beside each other, by name."""
    first, last = pictures.written("PNG"), pictures.written("JPEG", height=20, width=30)
    together = [content for content, _ in kinds.values()]
    batches = {
        "neighbours": [first, first, last],
        "together": together,
        **{name: [first, content, last] for name, (content, _) in kinds.items()},
    }

    def of_bytes(files):
        return request(exported, "serve_bytes", np.array(files, object))

    asked = [batches["neighbours"], *batches.values()]  # the first warms up
    replies = cpp_loader.ask(exported, map(of_bytes, asked), tmp_path_factory.mktemp("requests"))
    return dict(zip(batches, replies[1:], strict=True))


READ_AS_PIL = [
    *("png", "png, grey", "png, palette", "png, 1 bit", "png, animated", "gif", "gif, animated"),
    *("jpeg", "jpeg, progressive", "jpeg, grey", "jpeg, full chroma", "bmp", "bmp, grey", "bmp, 32 bit"),
]


def test_each_kind_of_file_gets_its_status_and_leaves_its_neighbours_alone(kinds, answers, subtests):
    alone = answers["neighbours"].outputs
    for kind, (_, status) in kinds.items():
        with subtests.test(kind):
            reply, answered = answers[kind], status == OK
            assert not reply.error
            assert reply.outputs["status"].tolist() == [OK, status, OK]
            for name in ("probabilities", "classes", "scores"):
                np.testing.assert_array_equal(reply.outputs[name][[0, 2]], alone[name][[0, 2]])
            assert bool(reply.outputs["error"][1]) != answered
            assert reply.outputs["probabilities"][1].sum() == pytest.approx(float(answered))
            assert all(reply.outputs["classes"][1]) == answered
            assert reply.grown <= MOST_MEMORY


def test_files_have_the_pixels_that_pil_reads(kinds, answers, exported):
    images = np.stack([pictures.decoded(kinds[kind][0]) for kind in READ_AS_PIL])
    wanted = answers_tf1(exported, images)["probabilities"]
    found = [answers[kind].outputs["probabilities"][1] for kind in READ_AS_PIL]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_all_kinds_in_one_batch_get_their_status_and_fill_no_memory(kinds, answers):
    reply = answers["together"]
    assert reply.outputs["status"].tolist() == [status for _, status in kinds.values()]
    assert reply.grown <= MOST_MEMORY

"""What TensorFlow prints when it starts is held back, and shown where it may explain a failed start."""

from __future__ import annotations

import os

import pytest

from train.process.errors import BadInput
from train.process.startup import native_stderr_held


@pytest.mark.parametrize(("error", "shown"), [(RuntimeError, "noise\n"), (KeyboardInterrupt, ""), (BadInput, "")])
def test_held_output_is_shown_where_the_block_fails_and_not_where_the_user_ends_it(error, shown, capfd):
    with pytest.raises(error), native_stderr_held():
        os.write(2, b"noise\n")
        raise error
    assert capfd.readouterr().err == shown

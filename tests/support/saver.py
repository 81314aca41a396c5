"""`python -m tests.support.saver FOLDER`: one checkpoint after the other, and a line for each that is saved."""

import sys
from pathlib import Path

import numpy as np

from tests.train.run.test_checkpoints import small
from train.run.checkpoints import Position

if __name__ == "__main__":
    checkpoints, kernel = small(Path(sys.argv[1]), units=500_000)
    step = checkpoints.restore().step
    assert not step or (kernel.numpy() == step).all()
    while True:
        step += 1
        kernel.assign(np.full(kernel.shape, step))
        assert checkpoints.save(Position(step=step))
        print(step, flush=True)

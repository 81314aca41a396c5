"""Fixtures for tests of the training program: small data sets on disk, flags, and the command line itself."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from tests.support.paths import ROOT
from tests.support.threads import persons_environment
from train.process.startup import FRUITLESS

# TensorFlow's output in spite of TF_CPP_MIN_LOG_LEVEL: glog lines, and the line that announces them
NOISE = re.compile(
    r"WARNING: All log messages before absl::InitializeLog|[IWE]\d{4} [\d:.]+|\d{4}-\d\d-\d\d \S+ [IWE] "
)


@dataclass(frozen=True)
class Outcome:
    """The result of a command: its exit code and output."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> list[str]:
        """The program's own lines on stderr."""
        return [line for line in self.err.splitlines() if line.strip() and not NOISE.match(line)]


@pytest.fixture(autouse=True)
def defaults_again():
    """Reset Keras' dtype policy and TensorFlow's graph optimisers, which a run sets for the whole process."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].config.optimizer.set_experimental_options(dict.fromkeys(FRUITLESS, True))


@pytest.fixture(scope="session", autouse=True)
def forked_checks():
    """Let exports be checked by forked processes, whose imports are done; `test_check.py` runs the command itself."""
    from tests.support.processes import finished

    def answered(*arguments):
        outcome = finished("train.answer", *arguments, CUDA_VISIBLE_DEVICES="-1")
        return outcome.code, outcome.err

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("train.evaluation.check.run_answer", answered)
        yield


@pytest.fixture
def parse():
    """`parse("--depth=8", ...)` parses a command line from the defaults, which are restored after the test."""
    import train.settings.flags  # noqa: F401  (defines them)

    untouched = flagsaver.save_flag_values()

    def parse(*arguments: str) -> None:
        nonlocal untouched
        flagsaver.restore_flag_values(untouched)
        untouched = flagsaver.save_flag_values()  # the restored values now belong to the flags, and change with them
        flags.FLAGS(["train", *arguments])

    yield parse
    flagsaver.restore_flag_values(untouched)
    flags.FLAGS.unparse_flags()


@pytest.fixture
def command(capsys):
    """`command("--depth=8", ...)` is `python -m train --depth=8 ...` in this process."""
    from train.__main__ import run_main

    def command(*arguments: str) -> Outcome:
        capsys.readouterr()
        with flagsaver.flagsaver():
            code = run_main(["train", *map(str, arguments)])
        flags.FLAGS.unparse_flags()
        return Outcome(code, *capsys.readouterr())

    return command


@pytest.fixture
def spawn():
    """`spawn("-m", "train", ...)` runs Python in a separate process, in the repository's root."""

    def spawn(*arguments: str | Path, cwd: Path = ROOT, **environment: str) -> Outcome:
        process = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env={**persons_environment(), **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Outcome(process.returncode, process.stdout, process.stderr)

    return spawn


@pytest.fixture
def files():
    """Writers of small data sets."""
    return Files


class Files:
    """Small seeded data sets, in every form that the program reads."""

    @staticmethod
    def arrays(
        train: int = 16, test: int = 8, shape=(8, 8, 1), classes: int = 2, seed: int = 0
    ) -> dict[str, np.ndarray]:
        """`x_train, y_train, x_test, y_test`: learnable noise, brighter for higher classes."""
        rng = np.random.default_rng(seed)
        arrays = {}
        for split, count in (("train", train), ("test", test)):
            labels = np.arange(count) % classes
            brightness = 40 + 150 * labels // max(classes - 1, 1)
            noise = rng.integers(0, 60, (count, *shape))
            images = noise + brightness.reshape(-1, *[1] * len(shape))
            arrays |= {f"x_{split}": images.astype(np.uint8), f"y_{split}": labels.astype(np.int64)}
        return arrays

    @staticmethod
    def npz(path: Path, **changes) -> Path:
        """`arrays()` as an .npz file; an array given as `None` is left out."""
        arrays = {**Files.arrays(), **changes}
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return path

    @staticmethod
    def idx(array: np.ndarray) -> bytes:
        """An IDX file's content: two zero bytes, 8 for unsigned bytes, the rank, the sizes, the values."""
        header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
        return header + array.astype(np.uint8).tobytes()

    @staticmethod
    def idx_folder(folder: Path, packed: bool = False, **changes) -> Path:
        """`arrays()` as the four files of MNIST; `changes` are arrays, or bytes to write unchanged."""
        folder.mkdir(parents=True)
        contents = {**Files.arrays(shape=(8, 8)), **changes}
        stems = {"x_train": "train-images-idx3", "y_train": "train-labels-idx1"}
        stems |= {"x_test": "t10k-images-idx3", "y_test": "t10k-labels-idx1"}
        for name, stem in stems.items():
            content = contents[name] if isinstance(contents[name], bytes) else Files.idx(contents[name])
            if packed:
                (folder / f"{stem}-ubyte.gz").write_bytes(gzip.compress(content))
            else:
                (folder / f"{stem}-ubyte").write_bytes(content)
        return folder

    @staticmethod
    def image(path: Path, pixels: np.ndarray) -> Path:
        """Write one image file, and make its folder."""
        from PIL import Image

        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    @staticmethod
    def image_folder(root: Path, classes=("cat", "dog"), train: int = 3, test: int = 2, shape=(8, 8), seed=0) -> Path:
        """`root/<split>/<class>/<i>.png` of random pixels."""
        rng = np.random.default_rng(seed)
        for split, count in (("train", train), ("test", test)):
            for name in classes:
                for i in range(count):
                    Files.image(root / split / name / f"{i}.png", rng.integers(0, 256, shape, dtype=np.uint8))
        return root

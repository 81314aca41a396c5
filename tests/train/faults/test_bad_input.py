"""Mistakes that a user can fix are reported in one line, with exit code 2, no traceback, and nothing left behind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import train
from tests.support.paths import ROOT

QUICK = ("--depth=8", "--epochs=1")


@dataclass(frozen=True)
class Case:
    """A command line (`{data}` and `{output}` are folders), files made before it, and the expected line."""

    name: str
    arguments: tuple[str, ...]
    line: str
    make: Callable = field(default=lambda data, files: None)


def arguments(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FLAGS = [
    Case("unknown flag", ("--depht=8",), r"unknown flag --depht\. Did you mean --depth\?"),
    Case("flag of other programs", ("--lr=0.1",), r"unknown flag --lr\. Did you mean --learning_rate\? See --help"),
    Case("version", ("--version",), r"unknown flag --version\. Did you mean pip show keras_resunits\? See"),
    Case(
        "no flag file", ("--flagfile={data}/no",), r"--flagfile=.*/no cannot be read \(No such file or directory\)\.$"
    ),
    Case(
        "binary flag file",
        ("--flagfile={data}/binary",),
        r"--flagfile must be a text file in UTF-8: .*can't decode byte 0xc7",
        lambda data, files: (data / "binary").write_bytes(b"--\xc7"),
    ),
    Case("value of a --no flag", ("--noresume=true",), r"--noresume=true does not take an argument\.$"),
    Case("epochs of 23 digits", (f"--epochs={'1' * 23}",), r"--epochs must be >= 1 and <= 1000000, got 1{23}\."),
    Case("width of 23 digits", (f"--width={'1' * 23}",), r"--width must be >= 1 and <= 100000, got 1{23}\."),
    Case("weights to start from", ("--weights=imagenet",), r"--weights\. A run starts from random weights"),
    Case("a flag without its partner", ("--randaugment_ops=3",), r"^train: --randaugment_ops=3 has no effect without"),
    Case("too deep to build", ("--depth=600000002",), r"^train: --depth must be <= 10000, got 600000002\.$"),
    Case("unlike any flag", ("--xyzzy",), r"unknown flag --xyzzy\. See --help"),
    Case("word for a number", ("--depth=deep",), r"^train: --depth=deep: expected an integer\.$"),
    Case("fraction for an integer", ("--epochs=1.5",), r"^train: --epochs=1\.5: expected an integer\.$"),
    Case("word for a rate", ("--learning_rate=fast",), r"^train: --learning_rate=fast: expected a number\.$"),
    Case("word for a switch", ("--flip=maybe",), r"^train: --flip=maybe: expected true or false\.$"),
    Case("number for a switch", ("--flip=3",), r"^train: --flip=3: expected true or false\.$"),
    Case("no value", ("--depth",), r"Missing value for flag --depth"),
    Case("unknown precision", ("--precision=float64",), r"--precision=float64.*float32\|mixed_bfloat16\|mixed_float16"),
    Case("positional argument", ("digits",), r"unexpected argument 'digits'; flags are --name=value, see --help"),
    Case("no epochs", ("--epochs=0",), r"--epochs must be >= 1 and <= 1000000, got 0"),
    Case("negative rate", ("--learning_rate=-1",), r"--learning_rate must be > 0, got -1"),
    Case("rate that is NaN", ("--learning_rate=nan",), r"--learning_rate must be .*got nan"),
    Case("empty batches", ("--batch_size=0",), r"--batch_size must be >= 1, got 0"),
    Case("negative pad", ("--pad=-2",), r"--pad must be >= 0, got -2"),
    Case(
        "an optimiser of Keras by its name alone",
        ("--optimizer=adam",),
        r"^train: --optimizer=adam: expected sgd, nadam, keras:NAME or FILE\.py:NAME\.$",
    ),
    *(
        Case(
            f"{flag} without a module",
            (f"--{flag}=Noise",),
            rf"^train: --{flag} must be keras:NAME or FILE\.py:NAME, got",
        )
        for flag in ("augment", "callbacks", "loss")
    ),
    Case("unknown crop", ("--crop=random",), r"--crop=random.*pad\|resized"),
    Case("unknown view", ("--test_view=dense",), r"--test_view=dense.*paper\|central\|ten_crop"),
    Case("too strong RandAugment", ("--randaugment=31",), r"--randaugment must be >= 0 and <= 30, got 31\.0"),
    Case("probability above 1", ("--erasing=1.5",), r"--erasing must be >= 0 and <= 1, got 1\.5"),
    Case("negative alpha", ("--mixup=-1",), r"--mixup must be >= 0, got -1\.0"),
    Case("alpha that is NaN", ("--cutmix=nan",), r"--cutmix.*nan"),
    Case("all smoothed away", ("--label_smoothing=2",), r"--label_smoothing must be >= 0 and <= 1, got 2\.0"),
    Case("neighbours in odd batches", ("--mixup=0.2", "--batch_size=33"), r"require an even --batch_size; got 33"),
    Case("pad of resized crops", ("--crop=resized", "--pad=4"), r"--pad=4 has no effect with --crop=resized"),
    Case("view of digits", ("--test_view=paper",), r"--test_view has no effect on the digits"),
    Case("no width", ("--width=0",), r"--width must be >= 1 and <= 100000, got 0"),
    Case("negative decay", ("--weight_decay=-1",), r"--weight_decay must be >= 0, got -1\.0"),
    Case("too much momentum", ("--momentum=2",), r"--momentum must be >= 0 and <= 1, got 2\.0"),
    Case("negative seed", ("--seed=-1",), r"--seed"),
    Case("size of digits", ("--image_size=16",), r"--image_size has no effect on the digits \(--dataset=digits\)"),
    Case("bad digits", ("--skip_bad_images",), r"--skip_bad_images has no effect on the digits"),
    Case("batches larger than the set", ("--batch_size=1438",), r"--batch_size=1438 .* training set of 1437 images"),
    Case("nothing to resume", ("--resume",), r"--resume: there is no run 'digits-preactresnet20' in .*runs"),
]

NETWORKS = [
    Case("unknown model", ("--model=PreActRenset",), r"unknown model 'PreActRenset'\. Did you mean 'PreActResNet'"),
    Case("model of another case", ("--model=resnet",), r"unknown model 'resnet'\. Did you mean 'ResNet'"),
    Case("unknown order", ("--order=full_preact",), r"unknown order 'full_preact'\. Did you mean 'full_pre_act'"),
    Case("unknown shortcut", ("--shortcut=project",), r"unknown shortcut 'project'\. Did you mean 'projection'"),
    Case("unknown block", ("--block=botleneck",), r"unknown block 'botleneck'\. Did you mean 'bottleneck'"),
    Case("unknown stem", ("--stem=cifar10",), r"unknown stem 'cifar10'\. Did you mean 'cifar'"),
    Case("no such depth", ("--depth=21",), r"no network of depth 21.*Nearest: 18, 20, 26"),
    Case("no depth", ("--depth=0",), r"no network of depth 0"),
    Case("negative depth", ("--depth=-4",), r"no network of depth -4"),
    Case("depth of another family", ("--model=WideResNet", "--depth=29", "--dataset=cifar10"), r"Nearest: 28, 34"),
    Case("odd depth", ("--model=FullyConnectedResNet", "--depth=21"), r"depths are 2n.*Nearest: 20, 22"),
    Case(
        "width of a family without",
        ("--model=fc_resnet20_mnist", "--width=2"),
        r"--width=2 has no effect on .*fc_resnet20_mnist",
    ),
    Case("too wide", ("--width=99999",), r"out of memory: CPU:0 has no room for float of shape \[.*\]\. A smaller"),
    Case("depth of another block", ("--depth=22", "--block=bottleneck"), r"depth 22: depths are 9n\+2 .*Nearest: "),
    Case(
        "images smaller than the strides",
        ("--dataset={data}/set.npz", *QUICK),
        r"images must be at least 4x4: .* Those of --dataset are 2x2; --image_size resizes",
        lambda data, files: files.npz(data / "set.npz", **files.arrays(shape=(2, 2))),
    ),
]

FOLDER = ("--dataset={data}/pets", *QUICK)


def folder_with(change: Callable[[Path], None], **options):
    """A valid folder, and then a change to it."""

    def make(data, files):
        change(files.image_folder(data / "pets", **options))

    return make


def remove(path: Path) -> None:
    for file in sorted(path.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    path.rmdir()


def spoil(*paths: str):
    return lambda root: [(root / path).write_bytes(b"no image") for path in paths]


def one_of_another_size(data, files):
    root = files.image_folder(data / "pets")
    files.image(root / "test" / "dog" / "1.png", np.zeros((9, 8), np.uint8))


FOLDERS = [
    Case("no such folder", ("--dataset={data}/none", *QUICK), r"--dataset=.*data/none: there is no such folder"),
    Case("an address", ("--dataset=gs://bucket/x", *QUICK), r"--dataset=gs://bucket/x must be a local path"),
    Case("unknown dataset", ("--dataset=cifar11", *QUICK), r"unknown dataset 'cifar11'\. Did you mean .*'cifar10'"),
    Case("empty folder", FOLDER, r"pets/train is missing; expected", lambda data, files: (data / "pets").mkdir()),
    Case("no train", FOLDER, r"pets/train is missing", folder_with(lambda root: remove(root / "train"))),
    Case(
        "a class name that is not valid UTF-8",
        FOLDER,
        r"the class name 'dog.udcff' is not valid UTF-8; pass other names with --class_names",
        folder_with(lambda _: None, classes=("cat", "dog\udcff")),
    ),
    Case("no test", FOLDER, r"pets/test is missing", folder_with(lambda root: remove(root / "test"))),
    Case("one class", FOLDER, r"pets/train has one class \('cat'\)", folder_with(lambda _: None, classes=("cat",))),
    Case(
        "test lacks a class",
        FOLDER,
        r"same classes; test lacks dog",
        folder_with(lambda r: remove(r / "test/dog"), classes=("cat", "dog", "eel")),
    ),
    Case(
        "test has another class",
        FOLDER,
        r"same classes; train lacks emu",
        folder_with(lambda r: (r / "test" / "emu").mkdir()),
    ),
    Case(
        "class without images",
        FOLDER,
        r"train/eel has no images",
        folder_with(lambda r: [(r / s / "eel").mkdir() for s in ("train", "test")]),
    ),
    Case(
        "one bad image",
        FOLDER,
        r"^train: 1 unreadable image \(.*train/cat/0\.png: .*--skip_bad_images",
        folder_with(spoil("train/cat/0.png")),
    ),
    Case(
        "two bad images",
        FOLDER,
        r"^train: 2 unreadable images \(.*cat/0\.png.*dog/1\.png",
        folder_with(spoil("train/cat/0.png", "test/dog/1.png")),
    ),
    Case(
        "images of several sizes",
        FOLDER,
        r"images have 2 sizes \(.* is 8x8, .*dog/1\.png is 9x8\); pass --image_size",
        one_of_another_size,
    ),
    Case(
        "fewer names than classes",
        (*FOLDER, "--class_names=cat"),
        r"--class_names must have 2 names, one for each class; got 1\.",
        folder_with(lambda _: None),
    ),
    Case(
        "a name twice",
        (*FOLDER, "--class_names=a,a"),
        r"--class_names must be distinct; got 'a' more than once",
        folder_with(lambda _: None),
    ),
]

NPZ = ("--dataset={data}/set.npz", *QUICK)


def npz_with(**changes):
    return lambda data, files: files.npz(data / "set.npz", **changes)


def labels(*values, dtype=np.int64):
    return np.resize(np.array(values, dtype), 16)


ARRAYS = [
    Case("no such npz", NPZ, r"--dataset=.*set\.npz: there is no such file"),
    Case(
        "an npz below a file",
        ("--dataset={data}/file/set.npz", *QUICK),
        r"--dataset=.*file/set\.npz: there is no such file",
        lambda data, files: (data / "file").write_text("no"),
    ),
    Case("a folder of another kind", NPZ, r"set\.npz/train is missing", lambda data, files: (data / "set.npz").mkdir()),
    Case(
        "not an npz",
        NPZ,
        r"set\.npz is not a readable \.npz file: it is not a zip file of arrays; np\.savez",
        lambda data, files: (data / "set.npz").write_text("no"),
    ),
    Case(
        "one array under another name",
        NPZ,
        r"set\.npz is not a readable \.npz file: it is one array, an \.npy file; np\.savez",
        lambda data, files: np.save(data / "a.npy", np.zeros(3)) or (data / "a.npy").rename(data / "set.npz"),
    ),
    Case(
        "pixels as long integers",
        NPZ,
        r"got int64 \[16, 8, 8, 1\]\. The values fit: images\.astype\('uint8'\)",
        npz_with(x_train=np.full((16, 8, 8, 1), 255)),
    ),
    Case(
        "values beyond a pixel's",
        NPZ,
        r"got int64 \[16, 8, 8, 1\]\.$",
        npz_with(x_train=np.full((16, 8, 8, 1), 256)),
    ),
    Case(
        "channels first",
        NPZ,
        r"train images .*got uint8 \[16, 3, 8, 8\]\. .*Channels come last: np\.moveaxis\(images, 1, -1\)",
        npz_with(x_train=np.zeros((16, 3, 8, 8), np.uint8)),
    ),
    Case(
        "array missing",
        NPZ,
        r"set\.npz lacks y_train, x_test; it has x_train, y_test",
        npz_with(y_train=None, x_test=None),
    ),
    Case(
        "float images",
        NPZ,
        r"train images must be uint8 .*0\.\.255; got float32 \[16, 8, 8\]",
        npz_with(x_train=np.zeros((16, 8, 8), np.float32)),
    ),
    Case(
        "flat images",
        NPZ,
        r"test images must be uint8 .* got uint8 \[8, 64\]",
        npz_with(x_test=np.zeros((8, 64), np.uint8)),
    ),
    Case(
        "one-hot labels",
        NPZ,
        r"train labels must be integers \[n\]; got int64 \[16, 2\]\. For one-hot labels: labels\.argmax\(1\)",
        npz_with(y_train=np.eye(2, dtype=np.int64)[labels(0, 1)]),
    ),
    Case(
        "fractions as labels",
        NPZ,
        r"train labels must be integers \[n\]; got float64",
        npz_with(y_train=labels(0, 1, dtype=float)),
    ),
    Case(
        "negative label",
        NPZ,
        r"label -1 at record 3 of split 'train' is outside 0\.\.1 \(1 such label",
        npz_with(y_train=np.array([0, 1, 0, -1] + [0, 1] * 6)),
    ),
    Case(
        "label that has no name",
        (*NPZ, "--class_names=dark,light"),
        r"label 2 at record 2 of split 'train' is outside 0\.\.1 \(5 such labels\)",
        npz_with(y_train=labels(0, 1, 2)),
    ),
    Case(
        "test label that train lacks",
        NPZ,
        r"label 5 at record 0 of split 'test' is outside 0\.\.1",
        npz_with(y_test=np.array([5] + [0] * 7)),
    ),
    Case(
        "more images than labels",
        NPZ,
        r"split 'train' has 16 images but 15 labels",
        npz_with(y_train=labels(0, 1)[:15]),
    ),
    Case(
        "no images",
        NPZ,
        r"split 'test' has no images",
        npz_with(x_test=np.zeros((0, 8, 8, 1), np.uint8), y_test=np.zeros(0, int)),
    ),
    Case(
        "one class of arrays",
        NPZ,
        r"expected two or more classes; got only '0'",
        npz_with(y_train=labels(0), y_test=labels(0)[:8]),
    ),
    Case(
        "test images of another shape",
        NPZ,
        r"train images are \(8, 8, 1\), test images \(9, 8, 1\)",
        npz_with(x_test=np.zeros((8, 9, 8, 1), np.uint8)),
    ),
    Case(
        "test images of other channels",
        NPZ,
        r"train images are \(8, 8, 1\), test images \(8, 8, 3\)",
        npz_with(x_test=np.zeros((8, 8, 8, 3), np.uint8)),
    ),
]

IDX = ("--dataset={data}/idx", *QUICK)


def idx_with(**changes):
    return lambda data, files: files.idx_folder(data / "idx", **changes)


def idx_without(name: str):
    return lambda data, files: (files.idx_folder(data / "idx") / name).unlink()


FILES = [
    Case(
        "IDX cut short",
        IDX,
        r"train-images-idx3-ubyte does not hold what its header declares: 1024 values expected, got 1000",
        lambda data, files: files.idx_folder(data / "idx", x_train=files.idx(np.zeros((16, 8, 8)))[:-24]),
    ),
    Case(
        "IDX of other magic",
        IDX,
        r"t10k-labels-idx1-ubyte is not an IDX file of unsigned bytes: it begins 89 50 4e 47",
        idx_with(y_test=b"\x89PNG"),
    ),
    Case(
        "IDX part missing",
        IDX,
        r"idx holds IDX files, but neither t10k-images-idx3-ubyte nor t10k-images-idx3-ubyte\.gz",
        idx_without("t10k-images-idx3-ubyte"),
    ),
    Case(
        "packed IDX cut short",
        IDX,
        r"train-images-idx3-ubyte\.gz cannot be read: Compressed file ended",
        lambda data, files: [
            p.write_bytes(p.read_bytes()[:-20])
            for p in files.idx_folder(data / "idx", packed=True).glob("train-images*")
        ],
    ),
    Case(
        "IDX that is not packed",
        IDX,
        r"train-labels-idx1-ubyte\.gz cannot be read: Not a gzipped file",
        lambda data, files: (files.idx_folder(data / "idx", packed=True) / "train-labels-idx1-ubyte.gz").write_bytes(
            b"plain"
        ),
    ),
]

OUTPUTS = [
    Case(
        "output in /proc",
        (*QUICK, "--output=/proc/here"),
        r"--output=/proc/here: /proc/here/runs/digits-preactresnet8 cannot be written to \(No such file or directory\)",
    ),
    Case(
        "output that is a file",
        (*QUICK, "--output={data}/file"),
        r"--output=.*data/file: .* cannot be written to \(Not a directory\)",
        lambda data, files: (data / "file").write_text(""),
    ),
    Case(
        "saved_models that is a file",
        (*QUICK, "--output={data}"),
        r"--output=.*saved_models/digits-preactresnet8 cannot be written to",
        lambda data, files: (data / "saved_models").write_text(""),
    ),
]


def case_of(case: Case):
    return pytest.param(case, id=case.name, marks=[pytest.mark.long] * (case.name == "too wide"))


def prepared(case: Case, tmp_path, files) -> list[str]:
    """Make the case's files; return its command line, writing to `tmp_path/output` unless it says otherwise."""
    (tmp_path / "data").mkdir()
    case.make(tmp_path / "data", files)
    given = [a.format(data=tmp_path / "data", output=tmp_path / "output") for a in case.arguments]
    return given if any(a.startswith("--output") for a in given) else [f"--output={tmp_path / 'output'}", *given]


def assert_refused(outcome, line: str, code: int = 2) -> None:
    """Check the exit code, and that stderr is one line that matches `line`."""
    assert outcome.code == code, outcome
    assert len(outcome.said) == 1, outcome.err
    assert re.fullmatch(r"train: .*\S", outcome.said[0])
    assert re.search(line, outcome.said[0]), outcome.said[0]
    assert "Traceback" not in outcome.err


def assert_nothing_left(tmp_path) -> None:
    for folder in ("runs", "saved_models"):
        for root in (tmp_path / "output" / folder, tmp_path / "data" / folder):
            assert not list(root.glob("*"))


@pytest.mark.parametrize("case", map(case_of, [*FLAGS, *NETWORKS, *FOLDERS, *ARRAYS, *FILES, *OUTPUTS]))
def test_bad_input_is_answered_in_one_line_before_anything_is_written(case, tmp_path, files, command):
    assert_refused(command(*prepared(case, tmp_path, files)), case.line)
    assert_nothing_left(tmp_path)


PROCESSES = ("unknown flag", "positional argument", "two bad images", "output in /proc")


@pytest.mark.parametrize(
    "case", map(case_of, [c for c in [*FLAGS, *NETWORKS, *FOLDERS, *OUTPUTS] if c.name in PROCESSES])
)
def test_a_process_prints_only_its_line(case, tmp_path, files, spawn):
    """As above, by the command itself, where TensorFlow could add lines of its own."""
    outcome = spawn("-m", "train", *prepared(case, tmp_path, files))
    assert_refused(outcome, case.line)
    assert outcome.err.splitlines() == outcome.said  # not a line of TensorFlow's
    assert outcome.out == ""
    assert_nothing_left(tmp_path)


@pytest.fixture
def begun(files, tmp_path, command):
    """A run of one epoch; the command line that started it."""
    data = files.npz(tmp_path / "set.npz")
    line = [f"--dataset={data}", "--depth=8", "--batch_size=16", f"--output={tmp_path}", "--run=mine", "--noexport"]
    assert command(*line, "--epochs=1").code == 0
    return line


def test_a_run_is_neither_repeated_nor_contradicted(begun, command, tmp_path):
    folder = tmp_path / "runs" / "mine"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert_refused(command(*begun, "--epochs=1"), r"--run=mine already exists in .*runs/mine; pass --resume")
    assert_refused(
        command(*begun, "--resume", "--learning_rate=0.5"),
        r"--learning_rate=0\.5, but the run to resume has learning_rate=0\.1 \(.*config\.json\)",
    )
    other = [*begun, "--depth=14"]
    assert_refused(command(*other, "--resume"), r"--depth=14, but the run to resume has depth=8")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_nan_leaves_the_checkpoint_before_it_and_exports_nothing(begun, command, tmp_path):
    wild = ("--schedule=cosine", "--warm_up=0.5", "--learning_rate=1e30", "--epochs=4")  # a rate of 0 in the first step
    assert_refused(
        command(*begun, "--run=wild", "--export", *wild),
        r"loss became (nan|NaN or infinite) .*step [234] \(epoch [23]"
        r".*The last checkpoint.*step 1\. Lower --learning_rate",
        code=3,
    )
    folder = tmp_path / "runs" / "wild"
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-00000001"]
    assert not list((tmp_path / "saved_models" / "wild").iterdir())


@pytest.mark.parametrize("batch_size", [4, 16])
def test_a_loss_that_is_not_finite_stops_the_first_epoch_and_saves_nothing(files, tmp_path, command, batch_size):
    data = files.npz(tmp_path / "set.npz")
    outcome = command(
        f"--dataset={data}", "--depth=8", "--epochs=2", "--learning_rate=1e30", f"--batch_size={batch_size}",
        f"--output={tmp_path}", "--run=mine",
    )  # fmt: skip
    assert_refused(
        outcome,
        r"loss became (nan|NaN or infinite) .*step \d+ \(epoch 1"
        r".* There is no checkpoint yet\. Lower --learning_rate",
        code=3,
    )
    assert not (tmp_path / "runs" / "mine" / "checkpoints").exists()
    assert not list((tmp_path / "saved_models" / "mine").iterdir())


@pytest.mark.parametrize("backend", ["jax", "bogus"])
def test_training_under_another_backend_is_refused_in_one_line(spawn, tmp_path, backend):
    outcome = spawn("-m", "train", f"--output={tmp_path}", KERAS_BACKEND=backend)
    assert outcome.code == 2
    assert outcome.err == f"train: training requires Keras on TensorFlow; got KERAS_BACKEND={backend}.\n"


NEED_TENSORFLOW = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted(Path(train.__file__).parent.rglob("*.py"))
    if re.search(r"\nfrom \.+process\.backend import tf\n", path.read_text()) and path.name != "__init__.py"
]
IMPORTS = """
import importlib, sys
sys.modules["tensorflow"] = None  # as if not installed
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(name, error)
"""


@pytest.mark.peers
def test_a_module_that_needs_tensorflow_reports_it_when_imported_under_another_backend(spawn):
    pytest.importorskip("jax")
    assert {"train.step.trainer", "train.run.session", "train.data.batches", "train.run.checkpoints"} <= set(
        NEED_TENSORFLOW
    )
    modules = [*NEED_TENSORFLOW, "train.step.optimizer", "train.data.augmentation", "keras_resunits"]
    outcome = spawn("-c", IMPORTS, *modules, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
    refused = [f"{name} training requires Keras on TensorFlow; got KERAS_BACKEND=jax." for name in modules[:-1]]
    assert (outcome.code, outcome.out.splitlines()) == (0, refused)


def test_flags_are_known_without_keras(spawn):
    outcome = spawn(
        "-c", "import train, train.settings.resolving, sys; print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    assert (outcome.code, outcome.out) == (0, "set()\n")


def test_no_module_of_the_program_imports_tensorflow_past_the_check():
    for path in Path(train.__file__).parent.rglob("*.py"):
        assert path.name == "backend.py" or "\nimport tensorflow as tf" not in path.read_text(), path

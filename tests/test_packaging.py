"""What a wheel installs: its packages and commands."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_resunits as kr
from tests.support.paths import ROOT

SETUP = configparser.ConfigParser(comment_prefixes=("#",))
SETUP.read(ROOT / "setup.cfg")
COMMANDS = [line.partition(" = ")[0] for line in SETUP["options.entry_points"]["console_scripts"].split("\n") if line]
WHEEL = os.environ.get("KERAS_RESUNITS_WHEEL")


def packages(folder: str, name: str) -> set[str]:
    """The packages below a folder of the repository, the folder itself under another name."""
    found = {path.parent.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("__init__.py")}
    return {".".join([name, *path.parts]) for path in found}


def test_the_list_of_packages_is_that_of_the_folders():
    listed = SETUP["options"]["packages"].split()
    assert sorted(listed) == sorted(
        packages("keras_resunits", "keras_resunits")
        | packages("keras_resunits_client", "keras_resunits_client")
        | packages("train", "keras_resunits_train")
    )


def test_the_version_is_written_once():
    assert SETUP["metadata"]["version"] == "attr: keras_resunits.__version__"
    assert kr.__version__.count(".") == 2


@pytest.mark.parametrize(
    "module",
    [
        *(
            f"train.{name}"
            for name in (
                "library",
                "__main__",
                "evaluate",
                "predict",
                "export",
                "benchmark",
                "compress",
                "answer",
                "launch",
            )
        ),
        "keras_resunits_client.__main__",
    ],
)
def test_help_needs_neither_keras_nor_tensorflow(module):
    code = (
        f"import sys; from {module} import entry; sys.argv = ['x', '--help']\n"
        "try: entry()\n"
        "except SystemExit as end: assert not end.code\n"
        "print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
    assert len(done.stdout.splitlines()) > 5


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the wheel is installed in; the libraries that it requires are those of the test's interpreter."""
    if not WHEEL:
        pytest.skip("no wheel: KERAS_RESUNITS_WHEEL names none")
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", f"--target={target}", WHEEL]
    subprocess.run(pip, check=True)
    return target


def run(installed: Path, command: str, *arguments: str, cwd: Path, blocked: str = "") -> subprocess.CompletedProcess:
    """An installed command, run in a folder that has a `train.py` of the user's own."""
    (cwd / "train.py").write_text("raise SystemExit('the user\\'s own train.py')")
    environment = {**os.environ, "PYTHONPATH": f"{blocked}{os.pathsep * bool(blocked)}{installed}"}
    script = [sys.executable, str(installed / "bin" / command), *arguments]
    return subprocess.run(script, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.peers
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_where_the_user_has_a_train_py(installed, command, tmp_path):
    done = run(installed, command, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert command in done.stdout


@pytest.mark.peers
def test_an_installed_command_trains_and_names_its_sisters(installed, tmp_path):
    done = run(installed, "keras-resunits-train", "--depth=8", "--epochs=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{installed}/bin/keras-resunits-answer saved_models/" in done.stdout
    listed = run(installed, "keras-resunits", "list", "wrn16_4*", cwd=tmp_path)
    assert listed.stdout.split() == ["wrn16_4_cifar", "wrn16_4_dropout_cifar"]


@pytest.mark.peers
def test_a_missing_library_is_answered_with_the_extra_to_install(installed, tmp_path):
    blocked = tmp_path / "blocked" / "PIL"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'PIL'\", name='PIL')")
    done = run(installed, "keras-resunits-train", "--depth=8", cwd=tmp_path, blocked=str(blocked.parent))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "train: No module named 'PIL': pip install 'keras_resunits[train]'."

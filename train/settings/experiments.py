"""Experiments: Python files whose `config()` returns the values of flags.

Their docstrings state the command, the expected time and the result. A file in `train/configs/`, or one of your own,
defines:

    def config() -> dict:     # values for the flags of `python -m train`, by name
    def smoke() -> dict:      # the same pipeline in seconds, for `--smoke`

Where a flag takes an object (`references.OBJECTS`), the value may be the object itself.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from ..process.errors import BadInput
from .config import SECTION_OF
from .flags import defined
from .names import near
from .references import OBJECTS, called_for, module_of

FOLDER = Path(__file__).parents[1] / "configs"
CHOICES = list(SECTION_OF)


def names() -> list[str]:
    """The names of the experiments that come with the project.

    >>> names()[:4]
    ['cifar10_preactresnet164', 'cifar10_resnet110', 'cifar10_wrn28_10', 'digits']
    """
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def experiment(name: str, smoke: bool = False) -> dict[str, Any]:
    """The values that an experiment sets, by flag name.

    Args:
        name: One of `names()`, or the path of a `.py` file.
        smoke: Whether to return its smoke version.

    Raises:
        BadInput: if the experiment does not exist, raises an error, or names a flag that does not exist.
    """
    path = _path(name)
    function = getattr(_module(path, name), "smoke" if smoke else "config", None)
    if function is None:
        raise BadInput(f"--config={name}: {path} has no {'smoke' if smoke else 'config'}().")
    values = called_for(function, f"--config={name}")
    for key in values:
        _check(key, name)
    return {key: _in_text(value, key, f"{path}:{function.__name__}().{key}") for key, value in values.items()}


def _in_text(value: Any, option: str, reference: str) -> Any:
    """A value, or the reference to it where it is an object or has some."""
    if option not in OBJECTS or value is None or isinstance(value, str):
        return value
    if not isinstance(value, (list, tuple)):
        return reference
    return value if all(isinstance(each, str) for each in value) else [reference]


def _path(name: str) -> Path:
    if name.endswith(".py"):
        if not Path(name).expanduser().is_file():
            raise BadInput(f"--config={name}: there is no such file.")
        return Path(name).expanduser()
    if name not in names():
        raise BadInput(f"unknown experiment {name!r}.{near(name, names())} Choices: {', '.join(names())}.")
    return FOLDER / f"{name}.py"


def _module(path: Path, name: str) -> ModuleType:
    if path.parent == FOLDER:  # they import each other
        return importlib.import_module(f"{__package__.partition('.')[0]}.configs.{name}")
    return module_of(path, f"--config={name}")


def _check(key: str, name: str) -> None:
    if key in CHOICES:
        return
    if key in {flag.name for flag in defined()}:
        raise BadInput(f"--config={name}: {key!r} is for the command line only.")
    raise BadInput(f"--config={name}: there is no flag {key!r}.{near(str(key), CHOICES)}")

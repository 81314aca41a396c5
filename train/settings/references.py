"""References to objects: `FILE.py:NAME` or `MODULE:NAME`.

A run's configuration holds text. Where an option takes an object, such as a shortcut of the user's own, it holds the
object's place. The run keeps a copy of each file, and the configuration its SHA-256. A module must be importable
whenever the run is read; neither a copy nor a digest of it is kept. `<session>:NAME` is an object that `fit` was given.

`FILE.py:config().shortcut` is the value of `shortcut` in what the file's `config()` returns: an experiment's object.
`keras:RandomZoom(0.2)` is what the call returns. `keras:AdamW` is short for `keras.optimizers:AdamW`, or for the
namespace of the option that names it (`NAMESPACES`).
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from ..process.errors import BadInput, first_line
from ..process.files import digest
from ..process.startup import importing
from .names import near
from .options import REFERENCE, Section, is_reference
from .sections import SECTIONS

S = TypeVar("S", bound=Section)
SESSION = "<session>"
"""In the place of a file or module: an object of this Python session, which `given` keeps."""
OBJECTS = tuple(each.name for record in SECTIONS.values() for each in fields(record) if each.metadata["bounds"].objects)
"""The options that take objects."""
NAMESPACES = {
    "augment": "layers",
    "callbacks": "callbacks",
    "optimizer": "optimizers",
    "schedule": "optimizers.schedules",
}
"""What `keras:NAME` means for an option: a name of `keras.NAMESPACE`."""
RANGE = (0, 255)
"""The `value_range` of a layer of `augment` that requires one, as those of keras-cv do, and is not given it."""
HEAVY = re.compile(r"^\s*(?:from|import)\s+(?:keras|tensorflow)", re.MULTILINE)


def taken(values: Mapping[str, Any], absent: bool = False) -> tuple[dict[str, Any], dict[str, Path]]:
    """Replace the paths in references by the names under which the run keeps the files.

    Args:
        values: The options' values by name.
        absent: Whether a file need not exist, because a run has a copy.

    Returns:
        `(values, files)`: the values, and the path of each file by its name.

    Raises:
        BadInput: if a file does not exist, or two have one name.
    """
    files: dict[str, Path] = {}

    def kept(option: str, text: Any) -> Any:
        place, _, name = str(text).partition(".py:")
        if not (is_reference(text) and name):
            return text
        place += ".py"
        path = Path(place).expanduser()
        if not path.is_file() and not absent:
            raise BadInput(f"--{option}={text}: there is no file {place}.")
        if files.setdefault(path.name, path).absolute() != path.absolute():
            raise BadInput(f"{files[path.name]} and {path} have one name; the run keeps both: rename one.")
        return f"{path.name}:{name}"

    found = dict(values)
    for option in found.keys() & set(OBJECTS):
        value = found[option]
        found[option] = [kept(option, each) for each in value] if isinstance(value, list) else kept(option, value)
    return found, files


def digests(files: Mapping[str, Path]) -> dict[str, str] | None:
    """The SHA-256 of each file that exists, by its name; `None` without files."""
    return {name: digest(path) for name, path in sorted(files.items()) if path.is_file()} or None


def realized(section: S, files: Mapping[str, Path]) -> S:
    """A section with objects in the place of references.

    Args:
        section: The section.
        files: The path of each file by its name.

    Raises:
        BadInput: if an object cannot be found.
    """
    made = {}
    for each in fields(section):
        value = getattr(section, each.name)
        if each.name not in OBJECTS or value is None:
            continue
        if isinstance(value, list):
            made[each.name] = [
                found for text in value for found in _as_list(find(text, each.name, files), each.name, text)
            ]
        elif is_reference(value):
            made[each.name] = find(value, each.name, files)
    return replace(section, **made)


def _as_list(value: Any, option: str, text: str) -> Sequence[Any]:
    """The objects of an option that takes several: a list, one object, or a function or class that makes them."""
    if callable(value) and (isinstance(value, type) or type(value).__name__ in ("function", "partial")):
        try:
            value = _made(value, option)
        except TypeError as error:
            raise BadInput(f"--{option}={text}: {first_line(error)}. Let a function in a file make it.") from error
    return value if isinstance(value, (list, tuple)) else [value]


def find(reference: str, option: str, files: Mapping[str, Path]) -> Any:
    """The object that a reference names.

    Args:
        reference: `FILE.py:NAME` or `MODULE:NAME`.
        option: The option, for messages and `NAMESPACES`.
        files: The path of each file by its name.

    Raises:
        BadInput: if the file or module cannot be imported, or lacks the name.

    >>> find("math:gcd", "shortcut", {})(4, 6)
    2
    >>> find("math:gcf", "shortcut", {})
    Traceback (most recent call last):
    train.process.errors.BadInput: --shortcut=math:gcf: math has no 'gcf'.
    """
    parts = REFERENCE.fullmatch(reference)
    assert parts is not None  # as the caller knows
    place, where = parts["place"], f"--{option}={reference}"
    if place == SESSION:
        if parts["name"] not in _given:
            raise BadInput(
                f"{where}: only the Python session that began the run had this object. Pass it again: "
                f"fit(..., {option}=[...], resume=True)."
            )
        return _given[parts["name"]]
    if place in files:
        found: Any = module_of(files[place], where)
    else:
        if place in ("keras", "keras_cv") and option in NAMESPACES:
            place = f"{place}.{NAMESPACES[option]}"
        try:
            with importing():
                found = importlib.import_module(place)
        except (Exception, SystemExit) as error:
            raise BadInput(f"{where}: {place} cannot be imported: {type(error).__name__}: {error}.") from error
    for part in parts["name"].split("."):
        if not hasattr(found, part):
            raise BadInput(f"{where}: {place} has no {part!r}.{near(part, dir(found))}")
        found = getattr(found, part)
    if parts["key"]:
        return called_for(found, where)[parts["key"]]
    return found if parts["arguments"] is None else _called(found, option, parts["arguments"], where)


def _made(function: Any, option: str, *given: Any, **named: Any) -> Any:
    """What a function or class returns; a layer of `augment` that requires a `value_range` gets `RANGE`.

    >>> class Layer:
    ...     def __init__(self, value_range, factor=0.5):
    ...         self.given = value_range, factor
    >>> _made(Layer, "augment", factor=0.2).given, _made(Layer, "augment", (0, 1)).given
    (((0, 255), 0.2), ((0, 1), 0.5))
    """
    if option == "augment" and isinstance(function, type):
        signature = inspect.signature(function.__init__)  # type: ignore[misc]
        ranged = signature.parameters.get("value_range")
        free = "value_range" not in signature.bind_partial(None, *given, **named).arguments
        if ranged and ranged.default is ranged.empty and free:
            named["value_range"] = RANGE
    return function(*given, **named)


def _called(function: Any, option: str, arguments: str, where: str) -> Any:
    """What a function returns for arguments that are written as in Python.

    >>> _called(dict, "optimizer", "a=1", "--optimizer")
    {'a': 1}
    """
    try:
        call: Any = ast.parse(f"f({arguments})", mode="eval").body
        given = [ast.literal_eval(each) for each in call.args]
        return _made(function, option, *given, **{each.arg: ast.literal_eval(each.value) for each in call.keywords})
    except Exception as error:  # whatever the function raises for them
        raise BadInput(f"{where}: {type(error).__name__}: {first_line(error)}.") from error


def called_for(function: Callable[[], Mapping[str, Any]], where: str) -> dict[str, Any]:
    """What an experiment's function returns.

    Raises:
        BadInput: if it fails, or returns no values by name.
    """
    try:
        return dict(function())
    except (Exception, SystemExit) as error:
        file = sys.modules[function.__module__].__file__
        raise BadInput(f"{where}: {type(error).__name__} in {file}: {error}.") from error


def module_of(path: Path, where: str) -> ModuleType:
    """The module of a file; one file with one content is one module of the process.

    Args:
        path: The file.
        where: What names it, for messages.

    Raises:
        BadInput: if it cannot be read, or fails.
    """
    try:
        return _module(path.absolute(), digest(path))
    except (Exception, SystemExit) as error:
        raise BadInput(f"{where}: {type(error).__name__} in {path}: {error}.") from error


@functools.cache
def _module(path: Path, content: str) -> ModuleType:
    if HEAVY.search(path.read_text()):
        with importing():  # as the program imports it
            import keras  # noqa: F401
    name = f"experiment_{path.stem}_{content[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look for theirs there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _numbered(name: str) -> Iterator[str]:
    yield name
    for number in itertools.count(2):
        yield f"{name}_{number}"


_given: dict[str, Any] = {}


@contextmanager
def given() -> Iterator[Callable[[Any], str]]:
    """Keep objects of this session that `find` returns meanwhile.

    Returns:
        A function from an object to the reference to it.

    >>> with given() as kept:
    ...     found = [kept(3), kept(4)]
    ...     found, find(found[1], "callbacks", {})
    (['<session>:int', '<session>:int_2'], 4)
    """

    def kept(value: Any) -> str:
        plain = re.sub(r"\W", "_", getattr(value, "__name__", type(value).__name__))
        name = next(each for each in _numbered(plain) if each not in _given)
        _given[name] = value
        return f"{SESSION}:{name}"

    try:
        yield kept
    finally:
        _given.clear()


def place_of(value: Any, option: str) -> str:
    """The reference to a function or class that can be imported.

    Args:
        value: The function or class.
        option: The argument that it is for, for messages.

    Raises:
        BadInput: for an object that only this session has.

    >>> place_of(near, "shortcut")
    'train.settings.names:near'
    >>> place_of(lambda slot, order: None, "shortcut")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    train.process.errors.BadInput: shortcut=<lambda>: only this session has it, so the run could not be resumed. ...
    """
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    found: Any = sys.modules.get(str(module))
    for part in str(name).split("."):
        found = getattr(found, part, None)
    if found is not value or module == "__main__":
        kind = type(value)
        in_text = (
            f"'keras:{kind.__name__}(...)'" if kind.__module__.startswith("keras.") and option in NAMESPACES else ""
        )
        raise BadInput(
            f"{option}={name or repr(value)}: only this session has it, so the run could not be resumed. "
            + (f"Write it as text: {option}={in_text}. Or put " if in_text else "Put ")
            + f"it into a file (in a notebook, by %%writefile FILE.py), and pass {option}='FILE.py:NAME'."
        )
    return f"{module}:{name}"

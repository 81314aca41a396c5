"""The defaults that docstrings state are those of the signatures, in every module of both packages."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest

import keras_resunits
import train

VALUE = r"""(`[^`]+`|"[^"]*"|-?\d[\d.e-]*\d|-?\d)"""
STATED = (rf"Defaults to {VALUE}", rf"{VALUE} \(default\)", rf"{VALUE} by default", rf"by default {VALUE}")
ARGUMENT = re.compile(r"^    (\w[\w, ]*): (.*(?:\n {8}.*)*)", re.MULTILINE)


def functions() -> Iterator[tuple[str, Callable]]:
    """The functions, classes and methods of both packages by their full names."""
    for package in (keras_resunits, train):
        for found in walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.rpartition(".")[2] in ("triton_model", "__main__"):
                continue
            for each in vars(import_module(found.name)).values():
                if getattr(each, "__module__", "") == found.name and callable(each) and hasattr(each, "__qualname__"):
                    name = f"{found.name}.{each.__qualname__}"
                    yield name, each
                    if inspect.isclass(each):
                        yield from (
                            (f"{name}.{method.__name__}", method)
                            for method in vars(each).values()
                            if inspect.isfunction(method)
                        )


def stated(function: Callable) -> Iterator[tuple[str, Any]]:
    """The arguments whose default is stated as a value, with it; "As for `ResNet`" states that of `ResNet`.

    >>> def made(depth=20, g="relu"):
    ...     '''Make it.
    ...
    ...     Args:
    ...         depth: Layers. Defaults to 20.
    ...         g: A name, such as "relu" (default).
    ...     '''
    >>> list(stated(made))
    [('depth', 20), ('g', 'relu')]
    """
    _, _, arguments = (inspect.getdoc(function) or "").partition("Args:\n")
    for names, text in ARGUMENT.findall(arguments.partition("\n\n")[0]):
        values = list(_values(re.sub(r"\s+", " ", text)))
        yield from ((names, value) for value in values)
        if not values and (other := re.match(r"As for `(\w+)`", text)):
            theirs = dict(stated(getattr(keras_resunits, other[1], str)))
            yield from ((name, theirs[name]) for name in names.split(", ") if name in theirs)


def _values(text: str) -> Iterator[Any]:
    for value in (found for pattern in STATED for found in re.findall(pattern, text)):
        with suppress(ValueError, SyntaxError):  # another object, by its name
            yield ast.literal_eval(value.strip("`"))


def same_kind(parameter: inspect.Parameter | None, value: Any) -> bool:
    """Whether a value could be a parameter's default: where that is `None`, it is computed from other arguments."""
    default = None if parameter is None else parameter.default
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (default, value))
    return numbers or type(default) is type(value)


DEFAULTS = {
    f"{name}({argument})": (function, argument, value)
    for name, function in functions()
    for argument, value in stated(function)
    if same_kind(inspect.signature(function).parameters.get(argument), value)
}


@pytest.mark.parametrize("place", DEFAULTS)
def test_a_default_is_the_one_that_the_documentation_states(place):
    function, argument, value = DEFAULTS[place]
    assert inspect.signature(function).parameters[argument].default == value

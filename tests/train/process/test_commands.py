"""What the commands share: defaults that are those of the help, numbers, exit codes, and how they are called."""

from __future__ import annotations

import argparse
import re
import sys
from importlib import import_module

import pytest

from train.process.commands import command, positive, python, reported
from train.process.errors import BadInput

STATED = re.compile(r"; (\S+) by default$|; by default (\d+)$")


class Parsing(Exception):
    """Raised in place of parsing, with the parser."""


def parser_of(module: str, monkeypatch) -> argparse.ArgumentParser:
    """The parser that a command makes."""

    def caught(self, *_, **__):
        raise Parsing(self)

    for name in ("parse_known_args", "parse_known_intermixed_args"):
        monkeypatch.setattr(argparse.ArgumentParser, name, caught)
    made = import_module(module)
    parse = {"train.launch": lambda: made.main(), "keras_resunits.analysis.__main__": lambda: made.parse([], "analyse")}
    with pytest.raises(Parsing) as found:
        parse.get(module, lambda: made.parse([]))()
    return found.value.args[0]


@pytest.mark.parametrize(
    ("module", "stated"),
    [
        ("keras_resunits.analysis.__main__", {"images"}),
        ("train.benchmark", {"batches", "rounds", "requests"}),
        ("train.compress", {"budget", "epochs"}),
        ("train.evaluate", {"batch_size"}),
        ("train.launch", {"workers"}),
        ("train.predict", {"output", "batch_size"}),
    ],
)
def test_a_default_is_the_one_that_the_help_states(module, stated, monkeypatch):
    found = {}
    for action in parser_of(module, monkeypatch)._actions:
        if action.default is not None and (text := STATED.search(action.help or "")):
            own = action.default
            found[action.dest] = (text[1] or text[2], ",".join(map(str, own)) if isinstance(own, list) else str(own))
    assert found.keys() == stated
    assert [pair for pair in found.values() if pair[0] != pair[1]] == []


def test_a_count_is_above_0_and_one_of_tensorflows():
    assert [positive(text) for text in ("1", "2147483647")] == [1, 2**31 - 1]
    for text in ("0", "2147483648", "-1", "1.5", ""):
        with pytest.raises(argparse.ArgumentTypeError, match=f"above 0, at most 2147483647, got '{text}'"):
            positive(text)


def raising(error: BaseException):
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadInput("no such file\nat all"), 2, "answer: no such file at all\n"),
        (KeyboardInterrupt(), 130, "answer: interrupted.\n"),
        (
            ModuleNotFoundError("No module named 'PIL.Image'", name="PIL.Image"),
            2,
            "answer: No module named 'PIL.Image': pip install 'keras_resunits[train]'.\n",
        ),
    ],
)
def test_an_error_of_the_user_is_one_line_and_a_code(error, code, line, capsys):
    assert reported("answer", raising(error)) == code
    assert capsys.readouterr() == ("", line)


def test_an_error_of_the_program_is_not_hidden():
    for error in (ModuleNotFoundError("no module", name="nowhere"), ZeroDivisionError()):
        with pytest.raises(type(error)):
            reported("answer", raising(error))
    assert reported("answer", lambda: None) == 0


def test_a_command_is_named_as_this_one_was_started(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train/__main__.py"])
    monkeypatch.setattr(sys, "executable", f"{tmp_path}/.venv/bin/python")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert python() == ".venv/bin/python"
    assert [command(name) for name in ("train", "evaluate")] == [
        ".venv/bin/python -m train",
        ".venv/bin/python -m train.evaluate",
    ]
    monkeypatch.setattr(sys, "executable", "")  # Python does not know it
    assert python() == "python"
    for name in ("python", "keras-resunits-export"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert (python(), command("train")) == ("python", "python -m train")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "keras-resunits-train")])
    assert command("export") == "keras-resunits-export"
    monkeypatch.setattr(sys, "argv", ["elsewhere/keras-resunits-train"])
    assert command("export") == "elsewhere/keras-resunits-export"

"""The command `keras-resunits`: what it prints, what it passes on, and how it ends."""

from __future__ import annotations

from configparser import ConfigParser

import pytest

from tests.support.paths import ROOT
from train import library


def test_networks_are_listed_and_described(capsys):
    assert library.run_main(["list", "wrn16_4*"]) == 0
    assert capsys.readouterr().out.split() == ["wrn16_4_cifar", "wrn16_4_dropout_cifar"]
    assert library.run_main(["list"]) == 0
    assert len(capsys.readouterr().out.split()) > 100
    assert library.run_main(["describe", "preactresnet20_cifar"]) == 0
    assert "unit008" in capsys.readouterr().out


@pytest.mark.parametrize("command", library.OWN)
def test_a_command_with_arguments_of_its_own_gets_them(command, capsys):
    with pytest.raises(SystemExit) as end:
        library.run_main([command, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: keras-resunits {command} ")


def test_the_help_names_all_installed_commands(capsys):
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    installed = setup["options.entry_points"]["console_scripts"].split("\n")
    names = {line.partition(" = ")[0].removeprefix(library.CONSOLE) for line in installed if line}
    assert {f"-{name}" for name in library.TOOLS} == names - {""}
    with pytest.raises(SystemExit):
        library.run_main(["--help"])
    assert "-export, -benchmark, -compress," in " ".join(capsys.readouterr().out.split())


def test_other_arguments_are_refused(capsys):
    with pytest.raises(SystemExit) as end:
        library.run_main(["list", "a", "--bogus"])
    assert end.value.code == 2
    assert capsys.readouterr().err == "keras-resunits: unrecognized arguments: --bogus; see --help.\n"


@pytest.mark.parametrize(("ends", "code"), [(lambda arguments: 3, 3), (KeyboardInterrupt, 130)])
def test_the_process_ends_with_the_commands_code(ends, code, monkeypatch):
    monkeypatch.setattr("sys.argv", ["keras-resunits", "list"])

    def run_main(arguments):
        assert arguments == ["list"]
        if ends is KeyboardInterrupt:
            raise ends
        return ends(arguments)

    monkeypatch.setattr(library, "run_main", run_main)
    with pytest.raises(SystemExit) as end:
        library.entry()
    assert end.value.code == code

"""CONTRIBUTING's worked steps run as they are written."""

from __future__ import annotations

import doctest
import re
import textwrap

import pytest

import keras_resunits as kr
from keras_resunits.models import family, residual
from keras_resunits.units import merges, shortcuts, tails
from keras_resunits.units.orders import arrangements
from tests.support.paths import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
STEPS = re.findall(r"1\. In (?:a file of )?`keras_resunits/(\S+)`[^\n]*:\n\n( +```python\n.*?) +```", TEXT, re.DOTALL)
BLOCKS = [textwrap.dedent(block.partition("```python\n")[2]) for _, block in STEPS]
MODULES = {
    "units/shortcuts.py": shortcuts,
    "units/orders/arrangements.py": arrangements,
    "units/merges.py": merges,
    "units/tails.py": tails,
    "models/": residual,
}


def test_each_worked_step_names_the_file_that_it_belongs_to():
    assert [file for file, _ in STEPS] == list(MODULES)
    assert TEXT.count("```python") == len(STEPS)


@pytest.mark.parametrize(("block", "module"), zip(BLOCKS, MODULES.values(), strict=True), ids=MODULES)
def test_a_worked_step_runs_in_its_module_and_its_examples_hold(block, module, monkeypatch):
    monkeypatch.setattr(family, "FAMILIES", dict(family.FAMILIES))
    names = dict(vars(module))
    exec(f"from __future__ import annotations\n{block}", names)  # the first line of every module of the package
    made = re.findall(r"^(?:class|def) (\w+)", block, re.MULTILINE)
    for name in made:
        monkeypatch.setattr(kr, name, names[name], raising=False)
    for name in made:
        example = doctest.DocTestParser().get_doctest(names[name].__doc__, {}, name, "CONTRIBUTING.md", 0)
        assert example.examples
        assert doctest.DocTestRunner().run(example).failed == 0

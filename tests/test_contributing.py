"""The worked examples of CONTRIBUTING run as they are written."""

from __future__ import annotations

import doctest
import re
import textwrap

import pytest

import keras_resunits as kr
from keras_resunits.units import merges, shortcuts, tails
from keras_resunits.units.orders import arrangements as orders
from tests.support.paths import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = [textwrap.dedent(block) for block in re.findall(r" ```python\n(.*?) ```", TEXT, re.DOTALL)]


@pytest.mark.parametrize(("block", "module"), zip(BLOCKS, [shortcuts, orders, merges, tails], strict=True))
def test_a_worked_example_runs_in_its_module_and_its_doctests_pass(block, module, monkeypatch):
    names = dict(vars(module))
    exec(f"from __future__ import annotations\n{block}", names)  # the first line of every module of the package
    made = re.findall(r"^(?:class|def) (\w+)", block, re.MULTILINE)
    for name in made:
        monkeypatch.setattr(kr, name, names[name], raising=False)
    for name in made:
        example = doctest.DocTestParser().get_doctest(names[name].__doc__, {}, name, "CONTRIBUTING.md", 0)
        assert example.examples
        assert doctest.DocTestRunner().run(example).failed == 0

"""Law: a function of the public face refuses an object of another kind in one sentence, before any work."""

from __future__ import annotations

import inspect

import pytest

import keras_resunits as kr

UNHEEDED = {"add", "branch_only", "concat", "identity", "layer_scale", "no_tail", "rezero", "squeeze_excite"}
"""Functions of a slot that need nothing of it."""
OTHERWISE = {"no_norm", "pretrained", "report"}
"""Functions that refuse with other words."""


class Wrong:
    """No kind of argument."""

    def __repr__(self) -> str:
        return "wrong"


def required(function) -> list[str]:
    """The arguments that a function cannot do without."""
    found = inspect.signature(function).parameters.values()
    return [each.name for each in found if each.kind is each.POSITIONAL_OR_KEYWORD and each.default is each.empty]


FUNCTIONS = {
    f"{face.__name__}.{name}": getattr(face, name)
    for face in (kr, kr.surgery, kr.analysis)
    for name in face.__all__
    if inspect.isfunction(getattr(face, name)) and name not in UNHEEDED | OTHERWISE and required(getattr(face, name))
}


def test_most_functions_are_asked():
    assert len(FUNCTIONS) > 50


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_wrong_object_is_refused_in_one_sentence(name):
    function = FUNCTIONS[name]
    first, *_ = arguments = required(function)
    with pytest.raises(ValueError, match=rf"^`{first}` must be .* Received: {first}=wrong[. ]"):
        function(**dict.fromkeys(arguments, Wrong()))

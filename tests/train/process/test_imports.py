"""TensorFlow and Keras are imported silently, and without packages that nothing here uses."""

from __future__ import annotations

import gc

import pytest

from train.process.startup import UNUSED, importing

FIRST = f"""
import sys
from train.process.startup import importing
with importing():
    import keras, tensorflow
    from keras_resunits import ResNet
print({{*{UNUSED}}} & set(sys.modules))
import matplotlib.pyplot, sklearn
print(matplotlib.pyplot.__name__, sklearn.__name__, keras.backend.backend())
"""


@pytest.mark.slow
def test_unused_packages_are_not_imported_and_can_be_imported_afterwards(spawn):
    outcome = spawn("-c", FIRST)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == ["set()", "matplotlib.pyplot sklearn tensorflow"]


def test_where_tensorflow_is_imported_already_the_collector_keeps_running():
    frozen = gc.get_freeze_count()
    with importing():
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen

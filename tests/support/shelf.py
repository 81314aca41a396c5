"""A shelf of trained networks of the tests' own, in the place of the package's."""

from __future__ import annotations

import importlib.util
import sys

from keras_resunits.zoo import pretrained
from tests.support.paths import ROOT


def tool():
    """`tools/pretrained.py` as a module."""
    spec = importlib.util.spec_from_file_location("tools_pretrained", ROOT / "tools" / "pretrained.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def put_up(folder, patched) -> None:
    """Let an empty folder be the shelf, until the patches are undone; call `pretrained.table.cache_clear()` then."""
    (folder / pretrained.TABLE).write_text("[]\n")
    patched.setattr(pretrained, "FOLDER", folder)
    pretrained.table.cache_clear()

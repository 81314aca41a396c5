"""The documents in a version's folder: for programs, for readers, and the manifest."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_resunits.serving.kit.batching import FILE, batching_params
from keras_resunits.serving.kit.card import card
from keras_resunits.serving.kit.manifest import write_manifest


def write_documents(folder: Path, model: keras.Model, told: Mapping[str, Any]) -> None:
    """Write batching parameters, `metadata.json`, `MODEL.md` and, last, the manifest.

    Args:
        folder: The SavedModel's.
        model: The model.
        told: What is known of it, as JSON.
    """
    told = {**told, "packages": _packages()}
    (folder / FILE).write_text(batching_params(told["batch_sizes"]))
    (folder / "metadata.json").write_text(json.dumps(told, indent=2) + "\n")
    (folder / "MODEL.md").write_text(card(model, told), encoding="utf-8")
    write_manifest(folder)


def _packages() -> dict[str, str]:
    own = __package__.partition(".")[0]
    return {own: sys.modules[own].__version__, "keras": keras.__version__, "tensorflow": tf.__version__}

"""The card of an exported model: what is known of it, for readers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from keras_resunits.analysis.describe import describe

UNKNOWN = "not stated"


def card(model: keras.Model, told: Mapping[str, Any]) -> str:
    """Return the card as Markdown.

    Args:
        model: The model.
        told: The content of `metadata.json`.

    >>> import keras_resunits as kr
    >>> told = {"class_names": ["no", "yes"], "input_shape": [32, 32, 3], "head": "logits", "signatures": ["features"]}
    >>> told |= {"omitted": {}, "norms": {"folded": 7, "kept": 0}, "packages": {"keras": "3.13.2"}, "data": "cifar10"}
    >>> for line in card(kr.PreActResNet(depth=8), told).splitlines()[4:9]:
    ...     print(line)
    | input | 32 x 32 x 3 |
    | classes | 2, listed in metadata.json |
    | head | logits |
    | data | cifar10 |
    | data digest | not stated |
    """
    configuration = told.get("configuration") or {}
    accuracy, split = told.get("accuracy"), told.get("accuracy_on", "test")
    rows = {
        "input": " x ".join("any" if side is None else str(side) for side in told["input_shape"]),
        "classes": f"{len(told['class_names'])}, listed in metadata.json",
        "head": told["head"],
        "data": told.get("data"),
        "data digest": told.get("data_digest"),
        f"{split} accuracy": accuracy if not isinstance(accuracy, float) else f"{accuracy:.2%}",
        "configuration": configuration.get("fingerprint"),
        "licence": told.get("licence"),
        "norms": f"{told['norms']['folded']} folded into weights, {told['norms']['kept']} left",
        "made with": ", ".join(f"{name} {version}" for name, version in told["packages"].items()),
    }
    options = {name: value for name, value in configuration.items() if name != "fingerprint"}
    signatures = dict.fromkeys(told["signatures"], "served")
    signatures |= {name: f"left out: {why}" for name, why in told["omitted"].items()}
    parts = [
        f"# {_cell(model.name)}",
        _table("model", rows),
        "## Signatures",
        _table("signature", signatures),
        "## Architecture",
        _architecture(model),
        "## How it was made",
        _table("option", options) if options else f"The configuration is {UNKNOWN}.",
    ]
    return "\n\n".join(parts) + "\n"


def _table(name: str, rows: Mapping[str, Any]) -> str:
    lines = (f"| {key} | {UNKNOWN if value is None else _cell(value)} |" for key, value in rows.items())
    return "\n".join([f"| {name} | |", "|---|---|", *lines])


def _cell(value: Any) -> str:
    """One line without the sign that ends a cell."""
    return " ".join(str(value).split()).replace("|", "\\|")


def _architecture(model: keras.Model) -> str:
    try:
        table = str(describe(model))
    except (ValueError, AttributeError) as error:  # a layer of the user's own, whose costs are unknown
        return f"{UNKNOWN.capitalize()}: {_cell(error)}"
    return f"```text\n{table}\n```"

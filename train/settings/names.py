"""What to suggest for a name that no flag has: the flag meant, or what there is instead."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

OTHERS = {  # flags of other programs, and ours
    "arch": "model",
    "batch": "batch_size",
    "bs": "batch_size",
    "data": "dataset",
    "fp16": "precision",
    "gpus": "strategy",
    "lr": "learning_rate",
    "model_dir": "output",
    "name": "run",
    "output_dir": "output",
    "wd": "weight_decay",
}
FROM_WEIGHTS = "A run starts from random weights, or --initial_model=FILE.keras or NETWORK:WEIGHTS."
INSTEAD = {  # what no flag does
    **dict.fromkeys(("weights", "pretrained", "init_weights"), FROM_WEIGHTS),
    "version": "Did you mean pip show keras_resunits?",
}
SIMILAR = 0.7  # share of equal letters: "weights" and "weight_decay" have 0.63, "depht" and "depth" 0.8


def near(name: str, known: Sequence[str], spelled: Callable[[str], str] = repr) -> str:
    """A sentence, with a space before it, about what serves the purpose of an unknown name; else nothing.

    >>> near("depht", ["depth", "width"]), near("lr", ["learning_rate"]), near("weights", ["weight_decay"])[:34]
    (" Did you mean 'depth'?", " Did you mean 'learning_rate'?", ' A run starts from random weights,')
    """
    if name in INSTEAD:
        return f" {INSTEAD[name]}"
    begun = [each for each in known if each.startswith(name)]
    close = begun or difflib.get_close_matches(name, known, cutoff=SIMILAR)
    if OTHERS.get(name) in known:
        close = [OTHERS[name]]
    return f" Did you mean {' or '.join(map(spelled, close))}?" if close else ""

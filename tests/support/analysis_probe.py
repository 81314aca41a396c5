"""What every analysis measures in saved networks under this process's backend, as plain arrays.

`KERAS_BACKEND=jax python analysis_probe.py FOLDER` reads `<name>.keras` and `set.npz` and writes `<name>.jax.npz`.
"""

import sys
from pathlib import Path

import keras
import numpy as np

import keras_resunits as kr

SAMPLED = {"paths": {"sampled": 2}, "reorder": {"runs": 4}}


def measured(model, images, labels) -> dict[str, np.ndarray]:
    """The arrays of every analysis of one network, named `analysis/array`; in training mode also the propagation.

    With them, what its units cost as they are dropped by their ratio, but for the time, which differs.
    """
    found = {"credits": kr.analysis.credits(model, images)}
    for name in ("propagation", "paths", "lesions", "removal", "reorder", "importance", "lens"):
        found[name] = getattr(kr.analysis, name)(model, images, labels, **SAMPLED.get(name, {}))
    found["training"] = kr.analysis.propagation(model, images, labels, training=True)
    found["pruning"] = kr.surgery.pruning_curve(model, found["removal"].orders["ratio"], images, labels)
    arrays = {f"{name}/{key}": array for name, record in found.items() for key, array in record.arrays.items()}
    del arrays["pruning/latency"]
    return arrays


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with np.load(folder / "set.npz") as arrays:
        images, labels = arrays["images"], arrays["labels"]
    for file in sorted(folder.glob("*.keras")):
        found = measured(keras.saving.load_model(file, compile=False, safe_mode=True), images, labels)
        np.savez(folder / f"{file.stem}.{keras.backend.backend()}.npz", **found)

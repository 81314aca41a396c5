"""The variables of small networks after a step of `train_on_batch` under this process's backend, by `remat`.

`KERAS_BACKEND=jax python remat_probe.py FILE` writes them to FILE, as `<remat> <path>`; `before <path>` are those of
the start.
"""

import sys

import keras
import numpy as np

import keras_resunits as kr


def variables(model) -> dict[str, np.ndarray]:
    """The values of a network's weights and moving statistics by path."""
    return {weight.path: keras.ops.convert_to_numpy(weight.value) for weight in model.weights}


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(4, 8, 8, 3)).astype("float32"), np.arange(4)
    found = {}
    for remat in (None, 2, "norms"):
        keras.utils.set_random_seed(0)
        model = kr.PreActResNet(8, input_shape=(8, 8, 3), tail="branch_dropout", remat=remat)
        found |= {f"before {path}": value for path, value in variables(model).items()}
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss)
        model.train_on_batch(images, labels)
        found |= {f"{remat} {path}": value for path, value in variables(model).items()}
    np.savez(sys.argv[1], **found)

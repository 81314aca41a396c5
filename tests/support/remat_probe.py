"""The variables of small networks after a step of `train_on_batch` under this process's backend, by `remat`.

`KERAS_BACKEND=jax python remat_probe.py FILE` writes them to FILE, as `<remat> <network> <path>`; `before <network>
<path>` are those of the start.
"""

import sys

import keras
import numpy as np

import keras_resunits as kr


def variables(model) -> dict[str, np.ndarray]:
    """The values of a network's weights and moving statistics by path."""
    return {weight.path: keras.ops.convert_to_numpy(weight.value) for weight in model.weights}


def residual(remat) -> keras.Model:
    """A network of units that add, with random numbers."""
    return kr.PreActResNet(8, input_shape=(8, 8, 3), tail="branch_dropout", remat=remat)


def dense(remat) -> keras.Model:
    """A network of units that grow."""
    return kr.DenseNet([3, 1], input_shape=(8, 8, 3), remat=remat)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(4, 8, 8, 3)).astype("float32"), np.arange(4)
    found = {}
    for make in (residual, dense):
        for remat in (None, 2, "norms"):
            keras.utils.set_random_seed(0)
            model = make(remat)
            found |= {f"before {make.__name__} {path}": value for path, value in variables(model).items()}
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.SGD(0.1), loss)
            model.train_on_batch(images, labels)
            found |= {f"{remat} {make.__name__} {path}": value for path, value in variables(model).items()}
    np.savez(sys.argv[1], **found)

"""What a saved network computes under the backend of this process, as plain arrays.

`KERAS_BACKEND=jax python backend_probe.py FOLDER` reads `<name>.keras` and `<name>.inputs.npz` and writes
`<name>.jax.npz`. TensorFlow cannot be imported there: neither the package nor a saved network needs it.
"""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path


class WithoutTensorFlow(MetaPathFinder, Loader):
    """Refuses to import TensorFlow; whoever only looks whether it is there (Torch does) is not hindered."""

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.partition(".")[0] == "tensorflow" else None

    def create_module(self, spec):
        raise ImportError(f"{spec.name} is blocked in this process")

    def exec_module(self, module):
        """Not reached."""


if __name__ == "__main__":
    sys.meta_path.insert(0, WithoutTensorFlow())

import keras  # noqa: E402
import numpy as np  # noqa: E402

import keras_resunits  # noqa: E402 (registers the layers)


def observed(model, images, cotangent) -> dict[str, np.ndarray]:
    """Outputs in inference and in training, the moving statistics that training leaves, and the gradients
    of `sum(outputs * cotangent)` with respect to every trainable weight and to the images."""
    inference = model(images, training=False)
    outputs, gradients, images = GRADIENTS[keras.backend.backend()](model, images, cotangent)
    found = {"inference": inference, "training": outputs, "gradient images": images}
    for i, (variable, gradient) in enumerate(zip(model.trainable_variables, gradients, strict=True)):
        found[f"gradient {i} {variable.name}"] = gradient
    for i, variable in enumerate(model.non_trainable_variables):
        found[f"moved {i} {variable.name}"] = variable.value
    return {name: keras.ops.convert_to_numpy(tensor) for name, tensor in found.items()}


def _tensorflow(model, images, cotangent):
    import tensorflow as tf

    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = model(images, training=True)
        loss = tf.reduce_sum(outputs * cotangent)
    return outputs, *tape.gradient(loss, ([v.value for v in model.trainable_variables], images))


def _torch(model, images, cotangent):
    images = keras.ops.convert_to_tensor(images).requires_grad_()
    outputs = model(images, training=True)
    (outputs * keras.ops.convert_to_tensor(cotangent)).sum().backward()
    return outputs.detach(), [v.value.grad for v in model.trainable_variables], images.grad


def _jax(model, images, cotangent):
    import jax

    def loss(trainable, images):
        non_trainable = [v.value for v in model.non_trainable_variables]
        outputs, moved = model.stateless_call(trainable, non_trainable, images, training=True)
        return (outputs * cotangent).sum(), (outputs, moved)

    differentiated = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    (_, (outputs, moved)), gradients = differentiated([v.value for v in model.trainable_variables], images)
    for variable, value in zip(model.non_trainable_variables, moved, strict=True):
        variable.assign(value)
    return outputs, *gradients


GRADIENTS = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for file in sorted(folder.glob("*.keras")):
        model = keras.saving.load_model(file, compile=False, safe_mode=True)
        arrays = np.load(folder / f"{file.stem}.inputs.npz")
        found = observed(model, arrays["images"], arrays["cotangent"])
        np.savez(folder / f"{file.stem}.{keras.backend.backend()}.npz", **found)
        model.save(folder / "back" / file.name)
    try:
        keras_resunits.export_saved_model(model, folder / "exported")
    except RuntimeError as refusal:
        print(refusal)
    assert "tensorflow" not in sys.modules

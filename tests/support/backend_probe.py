"""The results of a saved network under this process's backend, as plain arrays.

`KERAS_BACKEND=jax python backend_probe.py FOLDER` reads `<name>.keras` and `<name>.inputs.npz` and writes
`<name>.jax.npz`. TensorFlow cannot be imported there: neither the package nor a saved network needs it.
"""

import json
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path


class WithoutTensorFlow(MetaPathFinder, Loader):
    """Refuses to import TensorFlow, but allows checks whether it is installed, as in Torch."""

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


def observed(model, inputs, cotangent, random) -> dict[str, np.ndarray]:
    """Outputs in inference and in training, the moving statistics that training leaves, and the gradients
    of `sum(outputs * cotangent)` with respect to every trainable weight and every input: in training, and in inference
    too for a `random` model."""
    found = {"inference": model(given(inputs), training=False)}
    for mode in ["inference", "training"] if random else ["training"]:
        outputs, gradients, of_inputs = GRADIENTS[keras.backend.backend()](model, inputs, cotangent, mode == "training")
        found[mode] = outputs
        found |= {f"{mode} gradient input {i}": gradient for i, gradient in enumerate(of_inputs)}
        for i, (variable, gradient) in enumerate(zip(model.trainable_variables, gradients, strict=True)):
            found[f"{mode} gradient {i} {variable.name}"] = gradient
    for i, variable in enumerate(model.non_trainable_variables):
        found[f"moved {i} {variable.name}"] = variable.value
    return {name: keras.ops.convert_to_numpy(tensor) for name, tensor in found.items()}


def stepped(optimizer) -> np.ndarray:
    """The values of a slowed-down and a normal variable after an optimiser's steps."""
    values, gradients = np.random.default_rng(6).normal(size=(2, 4, 3)).astype("float32")
    slow, free = keras.Variable(values[0]), keras.Variable(values[1])
    if hasattr(optimizer, "scale_learning_rate"):
        optimizer.scale_learning_rate([slow], 0.1)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)] * 2, [slow, free])
    return np.stack([keras.ops.convert_to_numpy(variable.value) for variable in (slow, free)])


def given(inputs: list):
    """The inputs in the form that a model takes."""
    return inputs if len(inputs) > 1 else inputs[0]


def _tensorflow(model, inputs, cotangent, training):
    import tensorflow as tf

    inputs = [tf.constant(each) for each in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = model(given(inputs), training=training)
        loss = tf.reduce_sum(outputs * cotangent)
    variables = [v.value for v in model.trainable_variables]
    return outputs, *tape.gradient(loss, (variables, inputs), unconnected_gradients="zero")


def _torch(model, inputs, cotangent, training):
    import torch

    inputs = [keras.ops.convert_to_tensor(each).requires_grad_() for each in inputs]
    outputs = model(given(inputs), training=training)
    variables = [v.value for v in model.trainable_variables]
    loss = (outputs * keras.ops.convert_to_tensor(cotangent)).sum()
    gradients = torch.autograd.grad(loss, [*variables, *inputs], materialize_grads=True)
    return outputs.detach(), gradients[: len(variables)], gradients[len(variables) :]


def _jax(model, inputs, cotangent, training):
    import jax

    def loss(trainable, inputs):
        non_trainable = [v.value for v in model.non_trainable_variables]
        outputs, moved = model.stateless_call(trainable, non_trainable, given(inputs), training=training)
        return (outputs * cotangent).sum(), (outputs, moved)

    differentiated = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    (_, (outputs, moved)), gradients = differentiated([v.value for v in model.trainable_variables], inputs)
    for variable, value in zip(model.non_trainable_variables, moved, strict=True):
        variable.assign(value)
    return outputs, *gradients


GRADIENTS = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for file in sorted(folder.glob("*.keras")):
        model = keras.saving.load_model(file, compile=False, safe_mode=True)
        arrays = np.load(folder / f"{file.stem}.inputs.npz")
        inputs = [arrays[f"input {i}"] for i in range(len(arrays) - 2)]
        found = observed(model, inputs, arrays["cotangent"], arrays["random"])
        np.savez(folder / f"{file.stem}.{keras.backend.backend()}.npz", **found)
        model.save(folder / "back" / file.name)
    for file in sorted(folder.glob("*.optimizer.json")):
        optimizer = keras.optimizers.deserialize(json.loads(file.read_text()))
        np.save(folder / f"{file.stem}.{keras.backend.backend()}.npy", stepped(optimizer))
    try:
        keras_resunits.export_saved_model(model, folder / "exported")
    except RuntimeError as refusal:
        print(refusal)
    assert "tensorflow" not in sys.modules

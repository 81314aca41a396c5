"""Recomputation: layers whose inner activations are computed again in the backward pass, instead of being kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
from keras.src.backend import AutocastScope  # Keras has no public name for it

from keras_resunits.layers.backend import ON_TENSORFLOW, tf

if ON_TENSORFLOW:
    from tensorflow.compiler.tf2xla.python import xla
    from tensorflow.python.eager import record  # TensorFlow has no public name for it
    from tensorflow.python.ops import control_flow_util  # nor for this


def recomputed(layers: Sequence[keras.layers.Layer], x, parts: Sequence = ()):
    """Apply layers in training; between forward and backward pass, only their input is kept (Chen et al. 2016).

    The layers run as a function of their weights and states. So the second pass sees the same weights and draws the
    same random numbers, and the updates of the states (moving statistics, seeds) are made once, after the first pass.

    Args:
        layers: Built one-input layers, in order of application.
        x: Their input.
        parts: What `x` is concatenated of, along the last axis: they are kept in its place, and `x` is concatenated
            again (Pleiss et al. 2017). Defaults to `x` itself.

    Returns:
        The output of the last layer. Its gradient equals that without recomputation.

    Raises:
        ValueError: if a layer adds a loss, such as that of an activity regulariser.

    Example:

    >>> import keras
    >>> dense = keras.layers.Dense(1, kernel_initializer="ones")
    >>> dense.build((None, 2))
    >>> float(recomputed([dense], keras.ops.ones((1, 2)))[0, 0])
    2.0
    """
    weights = [weight for layer in layers for weight in layer.trainable_variables]
    states = [state for layer in layers for state in layer.non_trainable_variables]
    with AutocastScope(None):  # the layers cast for themselves
        values = [weight.value for weight in weights]
        before = [keras.ops.copy(state.value) for state in states]  # assigning may change the value in place
    moved: list[keras.Variable] = []

    def forward(x, *values):
        mapping = [*zip(weights, values, strict=True), *zip(states, before, strict=True)]
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            held = [scope.get_current_value(state) for state in states]
            for layer in layers:
                x = layer(x, training=True)
            if scope.losses:
                raise ValueError(
                    "recomputed layers must not add losses: they would count twice. "
                    f"Received: a loss of a layer in '{layers[0].name}' ... '{layers[-1].name}' (remat)."
                )
            after = [scope.get_current_value(state) for state in states]
        changed = [i for i in range(len(states)) if after[i] is not held[i]]
        moved[:] = [states[i] for i in changed]
        return x, *(keras.ops.stop_gradient(after[i]) for i in changed)

    x, *updates = _run(forward, x, parts or [x], values)
    for state, update in zip(moved, updates, strict=True):
        state.assign(update)
    return x


def _joined(parts: Sequence):
    return keras.ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]


def _on_jax(forward: Callable, x, parts: Sequence, values: Sequence):
    import jax

    return jax.checkpoint(lambda parts, values: forward(_joined(parts), *values))(parts, values)


def _on_torch(forward: Callable, x, parts: Sequence, values: Sequence):
    from torch.utils.checkpoint import checkpoint

    return checkpoint(lambda: forward(_joined(parts), *values), use_reentrant=False)


def _on_tensorflow(forward: Callable, x, parts: Sequence, values: Sequence):
    """Run `forward`; `tf.recompute_grad` adds a zero to each of its inputs, weights too.

    The gradient is that of `x`. Each part would sum those of all units that read it, in an order that varies.
    """

    @tf.custom_gradient
    def run(x, *values):
        with record.stop_recording():
            outputs = forward(x, *values)

        def gradient(d_output, *_):
            again = _joined([_after(d_output, part) for part in parts])
            with tf.GradientTape() as tape:
                tape.watch([again, *values])
                output, *_ = forward(again, *values)
            return tape.gradient(output, [again, *values], d_output)

        return outputs, gradient

    return run(x, *values)


def _after(earlier, x):
    """Return `x`, which in a graph is available only after `earlier` is computed, so that no pass is merged."""
    graph = tf.compat.v1.get_default_graph()
    if control_flow_util.GraphOrParentsInXlaContext(graph):  # XLA heeds no control dependencies
        return xla.optimization_barrier(x, earlier)[0]
    with tf.control_dependencies([earlier]):
        return tf.identity(x)


_run: Callable = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}[keras.backend.backend()]

"""TensorFlow's random operations as functions of a key.

`tf.random.uniform`, a `tf.random.Generator` and others draw from states that their operations change. A replay of a
traced function has the stateless counterpart of each in its place. Its key follows from the key of the call, the number
of the draw in the function, and the iterations of the loops around it. So what the function returns depends on inputs
and key only. The function itself, and TensorFlow, stay as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras

from ..process.backend import tf


def _generator(key: tf.Tensor, op: tf.Operation, *_: tf.Tensor) -> tf.Tensor:
    """The state that a `tf.random.Generator` draws from: as if it began here, at the key."""
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=key)
    return tf.bitcast(tf.concat([counter, key], 0), tf.int64)


def _gamma(key: tf.Tensor, op: tf.Operation, shape: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_gamma(tf.concat([shape, tf.shape(alpha, shape.dtype)], 0), key, alpha, dtype=alpha.dtype)


def _of_shape(draw: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    return lambda key, op, shape: draw(shape, key, dtype=op.outputs[0].dtype)


DRAWS: dict[str, Callable[..., tf.Tensor]] = {
    "Multinomial": lambda key, op, logits, n: tf.random.stateless_categorical(logits, n, key, op.outputs[0].dtype),
    "RandomGamma": _gamma,
    "RandomShuffle": lambda key, op, value: tf.random.experimental.stateless_shuffle(value, key),
    "RandomStandardNormal": _of_shape(tf.random.stateless_normal),
    "RandomUniform": _of_shape(tf.random.stateless_uniform),
    "RandomUniformInt": lambda key, op, shape, low, high: tf.random.stateless_uniform(shape, key, low, high, low.dtype),
    "RngReadAndSkip": _generator,
    "TruncatedNormal": _of_shape(tf.random.stateless_truncated_normal),
}
"""The operations that draw, by type, and what draws from a key in their place: `(key, operation, *inputs)`."""


def _loop(key: tf.Tensor, op: tf.Operation, *inputs: tf.Tensor) -> Sequence[tf.Tensor]:
    condition, body = functions(op)

    def once(iteration: tf.Tensor, *state: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return iteration + 1, *replayed(body, state, fold(key, iteration))

    return tf.while_loop(
        lambda iteration, *state: replayed(condition, state, key)[0],
        once,
        (tf.constant(0), *inputs),
        (tf.TensorShape([]), *(each.shape for each in body.inputs)),
        parallel_iterations=op.get_attr("parallel_iterations"),
    )[1:]


def _branch(key: tf.Tensor, op: tf.Operation, which: tf.Tensor, *inputs: tf.Tensor) -> Sequence[tf.Tensor]:
    branches = [lambda graph=graph: replayed(graph, inputs, key) for graph in functions(op)]
    return tf.cond(which, *branches) if which.dtype == tf.bool else tf.switch_case(which, branches)


def _call(key: tf.Tensor, op: tf.Operation, *inputs: tf.Tensor) -> Sequence[tf.Tensor]:
    return replayed(functions(op)[0], inputs, key)


CALLS: dict[str, Callable[..., Sequence[tf.Tensor]]] = {
    "Case": _branch,
    "If": _branch,
    "PartitionedCall": _call,
    "StatefulPartitionedCall": _call,
    "StatelessCase": _branch,
    "StatelessIf": _branch,
    "StatelessWhile": _loop,
    "While": _loop,
}
"""The operations that call functions."""
COPIED = {"Assert", "ReadVariableOp"}
"""Those that TensorFlow calls stateful, and that change no state."""


def fold(key: tf.Tensor, number: tf.Tensor | int) -> tf.Tensor:
    """The key of a part."""
    return tf.random.experimental.stateless_fold_in(key, number)


def functions(op: tf.Operation) -> list[tf.Graph]:
    """The functions that an operation calls: a loop's condition and body, a choice's branches in order."""
    # TensorFlow has no public name for it; imported here, so that another backend is refused by name
    from tensorflow.python.ops.control_flow_util_v2 import get_func_graph

    names = [op.get_attr(each.name) for each in op.op_def.attr if each.type in ("func", "list(func)")]
    listed = itertools.chain.from_iterable(each if isinstance(each, list) else [each] for each in names)
    return [get_func_graph(op, None, each.name) for each in listed]


def stateful(graph: tf.Graph) -> set[str]:
    """The types of the operations of a function, and of those it calls, whose result may depend on a state."""
    found = set()
    for op in graph.get_operations():
        if op.op_def.is_stateful and op.type not in {*CALLS, *COPIED}:
            found.add(op.type)
        for each in functions(op):
            found |= stateful(each)
    return found


def traced(layer: keras.layers.Layer, images: tf.Tensor) -> Any:
    """A layer in training, as a function of images of this shape."""
    function = tf.function(lambda images: layer(images, training=True))
    return function.get_concrete_function(tf.TensorSpec(images.shape, images.dtype))


def keyed(layer: keras.layers.Layer, images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """What a layer returns in training, with draws from a key: two int32.

    `DRAWS` must have all that is `stateful` in it.

    >>> noise = keras.layers.Lambda(lambda x: x + tf.random.normal(tf.shape(x)))
    >>> a, b, c = (keyed(noise, tf.zeros((2, 3)), tf.constant(key)) for key in ([0, 1], [0, 1], [0, 2]))
    >>> bool(tf.reduce_all(a == b)), bool(tf.reduce_all(a == c))
    (True, False)
    """

    def replay(images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        function = traced(layer, images)
        return replayed(function.graph, [images, *function.captured_inputs], key)[0]

    return tf.function(replay, autograph=False)(images, key)


def replayed(graph: tf.Graph, inputs: Sequence[tf.Tensor], key: tf.Tensor) -> list[tf.Tensor]:
    """A traced function's outputs for inputs, with draws from a key."""
    values = {old.ref(): new for old, new in zip(graph.inputs, inputs, strict=True)}
    here, numbers = tf.compat.v1.get_default_graph(), itertools.count()
    for op in graph.get_operations():
        if op.type == "Placeholder":
            continue  # an input
        given = [values[each.ref()] for each in op.inputs]
        if op.type in DRAWS:
            made: Sequence[tf.Tensor] = [DRAWS[op.type](fold(key, next(numbers)), op, *given)]
        elif op.type in CALLS:
            made = CALLS[op.type](fold(key, next(numbers)), op, *given)
        else:
            attributes = {name: value for name, value in op.node_def.attr.items() if not name.startswith("_")}
            kinds = [each.dtype for each in op.outputs]
            made = here.create_op(op.type, given, kinds, attrs=attributes, op_def=op.op_def).outputs
        for old, new in zip(op.outputs, made, strict=True):
            new.set_shape(old.shape)
            values[old.ref()] = new
    return [values[each.ref()] for each in graph.outputs]

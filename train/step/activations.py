"""The memory that a traced step takes, estimated before it runs.

`estimated bytes = most bytes of live tensors + 20,000 x operations`. The first term is `peak_bytes`; the second stands
for what TensorFlow keeps of an operation: node, kernel, optimised copies of the graph.

Measured on two CPU cores, as the growth of the process in its first steps: the estimate was 69 % to 121 % of it in 24
measurements of 20 to 164 layers, batches of 64 to 256, with and without `remat`, in float32 and bfloat16. It is mostly
too low. `benchmarks/remat.py` measures it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..process.backend import tf

# These pass a buffer on, or view it.
VIEWS = frozenset({"ExpandDims", "Identity", "IdentityN", "PreventGradient", "Reshape", "Squeeze", "StopGradient"})
# These write into an input that nothing else reads.
IN_PLACE = frozenset(
    {"Add", "AddN", "AddV2", "BiasAdd", "Mul", "Neg", "RealDiv", "Relu", "ReluGrad", "Rsqrt", "Select", "SelectV2"}
    | {"Sigmoid", "SigmoidGrad", "Sqrt", "Square", "Sub"}
)
# These lend memory that exists anyway: weights and constants.
LENT = frozenset({"Const", "Placeholder", "ReadVariableOp", "VarHandleOp"})


AN_OPERATION = 20_000  # bytes


def estimated_bytes(graph: tf.Graph) -> int:
    """The bytes by which a step's graph makes the process grow; see above."""
    return peak_bytes(graph) + AN_OPERATION * len(graph.get_operations())


def shortage(needed: int, free: int, batch_size: int, remat: int | str | None) -> str | None:
    """A warning that a step takes more memory than is free, with the flags that reduce it; `None` if it does not.

    >>> shortage(3 * 10**9, 2 * 10**9, 64, None)
    'a step takes about 3.0 GB, but 2.0 GB of memory are free: pass --remat=auto, or a --batch_size of 42.'
    >>> shortage(2 * 10**9, 2 * 10**9, 64, None)
    """
    if needed <= free:
        return None
    fits = batch_size * free // needed
    smaller = f"a --batch_size of {fits}" if fits else "a smaller --depth"
    ways = ["--remat=auto", smaller] if remat in (None, "norms") else [smaller]
    told = f"a step takes about {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB of memory are free"
    return f"{told}: pass {', or '.join(ways)}."


def peak_bytes(graph: tf.Graph) -> int:
    """The most bytes of activations and gradients that a graph holds, if its operations run in the order of tracing.

    Every tensor lives from the operation that makes it to the last one that reads it. `VIEWS` take nothing, and
    `IN_PLACE` only where something else reads the input later. Left out are weights, working memory inside kernels,
    and tensors whose shape tracing does not know.

    >>> @tf.function
    ... def step(x):
    ...     y = tf.sin(x)
    ...     return tf.reduce_sum(tf.cos(y) * y)  # the product takes the place of the cosine
    >>> peak_bytes(step.get_concrete_function(tf.TensorSpec([1000])).graph)
    8000
    """
    operations = graph.get_operations()
    owner = {name: root for operation in operations for name, root in _roots(operation)}
    owner = {name: _resolved(owner, name) for name in owner}
    readers = Counter(owner[tensor.name] for operation in operations for tensor in operation.inputs)
    readers.update(owner[tensor.name] for tensor in graph.outputs)
    size: dict[str, int] = {}
    live = peak = 0
    for operation in operations:
        made = {tensor.name: _bytes(tensor) for tensor in operation.outputs if owner[tensor.name] == tensor.name}
        read = Counter(owner[tensor.name] for tensor in operation.inputs)
        ending = {name: size.get(name, 0) for name in read if readers[name] == read[name]}
        taken = operation.type in IN_PLACE and sum(made.values()) in ending.values()
        peak = max(peak, live + (0 if taken else sum(made.values())))
        size |= made
        readers.subtract(read)
        unread = sum(bytes for name, bytes in made.items() if not readers[name])
        live += sum(made.values()) - sum(ending.values()) - unread
    return peak


def _roots(operation) -> Iterator[tuple[str, str]]:
    """The outputs of an operation by name, each with the tensor whose memory it has."""
    for index, tensor in enumerate(operation.outputs):
        yield tensor.name, operation.inputs[index].name if operation.type in VIEWS else tensor.name


def _resolved(owner: dict[str, str], name: str) -> str:
    while owner[name] != name:
        name = owner[name]
    return name


def _bytes(tensor) -> int:
    lent = tensor.op.type in LENT or tensor.dtype in (tf.resource, tf.variant, tf.string)
    return 0 if lent else (tensor.shape.num_elements() or 0) * tensor.dtype.size

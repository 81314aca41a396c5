"""Sums that TensorFlow's graph optimiser can merge with the weights before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from keras_resunits.serving.nodes import Linear, Node, Output, ordered


def unchain(outputs: Sequence[Output]) -> None:
    """Write `x + (W y + c)` as `x - (-W y - c)` where several operations read the sum.

    TensorFlow's remapper merges a convolution, its bias, a sum and an activation. Sums that end in each other, as the
    stream of pre-activated units does, make it fail, and all its merges are lost ("remapper failed: ... fanout exist
    for missing node").
    """
    nodes = ordered(outputs)
    reads = Counter(node for reader in nodes for node, _ in reader.inputs) + Counter(node for node, _ in outputs)
    for node in nodes:
        if _ends_weights(node) and reads[node] > 1:
            _subtract(node, reads)


def _ends_weights(node: Node) -> bool:
    return node.op == "AddV2" and any(isinstance(term, Linear) for term, _ in node.inputs)


def _subtract(node: Node, reads: Counter) -> None:
    for x, branch in (node.inputs, node.inputs[::-1]):
        if isinstance(branch[0], Linear) and reads[branch[0]] == 1:
            branch[0].then(-1.0)
            node.op, node.inputs = "Sub", [x, branch]
            return

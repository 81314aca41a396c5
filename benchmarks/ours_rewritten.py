"""The step of `ours` with all passes of Grappler, as a loop of one's own runs it."""

from ours import graph_of_step


def compile_step(depth: int):
    """One training step, `(images, labels) -> loss`."""
    step = graph_of_step(depth)
    return lambda images, labels: float(step(images, labels))

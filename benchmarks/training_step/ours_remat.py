"""The same network as `ours`, whose training computes activations again to save memory."""

from . import ours


def compile_step(network: str, depth: int):
    """One training step, `(images, labels) -> loss`, with the papers' SGD."""
    return ours.compile_step(network, depth, remat="auto")

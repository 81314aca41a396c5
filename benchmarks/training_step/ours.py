"""PreActResNet of this package, with its optimiser, begun and stepped as the training program does."""

from train.process.startup import importing

with importing():
    from keras_resunits import CoupledSGD, PreActResNet

    from . import tape_step


def compile_step(depth: int, remat: str | None = None):
    """One training step, `(images, labels) -> loss`, with the papers' SGD."""
    return tape_step.compile_step(PreActResNet(depth, block="bottleneck", remat=remat), CoupledSGD(0.1))

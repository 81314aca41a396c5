"""A network of this package, with its optimiser, begun and stepped as the training program does."""

from functools import partial

from train.process.startup import importing

with importing():
    from keras_resunits import CoupledSGD, DenseNet, PreActResNet, WideResNet

    from . import tape_step

NETWORKS = {
    "preact_bottleneck": partial(PreActResNet, block="bottleneck"),
    "preact_basic": partial(PreActResNet, block="basic"),
    "wide": partial(WideResNet, width=4, dropout=0.0),
    "dense": DenseNet,
}


def compile_step(network: str, depth: int, remat: str | None = None):
    """One training step, `(images, labels) -> loss`, with the papers' SGD."""
    return tape_step.compile_step(NETWORKS[network](depth, remat=remat), CoupledSGD(0.1))

"""PreActResNet-20, trained on the digits, deepened to 38 layers and trained on.

Command: python -m train --config=digits_deepened
Time: 1 minute on 2 cores of a busy AMD EPYC.
Result: 98.89 % test accuracy, 356 of 360 images (one run, seed 0); 99.17 % after the first epoch, as before deepening.

The package has the trained network. Its new units are the identity at first, so training goes on where the shallower
network ended. The digits leave nothing to gain. `python -m studies.nested` compares deepened networks with those from
scratch.
"""

from __future__ import annotations


def deepened(input_shape: tuple[int, int, int], classes: int):
    """The trained network with twice as many units in each stage."""
    import keras_resunits as kr

    shallow = kr.create("preactresnet20:digits", input_shape=input_shape, classes=classes)
    return kr.surgery.deepen(shallow, depth=38)


def config() -> dict:
    return {
        "dataset": "digits",
        "model": deepened,
        "epochs": 10,
        "batch_size": 64,
        "learning_rate": 0.02,
        "schedule": "one_cycle",
    }


def smoke() -> dict:
    return {**config(), "epochs": 1}

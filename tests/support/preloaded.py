"""The imports of forked processes: everything that a run needs (`tests/support/forks.py`)."""

from train.process.startup import importing

with importing():
    import train.program  # noqa: F401

from train.data.datasets.digits import load_digits

load_digits()  # imports scikit-learn

"""What a forked process finds imported: all that a run on the digits wants (`tests/train/forks.py`)."""

from train.process.startup import importing

with importing():
    import train.callbacks
    import train.check
    import train.checkpoints
    import train.network
    import train.session
    import train.workers  # noqa: F401
from train.data.datasets.digits import load_digits

load_digits()  # imports scikit-learn

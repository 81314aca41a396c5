"""`python -m tests.support.dying_export FOLDER EVENT NAME`: an export that SIGKILLs itself at an audit event.

It exports, keeps one version and writes the kit. It dies before `EVENT` about a path whose last part begins with NAME.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from train.process.startup import importing

with importing():
    import keras

    from keras_resunits import export_saved_model, serving_kit

if __name__ == "__main__":
    folder, wanted, name = sys.argv[1:]

    def dying(event: str, arguments: tuple) -> None:
        """An audit hook."""
        if event == wanted and Path(str(arguments[0])).name.startswith(name):
            os.kill(os.getpid(), signal.SIGKILL)

    images = keras.Input((4, 4, 1))
    model = keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(images)))
    sys.addaudithook(dying)
    export_saved_model(model, folder, batch_sizes=(1,), keep=1)
    serving_kit(folder)

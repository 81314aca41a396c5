"""Train a residual network on images and export what TensorFlow Serving answers from.

    python -m train
        PreActResNet-20 on scikit-learn's handwritten digits: no network, no data of yours, under three minutes.
    python -m train --dataset=cifar10 --depth=110 --model=ResNet
        Any image classification set of tensorflow-datasets.
    python -m train --dataset=path/to/folder --epochs=30
        A folder of images: train/<class>/*, test/<class>/*.
    python -m train --resume --run=NAME
        Go on where a run stopped.

Writes runs/<run>/ (config.json, history.csv, curves.png, example.png, tensorboard/, checkpoints/) and
saved_models/<run>/<version>/.
Exit codes: 0 done; 2 something to mend in flags or data, or too little memory for them, 3 the loss is no number any
more, 4 checkpoints cannot be written or read, 5 another worker is gone, each said in one line; 42 asked to stop by
SIGTERM or SIGINT, and saved; 130 interrupted before or after training.
"""

from __future__ import annotations

import os
import sys

from absl import app, flags

from .cluster.discovery import check_strategy
from .cluster.strategy import make_strategy
from .process.errors import BadInput, Preempted, RunError, told
from .process.files import outlive_full_disks
from .process.startup import importing
from .program import going_on, pipeline
from .settings import usage
from .settings.flags import FLAGS
from .settings.resolving import resolve


def main() -> None:
    """Find out what is to be done and where, take the devices, and run the pipeline on them."""
    check_strategy(FLAGS.strategy, FLAGS.tpu, FLAGS.cpu_devices)
    config, run = configure()
    with importing():  # after the flags: a typing error is answered at once, not after seconds of imports
        from .cluster.workers import leaving_together
        from .process.startup import trace_lightly
        from .run.signals import handle_by_default
        from .step.network import check_network
    check_network(config)
    timeouts = FLAGS.startup_timeout, FLAGS.worker_timeout
    place = make_strategy(FLAGS.strategy, FLAGS.tpu, FLAGS.cpu_devices, *timeouts)
    handle_by_default()
    trace_lightly()
    with leaving_together(place), place.strategy.scope():
        try:
            pipeline(config, run, place)
        except Preempted as error:
            raise Preempted(f"{error} Go on with: {going_on(run)}") from None


def configure():
    """`(Config, Run)`: what is to be done, and under which name."""
    from .run.folder import new_run, old_run

    config = resolve()
    if not FLAGS.resume:
        return config, new_run(FLAGS.output, FLAGS.run, config.default_run)
    run = old_run(FLAGS.output, FLAGS.run, config.default_run)
    return (resolve(saved=run.config) if os.path.exists(run.config) else config), run


def run_main(argv: list[str]) -> int:
    """Parse the flags, run, and turn what a user can mend into one line and its exit code."""
    try:
        if {"--help", "-help", "--helpshort", "-h"} & set(argv[1:]):
            print(f"{__doc__}{usage.page()}\n\n--helpfull shows the libraries' flags too.")
            return 0
        if {"--helpfull", "-helpfull"} & set(argv[1:]):
            print(f"{__doc__}\n{FLAGS.get_help()}")  # absl's own flag leaves with exit code 1
            return 0
        rest = FLAGS(argv)
        if rest[1:]:
            raise BadInput(f"unexpected argument {rest[1]!r}; flags are --name=value, see --help.")
        main()
    except flags.Error as error:
        print(told(BadInput(usage.why(error))), file=sys.stderr)
        return 2
    except RunError as error:
        print(told(error), file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("train: interrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    app.define_help_flags()
    outlive_full_disks()
    code = run_main(sys.argv)
    if code == 130:  # at once: a download's threads would try on for minutes
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)

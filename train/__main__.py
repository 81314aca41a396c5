"""The training command: `python -m train`, or `keras-resunits-train` if the package is installed."""

from __future__ import annotations

import os
import shlex
import sys
from typing import NoReturn

from absl import app, flags

from .cluster.discovery import check_strategy, cluster
from .cluster.processes import LAUNCHED
from .process.commands import command, extra_needed
from .process.errors import BadInput, RunError, told
from .process.files import outlive_full_disks
from .process.startup import importing, require_tensorflow_backend
from .settings import usage
from .settings.flags import FLAGS
from .settings.flags import command as asked_for
from .settings.resolving import resolve

INTRODUCTION = """Train a residual network on images and export it for TensorFlow Serving.

    {train}
        PreActResNet-20 on scikit-learn's handwritten digits: no download, under three minutes.
    {train} --dataset=cifar10 --depth=110 --model=ResNet
        Any image classification set of tensorflow-datasets.
    {train} --dataset=path/to/folder --epochs=30
        A folder of images: train/<class>/*, test/<class>/*.
    {train} --resume --run=NAME
        Resume a run that was stopped.

Writes runs/<run>/ (config.json, history.csv, curves.png, model.keras, example.png, tensorboard/, checkpoints/) and
saved_models/<run>/<version>/.
Exit codes: 0 done; 2 a mistake in the flags or the data, or not enough memory; 3 the loss became NaN or infinite;
4 checkpoints cannot be written or read; 5 another worker is gone; each is reported in one line. 42 stopped by SIGTERM
or SIGINT, and saved: resume it; 130 interrupted before or after training.
"""
HELP, FULL_HELP = {"--help", "-help", "--helpshort", "-h"}, {"--helpfull", "-helpfull"}
RESUMED = {"--resume", "-resume", "--noresume", "-noresume"}


def main() -> None:
    """Resolve the configuration and the run, then train."""
    asked = asked_for()
    check_strategy(asked.strategy, asked.tpu, asked.cpu_devices)
    require_tensorflow_backend()  # an experiment may import Keras
    if asked.seeds:
        return several(asked)
    config, run = configure(asked)
    with importing():  # after the flags, so that a typing error is reported at once, not after seconds of imports
        from .program import train
    train(config, run, asked, resuming(run.name))


def several(asked) -> None:
    """Train a run for each of several seeds, one after the other, and print what they reached.

    Raises:
        BadInput: on several workers, whose processes cannot start over.
    """
    if asked.strategy == "tpu" or (asked.strategy in ("auto", "multiworker") and cluster()):
        raise BadInput(f"--seeds={asked.seeds} runs on the devices of one machine; start a command for each --seed.")
    config = resolve()
    name, first = asked.run or config.default_run, config.recipe.seed
    with importing():
        from keras import utils

        from .program import train
        from .seeds import summary
    found = []
    for seed in range(first, first + asked.seeds):
        for flag, value in (("seed", seed), ("run", f"{name}-seed{seed}")):
            FLAGS[flag].parse(str(value))
            FLAGS[flag].present = 1
        of_seed = asked_for()
        config, run = configure(of_seed)
        found.append(train(config, run, of_seed, resuming(name)))
        watched = run.watched
        utils.clear_session()
    print(summary(found, watched))


def configure(asked):
    """`(Config, Run)`: the configuration, and the new or resumed run."""
    from .run.folder import new_run, old_run

    config = resolve()
    if not asked.resume:
        return config, new_run(asked.output, asked.run, config.default_run)
    run = old_run(asked.output, asked.run, config.default_run)
    return (resolve(saved=run.config) if os.path.exists(run.config) else config), run


def resuming(name: str) -> str:
    """The command that resumes a stopped run, or the runs of `--seeds`."""
    arguments = [argument for argument in sys.argv[1:] if argument.split("=")[0] not in RESUMED]
    given = any(argument.lstrip("-").split("=")[0] == "run" for argument in arguments)
    named = [] if given else [f"--run={name}"]
    started = os.environ.get(LAUNCHED) or command("train")
    return f"{started} {shlex.join([*arguments, *named, '--resume'])}"


def help_page(full: bool) -> str:
    """The text of --help, or of --helpfull, which includes the flags of libraries."""
    introduction = INTRODUCTION.format(train=command("train"))
    return f"{introduction}\n{FLAGS.get_help()}" if full else f"{introduction}{usage.page()}\n\n--helpfull shows more."


def parse(argv: list[str]) -> None:
    """Parse the command line into `FLAGS`.

    Raises:
        BadInput: if there is an unknown flag, a wrong value, an argument that is no flag, or a file that is no text.
    """
    try:
        rest = FLAGS(argv)
    except flags.Error as error:
        raise BadInput(usage.why(error)) from None
    except UnicodeDecodeError as error:
        raise BadInput(f"--flagfile must be a text file in UTF-8: {error}.") from None
    except ValueError as error:  # a value for a --no flag
        raise BadInput(f"{error}.") from None
    if rest[1:]:
        raise BadInput(f"unexpected argument {rest[1]!r}; flags are --name=value, see --help.")


def run_main(argv: list[str]) -> int:
    """Parse the flags and run; report errors that a user can fix in one line, with their exit code."""
    try:
        if (HELP | FULL_HELP) & set(argv[1:]):
            print(help_page(full=bool(FULL_HELP & set(argv[1:]))))
            return 0
        parse(argv)
        main()
    except RunError as error:
        print(told(error), file=sys.stderr)
        return error.code
    except ModuleNotFoundError as error:
        if not (extra := extra_needed(error)):
            raise
        print(told(BadInput(f"{error}: pip install 'keras_resunits[{extra}]'.")), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train: interrupted.", file=sys.stderr)
        return 130
    return 0


def entry() -> NoReturn:
    """The command `keras-resunits-train`, and `python -m train`."""
    app.define_help_flags()
    outlive_full_disks()
    code = run_main(sys.argv)
    if code == 130:  # at once, because a download's threads would retry for minutes
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    entry()

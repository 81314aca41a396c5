"""Train a residual network on images and export what TensorFlow Serving answers from.

    python -m train
        PreActResNet-20 on scikit-learn's handwritten digits: no network, no data of yours, under three minutes.
    python -m train --dataset=cifar10 --depth=110 --model=ResNet
        Any image classification set of tensorflow-datasets.
    python -m train --dataset=path/to/folder --epochs=30
        A folder of images: train/<class>/*, test/<class>/*.
    python -m train --resume --run=NAME
        Go on where a run stopped.

Writes runs/<run>/ (config.json, history.csv, curves.png, tensorboard/, checkpoints/) and saved_models/<run>/<version>/.
Exit codes: 0 done, 2 something to mend in flags or data, said in one line.
"""

from __future__ import annotations

import difflib
import os
import sys
from contextlib import nullcontext

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what TensorFlow says of drivers it did not find is no news

from absl import app, flags

from train import config as configuration
from train.errors import BadInput
from train.quiet import native_stderr_held

FLAGS = flags.FLAGS
flags.adopt_module_key_flags(configuration)


def main() -> None:
    """The pipeline: config -> data -> model -> loop -> checkpoint -> export -> check."""
    config, run = configure()
    with native_stderr_held():  # after the flags: a typing error is answered at once, not after seconds of imports
        import keras

        from keras_resunits import describe, export_saved_model
        from train.check import check_answers
        from train.datasets import bad_images_named, load
        from train.network import check_network

    if keras.backend.backend() != "tensorflow":
        raise BadInput(f"training wants Keras on TensorFlow; got KERAS_BACKEND={keras.backend.backend()}.")
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    check_network(config)
    run.claim()
    try:
        data = load(config)
        config = config.resolved(data.image_shape, data.train_count, data.class_names)
        with bad_images_named(data):
            model, preprocessing = build(config, data)
    except BadInput:
        run.release()
        raise
    print(f"{run.name}: {model.count_params():,} parameters, {data.train_count:,} images\n{config}", flush=True)
    run.network.write_text(f"{describe(model)}\n")
    with bad_images_named(data):
        average = train(config, run, data, model, preprocessing)
    with average.swapped() if average else nullcontext():
        saved_model = export_saved_model(model, run.saved_models, data.class_names, preprocessing)
        difference = check_answers(saved_model, model, preprocessing, data.sample(64))
    report(run, saved_model, difference)


def configure():
    """`(Config, Run)`: what is to be done, and where."""
    from train.runs import new_run, old_run

    config = configuration.resolve()
    if not FLAGS.resume:
        return config, new_run(FLAGS.output, FLAGS.run, config.default_run)
    run = old_run(FLAGS.output, FLAGS.run, config.default_run)
    return configuration.resolve(saved=run.config), run


def build(config, data):
    """`(network, normalisation)` for the data's images."""
    import keras

    from train.network import network

    model = network(config, data.image_shape, data.classes)
    mean, variance = data.statistics()
    preprocessing = keras.layers.Normalization(mean=mean, variance=variance, dtype="float32", name="normalization")
    preprocessing.build((None, *data.image_shape))  # here, not in a traced step: its constants live outside
    return model, preprocessing


def train(config, run, data, model, preprocessing):
    """The loop, with a checkpoint after each epoch; returns the averages of the weights, if there are any."""
    import keras

    from train.augmentation import Augmentation
    from train.average import Average
    from train.callbacks import Curves, Progress, Records
    from train.checkpoints import Checkpoints
    from train.curves import cut_history
    from train.loop import NotFinite, Trainer
    from train.pipeline import test_batches, training_batches
    from train.recipe import optimizer

    steps = data.train_count // config.batch_size
    sgd = optimizer(config, config.epochs * steps, model)
    average = Average(model, sgd, config.ema) if config.ema else None
    trainer = Trainer(model, preprocessing, sgd, average)
    checkpoints = Checkpoints(run.checkpoints, model, sgd, average)
    first_epoch = checkpoints.restore() if FLAGS.resume else 0
    cut_history(run.history, first_epoch)
    config.save(run.config)
    model.compile(trainer.optimizer)  # callbacks find the optimiser, and its rate, on the model
    callbacks = keras.callbacks.CallbackList(
        [
            Records(config.batch_size),
            keras.callbacks.CSVLogger(run.history, append=FLAGS.resume),
            keras.callbacks.TensorBoard(run.tensorboard, write_graph=False),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: checkpoints.save(epoch + 1)),
            Progress(config.epochs, first_epoch, steps, config.batch_size),
            Curves(run.history, run.curves),
        ],
        model=model,
        epochs=config.epochs,
        steps=steps,
    )
    batches = iter(training_batches(data, config.batch_size, Augmentation.of(config), config.seed, first_epoch * steps))
    try:
        trainer.fit(batches, test_batches(data, config.batch_size), range(first_epoch, config.epochs), steps, callbacks)
    except NotFinite as error:
        good = (
            f"last good checkpoint: epoch {int(checkpoints.epochs_done.numpy())}" if checkpoints.newest else "none yet"
        )
        raise BadInput(f"{error}; not saved ({good}, {run.checkpoints}). Lower --learning_rate.") from None
    return average


def report(run, saved_model, difference: float) -> None:
    """What came out, where it lies, and what to try next."""
    from train.curves import read_history

    history = read_history(run.history)
    averaged = f" ({history['val_ema_accuracy'][-1]:.2%} averaged: exported)" if "val_ema_accuracy" in history else ""
    print(
        f"test accuracy {history['val_accuracy'][-1]:.2%}{averaged}\n"
        f"exported      {saved_model} (answers equal the trained network's, at most {difference:.0e} off)\n"
        f"curves        {run.curves}\n"
        f"look closer   python -m train.evaluate {run.folder}\n"
        f"try next      python train/answer.py {saved_model} IMAGE.png\n"
        f"              tensorboard --logdir {run.tensorboard}"
    )


def run_main(argv: list[str]) -> int:
    """Parse the flags, run, and turn what a user can mend into one line and exit code 2."""
    try:
        if {"--help", "-help", "--helpshort", "-h"} & set(argv[1:]):
            app.usage(shorthelp=True, writeto_stdout=True)  # absl's own flag leaves with exit code 1
            return 0
        rest = FLAGS(argv)
        if rest[1:]:
            raise BadInput(f"unexpected argument {rest[1]!r}; flags are --name=value, see --help.")
        main()
    except flags.UnrecognizedFlagError as error:
        close = difflib.get_close_matches(error.flagname, FLAGS)
        hint = f" Did you mean {' or '.join(f'--{name}' for name in close)}?" if close else ""
        print(f"train: unknown flag --{error.flagname}.{hint} See --help.", file=sys.stderr)
        return 2
    except (BadInput, flags.Error) as error:
        print(f"train: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train: interrupted; --resume goes on from the last epoch's checkpoint.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    app.define_help_flags()
    sys.exit(run_main(sys.argv))

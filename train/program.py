"""TODO: train.program"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from contextlib import ExitStack, nullcontext
from functools import partial

from .cluster.processes import LAUNCHED
from .cluster.strategy import require_divisible
from .process.errors import BadInput
from .settings.flags import FLAGS
from .settings.resolving import tell_stretched

NEXT = f"\n{' ' * 14}"


STEPS_TOGETHER = ("checkpoint_every", "on_nan")  # workers that save at other steps would wait for each other


def pipeline(config, run, place) -> None:
    """config -> data -> model -> loop -> checkpoint -> export -> check."""
    import keras

    from keras_resunits import describe

    from .cluster.workers import require_agreement
    from .data.datasets import bad_images_named, identity, load
    from .evaluation.check import save_picture
    from .process.files import stored
    from .process.memory import memory_named
    from .run.checkpoints import state_hash
    from .run.signals import noticed

    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    with ExitStack() as stack:
        if place.is_chief:
            stack.enter_context(run.claimed())
        data = load(config)
        config = config.resolved(data.image_shape, data.train_count, data.class_names, resumed=run.begun)
        require_divisible(config.batch_size, place.strategy.num_replicas_in_sync)
        seen = identity(data)
        together = {name: getattr(config, name) for name in STEPS_TOGETHER}
        require_agreement(place, {**config.deciding, **seen, **together})
        with bad_images_named(data), memory_named():
            with place.watch("making the network"):  # all begin with the first one's weights
                model, preprocessing = build(config, data, place)
            if place.is_chief:
                counted = data.train_count // config.batch_size
                parameters, images = f"{model.count_params():,} parameters", f"{data.train_count:,} images"
                steps = f"{counted:,} step{'s' * (counted != 1)} an epoch"
                print(f"{run.name}: {parameters}, {images}, {steps}, on {place.taken}\n{config}", flush=True)
                with stored(str(run.folder)):
                    run.require_same_data(seen)
                    run.network.write_text(f"{describe(model)}\n")
                    save_picture(data.sample(1)[0], run.example)
            session = prepare(config, run, data, model, preprocessing, place)
            with noticed() as session.notice:
                session.run()
        if not place.is_chief:
            return
        state, average = state_hash(session.trainer.variables), session.trainer.average
        if version := run.exported_version(state):
            print(f"nothing left to do: {version} is the export of this state, {state}")
            return
        exported = None
        if FLAGS.export:
            with average.swapped() if average else nullcontext():
                exported = export(run, data, model, preprocessing, state)
        else:
            run.release()  # the folder for exports, where it is empty
        report(run, state, exported)


def build(config, data, place):
    """`(network, normalisation)` for the data's images."""
    import keras

    from .step.network import network, synchronize

    model = network(config, data.image_shape, data.classes)
    if place.strategy.num_replicas_in_sync > 1:
        synchronize(model)
    mean, variance = data.statistics()
    preprocessing = keras.layers.Normalization(mean=mean, variance=variance, dtype="float32", name="normalization")
    preprocessing.build((None, *data.image_shape))  # here, not in a traced step: its constants live outside
    return model, preprocessing


def prepare(config, run, data, model, preprocessing, place):
    """The session, standing where the run's last checkpoint is, or at the beginning."""
    from .cluster.workers import all_did, chief_first, require_agreement
    from .data.augmentation import Augmentation
    from .data.feeding import Feed
    from .process.files import stored
    from .run.checkpoints import Checkpoints, Position, require_checkpoint
    from .run.recorders import recorders
    from .run.session import Session
    from .step.average import Average
    from .step.optimizer import optimizer
    from .step.trainer import Trainer

    steps = data.train_count // config.batch_size
    sgd = optimizer(config, config.epochs * steps, model)
    average = Average(model, sgd, config.ema) if config.ema else None
    trainer = Trainer(model, preprocessing, sgd, average)
    checkpoints = Checkpoints(run.checkpoints, model, sgd, average, config.keep, place.number)
    position = chief_first(place, checkpoints.restore) if FLAGS.resume else Position()
    require_agreement(place, {"step to go on from": position.step})  # all want to see the same folder
    if position.epoch > config.epochs:
        raise BadInput(f"--epochs={config.epochs}, but the run to resume has done {position.epoch}.")
    records = []
    if place.is_chief:
        require_checkpoint(run.history, run.checkpoints, position.step)
        with stored(str(run.folder)):
            tell_stretched(config, run.config)
            config.save(run.config)
            records = recorders(run, config, steps, position.epoch)
    return Session(
        trainer,
        Feed(data, config.batch_size, Augmentation.of(config), config.seed, place.workers),
        config.epochs,
        steps,
        records,
        checkpoints,
        position,
        config.checkpoint_every,
        config.on_nan,
        watch=place.watch,
        agreed=partial(all_did, place),
    )


def export(run, data, model, preprocessing, state: str):
    """`(version, difference)`: the SavedModel's folder, and how far its answers are from the network's."""
    from keras_resunits import export_saved_model

    from .evaluation.check import check_answers
    from .process.files import stored

    with stored(f"the export to {run.saved_models}, or checking it; the run is whole: free space, and pass --resume"):
        version = export_saved_model(model, run.saved_models, data.class_names, preprocessing)
        difference = check_answers(version, model, preprocessing, data.sample(64))
    with stored(str(run.folder)):
        run.note_export(version, state)
    return version, difference


def going_on(run) -> str:
    """The command that goes on with a run that was stopped."""
    resumed = ("--resume", "-resume", "--noresume", "-noresume")
    arguments = [argument for argument in sys.argv[1:] if argument.split("=")[0] not in resumed]
    name = [] if FLAGS["run"].present else [f"--run={run.name}"]
    return f"{python()} -m {os.environ.get(LAUNCHED, 'train')} {shlex.join([*arguments, *name, '--resume'])}"


def python() -> str:
    """This interpreter as a user types it: `python` where that is it, else its path, from here if it lies below."""
    if shutil.which("python") == sys.executable:
        return "python"
    here = f"{os.getcwd()}/"
    return sys.executable.removeprefix(here) if sys.executable else "python"


def report(run, state: str, exported) -> None:
    """What came out, where it lies, and what to try next."""
    from .run.history import read_history

    history = read_history(run.history)
    tries = [[python(), "-m", "tensorboard.main", "--logdir", str(run.tensorboard)]]
    if exported is None:
        export = f"not this state yet: {going_on(run)} --export"
    else:
        version, difference = exported
        export = f"{version} (answers equal the trained network's, at most {difference:.0e} off)"
        if run.example.exists():
            tries.insert(0, [python(), "-m", "train.answer", str(version), str(run.example)])
    shipped = ": exported" * bool(exported)
    averaged = f" ({history['val_ema_accuracy'][-1]:.2%} averaged{shipped})" if "val_ema_accuracy" in history else ""
    print(
        f"test accuracy {history['val_accuracy'][-1]:.2%}{averaged}\n"
        f"exported      {export}\n"
        f"curves        {run.curves}\n"
        f"state         {state} (the same in any run that ends with the same weights, slots and random states)\n"
        f"look closer   {python()} -m train.evaluate {run.folder}\n"
        f"try next      {NEXT.join(map(shlex.join, tries))}"
    )

"""The pipeline on one page: config -> data -> network -> loop -> checkpoint -> export -> check."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np

from keras_resunits import describe, gates
from keras_resunits.converters.statistics import normalizing

from .cluster.strategy import make_strategy, require_divisible, require_one_device
from .cluster.workers import chief_first, leaving_together, require_agreement
from .data.augmentation import Augmentation
from .data.batches import require_labels
from .data.datasets import bad_images_named, identity, load
from .data.doubts import doubts
from .data.feeding import Feed
from .evaluation.check import check_answers, save_picture
from .evaluation.exporting import export, in_words, require_exportable
from .evaluation.keeping import keep
from .evaluation.networks import Network, stated, view_of
from .process.commands import command, python
from .process.errors import BadInput, Preempted, say
from .process.files import digest, stored
from .process.memory import memory_named
from .process.startup import trace_lightly
from .run.checkpoints import Checkpoints, Position, require_checkpoint, state_hash
from .run.recorders import gate_recorder, own_callbacks, recorders
from .run.session import Plan, Session
from .run.signals import handle_by_default, noticed
from .settings.conversion import Conversion
from .step.augmenting import LayerAugmentation
from .step.average import Average
from .step.conversion import converted
from .step.network import check_network, network, synchronize
from .step.optimizer import optimizer
from .step.parts import freeze, frozen_in_words, rate_factors
from .step.sizes import planned_sizes, require_sizes
from .step.targets import require_loss
from .step.trainer import Trainer
from .step.weighting import class_weights

NEXT = f"\n{' ' * 14}"
STEPS_TOGETHER = ("checkpoint_every", "on_nan")  # workers that save at different steps would wait for each other


def train(config, run, asked, again: str) -> dict[str, float]:
    """Set up the devices, and run the pipeline on them; return the results of the exported state.

    Args:
        config: The run's `Config`.
        run: The `Run`, which has its files and folders.
        asked: The `Command`, with devices, export, timeouts, and whether to resume.
        again: The command that resumes the run, for messages.
    """
    check_network(config.realized(run.code_files(config.code, config.files)).network, asked.remat)
    place = make_strategy(asked.strategy, asked.tpu, asked.cpu_devices, asked.startup_timeout, asked.worker_timeout)
    require_one_device(asked.jit_compile, place)
    handle_by_default()
    trace_lightly()
    with leaving_together(place), place.strategy.scope():
        try:
            return pipeline(config, run, asked, place, again)
        except Preempted as error:
            raise Preempted(f"{error} Resume with: {again}") from None


def pipeline(config, run, asked, place, again: str) -> dict[str, float]:
    """Run the whole pipeline, under the strategy of its place."""
    keras.utils.set_random_seed(config.recipe.seed)
    keras.config.set_dtype_policy(config.network.precision)
    with ExitStack() as stack:
        if place.is_chief:
            stack.enter_context(run.claimed())
        data = load(config.source, config.augmenting.streamed, config.recipe.seed, earlier=run.earlier)
        config = config.resolved(data.image_shape, data.train_count, data.class_names, resumed=run.begun)
        require_divisible(config.recipe.batch_size, place.strategy.num_replicas_in_sync)
        seen = identity(data)
        together = {name: getattr(config.survival, name) for name in STEPS_TOGETHER}
        require_agreement(place, {**config.deciding, **seen, **together, "remat": asked.remat})
        files = run.code_files(config.code, config.files)
        with bad_images_named(data), memory_named(), ExitStack() as temporary:
            with place.watch("making the network"):  # all workers start with the weights of the first
                config, initial = begin(config, run, data, place, temporary)
                made = config.realized(files)
                model, preprocessing = build(made, run, data, place, asked.remat, initial)
            if asked.export:
                require_exportable(config.serving, model, data.classes)
            plan = planned(config, data)
            require_sizes(model, plan.sizes, data.image_shape[-1])
            parts = Parts.of(made, data, model, plan)
            if place.is_chief:
                parts.tell()
                for doubt in doubts(data):
                    say(doubt)
                introduce(config, run, data, model, plan, place)
                with stored(str(run.folder)):
                    run.keep_initial(initial)
                    run.keep_code(files)
                    run.require_same_data(seen)
                    run.network.write_text(f"{describe(model)}\n")
                    save_picture(data.sample(1)[0], run.example)
            temporary.close()  # the run has its copy
            session = prepare(config, parts, run, data, model, preprocessing, plan, place, asked)
            with noticed() as session.notice:
                session.run()
                selects = data.selects and not run.earlier
                results = session.conclude(best=asked.export == "best" or (asked.export != "last" and selects))
            if place.is_chief and (received := session.notice.received):  # after the last step
                step = session.position.step
                raise Preempted(f"asked to stop ({received.name}): saved at step {step}, not exported.")
        if place.is_chief:
            finish(config, run, data, session, results, asked.export != "none", again)
    return results


def silent(text: str) -> None:
    """Print nothing."""


def begin(config, run, data, place, temporary: ExitStack):
    """`(config, file)`: the `.keras` file that training begins or began from; `None` without one.

    A new run converts weights of another program to one, which lasts as long as `temporary`. The configuration then
    tells what normalises its pixels, and its SHA-256, because conversions differ in bytes though not in weights.
    """
    given = config.network.initial_model
    conversion = None if run.begun else Conversion.of(given)
    if conversion:
        folder = Path(temporary.enter_context(TemporaryDirectory()))
        file, pixels = folder / run.initial.name, config.network.initial_pixels
        told = say if place.is_chief else silent
        pixels = converted(conversion, pixels, data.image_shape, data.classes, file, told)
        made = replace(config.network, initial_pixels=pixels)
        config = replace(config, network=made, initial_copy=digest(file))
    if config.initial_copy:
        keras.utils.set_random_seed(config.recipe.seed)  # the same draws follow as in a run that reads its copy
    return config, run.initial_file(given, config.initial_known) if conversion is None else file


def build(config, run, data, place, remat: str | None = None, initial: Path | None = None):
    """Build `(network, normalisation)` for the data's images, from a `.keras` file if there is one."""
    told = say if place.is_chief and not run.begun else silent
    of_file = silent if config.initial_copy else told  # a conversion has told what it did
    names = data.class_names or ()
    model = network(config.network, data.image_shape, data.classes, initial, of_file, remat, names)
    patterns = config.recipe.freeze or ()
    freeze(model, patterns)
    rate_factors(model, config.recipe.factors)  # refused before any file is written
    if words := frozen_in_words(model, patterns):
        told(words)
    if place.strategy.num_replicas_in_sync > 1:
        synchronize(model)
    mean, variance = data.statistics()
    if initial and normalizing(model):  # its layer takes pixels
        mean, variance = np.zeros_like(mean), np.ones_like(variance)
    preprocessing = keras.layers.Normalization(mean=mean, variance=variance, dtype="float32", name="normalization")
    preprocessing.build((None, *data.image_shape))  # not in a traced step: its constants live outside
    return model, preprocessing


def planned(config, data) -> Plan:
    """The plan of a run: its length, saves, and reaction to NaN."""
    recipe, survival = config.recipe, config.survival
    steps, sizes = data.train_count // recipe.batch_size, planned_sizes(recipe.sizes, data.image_shape)
    return Plan(recipe.epochs, steps, survival.checkpoint_every, survival.on_nan, recipe.patience, sizes)


def introduce(config, run, data, model, plan, place) -> None:
    """Print the run's name, size and devices, what its configuration is about, and where all of it is."""
    steps = f"{plan.steps:,} step{'s' * (plan.steps != 1)} an epoch"
    watched = f" ({data.validation_count:,} for validation)" if data.validation is not None else ""
    sizes = f"{model.count_params():,} parameters, {data.train_count:,} images{watched}, {steps}"
    print(f"{run.name}: {sizes}, on {place.taken}\n{config}\n  {'all values':<16}{run.config}", flush=True)


@dataclass(frozen=True)
class Parts:
    """The parts of a run's training that may be the user's own.

    Args:
        optimizer: The optimiser.
        loss: From labels and logits to losses; `None` for the cross-entropy.
        augment: Layers that augment batches on the device; `None` for none.
        weights: Factors of the training loss by class; `None` for none.
        callbacks: Callbacks in addition to the program's.
        brings_rate: Whether the optimiser has a learning rate of its own.
    """

    optimizer: keras.optimizers.Optimizer
    loss: Callable | None
    augment: LayerAugmentation | None
    weights: np.ndarray | None
    callbacks: list[keras.callbacks.Callback]
    brings_rate: bool

    @classmethod
    def of(cls, made, data, model, plan) -> Parts:
        """The parts of a configuration with objects in the place of references, checked before any file is written."""
        recipe, layers = made.recipe, made.augmenting.augment
        if recipe.loss is not None:
            require_loss(recipe.loss, data.classes, Augmentation.of(made.augmenting).gives_distributions)
        if recipe.sampling == "balanced":
            require_labels(data)
        return cls(
            optimizer(recipe, plan.epochs * plan.steps, model),
            recipe.loss,
            LayerAugmentation(layers, recipe.seed, data.image_shape) if layers else None,
            class_weights(recipe, data.train_labels, data.classes),
            own_callbacks(recipe.callbacks),
            isinstance(recipe.optimizer, keras.optimizers.Optimizer),
        )

    def tell(self) -> None:
        """Report what has no effect."""
        if self.brings_rate:
            say(
                "the optimiser has its own learning rate: --learning_rate and --schedule have no effect. A function "
                "(learning_rate) -> optimiser gets the run's."
            )


def prepare(config, parts, run, data, model, preprocessing, plan, place, asked) -> Session:
    """The session, at the position of the run's last checkpoint, or at the start."""
    recipe, sgd = config.recipe, parts.optimizer
    average = Average(model, sgd, recipe.ema) if recipe.ema else None
    trainer = Trainer(model, preprocessing, sgd, average, asked.jit_compile, parts.loss, parts.augment, parts.weights)
    told = about(config, data, preprocessing)
    checkpoints = Checkpoints(run.checkpoints, model, sgd, average, config.survival.keep, place.number, told)
    position = chief_first(place, checkpoints.restore) if asked.resume else Position()
    require_agreement(place, {"step to resume from": position.step})  # all must use the same folder
    if position.epoch > plan.epochs:
        raise BadInput(f"--epochs={plan.epochs}, but the run to resume has already done {position.epoch}.")
    records = []
    if place.is_chief:
        require_checkpoint(run.history, run.checkpoints, position.step)
        with stored(str(run.folder)):
            if (before := run.saved_epochs()) not in (None, plan.epochs):
                say(f"--epochs={plan.epochs} instead of {before}: the schedule is stretched accordingly.")
            config.save(run.config)
            records = recorders(run, plan, recipe.batch_size, position.epoch, data.watched) + parts.callbacks
            records += [gate_recorder(run, position.epoch)] if gates(model) else []
    options = place.workers, config.rounds, recipe.sampling == "balanced"
    feed = Feed(data, recipe.batch_size, Augmentation.of(config.augmenting), recipe.seed, *options)
    return Session(trainer, feed, checkpoints, plan, place, records, position)


def about(config, data, preprocessing) -> dict:
    """What a checkpoint records about its run: its identity, and the values needed to use its network."""
    return {
        "run": config.run_identity,
        "data": data.digest,
        "image_shape": list(data.image_shape),
        "class_names": list(data.class_names or ()),
        "mean": preprocessing.mean.numpy().ravel().tolist(),
        "variance": preprocessing.variance.numpy().ravel().tolist(),
    }


def finish(config, run, data, session, results: dict[str, float], wanted: bool, again: str) -> None:
    """Save the trained network, export it if requested and not done yet, and print the results."""
    trainer = session.trainer
    state, average = state_hash(trainer.variables), trainer.average
    options = {"export": config.serving.given} if config.serving.given else {}
    version, exported = run.exported_version(state=state, **options), None
    with average.swapped() if average else nullcontext():
        noted = {"run": run.name, "state": state, "step": session.position.step, **options}
        noted |= stated(config, data.digest, results, data.watched)
        names = list(data.class_names or ())
        head, title = config.serving.head, f"run {run.name}"
        network = Network(title, trainer.model, trainer.preprocessing, names, noted, view_of(config), head)
        keep(network, run.model)
        if wanted and not version:
            exported = export_checked(run, data, network, config.serving)
    if version:
        print(f"nothing left to do: {version} is the export of this state, {state}")
        return
    if not wanted:
        run.release()  # removes the folder for exports if it is empty
    print(outcome(results, data.watched, session, exported is not None))
    report(run, state, exported, again)


def export_checked(run, data, network: Network, serving):
    """Export; return the version's folder, and a text about its answers."""
    differences: list[float] = []

    def check(version):
        differences.append(check_answers(version, network.model, network.preprocessing, data.sample(64)))

    with stored(f"the export to {run.saved_models}, or checking it; the run is saved: free space, and pass --resume"):
        version, accuracies = export(
            network, run.saved_models, serving, data, check, class_names=network.class_names or None
        )
    told = f"{version} (its answers differ from the trained network's by at most {differences[0]:.0e})"
    return version, told + (f"{NEXT}{in_words(accuracies, data.test_count)}" if accuracies else "")


def outcome(results: dict[str, float], watched: str, session, exported: bool) -> str:
    """The results of the state that is exported, and which one it is where others were saved."""
    shipped = ": exported" * exported
    averaged = f" ({results['val_ema_accuracy']:.2%} averaged{shipped})" if "val_ema_accuracy" in results else ""
    chosen = f", of the best epoch, {epoch}" if (epoch := session.position.epoch) < session.epochs_done else ""
    lines = [f"{watched} accuracy {results['val_accuracy']:.2%}{averaged}{chosen}"]
    if "test_accuracy" in results:
        lines.append(f"test accuracy {results['test_accuracy']:.2%}, evaluated once")
    return "\n".join(lines)


def report(run, state: str, exported, again: str) -> None:
    """Print the folders of the results, and commands to try next."""
    tries = [f"{python()} -m tensorboard.main --logdir {shlex.quote(str(run.tensorboard))}"]
    if exported is None:
        told = f"no; to export this state: {again.replace(' --noexport', '').replace(' --export=none', '')}"
    else:
        version, told = exported
        if run.example.exists():
            tries.insert(0, f"{command('answer')} {shlex.join([str(version), str(run.example)])}")
    print(
        f"exported      {told}\n"
        f"saved         {run.model}\n"
        f"curves        {run.curves}\n"
        f"state         {state} (the same for every run that ends with the same weights, optimiser and random states)\n"
        f"look closer   {command('evaluate')} {shlex.quote(str(run.folder))}\n"
        f"try next      {NEXT.join(tries)}"
    )

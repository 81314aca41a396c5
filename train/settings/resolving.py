"""From the flags, an experiment's file and the run that goes on, the one configuration that they ask for."""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..process.errors import BadInput, say
from .config import SURVIVAL, Config, saved_values
from .experiments import experiment
from .flags import FLAGS


def resolve(saved: Path | None = None) -> Config:
    """The configuration that the flags ask for.

    Args:
        saved: The configuration of the run that is resumed: it stands wherever a flag is not given.

    Raises:
        BadInput: for a value out of its range, or a flag that contradicts the resumed run.
    """
    values: dict[str, Any] = _at_home({field.name: FLAGS[field.name].value for field in fields(Config)})
    try:
        values["drops"] = _numbers(values["drops"])
    except ValueError as error:
        raise BadInput(f"--drops={','.join(values['drops'])}: {error}.") from None
    values = _at_home(_experiment(values)) if saved is None else _resumed(values, saved_values(saved), saved)
    if values["depth"] is None and values["model"] in ("PreActResNet", "ResNet"):
        values["depth"] = 20
    if values["epochs"] is None:
        values["epochs"] = 40 if values["dataset"] == "digits" else 164
    for name in ("epochs", "batch_size", "learning_rate", "clip_norm", "crop_area"):
        if values[name] is not None and not values[name] > 0:
            raise BadInput(f"--{name} must be > 0, got {values[name]}.")
    chances = ("crop_area", "randaugment", "erasing", "mixup", "cutmix", "label_smoothing")
    for name in ("learning_rate", "momentum", "weight_decay", "clip_norm", "warm_up", *chances):
        if values[name] is not None and not math.isfinite(values[name]):
            raise BadInput(f"--{name} must be finite, got {values[name]}.")
    for name in ("startup_timeout", "worker_timeout"):
        if not math.isfinite(FLAGS[name].value or 0):
            raise BadInput(f"--{name} must be finite, got {FLAGS[name].value}.")
    if values["pad"] is not None and values["pad"] < 0:
        raise BadInput(f"--pad must be >= 0, got {values['pad']}.")
    if values["pad"] and values["crop"] == "resized" and saved is None:
        raise BadInput(f"--pad={values['pad']} means nothing for --crop=resized.")
    _check_schedule(values)
    return Config(**values)


def _at_home(values: dict[str, Any]) -> dict[str, Any]:
    """The values, `~` in paths being the user's folder, which no shell makes of `--dataset=~/images`."""
    return values | {name: values[name] and os.path.expanduser(values[name]) for name in ("dataset", "data_dir")}


def _experiment(values: dict[str, Any]) -> dict[str, Any]:
    """The flags' values with those of `--config` wherever a flag is not given."""
    if not values["config"]:
        if values["smoke"]:
            raise BadInput("--smoke needs --config: it is an experiment's smoke twin.")
        return values
    chosen = experiment(values["config"], values["smoke"])
    for name, value in chosen.items():
        if value is None or FLAGS[name].present:
            continue
        try:
            values[name] = _numbers(value) if name == "drops" else FLAGS[name].parser.parse(value)
        except (ValueError, TypeError) as error:
            raise BadInput(f"--config={values['config']}: {name}={value!r}: {error}.") from None
    return values


def _numbers(given: list | None) -> list[float] | None:
    """A list flag's values as numbers."""
    try:
        return given and [float(part) for part in given]
    except (ValueError, TypeError):
        raise ValueError("wanted numbers, separated by commas") from None


def _check_schedule(values: dict[str, Any]) -> None:
    """Refuse parts of the run that do not follow each other, and those that the schedule does not heed."""
    heeded = {"steps": {"warm_up", "drops"}, "cosine": {"warm_up"}, "one_cycle": set()}[values["schedule"]]
    for name in ("warm_up", "drops"):
        if values[name] is not None and name not in heeded:
            raise BadInput(f"--{name} means nothing for --schedule={values['schedule']}.")
    parts = [values["warm_up"] or 0.0, *(values["drops"] or ()), 1.0]
    if not all(before < after for before, after in itertools.pairwise(parts)):
        raise BadInput(
            f"--warm_up and --drops must be parts of the run, rising from 0 to 1; "
            f"got warm_up={values['warm_up']}, drops={values['drops']}."
        )
    if values["ema"] is not None and not 0 < values["ema"] < 1:
        raise BadInput(f"--ema must be between 0 and 1, got {values['ema']}.")


def _compare_experiment(values: dict[str, Any], saved: dict[str, Any]) -> None:
    """Say where an experiment's file asks for other values than the run that goes on with its own."""
    asked = {name: value for name, value in values.items() if not FLAGS[name].present and value != FLAGS[name].default}
    other = {name: value for name, value in asked.items() if value != saved.get(name)}
    if other:
        theirs, own = (", ".join(f"{name}={where.get(name)}" for name in other) for where in (other, saved))
        say(f"--config={values['config']} has {theirs}: the run goes on with the {own} that it began with.")


def _resumed(flag_values: dict[str, Any], saved: dict[str, Any], path: Path) -> dict[str, Any]:
    given = {name: value for name, value in flag_values.items() if FLAGS[name].present}
    if "config" in given and given["config"] == saved.get("config"):
        _compare_experiment(_at_home(_experiment({**flag_values, "smoke": saved.get("smoke", False)})), saved)
    changed = [name for name, value in given.items() if name not in ("epochs", *SURVIVAL) and saved.get(name) != value]
    if changed:
        now, then = (", ".join(f"{name}={values.get(name)}" for name in changed) for values in (given, saved))
        raise BadInput(f"--{now.replace(', ', ', --')}, but the run to resume has {then} ({path}).")
    return {**flag_values, **saved, **given}


def tell_stretched(config: Config, saved: Path) -> None:
    """Say that a run goes on to another end than the one it was begun with."""
    before = saved_values(saved)["epochs"] if saved.exists() else config.epochs
    if config.epochs != before:
        say(f"--epochs={config.epochs} in place of {before}: the schedule is stretched to them.")

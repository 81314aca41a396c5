"""Resolve flags, an experiment's file and the saved configuration of a resumed run into one configuration."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

from ..process.errors import BadInput, say
from .config import FREE, OF_EARLIER, SECTION_OF, Config, saved_values
from .experiments import experiment
from .flags import FLAGS
from .sections import DROPS, NEEDS

OPTIONS = (*SECTION_OF, "config", "smoke")
PATHS = ("dataset", "data_dir", "labels")


def resolve(saved: Path | None = None) -> Config:
    """The configuration that the flags specify.

    Args:
        saved: The file with the configuration of the resumed run; it applies wherever a flag is not given.

    Raises:
        BadInput: for a value outside its bounds, or a flag that contradicts the resumed run.
    """
    values = _expanded({name: FLAGS[name].value for name in OPTIONS})
    values = _expanded(_experiment(values)) if saved is None else _resumed(values, saved_values(saved), saved)
    if values["depth"] is None and values["model"] in ("PreActResNet", "ResNet"):
        values["depth"] = 20
    if values["epochs"] is None:
        values["epochs"] = 40 if values["dataset"] == "digits" else 164
    config = Config.of(values, given=frozenset(name for name in OPTIONS if FLAGS[name].present))
    if saved is None:
        _check_effects(values)
    _check_drops(values)
    return config


def _expanded(values: dict[str, Any]) -> dict[str, Any]:
    """Replace `~` in paths by the home folder, because no shell expands `--dataset=~/images`."""
    return values | {name: values[name] and os.path.expanduser(values[name]) for name in PATHS}


def _experiment(values: dict[str, Any]) -> dict[str, Any]:
    """The flags' values, with those of `--config` wherever a flag is not given."""
    if not values["config"]:
        if values["smoke"]:
            raise BadInput("--smoke requires --config: it runs an experiment's smoke version.")
        return values
    chosen = experiment(values["config"], values["smoke"])
    for name, value in chosen.items():
        if value is None or FLAGS[name].present:
            continue
        try:
            values[name] = FLAGS[name].parser.parse(value)
        except (ValueError, TypeError) as error:
            raise BadInput(f"--config={values['config']}: {name}={value!r}: {error}.") from None
    return values


def _check_effects(values: dict[str, Any]) -> None:
    """Refuse a flag that has no effect beside the others; only report one that asks for nothing, or an experiment's."""
    for name, needs in NEEDS.items():
        value, partner, flag = values[name], values[needs.option], FLAGS[name]
        if needs.met(partner) or not (flag.present or value != flag.default):
            continue
        idle = f"has no effect {needs.lack(partner)}."
        if not flag.present:
            say(f"{name}={value} of --config={values['config']} {idle}")
        elif value:
            raise BadInput(f"--{name}={value} {idle}")
        else:
            say(f"--{'no' * flag.boolean}{name}{'' if flag.boolean else f'={value}'} {idle}")


def _check_drops(values: dict[str, Any]) -> None:
    """Refuse fractions of the run that are not ascending."""
    drops = (values["drops"] or DROPS) if values["schedule"] == "steps" else ()
    parts = [values["warm_up"] or 0.0, *drops, 1.0]
    if not all(before < after for before, after in itertools.pairwise(parts)):
        raise BadInput(
            f"--warm_up and --drops must be fractions of the run, ascending from 0 to 1; "
            f"got warm_up={values['warm_up']}, drops={list(drops)}."
        )


def _compare_experiment(values: dict[str, Any], saved: dict[str, Any]) -> None:
    """Report where an experiment's file now has other values than the resumed run, which keeps its own."""
    asked = {name: value for name, value in values.items() if not FLAGS[name].present and value != FLAGS[name].default}
    other = {name: value for name, value in asked.items() if value != saved.get(name)}
    if other:
        theirs, own = (", ".join(f"{name}={where.get(name)}" for name in other) for where in (other, saved))
        say(f"--config={values['config']} has {theirs}: the run keeps the {own} that it started with.")


def _resumed(flag_values: dict[str, Any], saved: dict[str, Any], path: Path) -> dict[str, Any]:
    given = {name: value for name, value in flag_values.items() if FLAGS[name].present}
    if "config" in given and given["config"] == saved.get("config"):
        _compare_experiment(_expanded(_experiment({**flag_values, "smoke": saved.get("smoke", False)})), saved)
    changed = [name for name, value in given.items() if name not in ("epochs", *FREE) and saved.get(name) != value]
    if changed:
        now, then = (", ".join(f"{name}={values.get(name)}" for name in changed) for values in (given, saved))
        raise BadInput(f"--{now.replace(', ', ', --')}, but the run to resume has {then} ({path}).")
    return {**flag_values, **OF_EARLIER, **saved, **given}

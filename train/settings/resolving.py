"""Resolve flags, an experiment's file and the saved configuration of a resumed run into one configuration."""

from __future__ import annotations

import itertools
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..process.errors import BadInput, say
from ..process.startup import importing, require_tensorflow_backend
from .config import FREE, OF_EARLIER, SECTION_OF, Config, saved_values
from .conversion import IMAGENET, SYNTAX, TRAINED, Conversion, file_digest, require_network
from .experiments import experiment
from .flags import FLAGS
from .references import digests, taken
from .sections import DROPS, NEEDS, Network

OPTIONS = (*SECTION_OF, "config", "smoke")
PATHS = ("dataset", "data_dir", "labels", "initial_model")
ARCHITECTURE = tuple(each.name for each in fields(Network) if each.name not in ("initial_model", "initial_pixels"))


def resolve(saved: Path | None = None) -> Config:
    """The configuration that the flags specify.

    Args:
        saved: The file with the configuration of the resumed run; it applies wherever a flag is not given.

    Raises:
        BadInput: for a value outside its bounds, or a flag that contradicts the resumed run.
    """
    values = _expanded({name: FLAGS[name].value for name in OPTIONS})
    files: dict[str, Path] = {}
    if saved is None:
        values, files = _new(values)
    else:
        values = _resumed(values, saved_values(saved), saved)
    if values["depth"] is None and values["model"] in ("PreActResNet", "ResNet"):
        values["depth"] = 20
    if values["epochs"] is None:
        values["epochs"] = 40 if values["dataset"] == "digits" else 164
    config = Config.of(values, given=frozenset(name for name in OPTIONS if FLAGS[name].present), files=files)
    if saved is None:
        _check_effects(values)
    _check_drops(values)
    return config


def _expanded(values: dict[str, Any]) -> dict[str, Any]:
    """Replace `~` in paths by the home folder, because no shell expands `--dataset=~/images`.

    The name of a trained network, such as `--initial_model=preactresnet20:fashion-mnist`, is replaced by its file.
    """
    values = values | {name: values[name] and os.path.expanduser(values[name]) for name in PATHS}
    return values | {"initial_model": _named(values["initial_model"])}


def _named(initial: str | None) -> str | None:
    """The file of a trained network of the library, if this is the name of one; else what is given, without `~`.

    Raises:
        BadInput: if there is no network of that name, or its file is damaged.
    """
    if conversion := Conversion.of(initial):
        return str(conversion)
    if initial is None or not TRAINED.fullmatch(initial) or os.path.exists(initial):
        return initial
    require_tensorflow_backend()
    with importing():  # late: only the library knows
        from keras_resunits.zoo.pretrained import pretrained
        from keras_resunits.zoo.registry import MODELS
    network, _, weights = initial.partition(":")
    if network in MODELS:
        raise BadInput(f"--initial_model={initial}: WEIGHTS must be a file or {IMAGENET}; got {weights}.")
    try:
        return str(pretrained(initial).path)
    except ValueError as error:
        raise BadInput(f"--initial_model: {error} Weights of other programs are {SYNTAX}.") from None


def _new(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Path]]:
    """The values of a new run, and the files with its objects."""
    values, files = taken(_initial(_expanded(_experiment(values))), absent=bool(FLAGS["resume"].value))
    return values | {"code": digests(files)}, files


def _initial(values: dict[str, Any]) -> dict[str, Any]:
    """With `initial_model`, its digest, and no choice of an architecture: the file decides.

    Raises:
        BadInput: if there is no such file, or a flag describes the architecture.
    """
    if values["initial_model"] is None:
        return values
    conversion = Conversion.of(values["initial_model"])
    described = tuple(name for name in ARCHITECTURE if conversion is None or name != "precision")
    for name in described:
        value, flag = values[name], FLAGS[name]
        if flag.present:
            raise BadInput(f"--{name}={value} has no effect with --initial_model, whose network is given.")
        if value != flag.default:
            say(f"{name}={value} of --config={values['config']} has no effect with --initial_model.")
    precision = values["precision"] if conversion else FLAGS["precision"].default
    found = {"precision": precision, "initial_digest": _initial_digest(values, conversion)}
    return {**values, **dict.fromkeys(ARCHITECTURE), **found}


def _initial_digest(values: dict[str, Any], conversion: Conversion | None) -> str | None:
    """What identifies the weights to begin from; `None` if they are gone and a run is resumed, which has a copy.

    Raises:
        BadInput: if a new run cannot begin from them.
    """
    path = values["initial_model"]
    if FLAGS["resume"].value:
        here = conversion.is_here if conversion else os.path.exists(path)
        return _digest(path) if here else None
    if conversion:
        conversion.require(values["initial_pixels"])
    else:
        require_network(path)
        if values["initial_pixels"] is not None:
            raise BadInput(
                f"--initial_pixels={values['initial_pixels']} is for NETWORK:WEIGHTS; a .keras file normalises its "
                "pixels itself where `keras-resunits convert` writes it with --mean and --std."
            )
    return _digest(path)


def _digest(initial: str) -> str:
    conversion = Conversion.of(initial)
    return conversion.digest() if conversion else file_digest(initial)


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


def _require_same_code(files: dict[str, Path], saved: dict[str, Any]) -> None:
    """Refuse a file of objects that is not the one that the run keeps."""
    known = saved.get("code") or {}
    for name, now in (digests(files) or {}).items():
        if name in known and now != known[name]:
            raise BadInput(
                f"{files[name]} is not the file that the run began with: its SHA-256 is {now[:12]}..., that of the "
                f"run's copy {known[name][:12]}.... Leave the flag out to continue with the copy, or use another --run."
            )


def _compare_experiment(values: dict[str, Any], saved: dict[str, Any]) -> None:
    """Report where an experiment's file now has other values than the resumed run, which keeps its own."""
    values, files = taken(values, absent=True)
    for name, now in (digests(files) or {}).items():
        if (saved.get("code") or {}).get(name) not in (None, now):
            say(f"{files[name]} has changed: the run keeps the objects of its copy.")
    asked = {name: value for name, value in values.items() if not FLAGS[name].present and value != FLAGS[name].default}
    other = {name: value for name, value in asked.items() if value != saved.get(name)}
    if other:
        theirs, own = (", ".join(f"{name}={where.get(name)}" for name in other) for where in (other, saved))
        say(f"--config={values['config']} has {theirs}: the run keeps the {own} that it started with.")


def _resumed(flag_values: dict[str, Any], saved: dict[str, Any], path: Path) -> dict[str, Any]:
    given, files = taken({name: value for name, value in flag_values.items() if FLAGS[name].present}, absent=True)
    _require_same_code(files, saved)
    if "config" in given and given["config"] == saved.get("config"):
        _compare_experiment(_expanded(_experiment({**flag_values, "smoke": saved.get("smoke", False)})), saved)
    if _is_initial(given.get("initial_model"), saved):
        given["initial_model"] = saved["initial_model"]
    changed = [name for name, value in given.items() if name not in ("epochs", *FREE) and saved.get(name) != value]
    if changed:
        now, then = (", ".join(f"{name}={values.get(name)}" for name in changed) for values in (given, saved))
        raise BadInput(f"--{now.replace(', ', ', --')}, but the run to resume has {then} ({path}).")
    return {**flag_values, **OF_EARLIER, **saved, **given}


def _is_initial(given: str | None, saved: dict[str, Any]) -> bool:
    """Whether a file, or weights, are what the run began with; what is gone is known by its path.

    Raises:
        BadInput: if it is another file.
    """
    if given is None or saved.get("initial_digest") is None:
        return False
    conversion = Conversion.of(given)
    path = str(conversion or os.path.expanduser(given))
    if not (conversion.is_here if conversion else os.path.exists(path)):
        return path == saved["initial_model"]
    if (now := _digest(path)) != saved["initial_digest"]:
        raise BadInput(
            f"--initial_model={given} is not the file that the run began with: its SHA-256 is {now[:12]}..., that of "
            f"{saved['initial_model']} was {saved['initial_digest'][:12]}...."
        )
    return True

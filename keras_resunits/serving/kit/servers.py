"""The files that servers of a model start from, in folder `kit` beside its versions."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from string import Template

from keras_resunits.arguments import checked, require_path
from keras_resunits.serving.kit import templates
from keras_resunits.serving.kit.manifest import FILE
from keras_resunits.serving.triton import SAVED_MODEL, model_names, write_triton_repository
from keras_resunits.serving.versions import UNFINISHED, versions

GENERATED_ONCE = {
    "monitoring.config": templates.MONITORING,
    "prometheus.yml": templates.PROMETHEUS,
    "compose.yaml": templates.COMPOSE,
    "kubernetes.yaml": templates.KUBERNETES,
}


@checked(path=require_path)
def serving_kit(path: str | os.PathLike) -> Path:
    """Write the files that servers of an exported model start from, in `path/kit/`.

    | file | for |
    |---|---|
    | `models.config` | TensorFlow Serving: the two newest versions, labelled "stable" and "canary" |
    | `monitoring.config` | TensorFlow Serving: metrics for Prometheus |
    | `compose.yaml`, `prometheus.yml` | Docker Compose: TensorFlow Serving with Prometheus |
    | `kubernetes.yaml` | Kubernetes: a deployment with probes and resources, its service and its autoscaler |
    | `triton/` | Triton: a model repository with the newest version, and those added to it before that still exist |

    "canary" is the newest version and "stable" the one before, or the same if there is one only. The model's name in
    requests is that of its folder. `models.config` is written again by each call. The other files are yours to edit,
    and stay as they are; remove one to get it again.

    Args:
        path: The folder of versions, from `export_saved_model`.

    Returns:
        The folder `path/kit`.

    Raises:
        ValueError: if `path` holds no version, or its name is not made of letters, digits and `_.-`, the first of them
            a letter or digit. Nothing is written then.

    Example:

    >>> import tempfile, keras_resunits as kr
    >>> folder = tempfile.mkdtemp() + "/digits"
    >>> version = kr.export_saved_model(kr.PreActResNet(depth=8, input_shape=(8, 8, 1)), folder)
    >>> sorted(path.name for path in kr.serving_kit(folder).iterdir())
    ['compose.yaml', 'kubernetes.yaml', 'models.config', 'monitoring.config', 'prometheus.yml', 'triton']
    """
    root = Path(path).absolute()
    found = versions(root) if root.is_dir() else []
    if not found:
        raise ValueError(f"`path` must be a folder of versions from `export_saved_model`. Received: {path}.")
    name, kit = root.name, root / "kit"
    if not re.fullmatch(r"[^\W_][\w.-]*", name, re.ASCII):
        raise ValueError(
            f"`path` must end in a name of letters, digits and _ . -, the first a letter or digit. Received: {path}."
        )
    _renew_triton(kit / "triton", found, name)  # refuses what it cannot read before it writes
    values = {"name": name, "label": _label(name), "stable": found[-2:][0].name, "canary": found[-1].name}
    _write(kit / "models.config", templates.MODELS, values)
    for file, template in GENERATED_ONCE.items():
        if not (kit / file).exists():
            _write(kit / file, template, values)
    return kit


def _label(name: str) -> str:
    """A model's name as Kubernetes allows it: lower case, a letter first, at most 63 signs with `-models`.

    A changed name ends in digits of its hash, so that no two models have the same.

    >>> _label("digits"), _label("My_digits.v2"), _label("2024")
    ('digits', 'my-digits-v2-7f33', 'model-2024-6557')
    """
    label = re.sub(r"[^a-z0-9]+", "-", name.lower())[:44].strip("-")
    label = label if label[0].isalpha() else f"model-{label}"
    return label if label == name else f"{label}-{hashlib.sha256(name.encode()).hexdigest()[:4]}"


def _write(path: Path, template: str, values: dict[str, str]) -> None:
    """Write a file, whole or not at all; the flags are indented as their line is."""
    indent = " " * (12 if path.name == "kubernetes.yaml" else 6)
    flags = "\n".join(f"{indent}- {Template(flag).substitute(values)}" for flag in templates.FLAGS)
    unfinished = path.with_name(f"{UNFINISHED}{os.getpid()}-{path.name}")
    try:
        unfinished.write_text(Template(template).substitute(values, flags=flags))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _renew_triton(repository: Path, found: list[Path], name: str) -> None:
    """Add the newest version to a repository, and remove those that exist no more.

    One that was added only in part, or was exported again under the same number, is added again.
    """
    newest, numbers = found[-1], {version.name for version in found}
    copies = [repository / each / newest.name for each in model_names(newest, name).values()]
    if not copies or any(_manifest(copy / SAVED_MODEL) != _manifest(newest) for copy in copies):
        for copy in copies:
            shutil.rmtree(copy, ignore_errors=True)
        write_triton_repository(newest, repository, name, max_batch_size=_largest_batch(newest))
    for version in repository.glob("*/*"):
        if version.name.isdecimal() and version.name not in numbers:
            shutil.rmtree(version)


def _manifest(version: Path) -> str | None:
    """What tells exports apart; of earlier ones, that there is one."""
    manifest = version / FILE
    return manifest.read_text() if manifest.exists() else str(version.exists())


def _largest_batch(version: Path) -> int:
    """The largest batch size that a version was warmed up at; Triton's default for those of earlier exports."""
    path = version / "metadata.json"
    told = json.loads(path.read_text()) if path.exists() else {}
    return max(told.get("batch_sizes", [64]))

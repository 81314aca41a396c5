"""Write the reference pages of the families: the API of each, and its named networks, each built and counted.

python tools/write_families.py docs/reference/families              all, six minutes
python tools/write_families.py FOLDER "resnet20*"                   only the networks that match
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

import keras_resunits as kr
from keras_resunits.zoo.networks import MODELS

PAGE = """# {family}

::: keras_resunits.{family}
    options:
      heading: Arguments
      toc_label: Arguments
      show_symbol_type_heading: false
      show_symbol_type_toc: false

## Networks by name

`kr.create(name)` makes each. [Families](index.md#how-to-read-the-tables) explains the columns.
`tools/write_families.py` generates this page from the networks themselves.

{counts}
## Their units

{units}"""
COUNTS = {
    "name": "---",
    "parameters": "---:",
    "published": "---:",
    "multiply-adds": "---:",
    "FLOPs/2": "---:",
    "FLOPs/2, published": "---:",
    "source": "---",
}
UNITS = dict.fromkeys(["e", "F", "h", "M", "f", "networks"], "---")
Slots = tuple[str, ...]


def family_of(name: str) -> str:
    """The family that a network belongs to."""
    return MODELS[name].factory.__name__


def counted(name: str) -> tuple[list[str], Slots]:
    """A network's row of counts and its slots; its layers are forgotten afterwards."""
    entry = MODELS[name]
    with keras.StatelessScope(initialize_variables=False):  # no values: shapes are enough to count
        model = kr.create(name)
    table = kr.describe(model)
    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    keras.utils.clear_session()
    counts = [
        f"`{name}`",
        f"{parameters:,}",
        _published_parameters(entry),
        f"{table.multiply_adds / 1e6:,.2f}M",
        f"{table.half_operations / 1e6:,.2f}M",
        _joined("" if entry.half_operations is None else f"{entry.half_operations:,.2f}M", entry.stated_operations),
        entry.source,
    ]
    return counts, _slots(table)


def _slots(table) -> Slots:
    units = [row for row in table if row.unit.startswith("unit")]
    *_, usual = units[:2]
    wider = next((row for row in units[1:] if row.shape != units[0].shape), usual)
    pairs = [(getattr(usual, slot), getattr(wider, slot)) for slot in "eFhMf"]
    return tuple(here if here == there else f"{here}; {there}" for here, there in pairs)


def _published_parameters(entry) -> str:
    exact = "" if entry.parameters is None else f"{entry.parameters:,}"
    return _joined(f"*{exact}*" if exact and entry.derived else exact, entry.stated_parameters)


def _joined(exact: str, stated: str) -> str:
    return " ".join(filter(None, [exact, f'"{stated}"' if stated else ""]))


def page(family: str, rows: list[tuple[list[str], Slots]]) -> str:
    """A family's page: its networks, and its units with the networks that consist of them."""
    named: dict[Slots, list[str]] = {}
    for (name, *_), slots in rows:
        named.setdefault(slots, []).append(name)
    units = [[*slots, ", ".join(names)] for slots, names in named.items()]
    counts = [counts for counts, _ in rows]
    return PAGE.format(family=family, counts=markdown(COUNTS, counts), units=markdown(UNITS, units))


def markdown(columns: dict[str, str], rows: list[list[str]]) -> str:
    """Rows as a table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [[*columns], [*columns.values()], *rows])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder to write the pages to")
    parser.add_argument("pattern", nargs="?", default="*", help="a wildcard for the names; all by default")
    args = parser.parse_args()
    matching = set(kr.list_models(args.pattern))
    rows: dict[str, list[tuple[list[str], Slots]]] = {}
    for name in tqdm([name for name in MODELS if name in matching], unit="network"):
        rows.setdefault(family_of(name), []).append(counted(name))
    args.folder.mkdir(parents=True, exist_ok=True)
    for family, its in rows.items():
        (args.folder / f"{family.lower()}.md").write_text(page(family, its))


if __name__ == "__main__":
    main()

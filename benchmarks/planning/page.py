"""Tables put into a page, each in place of the one with the same columns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def replaced(text: str, table: str) -> str:
    """The page with this table.

    Raises:
        ValueError: unless one table of the page has these columns.

    Example:

    >>> replaced("Before\\n\\n| a |\\n|---|\\n| 1 |\\n| 2 |\\n\\nafter", "| a |\\n|---|\\n| 3 |")
    'Before\\n\\n| a |\\n|---|\\n| 3 |\\n\\nafter'
    """
    parts, columns = text.split("\n\n"), table.splitlines()[0]
    places = [i for i, part in enumerate(parts) if part.splitlines()[:1] == [columns]]
    if len(places) != 1:
        raise ValueError(f"the page must have one table with the columns {columns}; it has {len(places)}.")
    parts[places[0]] = table
    return "\n\n".join(parts)


def put(path: str, tables: Iterable[str]) -> None:
    """Write the page with these tables; nothing is written where one of them has no place."""
    text = Path(path).read_text()
    for table in tables:
        text = replaced(text, table)
    Path(path).write_text(text)

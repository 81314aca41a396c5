"""How the site's API pages read the package: an extension of griffe, which mkdocs.yml names.

It tells griffe three things that the source does not:

- Examples stand at the docstring's margin, for doctest; griffe expects an indented section.
- A family is a function that returns a `Design`; its decorator makes it return a model.
- Public is what some `__all__` of the package names. Other helpers are left out of the pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import indent
from typing import Any

import griffe

EXAMPLE = re.compile(r"^Example:[ ]*(?P<title>.*)\n\n(?P<code>>>> .*)\Z", re.MULTILINE | re.DOTALL)


def sectioned(text: str) -> str:
    """A docstring with its example as a section of Google's style, and its shapes as a paragraph."""
    text = re.sub(r"^Shapes:", "**Shapes:**", text, flags=re.MULTILINE)
    match = EXAMPLE.search(text)
    if match is None:
        return text
    title = match["title"]
    heading = f"{title[0].upper()}{title[1:]}:\n\n" if title else ""
    return f"{text[: match.start()]}Examples:\n{indent(heading + match['code'], '    ')}"


def modules(module: griffe.Module) -> Iterator[griffe.Module]:
    """A module and all below it."""
    yield module
    for child in module.modules.values():
        if isinstance(child, griffe.Module):
            yield from modules(child)


class Docstrings(griffe.Extension):
    """Examples as sections, families that return models, and only what is public."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of what griffe has just read."""
        if obj.docstring:
            obj.docstring.value = sectioned(obj.docstring.value)

    def on_function_instance(self, *, func: griffe.Function, **kwargs: Any) -> None:
        """Give a family the return type of its factory."""
        if any(str(decorator.value).startswith("family(") for decorator in func.decorators):
            func.returns = "keras.Model"

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Mark what is public."""
        found = list(modules(pkg))
        public = {str(name) for module in found for name in module.exports or ()}
        for module in found:
            for name, member in module.members.items():
                if not member.is_alias and not member.is_module:
                    member.public = name in public

"""The documents: short sentences, code that fits, links that lead somewhere, examples that run."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import pytest

import keras_resunits as kr
from keras_resunits.models.family import FAMILIES
from keras_resunits.zoo.registry import check_depth
from tests.support.paths import ROOT

DOCS = sorted((ROOT / "docs").rglob("*.md"))
CHANGELOG = ROOT / "CHANGELOG.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "saved_models" / "README.md", *DOCS]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?: {4}.*\n|\n(?= {4}))+", re.MULTILINE)
PICTURE = re.compile(r"!\[[^]]*\]\([^)]*\)")
LINK = re.compile(r"\[([^]]*)\]\(([^)\s]+)\)")
ITEM = re.compile(r"^ *(?:[-*]|\d+\.) ", re.MULTILINE)
END = re.compile(
    r"""(?<!\bal)(?<!\bFig)(?<!\bsec)(?<!\beq)[.!?]["')*]*\s+(?=["'(*]*[A-Z0-9`])|:["')*]*\s+(?=["'(*]*[A-Z])"""
)

WORDS = 30
OLD = {  # what PROSE replaced, where a pattern can tell
    "NaN or infinite": r"\bno number\b",
    "requires, expects": r"\bwants?\b",
    "again": r"\banew\b",
    "resumes, continues": r"\b(?:go|goes|gone|went) on\b",
    "fix": r"\bmend(?:s|ed)?\b",
    "integer": r"\bwhole number\b",
    "the CPU": r"\bthe processor\b|\bprocessors\b",
    "initially": r"\bat first\b",
    "lacks": r"\bhas not(?! been\b)\b",
    "italics": r"\bslanted\b",
    "reported": r"\b(?:is|are) said\b",
}


def code_blocks(text: str) -> list[str]:
    """Fenced and indented code."""
    rest = FENCE.sub("\n", text)
    return [match[0] for match in FENCE.finditer(text)] + [match[0] for match in INDENTED.finditer(rest)]


def prose(text: str) -> list[str]:
    """The paragraphs and list items of a page: no code, table, heading, picture or directive."""
    text = INDENTED.sub("\n", FENCE.sub("\n", text))
    text = re.sub(r"`[^`]*`", "`code`", text)
    text = LINK.sub(r"\1", PICTURE.sub("", text))
    text = re.sub(r"^(?:\||#|:::|    ).*$", "", text, flags=re.MULTILINE)
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", ITEM.sub("\n\n", text)) if part.strip()]


def sentences(text: str) -> list[str]:
    """The sentences of a page; a colon before a capital ends one too."""
    return [sentence for paragraph in prose(text) for sentence in END.split(paragraph)]


def words(sentence: str) -> int:
    """How many words a sentence has; signs by themselves are none."""
    return sum(any(letter.isalnum() for letter in word) for word in sentence.split())


def test_sentences_are_told_apart():
    page = (
        "# A heading. With a stop\n\nHe et al. 2016, Fig. 4, do `this. And that`; 0.5 too. (Others\ndo not.) `A` [li. "
        "Of\ntwo](a.md) ends.\n\n    code here. More code\n\n- an item\n- another: Here it\n  goes. 12 `x`: `y`\n\n"
        "| a | table. Of |\n\n```python\nmore = code. here\n```\n\n![a picture. Of\ntwo](a.png)\n"
    )
    assert sentences(page) == [
        "He et al. 2016, Fig. 4, do `code`; 0.5 too",
        "(Others do not",
        "`code` li",
        "Of two ends.",
        "an item",
        "another",
        "Here it goes",
        "12 `code`: `code`",
    ]
    assert [words(sentence) for sentence in ("one two", "x = 1, - y")] == [2, 3]
    assert code_blocks(page) == ["```python\nmore = code. here\n```", "    code here. More code\n"]


@each_page
def test_no_sentence_is_long(page):
    assert [(words(sentence), sentence) for sentence in sentences(page.read_text()) if words(sentence) > WORDS] == []


@pytest.mark.parametrize("page", [*PAGES, CHANGELOG], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_fields_usual_words_are_used(page):
    text = " ".join(prose(page.read_text())) + " ".join(re.findall(r"^\|.*$", page.read_text(), re.MULTILINE))
    found = {better: re.findall(f".{{0,30}}{old}.{{0,30}}", text, re.IGNORECASE) for better, old in OLD.items()}
    assert {better: lines for better, lines in found.items() if lines} == {}


@each_page
def test_code_is_at_most_100_characters_wide(page):
    assert [line for block in code_blocks(page.read_text()) for line in block.splitlines() if len(line) > 100] == []


def anchors(page: Path) -> set[str]:
    """What its headings are called in links."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, CHANGELOG], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for _, target in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path) if path else page
        assert linked.exists(), f"{target} of {page.name}"
        assert not anchor or anchor in anchors(linked), f"{target} of {page.name}"


@each_page
def test_paths_in_the_text_are_there(page):
    folders = "benchmarks|docs|keras_resunits|saved_models|studies|tests|tools|train"
    text = FENCE.sub("", page.read_text())
    paths = set(re.findall(rf"(?<![\w/.{{-])(?:{folders})/[\w/.-]*\w/?(?![\w*]|/?<|-<)", text))
    written = {path for path in paths if not path.startswith("saved_models/digits")}
    assert [path for path in sorted(written) if not (ROOT / path).exists()] == []


def test_the_readme_is_a_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def test_pypis_description_stands_by_itself():
    assert LINK.findall((ROOT / "docs" / "pypi.md").read_text()) == []


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "reference" / "families" / "index.md"])
def test_the_tables_of_families_are_complete(page):
    rows = re.findall(r"^\| .*$", page.read_text(), re.MULTILINE)
    assert [name for name in FAMILIES if not any(f"`{name}`" in row for row in rows)] == []


def test_every_public_name_is_in_the_reference():
    pages = [page for page in DOCS if page.is_relative_to(ROOT / "docs" / "reference")]
    shown = {target for page in pages for target in re.findall(r"^::: ([\w.]+)$", page.read_text(), re.MULTILINE)}

    def is_shown(name: str) -> bool:
        thing = getattr(kr, name)
        if inspect.ismodule(thing):
            return any(target.startswith(thing.__name__) for target in shown)
        module = kr.Body.__module__ if isinstance(thing, kr.Body) else thing.__module__
        return f"keras_resunits.{name}" in shown or module in shown

    assert [name for name in kr.__all__ if not is_shown(name)] == []


@pytest.mark.parametrize("page", ["index.md", "guide/networks.md", "guide/serving.md"])
def test_the_examples_of_a_page_hold(page):
    found = doctest.testfile(str(ROOT / "docs" / page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed


def test_no_example_stands_where_pytest_does_not_look():
    """pytest runs the examples of modules, but not those of `__main__.py`."""
    mains = [path for top in ("keras_resunits", "train") for path in (ROOT / top).rglob("__main__.py")]
    assert len(mains) > 2 and [path for path in mains if ">>>" in path.read_text()] == []


def test_the_mistake_that_the_guide_quotes_is_the_programs():
    with pytest.raises(ValueError) as error:
        check_depth("PreActResNet", 21)
    assert f"train: {error.value}" in " ".join((ROOT / "docs" / "guide" / "train.md").read_text().split())


def test_docstrings_examples_become_sections_of_the_api_pages(monkeypatch):
    pytest.importorskip("griffe")
    monkeypatch.syspath_prepend(ROOT / "tools")
    from docstrings import sectioned

    text = "Doubles.\n\nShapes: any.\n\nExample: of two\n\n>>> double(2)\n4"
    section = "Examples:\n    Of two:\n\n    >>> double(2)\n    4"
    assert sectioned(text) == f"Doubles.\n\n**Shapes:** any.\n\n{section}"
    assert sectioned("Doubles.\n\nExample:\n\n>>> double(2)\n4") == "Doubles.\n\nExamples:\n    >>> double(2)\n    4"
    assert sectioned("Doubles.") == "Doubles."

"""One word a concept: each word of ``docs/words.md`` has the homes that stand there, and no other.

A home is a module, a folder, a class, a type alias or a public constant of that name. A word written with parentheses,
``prepare()``, is that of public functions.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

import pytest

from tests.tree import ROOT, dotted, modules, parsed

GLOSSARY = ROOT / "docs" / "words.md"
RETIRED_HEADING = "## Words that are not used"
ADVICE = (
    "One word has one meaning. Give the new thing a name of its own, or, if it is the same concept, add its home to "
    "the row of docs/words.md; a home that has moved or gone is corrected there."
)


def word_of(name: str) -> str:
    """The word that an identifier stands for: ``_UnitTask`` is "unit task", ``UNITS`` and ``units`` are "unit"."""
    parts = [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]
    if parts and len(parts[-1]) > 3 and re.search(r"[^sui]s$", parts[-1]):  # not process, torus, axis
        parts[-1] = parts[-1][:-1]
    return " ".join(parts)


def is_type_variable(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and getattr(value.func, "id", "") in {"TypeVar", "ParamSpec"}


def names_in(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Names of classes, type aliases and constants of a module, and of its public functions, which are marked."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name, False
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            yield node.name, True
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and not is_type_variable(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                # Constants, and aliases of types in CapWords; private constants belong to their module alone.
                if isinstance(target, ast.Name) and re.match(r"[A-Z]|_[A-Z]+[a-z]", target.id):
                    yield target.id, False


@cache
def homes() -> dict[str, set[str]]:
    """Homes of each word; those of functions under the word with parentheses."""
    by_word: dict[str, set[str]] = defaultdict(set)
    for path in modules():
        module = dotted(path)
        by_word[word_of(module.rpartition(".")[2])].add(module)
        for name, function in names_in(parsed(path)):
            by_word[word_of(name) + ("()" if function else "")].add(f"{module}.{name}")
    return by_word


def rows(text: str) -> list[tuple[str, list[str]]]:
    """Word and homes of each row of a glossary's tables."""
    lines = re.findall(r"^\| \*\*(.+?)\*\* \| .+ \| (.*) \|$", text, re.MULTILINE)
    return [(word, re.findall(r"`([\w.]+)`", where)) for word, where in lines]


WORDS, RETIRED = GLOSSARY.read_text(encoding="utf-8").split(RETIRED_HEADING)


@pytest.mark.parametrize(("word", "listed"), rows(WORDS), ids=[word for word, _ in rows(WORDS)])
def test_a_word_has_its_homes_and_no_other(word: str, listed: list[str]) -> None:
    there = homes().get(word, set())
    new, gone = sorted(there - set(listed)), sorted(set(listed) - there)
    assert (new, gone) == ([], []), f"{word!r}: not in the glossary: {new}; not in the code: {gone}. {ADVICE}"


def test_words_that_are_not_used_name_nothing() -> None:
    retired = re.findall(r"^\| \*\*(.+?)\*\* \| .+ \|$", RETIRED, re.MULTILINE)
    assert len(retired) > 5
    used = {word: sorted(homes()[word]) for word in retired if word in homes()}
    assert used == {}, f"docs/words.md names the words to use instead: {used}"


def test_words_stand_once_and_are_written_as_identifiers_are_read() -> None:
    words = [word for word, _ in rows(WORDS)]
    assert len(words) == len(set(words)) > 40
    assert [
        word for word in words if word_of(word.removesuffix("()")) != word.removesuffix("()").lower()
    ] == []


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("_UnitTask", "unit task"),
        ("UNITS", "unit"),
        ("PE", "pe"),
        ("IoDie", "io die"),
        ("collective_schedule", "collective schedule"),
        ("LineAxis", "line axis"),
        ("GemmProgram", "gemm program"),
        ("totals", "total"),
        ("process", "process"),
        ("TORUS", "torus"),
        ("SweepAxis", "sweep axis"),
    ],
)
def test_identifiers_are_read_as_words(name: str, word: str) -> None:
    assert word_of(name) == word


def test_a_second_home_is_found() -> None:
    source = "class Schedule: ...\nSCHEDULES = 3\n_SIZE = 4\nSchedules = int | str\nT = TypeVar('T')\n"
    source += "def schedule(): ...\ndef _schedule(): ...\n"
    names = [(word_of(name), function) for name, function in names_in(ast.parse(source))]
    assert names == [("schedule", False), ("schedule", False), ("schedule", False), ("schedule", True)]

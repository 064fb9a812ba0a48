"""The shape of the tree: small folders, short modules, a layer for every room, no second copy of any logic."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.tree import CODE, PACKAGES, ROOT, dotted, modules, parsed

MOST_MODULES, MOST_LINES = 16, 400

RUN = 10
"""Lines of the same logic, from which on two places become one."""

ALLOWED_COPIES: dict[tuple[str, str], str] = {}
"""Pairs of modules that may share a run, each with its reason."""

MOST_COPIES = 5


def test_no_folder_has_too_many_modules() -> None:
    counts: dict[Path, int] = defaultdict(int)
    for path in modules(CODE):
        counts[path.parent] += path.name != "__init__.py"
    assert {str(folder): count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_no_module_is_too_long() -> None:
    lengths = {
        dotted(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules((*CODE, "tests"))
    }
    assert {
        name: lines for name, lines in lengths.items() if lines > MOST_LINES and not name.startswith("tests")
    } == {}


def test_no_module_is_called_for_nothing() -> None:
    nothing = {"utils", "util", "helpers", "common", "misc", "shared", "tools", "core", "stuff"}
    names = [path.with_suffix("") for path in modules()]
    assert [str(name) for name in names if nothing & set(name.relative_to(ROOT).parts)] == []


def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    entries: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return entries


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_a_layer(package: str) -> None:
    mine = [contract for contract in contracts() if contract.get("containers") == [package]]
    assert [(contract["type"], contract["exhaustive"]) for contract in mine] == [("layers", True)]
    layers = [name.strip() for layer in mine[0]["layers"] for name in re.split(r"[|:]", layer)]
    names = {path.relative_to(ROOT / package).parts[0].removesuffix(".py") for path in modules((package,))}
    assert sorted(layers) == sorted(names - {"__init__"})


def test_circles_are_refused_everywhere() -> None:
    acyclic = [contract["ancestors"] for contract in contracts() if contract["type"] == "acyclic_siblings"]
    assert acyclic == [list(PACKAGES)]


# ---- copies ----


@dataclass(frozen=True)
class Line:
    """A line of a function: where it stands, and its text without spacing."""

    module: str
    number: int
    text: str


def logic(path: Path) -> list[Line]:
    """Lines of a module that do something: no docstring, comment, import or mere bracket."""
    skipped: set[int] = set()
    for node in ast.walk(parsed(path)):
        prose = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and (prose or isinstance(node, (ast.Import, ast.ImportFrom))):
            skipped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = " ".join(text.partition("  # ")[0].split())
        if number not in skipped and re.search(r"\w", words) and not words.startswith("#"):
            lines.append(Line(dotted(path), number, words))
    return lines


def copies(files: Sequence[Sequence[Line]], run: int = RUN) -> dict[tuple[str, str], tuple[int, int]]:
    """Pairs of modules with places that share ``run`` lines in a row, and where the first such runs begin."""
    places: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for lines in files:
        for start in range(len(lines) - run + 1):
            places[tuple(line.text for line in lines[start : start + run])].append(lines[start])
    pairs: dict[tuple[str, str], tuple[int, int]] = {}
    for same in places.values():
        for index, line in enumerate(same):
            for other in same[index + 1 :]:
                pairs.setdefault((line.module, other.module), (line.number, other.number))
    return pairs


def test_no_two_places_share_the_same_logic() -> None:
    shared = copies([logic(path) for path in modules(CODE)])
    unknown = {pair: lines for pair, lines in shared.items() if pair not in ALLOWED_COPIES}
    assert unknown == {}, f"{RUN} or more lines of the same logic: make one piece of code of them"
    assert set(ALLOWED_COPIES) - set(shared) == set(), "these copies are gone: remove them from the list"
    assert len(ALLOWED_COPIES) <= MOST_COPIES
    assert all(ALLOWED_COPIES.values())


def test_copies_are_found_whatever_stands_around_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.tree.ROOT", tmp_path)
    body = [f"value{number} = step({number})" for number in range(RUN)]
    first = "def one():\n" + "".join(f"    {line}\n" for line in body) + "    return 1\n"
    second = 'def two():\n    """Another."""\n    if True:\n        # comment\n        x = 0\n'
    second += "".join(f"        {line}  # why\n\n" for line in body)
    for name, text in (("first", first), ("second", second)):
        (tmp_path / f"{name}.py").write_text(text)
    files = [logic(tmp_path / f"{name}.py") for name in ("first", "second")]
    assert copies(files) == {("first", "second"): (2, 6)}
    assert copies(files, RUN + 1) == {}

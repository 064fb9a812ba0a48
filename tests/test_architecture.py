"""``docs/architecture.md`` is true: its table has every room, and its walks are those that the code takes."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Sequence
from functools import wraps
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from hecaton.cli import run
from tests.tree import PACKAGES, ROOT, dotted, modules, parsed

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ELSEWHERE = {"cosim.benches", "cosim.calibrate", "chiplet.projection"}
"""Rooms of a walk that are not entered by the command itself: in the simulator's process, and by later commands."""

WALKS = {
    "The walk of a GEMM": "cosim gemm --m 3 --k 4 --n 2 -P die.rows=2 -P die.cols=2 -P die.weight_bytes=64"
    " -P die.activation_bytes=64 -P die.accumulator_bytes=64",
    "The walk of a collective": "cosim collective --op all-gather --mesh 1x2 --flits 1 -P die.scratchpad_bytes=512",
}
"""Heading of each walk, and a command that takes it."""


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def stops(heading: str) -> list[str]:
    """Dotted names of the functions of a walk, in order."""
    lines = re.findall(r"^\d+\. (.+?):", section(heading), re.MULTILINE)
    return [name for line in lines for name in re.findall(r"`([\w.]+)`", line)]


def resolve(name: str) -> Any:
    """What a dotted name stands for."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        if (ROOT / "/".join(parts[:end])).with_suffix(".py").is_file():
            value: Any = importlib.import_module(".".join(parts[:end]))
            for part in parts[end:]:
                value = getattr(value, part)
            return value
    raise ValueError(f"{name}: no such module")


def room_of(name: str) -> str:
    """The folder that holds the module of a dotted name."""
    parts = name.split(".")
    while not (ROOT / "/".join(parts)).is_dir():
        parts.pop()
    return ".".join(parts)


def entered(names: Sequence[str]) -> list[str]:
    """Rooms of a sequence of functions, one for each time that another room is entered."""
    return [room for room, _ in groupby(room_of(name) for name in names)]


def test_every_room_is_in_the_table() -> None:
    expected = []
    for path in modules():
        if path.name == "__init__.py":
            purpose = ast.get_docstring(parsed(path)) or ""
            expected.append(
                f"| `{dotted(path).replace('.', '/')}/` | {' '.join(purpose.split()).removesuffix('.')} |"
            )
    lines = re.findall(r"^\| `.*$", section("Rooms"), re.MULTILINE)
    assert lines == expected, (
        "each line is the docstring of the room's __init__.py; the table should be\n" + "\n".join(expected)
    )


def test_every_purpose_is_one_line() -> None:
    purposes = {
        dotted(path): ast.get_docstring(parsed(path)) or ""
        for path in modules()
        if path.name == "__init__.py"
    }
    assert [name for name, purpose in purposes.items() if not re.fullmatch(r"[^\n]{20,110}\.", purpose)] == []


@pytest.mark.parametrize("heading", WALKS)
def test_functions_of_a_walk_exist(heading: str) -> None:
    assert len(stops(heading)) > 8
    assert [name for name in stops(heading) if resolve(name) is None] == []


@pytest.mark.parametrize("heading", WALKS)
def test_a_walk_enters_each_room_once(heading: str) -> None:
    rooms = entered(stops(heading))
    assert len(rooms) == len(set(rooms))


def watch(name: str, called: list[str], patch: pytest.MonkeyPatch) -> None:
    """Add ``name`` to ``called`` whenever that function, or the class's constructor, is called."""
    original = resolve(name)
    if isinstance(original, type):
        owner, attribute, function = original, "__init__", original.__init__  # type: ignore[misc]
    elif "." in original.__qualname__:
        owner, attribute, function = resolve(name.rpartition(".")[0]), original.__name__, original
    else:
        owner, attribute, function = None, "", original

    @wraps(function)
    def noted(*arguments: Any, **options: Any) -> Any:
        called.append(name)
        return function(*arguments, **options)

    if owner is not None:
        patch.setattr(owner, attribute, noted)
        return
    # A function is known by its name in every module that imported it.
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").partition(".")[0] in PACKAGES:
            for held, value in list(vars(module).items()):
                if value is original:
                    patch.setattr(module, held, noted)


@pytest.mark.parametrize("heading", WALKS)
def test_a_walk_is_what_the_command_does(
    heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HECATON_CACHE", str(tmp_path / "cache"))
    names = [name for name in stops(heading) if room_of(name) not in ELSEWHERE | {"hecaton.commands.cosim"}]
    called: list[str] = []
    for name in names:
        watch(name, called, monkeypatch)
    code = run([*WALKS[heading].split(), "--records", str(tmp_path / "records")])
    assert code == 0, capsys.readouterr().err
    assert set(called) == set(names)
    # The room that calls the others is on the stack all the time.
    listed, order = (
        [name for name in sequence if room_of(name) != "cosim.run"] for sequence in (names, called)
    )
    assert entered(order) == entered(listed)

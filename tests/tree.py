"""The code as a tree of modules, for tests of its shape."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("nop", "chiplet", "rtl", "cosim", "hecaton")
"""The packages that are installed."""

CODE = (*PACKAGES, "benchmarks", "tools")
"""All folders of code but the tests."""


def modules(folders: tuple[str, ...] = PACKAGES) -> Iterator[Path]:
    """Every Python file below ``folders``, in order."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def dotted(path: Path) -> str:
    """Name of the module or package in a file: ``nop.topology``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def rooms() -> list[str]:
    """Dotted names of all packages and of the folders in them, in order."""
    return [dotted(path) for path in modules() if path.name == "__init__.py"]

"""Paths in the words of the design: registers, ports of macros and instances of blocks, instead of pins of cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from rtl.synthesis.library import Library
from rtl.synthesis.result import LongPath, PathUnit
from rtl.synthesis.timing_report import PathStep, TimingPath

__all__ = ["longest", "period_of"]


PORT_CELLS = ("in", "out")
"""What OpenSTA calls the cell of a port."""


def period_of(path: TimingPath) -> float:
    """The shortest period that a path allows, ps."""
    return path.arrival + path.setup


def longest(paths: Iterable[TimingPath], library: Library, *, count: int) -> tuple[LongPath, ...]:
    """The longest ones of ``paths`` that are not alike, at most ``count``.

    Two paths are alike if their ends differ in the number of a bit or of an instance only.
    """
    first: dict[tuple[str, str], LongPath] = {}
    alike: Counter[tuple[str, str]] = Counter()
    for path in sorted(paths, key=lambda path: -period_of(path)):
        named = _named(path, library)
        key = _general(named.start), _general(named.end)
        first.setdefault(key, named)
        alike[key] += 1
    chosen = list(first.items())[:count]
    return tuple(
        LongPath(path.start, path.end, path.period_ps, path.cells, alike[key] - 1, path.units)
        for key, path in chosen
    )


def _general(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _named(path: TimingPath, library: Library) -> LongPath:
    first, last = path.steps[0], path.steps[-1]
    # The path of a macro starts at its clock; its output says more.
    is_macro = first.cell not in library.cells and "/" in first.pin
    start = path.steps[1] if is_macro and len(path.steps) > 1 else first
    units = []
    for instance, steps in groupby(path.steps, key=_unit):
        passed = list(steps)
        cells = len({step.instance for step in passed if step.cell not in PORT_CELLS})
        if cells:
            units.append(PathUnit(instance, cells, round(sum(step.delay for step in passed), 3)))
    return LongPath(
        start=_name(start, library),
        end=_name(last, library),
        period_ps=round(period_of(path), 3),
        cells=len({step.instance for step in path.steps if _is_logic(step, library)}),
        alike=0,
        units=tuple(units),
    )


def _is_logic(step: PathStep, library: Library) -> bool:
    return step.cell in library.cells and library.cells[step.cell].kind == "logic"


def _unit(step: PathStep) -> str:
    """Instance of the block that a cell is in; empty for the top."""
    return step.instance.rpartition("/")[0].replace("/", ".").replace("\\", "")


def _name(step: PathStep, library: Library) -> str:
    cell = library.cells.get(step.cell)
    name = step.instance if cell is not None and cell.kind != "logic" else step.pin
    name = name.replace("/", ".").replace("\\", "")
    return name.removesuffix("_reg")

"""Tables for the terminal, in one style."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}


WIDEST = 10_000
"""Characters in a line of which no table needs more."""

LEAST_WIDTH = 16
"""Characters of a text that stay in one line: names of models and methods have that many."""


def columns(rows: Iterable[Mapping[str, Any]], names: Sequence[str], *, title: str | None = None) -> Table:
    """Return a table: a line for each of ``rows``, a column for each of ``names``, which are keys of the rows.

    Where it has no room, texts go on in the next line, names too; nothing is cut, and numbers stay whole.
    """
    entries = list(rows)
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        cells = [cell(row.get(name)) for row in entries]
        numeric = all(_is_number(text) for text in cells)
        longest = max(map(len, cells), default=0)
        least = max(longest if numeric else min(longest, LEAST_WIDTH), *map(len, name.split() or [""]), 1)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", min_width=least)
    for row in entries:
        table.add_row(*(Text(cell(row.get(name))) for name in names))
    return table


def print_whole(console: Console, view: RenderableType) -> None:
    """Print ``view`` as wide as ``console``, or as it must be for its numbers and names: nothing is cut."""
    wide = console.options.update_width(WIDEST)
    console.width = max(console.width, Measurement.get(console, wide, view).minimum)
    console.print(view, crop=False)


def markdown(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Return the table of :func:`columns` as Markdown."""
    entries = [[cell(row.get(name)).replace("|", r"\|") for name in names] for row in rows]
    sides = [
        "---:" if all(_is_number(line[index]) for line in entries) else "---" for index in range(len(names))
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [list(names), sides, *entries]) + "\n"


def pairs(data: Mapping[str, Any], *, title: str | None = None) -> Table:
    """Return a table of names and values, a line for each key of ``data``; nested keys get dotted names."""
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold")
    for name, value in _flat(data, ""):
        table.add_row(Text(name), Text(cell(value)))
    return table


def cell(value: Any) -> str:
    """Return ``value`` as a table shows it: floats with four significant digits, None as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={cell(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(item) for item in value) if value else "-"
    return str(value)


def quantity(value: float, unit: str) -> str:
    """Return ``value`` with an SI prefix and four significant digits: ``quantity(0.0123, "s")`` is ``12.3 ms``."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    exponent = prefix_exponent(value)
    return f"{value / 10.0**exponent:.4g} {PREFIXES[exponent]}{unit}"


def prefix_exponent(value: float) -> int:
    """Return the power of ten of the SI prefix for ``value``, which is finite and not 0."""
    return min(max(3 * math.floor(math.log10(abs(value)) / 3), min(PREFIXES)), max(PREFIXES))


def _is_number(text: str) -> bool:
    return text[:1].isdigit() or text[:1] == "-"


def _flat(data: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value

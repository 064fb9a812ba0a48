"""Values of options: how they are read, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import typer

from nop.topology import MAX_DIES

MOST_INTEGER = 10**18 - 1
"""Largest integer of an option that has no bound of its own."""


@cache
def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return a parser of integers of at least ``low`` and at most ``high``, by default :data:`MOST_INTEGER`."""
    most = MOST_INTEGER if high is None else high
    allowed = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"

    def parse(text: str) -> int:
        shown = str(text)
        number = re.fullmatch(r"[+-]?\d{1,1000}", shown, re.ASCII)
        if number and low <= int(shown) <= most:
            return int(shown)
        if number and int(shown) > most and high is None:
            raise typer.BadParameter(f"must be an integer from {low} to {most}, not {shown[:60]}")
        raise typer.BadParameter(f"must be {allowed}, not {shown[:60]}")

    return parse


def integer_option(name: str, text: str, *, low: int = 1, high: int | None = None, metavar: str = "N") -> Any:
    """Declare the option ``name``, whose help is ``text``, for integers as :func:`integer` reads them."""
    return typer.Option(name, parser=integer(low, high), metavar=metavar, help=text)


def parse_mesh(text: str | None) -> tuple[int, int] | None:
    """Return rows and columns of a ``--mesh`` such as ``4x8``. Raises ``ValueError`` for anything else."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text, re.ASCII)
    if match is None:
        raise ValueError(f"--mesh {text}: must be ROWSxCOLUMNS, as in --mesh 4x8")
    rows, cols = int(match[1]), int(match[2])
    if rows * cols > MAX_DIES:
        raise ValueError(f"--mesh {text}: must have at most {MAX_DIES} dies")
    return rows, cols


def parse_assignments(option: str, items: Sequence[str] | None) -> dict[str, Any]:
    """Return the values of ``NAME=VALUE`` items by name, read as those of ``-P``.

    Raises ``ValueError``, naming ``option``, for an item of another form.
    """
    from chiplet.machine.config import parse_value

    values: dict[str, Any] = {}
    for item in items or []:
        name, equals, value = (part.strip() for part in item.partition("="))
        if not name or not equals or not value:
            raise ValueError(f"{option} {item}: must be NAME=VALUE")
        values[name] = parse_value(value)
    return values

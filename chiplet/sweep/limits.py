"""What a design space may hold: checked from its counts, before anything is built from it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, log10, prod
from typing import Any

from chiplet.machine.configuration_keys import show_value

MAX_POINTS = 10_000_000
"""Most points of a sweep: minutes of work, and a few gigabytes in the file."""

LARGEST = 2**53
"""Largest magnitude of a number of a space: beyond it floats, in which points are evaluated, skip integers."""


def check_points(sizes: Mapping[str, int]) -> None:
    """Raise ``ValueError`` if axes with as many values as ``sizes`` says span more than :data:`MAX_POINTS` points."""
    points = prod(sizes.values())
    if points > MAX_POINTS:
        axes = ", ".join(f"{size:,} of {name}" for name, size in sizes.items() if size > 1)
        shown = axes if len(axes) <= 200 else axes[:197] + "..."
        raise ValueError(
            f"{_count(points)} points ({shown}): a sweep has at most {MAX_POINTS:,}; vary less, or make several sweeps"
        )


def check_number(name: str, value: Any) -> None:
    """Raise ``ValueError`` if ``value`` is a number that is not finite or beyond :data:`LARGEST`."""
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{name} = {show_value(value)}: must be finite")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"{name} = {_count(value)}: integers go up to 2^53")


def _count(number: int) -> str:
    """``number`` with its digits, or its order of magnitude if these are many."""
    if abs(number) < 10**18:
        return f"{number:,}"
    # Python refuses to write integers of thousands of digits.
    return f"about {'-' if number < 0 else ''}10^{round(log10(abs(number)))}"

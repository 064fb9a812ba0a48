"""Efficiency against size, as a table of measured points."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from math import log
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from chiplet.machine.base import StrictModel

Fraction = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class CurvePoint(StrictModel):
    """Efficiency that was measured at a size: elements of the smallest side of a GEMM, or bytes of a transfer."""

    size: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    efficiency: Fraction


def _ascending(points: list[CurvePoint]) -> list[CurvePoint]:
    for before, after in pairwise(points):
        if after.size <= before.size:
            raise ValueError(f"sizes must ascend, and {after.size:g} comes after {before.size:g}")
    return points


EfficiencyCurve = Annotated[list[CurvePoint], Field(min_length=1), AfterValidator(_ascending)]
"""Points in ascending order of their sizes, one at least; efficiencies need not ascend."""


def efficiency_at(points: list[CurvePoint], size: float) -> float:
    """Efficiency at ``size``: linear in the logarithm of the size between points, and beyond them that of the nearest.

    ``points`` ascend by size, and ``size`` is above 0.
    """
    place = bisect_right(points, size, key=lambda point: point.size)
    if place in (0, len(points)):
        return points[max(0, place - 1)].efficiency
    before, after = points[place - 1], points[place]
    if size == before.size:  # also where the next point is the next float
        return before.efficiency
    share = log(size / before.size) / log(after.size / before.size)
    return before.efficiency + share * (after.efficiency - before.efficiency)


def curve_in_words(points: list[CurvePoint], of: str) -> str:
    """What a curve is, for results: ``of`` says what its sizes are."""
    if len(points) == 1:
        return f"{points[0].efficiency:g} at every size: a curve of one point"
    return (
        f"curve of {len(points)} points over {of} from {points[0].size:g} to {points[-1].size:g}, linear in the "
        "logarithm of the size, constant beyond"
    )


def one_of_two(values: Any, curve: str, *others: str) -> None:
    """Raise ``ValueError``, in one line, unless ``values`` has the ``curve`` or all ``others``, and not both."""
    given = [name for name in others if getattr(values, name) is not None]
    if getattr(values, curve) is not None:
        if given:
            raise ValueError(
                f"{curve} takes the place of {' and '.join(others)}: give one or the other, not both"
            )
    elif len(given) < len(others):
        missing = next(name for name in others if name not in given)
        raise ValueError(f"{missing} is missing: give {' and '.join(others)}, or {curve}")

"""Least squares for terms that a prediction depends on in steps: Gauss-Newton from the design's values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dependent", "fit"]

_STEP = 0.25
_NEGLIGIBLE = 1e-6
_ROUNDS = 8
_FRACTIONS = (1.0, 0.5, 0.25)


def fit(residual: Callable[[NDArray[Any]], NDArray[Any]], start: NDArray[Any]) -> NDArray[Any]:
    """Return the values with the smallest squared residual among those tried from ``start``.

    Each step is the least-squares step of minimum norm: values that the residual cannot tell apart move together, and
    values without effect stay. If a fraction of the step is better it is taken instead, because along the way
    another unit can become the one that is waited for.
    """
    values = start
    error = residual(values)
    best = (float(error @ error), values)
    for _ in range(_ROUNDS):
        if best[0] < 1e-9:
            break
        jacobian = _jacobian(residual, values, error)
        step = np.linalg.lstsq(jacobian, error, rcond=1e-9)[0]
        tried = [(fraction, residual(values + fraction * step)) for fraction in _FRACTIONS]
        fraction, error = min(tried, key=lambda pair: float(pair[1] @ pair[1]))
        values = values + fraction * step
        best = min(best, (float(error @ error), values), key=lambda pair: pair[0])
    fitted: NDArray[Any] = np.round(best[1], 9)
    return fitted


def dependent(
    residual: Callable[[NDArray[Any]], NDArray[Any]], start: NDArray[Any], names: Sequence[str]
) -> dict[str, list[str]]:
    """Return by name the values that the residual near ``start`` cannot tell from earlier ones, and those earlier ones.

    A value without effect has an empty list. The other values can be told apart: their fit has one solution.
    """
    columns = _jacobian(residual, start, residual(start))
    kept: list[int] = []
    earlier: dict[str, list[str]] = {}
    for number, column in enumerate(columns.T):
        mixed = np.linalg.lstsq(columns[:, kept], column, rcond=None)[0] if kept else np.empty(0)
        remainder = column - columns[:, kept] @ mixed
        if np.linalg.norm(remainder) > _NEGLIGIBLE:
            kept.append(number)
        else:
            like = np.flatnonzero(np.abs(mixed) > _NEGLIGIBLE)
            earlier[names[number]] = [names[kept[place]] for place in like]
    return earlier


def _jacobian(
    residual: Callable[[NDArray[Any]], NDArray[Any]], values: NDArray[Any], error: NDArray[Any]
) -> NDArray[Any]:
    """Decrease of the residual, which is ``error`` at ``values``, per cycle of each value."""
    jacobian = np.empty((len(error), len(values)))
    for column in range(len(values)):
        moved = values.copy()
        moved[column] += _STEP
        jacobian[:, column] = (error - residual(moved)) / _STEP
    return jacobian

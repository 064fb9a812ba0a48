"""Least squares for terms that a prediction depends on in steps: Gauss-Newton from the design's values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dependent", "fit"]

_STEP = 0.25
_NEGLIGIBLE = 1e-6
_ROUNDS = 8
_PARTS = (1.0, 0.5, 0.25)


def fit(residual: Callable[[NDArray[Any]], NDArray[Any]], start: NDArray[Any]) -> NDArray[Any]:
    """Return the values with the least squared residual that are seen on the way from ``start``.

    Each step is the least-squares step of least norm, so values that the residual cannot tell apart move together and
    those that do not matter stay; or a part of it, if that is better, as what waits for what can change on the way.
    """
    values = start
    error = residual(values)
    best = (float(error @ error), values)
    for _ in range(_ROUNDS):
        if best[0] < 1e-9:
            break
        jacobian = _jacobian(residual, values, error)
        step = np.linalg.lstsq(jacobian, error, rcond=1e-9)[0]
        tried = [(part, residual(values + part * step)) for part in _PARTS]
        part, error = min(tried, key=lambda pair: float(pair[1] @ pair[1]))
        values = values + part * step
        best = min(best, (float(error @ error), values), key=lambda pair: pair[0])
    found: NDArray[Any] = np.round(best[1], 9)
    return found


def dependent(residual: Callable[[NDArray[Any]], NDArray[Any]], start: NDArray[Any]) -> dict[int, list[int]]:
    """Return the values that the residual cannot tell from those before them, near ``start``, and from which.

    A value that changes nothing has an empty list. The others can be told apart: their fit has one solution.
    """
    columns = _jacobian(residual, start, residual(start))
    kept: list[int] = []
    found: dict[int, list[int]] = {}
    for number, column in enumerate(columns.T):
        mixed = np.linalg.lstsq(columns[:, kept], column, rcond=None)[0] if kept else np.empty(0)
        rest = column - columns[:, kept] @ mixed
        if np.linalg.norm(rest) > _NEGLIGIBLE:
            kept.append(number)
        else:
            found[number] = [kept[place] for place in np.flatnonzero(np.abs(mixed) > _NEGLIGIBLE)]
    return found


def _jacobian(
    residual: Callable[[NDArray[Any]], NDArray[Any]], values: NDArray[Any], error: NDArray[Any]
) -> NDArray[Any]:
    """What a cycle more of each value takes from the residual, which is ``error`` at ``values``."""
    jacobian = np.empty((len(error), len(values)))
    for column in range(len(values)):
        moved = values.copy()
        moved[column] += _STEP
        jacobian[:, column] = (error - residual(moved)) / _STEP
    return jacobian

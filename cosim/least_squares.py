"""Least squares for terms that a prediction depends on in steps: Gauss-Newton from the design's values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit"]

_STEP = 0.25
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
        jacobian = np.empty((len(error), len(values)))
        for column in range(len(values)):
            moved = values.copy()
            moved[column] += _STEP
            jacobian[:, column] = (error - residual(moved)) / _STEP
        step = np.linalg.lstsq(jacobian, error, rcond=1e-9)[0]
        tried = [(part, residual(values + part * step)) for part in _PARTS]
        part, error = min(tried, key=lambda pair: float(pair[1] @ pair[1]))
        values = values + part * step
        best = min(best, (float(error @ error), values), key=lambda pair: pair[0])
    found: NDArray[Any] = np.round(best[1], 9)
    return found

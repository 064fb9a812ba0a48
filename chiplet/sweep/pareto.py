"""The Pareto front: points that no other point dominates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGER_IS_BETTER = (
    "tokens_per_second",
    "mfu",
    "die_yield",
    "assembly_yield",
    "compute_to_nop",
)
"""Columns of a sweep of which larger values are better; of all others smaller values are."""


def pareto_front(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of n points with k objectives (an array of n x k, smaller is better) are on the front.

    A point is dominated if another is at least as good in all objectives and better in one. Points with a NaN are never
    on the front.
    """
    front = np.zeros(len(values), dtype=bool)
    usable = np.flatnonzero(~np.isnan(values).any(axis=1))
    if not len(usable):
        return front
    # Of equal points, all or none are on the front.
    rows, where = np.unique(values[usable], axis=0, return_inverse=True)
    # Sorted by the sum of ranks, a point is dominated by earlier ones only, and the first ones dominate many.
    ranks = sum(np.unique(column, return_inverse=True)[1] for column in rows.T)
    alive = np.argsort(ranks, kind="stable")
    columns = list(rows[alive].T.copy())
    place = 0
    while place < len(alive):
        stays = columns[0] < columns[0][place]
        for column in columns[1:]:
            stays |= column < column[place]
        stays[place] = True
        place = int(np.count_nonzero(stays[:place])) + 1
        if not stays.all():
            alive, columns = alive[stays], [column[stays] for column in columns]
    good = np.zeros(len(rows), dtype=bool)
    good[alive] = True
    front[usable] = good[where.reshape(-1)]
    return front

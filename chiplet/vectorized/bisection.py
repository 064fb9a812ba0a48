"""Bisection for a condition that changes once: for one machine, or for many at once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from chiplet.vectorized.elementwise import Number, is_array


def largest_true(
    total: Number, holds: Callable[[Number], Any], guesses: Callable[[], tuple[Number, ...]]
) -> Number:
    """The largest integer from 1 to ``total`` for which ``holds`` is true; 0 if there is none.

    ``holds`` must be true for all integers below that one. ``guesses`` are tried before the range is bisected.
    """
    every = holds(total)
    if isinstance(every, bool):
        return total if every else _largest_below(total, holds, guesses)
    import numpy as np

    low, high = np.where(every, total, 0.0), np.where(every, total + 1.0, total)
    tried = iter((1.0, *guesses()))
    while True:
        place = next(tried, None)
        if place is None:
            place = np.floor((low + high) / 2)
        inside = (place > low) & (place < high)
        if inside.any():
            held = holds(np.where(inside, place, 1.0))
            low, high = np.where(inside & held, place, low), np.where(inside & ~held, place, high)
        elif not (high > low + 1).any():
            return low


def _largest_below(total: int, holds: Callable[[int], bool], guesses: Callable[[], tuple[int, ...]]) -> int:
    if not holds(1):
        return 0
    low, high = 1, total
    for place in guesses():
        if low < place < high:
            if holds(place):
                low = place
            else:
                high = place
    return low + bisect_left(range(low + 1, high), True, key=lambda size: not holds(size))


def smallest_true(low: int, high: Number, holds: Callable[[Number], Any]) -> Number:
    """The smallest integer from ``low`` up to ``high`` (not included) for which ``holds`` is true; ``high`` if there is
    none, and ``low`` if the range is empty.

    ``holds`` must be true for all integers above that one.
    """
    if not is_array(high):
        return low + bisect_left(range(low, high), True, key=holds)
    import numpy as np

    least, most = np.full(high.shape, float(low)), np.maximum(high, low)
    while (least < most).any():
        middle = np.floor((least + most) / 2)
        held, left = holds(middle), least < most
        least, most = np.where(left & ~held, middle + 1, least), np.where(left & held, middle, most)
    return least

"""Words of an IO die's memory over its link, for the dies that share it: when each comes, or has left."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from math import inf

__all__ = ["MemoryLink"]

_LEAST = 1e-9
"""Less than any cycle: sums of fractions differ by no more."""


class MemoryLink:
    """A direction of a link that carries a word in every ``cycles``, first come, first served.

    Who asks later may get an earlier place, as dies and units are gone through one after the other, not in the order of
    time.
    """

    def __init__(self, cycles: float) -> None:
        self._cycles = max(cycles, 1.0)
        self._begins: list[float] = []
        self._ends: list[float] = []  # of words that follow each other without a gap
        self._expected: deque[tuple[float, float]] = deque()

    def expect(self, words: Iterable[tuple[float, float]]) -> None:
        """Words that will come besides: when each is asked for, and when it is there.

        It is before those that are asked for later, and behind all others.
        """
        self._expected = deque(sorted([*self._expected, *words]))

    def take(self, time: float, asked: float = inf) -> float:
        """When a word that is there at ``time`` begins: as soon as the link is free for all of it.

        ``asked``: when it was asked for.
        """
        while self._expected and self._expected[0][0] <= asked:
            self._carry(self._expected.popleft()[1])
        return self._carry(time)

    def _carry(self, time: float) -> float:
        begins, ends = self._begins, self._ends
        place = bisect_right(begins, time + _LEAST)
        if place:
            time = max(time, ends[place - 1])
        while place < len(begins) and begins[place] < time + self._cycles - _LEAST:
            time = ends[place]
            place += 1
        end = time + self._cycles
        before = place > 0 and ends[place - 1] > time - _LEAST
        behind = place < len(begins) and begins[place] < end + _LEAST
        if before and behind:
            ends[place - 1] = ends.pop(place)
            begins.pop(place)
        elif before:
            ends[place - 1] = end
        elif behind:
            begins[place] = time
        else:
            begins.insert(place, time)
            ends.insert(place, end)
        return time

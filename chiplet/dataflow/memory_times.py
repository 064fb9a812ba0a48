"""Words of an IO die's memory over its link, for the dies that share it: when each comes, or has left."""

from __future__ import annotations

from bisect import bisect_right

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

    def take(self, time: float) -> float:
        """When a word that is there at ``time`` begins: as soon as the link is free for all of it."""
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

"""Words of an IO die's memory over its link, for the dies that share it: when each comes, or has left."""

from __future__ import annotations

__all__ = ["MemoryLink"]


class MemoryLink:
    """A direction of a link that carries a word in every ``cycles``, first come, first served.

    Who asks later may get an earlier slot, as dies and units are gone through one after the other, not in the order of
    time.
    """

    def __init__(self, cycles: float) -> None:
        self._cycles = max(cycles, 1.0)
        self._after: dict[int, int] = {}  # taken slots: one that may be free

    def take(self, time: float) -> float:
        """When the first free slot from ``time`` on begins, which is now taken."""
        first = int(-(-time // self._cycles))
        slot = self._free(first)
        self._after[slot] = slot + 1
        return max(time, slot * self._cycles)

    def _free(self, slot: int) -> int:
        passed = []
        while slot in self._after:
            passed.append(slot)
            slot = self._after[slot]
        for one in passed:
            self._after[one] = slot
        return slot

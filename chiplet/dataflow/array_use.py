"""When the array uses the accumulator buffer: it leaves every other cycle to who else reads or writes it then."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

__all__ = ["ArrayReads", "ArrayUse"]


@dataclass
class ArrayUse:
    """Intervals in which the array reads, or writes, a row of sums in each cycle: in order."""

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    def add(self, start: float, end: float) -> None:
        """One more interval, behind the others."""
        if start < end:
            self.starts.append(start)
            self.ends.append(end)

    def end_of(self, begins: float, rows: int, *, still: float, busy: float) -> float:
        """When ``rows`` from ``begins`` on are over that take ``still`` or, beside the array, ``busy`` cycles each."""
        at, left = begins, float(rows)
        number = max(bisect_right(self.starts, at) - 1, 0)
        while left > 0:
            while number < len(self.ends) and self.ends[number] <= at:
                number += 1
            if number == len(self.ends):
                return at + left * still
            used = self.starts[number] <= at
            until, per_row = (self.ends[number], busy) if used else (self.starts[number], still)
            if left * per_row <= until - at:
                return at + left * per_row
            left -= (until - at) / per_row
            at = until
        return at


@dataclass
class ArrayReads:
    """Reads of the array, and when each panel has left it.

    A drain meets those of GEMMs behind its own, so it needs those of a play before, moved by as much as its own panel.
    """

    use: ArrayUse = field(default_factory=ArrayUse)
    panels: list[float] = field(default_factory=list)

    def drained(self, begins: float, rows: int, cycles: float, panel: int, there: float) -> float:
        """When ``rows`` rows have been read, from ``begins`` on, which takes ``cycles`` each.

        ``panel`` is the number of their panel among all, and ``there`` when it is there now.
        """
        shift = self.panels[panel] - there if panel < len(self.panels) else 0.0
        end = self.use.end_of(begins + shift, rows, still=cycles, busy=max(2.0, cycles))
        return end - shift

"""When the array reads sums of the accumulator buffer: it leaves every other cycle to the drain unit then."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

__all__ = ["ArrayReads"]


@dataclass
class ArrayReads:
    """Intervals in which the array reads sums, in order, and when the panels of each GEMM have left it.

    A drain needs those of GEMMs behind its own. So they are those of a play before, moved by as much as its own panel.
    """

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    panels: list[float] = field(default_factory=list)

    def add(self, start: float, end: float, panel: float) -> None:
        """The reads of a panel, and when its last sum is there."""
        if start < end:
            self.starts.append(start)
            self.ends.append(end)
        self.panels.append(panel)

    def drained(self, begins: float, rows: int, width: int, panel: int, there: float) -> float:
        """When ``rows`` rows have been read, from ``begins`` on; each lies in ``width`` words.

        ``panel`` is the number of their panel among all, and ``there`` when it is there now.
        """
        if panel >= len(self.panels):
            return begins + rows * width
        shift = self.panels[panel] - there
        at, left = begins + shift, float(rows)
        number = max(bisect_right(self.starts, at) - 1, 0)
        while left > 0:
            while number < len(self.ends) and self.ends[number] <= at:
                number += 1
            reads = number < len(self.ends) and self.starts[number] <= at
            until = (
                (self.ends if reads else self.starts)[number] if number < len(self.ends) else at + left * 2
            )
            per_row = max(2 if reads else 1, width)
            step = min(left, (until - at) / per_row)
            left -= step
            at += step * per_row
            if left > 0 and step == 0:
                at = until
        return at - shift

"""A chunk at one point of its way through a line of dies."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ChunkStream"]


class ChunkStream(NamedTuple):
    """Cycles of the first and the last flit of a chunk at one point of its way.

    ``times``: those of all flits, on links with frames, which bring them in bursts.
    """

    first: float
    last: float
    times: tuple[float, ...] = ()

    def later(self, cycles: float) -> ChunkStream:
        """The stream so much later."""
        return ChunkStream(
            self.first + cycles, self.last + cycles, tuple(time + cycles for time in self.times)
        )

    def behind(self, first: float, step: float) -> tuple[float, ...]:
        """Times of all flits if they can pass from ``first`` on, one in ``step`` cycles."""
        return tuple(max(time, first + step * number) for number, time in enumerate(self.times))

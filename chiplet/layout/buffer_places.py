"""Places in a buffer of the array that products take in turn: the next ones are filled while some are in use."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BufferPlaces", "Place"]

_PARTS = 8
"""Most places of a buffer: so many small blocks can be on their way."""


class Place(NamedTuple):
    """A part of a buffer: its first address, and one behind its last."""

    base: int
    end: int


class BufferPlaces:
    """Halves, quarters or eighths of a buffer of ``depth`` addresses, one behind the other.

    A place of at most half of the buffer never lies in the one that was taken before it.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._next = 0  # in the smallest parts

    def take(self, size: int) -> Place:
        """The next place of at least ``size`` addresses, which are at most those of the buffer."""
        parts = _PARTS
        while parts > 1 and self._depth // parts < size:
            parts //= 2
        unit = _PARTS // parts
        start = -(-self._next // unit) * unit % _PARTS
        self._next = start + unit
        return Place(start * self._depth // _PARTS, self._next * self._depth // _PARTS)

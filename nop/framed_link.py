"""Frames of a link that hold several flits: when each flit leaves, and when it comes out at the other end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, inf
from typing import NamedTuple

__all__ = ["FramedLink", "Frames", "Place"]


class Frames(NamedTuple):
    """Frames of a link.

    Attributes
    ----------
    cycles
        Of a frame with 0 flits, with 1, up to the most.
    slots
        From the start of a frame until it takes its first flit, its second one, and so on.
    """

    cycles: tuple[int, ...]
    slots: tuple[int, ...]


class Place(NamedTuple):
    """Where a flit goes: the cycle in which its frame takes it, the number of the frame, and its place in that."""

    taken: float
    frame: int
    number: int


@dataclass
class FramedLink:
    """The frames that a link sends, one after the other. A frame takes flits as long as one is there for each slot.

    Attributes
    ----------
    frames
        Their sizes.
    step
        Cycles from a flit that comes out to the next one: those in which the router behind the link takes one.
    number
        Number of the last frame, which takes flits still.
    """

    frames: Frames
    step: float = 1.0
    number: int = 0
    _start: float = 0.0
    _flits: int = 0
    _came: float = -inf

    @property
    def closes(self) -> float:
        """The cycle in which the last frame ends if no flit is there."""
        return self._start + self.frames.slots[self._flits]

    @property
    def end(self) -> float:
        """The cycle after the last frame, if no more flits come."""
        return self._start + self.frames.cycles[self._flits]

    def put(self, ready: Iterable[float]) -> tuple[list[Place], dict[int, float]]:
        """Send flits that are ready in these cycles; return their places, and the ends of the frames that they leave
        complete.
        """
        places, ends = [], {}
        for time in ready:
            if time > self.closes:
                ends[self.number] = self.end
                self._next(time)
            places.append(Place(self.closes, self.number, self._flits))
            self._flits += 1
            if self._flits == len(self.frames.slots):
                ends[self.number] = self.end
                self._next(self.end)
        return places, ends

    def come(self, times: Iterable[float]) -> tuple[float, ...]:
        """Cycles in which flits come out that could from these cycles on, one after the other."""
        came = []
        for time in times:
            self._came = max(time, self._came + self.step)
            came.append(self._came)
        return tuple(came)

    def _next(self, time: float) -> None:
        """Start the frame after the last one, behind frames without flits until a flit is there in ``time``."""
        idle = self.frames.cycles[0]
        late = max(0.0, time - self.end - self.frames.slots[0])
        self._start, self._flits = self.end + ceil(late / idle) * idle, 0
        self.number += 1

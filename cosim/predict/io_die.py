"""An IO die for the timeline: the link and the memory that its dies share."""

from __future__ import annotations

from collections.abc import Callable

from cosim.predict.clock import Clock

__all__ = ["IoDieTimes"]


class IoDieTimes:
    """Requests of all dies of an IO die go over its link, one behind the other, and so do the words that come back.

    Memory takes a request in every ``interval`` cycles at most. Times are those that a die would see if it were alone;
    what a request or a word waits for those of other dies is added. What is left out: answers to writes, which take
    the link for a flit, and the order in which bursts of several dies leave.

    Parameters
    ----------
    read_cycles, write_cycles
        Of the requests on the link.
    word_cycles
        Of a word on the link.
    interval
        Least cycles between requests to the memory.
    """

    def __init__(
        self, clock: Clock, *, read_cycles: float, write_cycles: float, word_cycles: float, interval: int
    ) -> None:
        self._clock = clock
        self._request_cycles = {False: read_cycles, True: write_cycles}
        self._word_cycles, self._interval = word_cycles, interval
        self._there = self._memory = self._back = 0.0  # when they are free

    def read(self, way: float, latency: float, coming: Callable[[float], None]) -> None:
        """Send a read now; ``coming`` is called with the time of its word at the die, before it is there.

        ``way`` are the cycles to the IO die or back, ``latency`` those from the request to the word.
        """

        def arrives() -> None:
            leaves = self._taken(write=False) + latency - 2 * way
            self._back = max(leaves, self._back) + self._word_cycles
            coming(self._back - self._word_cycles + way)

        self._clock.at(self._clock.now + way, arrives)

    def write(self, way: float, taken: Callable[[float], None]) -> None:
        """Send a write now; ``taken`` is called with the time at which it left the die, if it had not to wait."""
        self._clock.at(self._clock.now + way, lambda: taken(self._taken(write=True) - way))

    def _taken(self, *, write: bool) -> float:
        """When memory takes the request that arrives now."""
        passes = max(self._clock.now, self._there)
        self._there = passes + self._request_cycles[write]
        taken = max(passes, self._memory)
        self._memory = taken + self._interval
        return taken

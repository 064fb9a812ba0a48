"""Ports that units of a die share, for the timeline: the memory port and the banks of the scratchpad."""

from __future__ import annotations

from collections import deque
from math import floor

from chiplet.machine.specs import MemorySpec
from chiplet.machine.terms import DieTerms
from cosim.predict.clock import Clock, Unit, Waiting

__all__ = ["MemoryPortTimes", "ScratchpadBanks"]


class ScratchpadBanks:
    """Banks of the scratchpad: each gives or takes a word in a cycle."""

    def __init__(self, clock: Clock, banks: int) -> None:
        self._clock, self._banks = clock, banks
        self._free = {"read": [0.0] * banks, "write": [0.0] * banks}

    def access(self, direction: str, word: int) -> Unit:
        """Wait for the bank of a word, and use it in this cycle."""
        free, bank = self._free[direction], word % self._banks
        while free[bank] > self._clock.now:
            yield free[bank]
        free[bank] = floor(self._clock.now) + 1.0


class MemoryPortTimes:
    """The memory port: takes a request every ``interval`` cycles, fetch first, load and store in turn.

    Words that are read come back in order, to :attr:`fetched` and :attr:`loaded`, at most one in ``word_cycles``. A
    write occupies the port for ``write_cycles``.

    Attributes
    ----------
    last_write
        When the last write was taken.
    """

    def __init__(
        self,
        clock: Clock,
        memory: MemorySpec,
        terms: DieTerms,
        interval: int,
        *,
        word_cycles: int = 1,
        write_cycles: int = 1,
    ) -> None:
        self._clock, self._latency = clock, memory.latency_cycles + terms.round_trip
        self._interval, self._word_cycles, self._write_cycles = interval, word_cycles, write_cycles
        self._free = 0.0
        self._next = 0.0
        self._asking: dict[str, Waiting] = {}
        self._scheduled: float | None = None
        self._load_turn = False
        self._words: deque[tuple[float, str]] = deque()
        self._for_word: dict[str, Waiting] = {"fetch": [], "load": []}
        self._last_word = 0.0
        self.last_write = 0.0

    def ask(self, name: str) -> Unit:
        """Send a request of ``fetch``, ``load`` or ``store``; goes on in the cycle in which it is taken."""
        waiting: Waiting = []
        self._asking[name] = waiting
        self._choose_at(max(self._clock.now, self._free))
        while self._asking.get(name) is waiting:
            yield waiting

    def _choose_at(self, time: float) -> None:
        if self._scheduled is None or time < self._scheduled:
            self._scheduled = time
            self._clock.at(time, self._choose, late=True)

    def _choose(self) -> None:
        if self._scheduled != self._clock.now or not self._asking:
            return
        self._scheduled = None
        if "fetch" in self._asking:
            name = "fetch"
        else:
            load = "load" in self._asking and (self._load_turn or "store" not in self._asking)
            name = "load" if load else "store"
            self._load_turn = not load
        # What memory does not take yet is kept, and the next request waits until it has left.
        taken = max(self._clock.now, self._next)
        self._next = taken + self._interval
        self._free = taken + 1
        if name == "store":
            self._next = taken + max(self._interval, self._write_cycles)
            self.last_write = taken
        else:
            self._words.append((taken + self._latency, name))
            if len(self._words) == 1:
                self._show()
        self._clock.wake(self._asking.pop(name))
        if self._asking:
            self._choose_at(self._free)

    def _show(self) -> None:
        """Wake the unit that the oldest word is for when the word is there."""
        time, name = self._words[0]
        self._clock.at(
            max(time, self._last_word + self._word_cycles), lambda: self._clock.wake(self._for_word[name])
        )

    def word(self, name: str) -> Unit:
        """Wait until the oldest word is there and is one of ``name``; it stays until :meth:`take_word`."""
        while not self._words or self._words[0][1] != name or self._due > self._clock.now:
            if self._words and self._words[0][1] == name:
                yield self._due
            else:
                yield self._for_word[name]

    @property
    def _due(self) -> float:
        return max(self._words[0][0], self._last_word + self._word_cycles)

    def take_word(self) -> None:
        """Take the oldest word in this cycle."""
        self._words.popleft()
        self._last_word = self._clock.now
        if self._words:
            self._show()

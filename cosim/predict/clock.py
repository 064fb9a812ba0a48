"""Simulated time for the timeline: units as generators, semaphores, queues and ports that they share.

A unit yields the time at which it goes on, or a list of waiting units that it joins until something changes. Times are
cycles and may be fractions, as fitted terms have them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeAlias

__all__ = ["BoundedQueue", "Clock", "SemaphoreTokens", "Stage", "Unit", "Waiting"]

Waiting: TypeAlias = "list[Unit]"
Unit: TypeAlias = "Generator[float | Waiting, None, Any]"


class Clock:
    """Carries out what is due, in the order of time.

    Attributes
    ----------
    now
        The time.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, int, Callable[[], None]]] = []
        self._number = count()

    def at(self, time: float, action: Callable[[], None], *, late: bool = False) -> None:
        """Do ``action`` at a time; with ``late`` after everything else of that time."""
        heappush(self._due, (max(time, self.now), int(late), next(self._number), action))

    def start(self, unit: Unit, time: float = 0.0) -> None:
        """Let a unit run from ``time`` on."""
        self.at(time, lambda: self._go_on(unit))

    def wake(self, waiting: Waiting) -> None:
        """Let all units of a list go on now."""
        units = waiting[:]
        waiting.clear()
        for unit in units:
            self.start(unit, self.now)

    def run(self) -> None:
        """Go on until nothing is due."""
        while self._due:
            self.now, _, _, action = heappop(self._due)
            action()

    def _go_on(self, unit: Unit) -> None:
        for wanted in unit:
            if isinstance(wanted, list):
                wanted.append(unit)
                return
            if wanted > self.now:
                self.start(unit, wanted)
                return


class SemaphoreTokens:
    """The semaphores of a die."""

    def __init__(self, clock: Clock, semaphores: int) -> None:
        self._clock = clock
        self.values = [0] * semaphores
        self._waiting: list[Waiting] = [[] for _ in range(semaphores)]

    def post(self, semaphores: Iterable[int], time: float) -> None:
        """Add one to each semaphore at ``time``, but not to number 0."""
        for semaphore in set(semaphores) - {0}:
            self._clock.at(time, lambda semaphore=semaphore: self.add(semaphore, 1))  # type: ignore[misc]

    def add(self, semaphore: int, value: int) -> None:
        """Add to a semaphore now."""
        self.give(semaphore, self.values[semaphore] + value)

    def give(self, semaphore: int, value: int) -> None:
        """Give a semaphore a value now."""
        self.values[semaphore] = value
        self._clock.wake(self._waiting[semaphore])

    def take(self, semaphores: Iterable[int]) -> Unit:
        """Wait until each semaphore is above zero, and take one of each; number 0 is none."""
        wanted = set(semaphores) - {0}
        while missing := [semaphore for semaphore in wanted if not self.values[semaphore]]:
            yield self._waiting[missing[0]]
        for semaphore in wanted:
            self.values[semaphore] -= 1


class Stage:
    """A place for one command, from which a half of a unit takes it a cycle later and frees it when it likes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._free = True
        self._for_room: Waiting = []
        self._commands = BoundedQueue(clock, 2)

    def room(self) -> Unit:
        """Wait until the place is free."""
        while not self._free:
            yield self._for_room

    def put(self, command: Any) -> Unit:
        """Put a command into the free place."""
        self._free = False
        yield from self._commands.put(command)

    def get(self) -> Unit:
        """Wait for the command and return it."""
        return (yield from self._commands.get())

    def free(self, time: float) -> None:
        """Free the place at a time."""
        self._clock.at(time, self._leave)

    def _leave(self) -> None:
        self._free = True
        self._clock.wake(self._for_room)


class BoundedQueue:
    """First in, first out, of ``depth`` entries; what is put in comes out ``delay`` cycles later at the earliest."""

    def __init__(self, clock: Clock, depth: int, delay: float = 1.0) -> None:
        self._clock, self._depth, self._delay = clock, depth, delay
        self._entries: deque[tuple[float, Any]] = deque()
        self._level = 0
        self._for_room: Waiting = []
        self._for_entry: Waiting = []

    def put(self, entry: Any, *, wait: float = 0.0) -> Unit:
        """Wait for room, then put an entry in, which comes ``wait`` cycles later than the others."""
        yield from self.room()
        self._level += 1
        self._entries.append((self._clock.now + self._delay + wait, entry))
        self._clock.wake(self._for_entry)

    def room(self) -> Unit:
        """Wait for room."""
        while self._level >= self._depth:
            yield self._for_room

    def see(self) -> Unit:
        """Wait for an entry, and leave it there; return it."""
        while not self._entries:
            yield self._for_entry
        time, entry = self._entries[0]
        yield time
        return entry

    @property
    def is_shown(self) -> bool:
        """Whether an entry can be taken out now."""
        return bool(self._entries) and self._entries[0][0] <= self._clock.now

    def get(self) -> Unit:
        """Wait for an entry and take it out; return it."""
        entry = yield from self.see()
        self._entries.popleft()
        self._clock.at(self._clock.now + 1, self._leave)
        return entry

    def _leave(self) -> None:
        """Free the place of an entry, in the cycle after it was taken out."""
        self._level -= 1
        self._clock.wake(self._for_room)

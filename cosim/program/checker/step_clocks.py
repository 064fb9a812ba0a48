"""Clocks of the steps of a die: what has ended for sure when a step begins, whatever the timing.

A clock has a number for each unit: how many of its steps have ended. That of a step is the largest of the clocks of the
step before, and of the posts that the step takes. Units of the engine know more about a chunk that comes to them: all
that was sure when it was sent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosim.program.checker.accesses import chunk_address
from cosim.program.checker.command_steps import CommandSteps, opposite
from cosim.program.checker.queue_run import DieProgram
from rtl.interface.isa import Opcode, Side

__all__ = ["Clock", "Passing", "StepClocks", "TakenClocks"]

Clock = NDArray[np.int32]

_Reads = tuple[tuple[int, int, int], ...]

_SEQUENTIAL = {Opcode.VECTOR, Opcode.SEND, Opcode.FEED_SUMS}
"""Commands that begin when the one before has ended."""


class Passing(NamedTuple):
    """What is sure when flits of a chunk pass a unit of the engine: when the first one does, and when all have.

    ``reads`` are the chunks of scratchpads whose words are in its words: the unit that has read them, how many of its
    steps have ended then, and the address.
    """

    begun: Clock
    ended: Clock
    reads: _Reads = ()


@dataclass(frozen=True)
class TakenClocks:
    """Clocks of steps that a unit does.

    Attributes
    ----------
    before
        Clock before the command takes its first semaphores.
    starts
        Clock when the steps begin: of all of them, or a row for each.
    passing
        What is sure about the chunk of a SEND or RECEIVE, else None.
    behind
        A unit, and how many of its steps have ended where a word is written that it has read first.
    """

    before: Clock
    starts: Clock
    passing: Passing | None = None
    behind: tuple[int, int] | None = None


class _PostLog:
    """Clocks of the posts of one unit to one semaphore, by their number."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, Clock, int, Sequence[int]]] = deque()
        self._count = 0

    def add(self, clock: Clock, unit: int, ended: Sequence[int]) -> None:
        """Add posts of steps of ``unit``: with each, ``ended`` of its steps have ended.

        ``clock`` is that of all of these steps, or has a row for each.
        """
        self._parts.append((self._count, clock, unit, ended))
        self._count += len(ended)

    def rows(self, first: int, end: int) -> Clock:
        """Clocks of the posts ``first`` to before ``end``; earlier ones are forgotten."""
        parts = []
        while first < end:
            start, clock, unit, ended = self._parts[0]
            size = len(ended)
            if start + size <= first:
                self._parts.popleft()
                continue
            low, high = first - start, min(end - start, size)
            rows = np.empty((high - low, clock.shape[-1]), np.int32)
            rows[:] = clock if clock.ndim == 1 else clock[low:high]
            rows[:, unit] = ended[low:high]
            parts.append(rows)
            first = start + high
            if first < end:
                self._parts.popleft()
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


class StepClocks:
    """Clocks of the steps of a die, in the order of a run of its queues.

    Parameters
    ----------
    program : DieProgram
        The program.
    sure : mapping
        Of a semaphore that several units post: by unit, how many of its posts have come for sure when the semaphore is
        taken for the first time, the second time, and so on.
    offset, width : int
        Number of the die's first unit among those of all dies, and how many these are, for clocks that say what has
        ended on other dies, too.

    Attributes
    ----------
    names, units
        Units of the die, and their numbers in clocks.
    arrival, departure
        What is sure about the chunk that a receive unit is to take, and about the one that a send unit has sent.
    """

    def __init__(
        self,
        program: DieProgram,
        *,
        sure: Mapping[int, Mapping[str, Sequence[int]]],
        offset: int = 0,
        width: int = 0,
    ) -> None:
        self._program, self._sure = program, sure
        self.names = list(program.queues)
        self.units = {name: number for number, name in enumerate(self.names, offset)}
        none = np.zeros(width or len(self.names), np.int32)
        self._clocks = dict.fromkeys(self.names, none)
        self._ends = dict.fromkeys(self.names, none)
        self._logs = {
            (semaphore, unit): _PostLog()
            for semaphore, units in program.posts.items()
            if semaphore in program.waits
            for unit in units
        }
        self._taken: dict[int, int] = {}
        self._initial = program.initial_values
        self._wrote: dict[str, int] = {}
        self._onward: dict[str, deque[Passing]] = {}
        self._handed: dict[str, deque[tuple[Passing, int, int, int]]] = {}
        self._stored: dict[int, deque[tuple[int, _Reads]]] = {}
        self._behind: tuple[int, int] | None = None
        self.arrival: Passing | None = None
        self.departure: Passing | None = None

    def take(self, command: CommandSteps, first: int, end: int) -> TakenClocks:
        """Clocks of the steps ``first`` to before ``end`` of a command; what they post is known from then on."""
        before = self._clocks[command.unit]
        starts = self._starts(command, before, first, end)
        one = starts.ndim == 1
        self._clocks[command.unit] = starts if one else starts[-1]
        engine = command.chunk_steps > 0
        self._behind = None
        passing = self._pass(command, first, starts if one else starts[0]) if engine else None
        for use in command.posts:
            low, high = bisect_left(use.steps, first), bisect_left(use.steps, end)
            log = self._logs.get((use.semaphore, command.unit))
            if low == high or log is None:
                continue
            steps = use.steps[low:high]
            clock = starts if one else starts[np.array(steps) - first]
            if engine:
                clock = np.maximum(clock, self._ends[command.unit])
            log.add(clock, self.units[command.unit], [command.first + step + 1 for step in steps])
        return TakenClocks(before, starts, passing, self._behind)

    def _starts(self, command: CommandSteps, before: Clock, first: int, end: int) -> Clock:
        """Clocks when the steps begin: that of the step before, raised by the semaphores that they take."""
        clock = before.copy()
        if first == 0 and command.opcode in _SEQUENTIAL:
            clock[self.units[command.unit]] = command.first
        rows: Clock | None = None
        for use in command.takes:
            low, high = bisect_left(use.steps, first), bisect_left(use.steps, end)
            if low == high:
                continue
            taken = self._taken.get(use.semaphore, 0)
            self._taken[use.semaphore] = taken + high - low
            steps = use.steps[low:high]
            if len(steps) == 1 and steps[0] == first:
                self._raise(clock[None], use.semaphore, taken)
                continue
            if rows is None:
                rows = np.zeros((end - first, len(clock)), np.int32)
            chosen = np.array(steps) - first
            part = rows[chosen]
            self._raise(part, use.semaphore, taken)
            rows[chosen] = part
        if rows is None:
            return clock
        np.maximum(rows[0], clock, out=rows[0])
        np.maximum.accumulate(rows, axis=0, out=rows)
        return rows

    def _raise(self, clocks: Clock, semaphore: int, first: int) -> None:
        """Raise clocks, a row each, to those of the posts that the takes of a semaphore from ``first`` on need."""
        if semaphore in self._sure:
            for unit, counts in self._sure[semaphore].items():
                for clock, count in zip(clocks, counts[first : first + len(clocks)], strict=True):
                    if count:
                        np.maximum(clock, self._logs[semaphore, unit].rows(count - 1, count)[0], out=clock)
            return
        units = self._program.posts.get(semaphore)
        if not units:
            return  # only a SET or the host gives it a value
        (unit,) = units
        initial = self._initial.get(semaphore, 0)
        low, high = max(first - initial, 0), max(first + len(clocks) - initial, 0)
        if low < high:
            part = clocks[len(clocks) - (high - low) :]
            np.maximum(part, self._logs[semaphore, unit].rows(low, high), out=part)

    def _pass(self, command: CommandSteps, first: int, start: Clock) -> Passing:
        """Follow a chunk through a unit of the engine, and raise what is sure when the unit has ended it."""
        unit = self.units[command.unit]
        ended = command.first + first + command.chunk_steps
        if command.opcode == Opcode.SEND:
            passing = self._send(command, first // command.chunk_steps, start, ended)
            self.departure = passing._replace(ended=passing.ended.copy())
            self.departure.ended[unit] = ended
        else:
            passing = self._receive(command, first // command.chunk_steps, start, ended)
        self._ends[command.unit] = np.maximum(self._ends[command.unit], passing.ended)
        return passing

    def _send(self, command: CommandSteps, chunk: int, start: Clock, ended: int) -> Passing:
        fields = command.fields
        before = self._onward.get(command.unit)
        if fields["forward"] and chunk >= fields["own"] and before:
            return _then(before.popleft(), start)
        address = chunk_address(fields, chunk)
        stored = self._stored.get(fields["word_wait"])
        came: _Reads = ()
        if stored and chunk >= fields["own"]:
            # Each word leaves behind the same word of a chunk that came, if that is what is sent.
            place, reads = stored.popleft()
            came = reads if place == address else ()
        reads = (*came, (self.units[command.unit], ended, address))
        return Passing(start, start, reads)

    def _receive(self, command: CommandSteps, chunk: int, start: Clock, ended: int) -> Passing:
        fields, side = command.fields, command.fields["side"]
        unit = self.units[command.unit]
        passing, self.arrival = _then(self.arrival, start), None
        forwards = chunk < fields["forwarded"]
        address = chunk_address(fields, chunk)
        # Each word is written behind the read of the same word of the die, which is in what comes.
        self._behind = next(
            (
                (of, steps)
                for of, steps, read in passing.reads
                if read == address and of in self.units.values()
            ),
            None,
        )
        if fields["add"] and (forwards or not fields["join"]):
            passing = passing._replace(reads=(*passing.reads, (unit, ended, address)))
        # Sums pass when what they are added to has been read; words may wait to be written.
        if fields["keep"] if forwards else not fields["hand"]:
            self._wrote[command.unit] = ended
        elif self._wrote.get(command.unit, 0) <= start[unit]:
            passing = passing._replace(ended=passing.ended.copy())
            passing.ended[unit] = ended
        if forwards:
            if fields["keep"] != 2:
                onward = f"send_{Side(side).name.lower() if fields['turn'] else opposite(side)}"
                self._onward.setdefault(onward, deque()).append(passing)
            elif fields["word_post"]:
                self._stored.setdefault(fields["word_post"], deque()).append((address, passing.reads))
            return passing
        if fields["hand"]:
            across = f"receive_{opposite(side)}"
            self._handed.setdefault(across, deque()).append((passing, unit, ended, address))
        elif fields["join"] and self._handed.get(command.unit):
            handed, other, read_end, read = self._handed[command.unit].popleft()
            passing = Passing(
                np.maximum(passing.begun, handed.begun),
                np.maximum(passing.ended, handed.ended),
                passing.reads + handed.reads,
            )
            if read == address:
                # Each word is written behind the read of the same word, whose sum it takes up.
                self._behind = (other, read_end)
        return passing


def _then(before: Passing | None, start: Clock) -> Passing:
    """A chunk passes the next unit, which has begun at ``start``."""
    if before is None:
        return Passing(start, start)
    return Passing(np.maximum(before.begun, start), np.maximum(before.ended, start), before.reads)

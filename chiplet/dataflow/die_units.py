"""Units of a die at work on a step: each takes its commands in the order of the program, and waits for what they need.

Costs are those of whole commands: cycles of their words, rows or beats, and the terms of the die. Commands come through
the memory port, and a full queue holds up all that follow.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chiplet.dataflow.array_use import ArrayReads, ArrayUse
from chiplet.dataflow.memory_times import MemoryLink
from chiplet.dataflow.place_times import PlaceTimes, Use
from chiplet.machine.pipelining import MULTIPLIER_STAGES, SRAM_LATENCY
from chiplet.machine.queue_depths import (
    COMMANDS_AHEAD,
    COMMANDS_SUMMED,
    COMMANDS_WAITING,
    WORDS_SPARE,
)
from chiplet.machine.specs import SystemSpec, scratchpad_banks
from chiplet.machine.terms import DieTerms, StepUnitTerms

__all__ = ["BusyShares", "DieUnits", "MemoryWay"]

WORDS_READ = SRAM_LATENCY + WORDS_SPARE
"""Words that a unit has read from the scratchpad, and not used."""


class MemoryWay(NamedTuple):
    """Way of a die to its memory.

    Attributes
    ----------
    fetches, loads, writes
        What the links that it shares carry: commands, words that are loaded beside them, and words that are stored.
    read_cycles, written_cycles
        Cycles of a lone read, and those until a write is answered.
    """

    fetches: MemoryLink
    loads: MemoryLink
    writes: MemoryLink
    read_cycles: float
    written_cycles: float


@dataclass(frozen=True)
class BusyShares:
    """How busy what units share is, in a play before: nothing if there is none.

    Attributes
    ----------
    array_reads
        When the array of the die reads sums of the accumulator buffer.
    scratchpad_reads, scratchpad_writes
        Words a cycle that units other than the vector unit read from the scratchpad, and write into it.
    fetched
        When each command of the die was asked for, and when it came.
    """

    array_reads: ArrayReads = field(default_factory=ArrayReads)
    scratchpad_reads: float = 0.0
    scratchpad_writes: float = 0.0
    fetched: Sequence[tuple[float, float]] = ()


@dataclass
class _UnitTimes:
    """A unit: when it takes the next command and can begin it, when its last one ends, and when it took each one."""

    takes: float = 0.0
    free: float = 0.0
    end: float = 0.0
    busy: float = 0.0
    taken: list[float] = field(default_factory=list)


class DieUnits:
    """The units of a die, and what they have done so far.

    Parameters
    ----------
    system, terms, step
        The die, its terms, and those of its units in a step.
    memory
        Its way to the memory.
    shares
        What units that share something leave to each other.
    """

    def __init__(
        self,
        system: SystemSpec,
        terms: DieTerms,
        step: StepUnitTerms,
        memory: MemoryWay,
        shares: BusyShares,
    ) -> None:
        self.system, self.terms, self.step, self.shares = system, terms, step, shares
        self.places = PlaceTimes()
        self.units: dict[str, _UnitTimes] = defaultdict(_UnitTimes)
        self._memory = memory
        self._dispatched: deque[float] = deque([0.0] * COMMANDS_AHEAD, COMMANDS_AHEAD)
        self._asked = terms.fetch - 1
        self._arrived = 0.0
        self._stream_end = self._weights_free = 0.0
        self._sums_end: deque[float] = deque([0.0] * COMMANDS_SUMMED, COMMANDS_SUMMED)
        self.commands = 0
        self.fetched: list[tuple[float, float]] = []
        outstanding = system.memory.outstanding
        self._coming: deque[float] = deque([0.0] * outstanding, outstanding)
        self._load_asked: list[float] = []
        self._load_come: list[float] = []
        self.array_reads = ArrayReads()
        self._array_writes = ArrayUse()
        self.scratchpad_reads = self.scratchpad_writes = 0
        self._panels = 0
        self.last_write = 0.0

    @property
    def end(self) -> float:
        """When the program has ended."""
        last = max(unit.end for unit in self.units.values())
        written = self.last_write + self._memory.written_cycles if self.last_write else 0.0
        return max(last, written) + self.terms.finish

    def busy(self, unit: str) -> float:
        """Busy cycles of ``unit`` so far; if nothing follows, those of the last rows of sums on their way as well."""
        times = self.units[unit]
        return times.busy + (times.end - times.takes if unit == "drain" else 0.0)

    def command(self, unit: str) -> float:
        """Hand out the next command of the program; returns when ``unit`` can take it."""
        times = self.units[unit]
        self._asked = max(self._asked + 1, self._dispatched[0] + 1)
        there = self._memory.fetches.take(max(self._asked + self._memory.read_cycles - 1, self._ahead()))
        self.fetched.append((self._asked, there))
        out = max(there + 2, self._dispatched[-1] + 1)
        depth = COMMANDS_WAITING if " " in unit else self.system.die.queue_depth
        if len(times.taken) >= depth:
            out = max(out, times.taken[-depth] + 1)
        self._dispatched.append(out)
        self._arrived = out + self.step.queue
        self.commands += 1
        taken = max(self._arrived, times.takes)
        times.taken.append(taken)
        return taken

    def _ahead(self) -> float:
        """When the words have come that were asked for before the next command."""
        asked = bisect_right(self._load_asked, self._asked)
        return self._load_come[asked - 1] if asked else 0.0

    # ---- scratchpad to buffers ----

    def feed(
        self, unit: str, rows: int, cols: int, *, lanes: int, reads: tuple[Use, ...], free: float
    ) -> float:
        """Feed ``rows`` of ``cols`` elements to a place that is ``free``; returns when they are there."""
        times, terms, memory = self.units[unit], self.terms, self.system.memory
        taken = self.command(unit)
        waits = max(taken + terms.read_command, times.free)
        begins = max(waits, self.places.ready(unit, reads, ()), free)
        per_word = memory.word_bytes // self.system.die.element_bytes
        group = min(per_word, lanes)
        whole, rest = divmod(cols, per_word)
        cycles = self.step.feed_group * rows * (whole * -(-per_word // group) + -(-rest // group))
        words = rows * (whole + bool(rest))
        end = max(begins + terms.scratchpad_read, times.end) + cycles
        self._count(times, waits, begins, end, terms.feed_post)
        times.takes = begins + 1
        times.free = max(begins + words, end - WORDS_READ * -(-cycles // words))
        times.end = end
        self.scratchpad_reads += words
        self.places.use(unit, reads, (), times.free + 1)
        return end + terms.feed_post

    def _count(self, times: _UnitTimes, waits: float, begins: float, end: float, tail: float) -> None:
        """Count the busy cycles of a command: those from its begin to its end in which no other was counted, without
        those in which it waited for semaphores while the one before was not over.
        """
        hidden = max(0.0, min(begins, times.end) - waits)
        lone = tail if begins >= times.end else 0
        times.busy += max(0.0, end - max(times.end, begins) - hidden) + lone

    def feed_sums(self, rows: int, words: Sequence[int], sums: Use, *, free: float) -> Iterator[float]:
        """Feed panels of ``rows`` rows, each in so many ``words``, to a ``free`` place: when each of them is there.

        A panel is gone through when it is asked for: the array writes sums of the one before while it is fed.
        """
        taken = self.command("feed_sums")
        self.scratchpad_reads += rows * sum(words)
        return self._fed_sums(rows, words, sums, taken, free)

    def _fed_sums(
        self, rows: int, words: Sequence[int], sums: Use, taken: float, free: float
    ) -> Iterator[float]:
        times = self.units["feed_sums"]
        begins = end = max(taken + 1, free, times.end)
        for width in words:
            row = self.step.sums_row + width - 1
            end = self._array_writes.end_of(end + self.step.sums_panel, rows, still=row, busy=row + 1)
            times.busy += end - max(begins, times.end)
            times.end = times.takes = end
            self.places.use("feed_sums", (sums,), (), end)
            yield end

    # ---- array ----

    def gemm(
        self,
        *,
        m: int,
        k_tiles: int,
        panels: int,
        accumulates: bool,
        ready: float,
        sums: Iterator[float] | None = None,
    ) -> list[float]:
        """A GEMM whose operands, and place for sums, are ``ready``; returns when each panel of sums is there.

        ``sums``: when each panel is there that it adds to, if these are fed.
        """
        die, terms = self.system.die, self.terms
        times = self.units["array"]
        taken = self.command("array")
        period = terms.gemm.tile_cycles(rows=die.rows, stages=die.stages, m=m)
        fill = terms.gemm.fill_per_row * die.rows
        there = []
        load = taken
        for panel in range(panels):
            load = max(taken + terms.gemm_command, self._weights_free, ready if panel == 0 else 0.0)
            load = max(load, 0.0 if sums is None else next(sums))
            start = max(self._stream_end, load + max(fill, terms.handover if panel == 0 else 0.0))
            if panel == 0:
                start = max(start, self._sums_end[0] + terms.handover)
            self._weights_free = start + (k_tiles - 1) * period
            self._stream_end = start + k_tiles * period
            end = start + terms.operand_read + (k_tiles - 1) * period + terms.gemm.per_row * m
            end += terms.gemm.drain_cycles(rows=die.rows, cols=die.cols, stages=die.stages)
            there.append(end + terms.panel_post)
            down = terms.operand_read + MULTIPLIER_STAGES - SRAM_LATENCY
            down += terms.gemm.drain_per_row * die.rows * die.stages
            self._panels += 1
            first = 0 if accumulates else 1
            self.array_reads.use.add(start + down + first * period, start + down + k_tiles * period)
            self.array_reads.panels.append(there[-1])
            self._array_writes.add(start + down, start + down + k_tiles * period)
        self._sums_end.append(end)
        times.busy += panels * k_tiles * m
        times.end = end
        times.takes = max(taken + 1, (load if k_tiles == 1 else start + (k_tiles - 2) * period) + fill - 1)
        return there

    def drain(
        self, *, rows: int, words: Sequence[int], there: Sequence[float], writes: tuple[Use, ...]
    ) -> float:
        """Drain panels that are ``there`` one by one, each row of which lies in so many ``words``; returns the end."""
        times, terms = self.units["drain"], self.terms
        taken = self.command("drain")
        # Rows on their way to the scratchpad: while the next command is here, the unit waits for its panel.
        times.busy += max(0.0, min(self._arrived, times.end) - times.takes)
        read = taken
        ready = self.places.ready("drain", (), writes)
        for number, (come, width) in enumerate(zip(there, words, strict=True)):
            begins = max(read + terms.drain_command, come, 0.0 if number else ready)
            panel = self._panels - len(there) + number
            read = self.shares.array_reads.drained(
                begins, rows, max(1, width) * self.step.drain_row, panel, come
            )
            times.busy += read - begins + terms.drain_command
        self.scratchpad_writes += rows * sum(words)
        times.takes = read
        times.end = read + terms.drain_read + self.step.drain_write
        end = times.end + terms.drain_post
        self.places.use("drain", (), writes, end)
        return end

    # ---- vector unit and memory ----

    def vector(
        self,
        cycles: float,
        *,
        streams: int,
        beats: int,
        results: int,
        reads: tuple[Use, ...],
        writes: tuple[Use, ...],
    ) -> None:
        """A pass of ``cycles``, whose ``beats`` take a word of each of ``streams`` operands, and which leaves so many
        words of ``results``.
        """
        times = self.units["vector"]
        taken = self.command("vector")
        begins = max(taken + self.step.vector_command, self.places.ready("vector", reads, writes))
        # A word meets one of another unit in its bank now and then, and waits for every other of them.
        meets = beats * streams * self.shares.scratchpad_reads + results * self.shares.scratchpad_writes
        cycles += meets / (2 * scratchpad_banks(self.system.memory))
        cycles += max(0, streams - 1) * self.step.operand_wait
        times.end = times.free = begins + cycles
        times.takes = times.end - self.step.vector_command  # the next one is at hand with the last word
        times.busy += cycles
        self.places.use("vector", reads, writes, times.end + self.step.vector_post)

    def load(self, words: int, writes: tuple[Use, ...]) -> None:
        """Load ``words`` from memory."""
        times, terms = self.units["load"], self.terms
        taken = self.command("load")
        begins = max(taken + terms.load_command, times.free, self.places.ready("load", (), writes))
        times.takes = begins + 1
        come = self._coming
        asked = begins + 1
        for _ in range(words):
            # A request a cycle, while there is room for its word.
            asked = max(asked, come[0])
            come.append(self._memory.loads.take(max(asked + self._memory.read_cycles, come[-1]), asked))
            self._load_asked.append(asked)
            self._load_come.append(come[-1])
            asked += 1
        times.busy += words
        self.scratchpad_writes += words
        times.free = asked - 1
        times.end = max(times.end, come[-1])
        self.places.use("load", (), writes, times.end + terms.load_post)

    def store(self, words: int, reads: tuple[Use, ...]) -> None:
        """Store ``words`` in memory."""
        times, terms = self.units["store"], self.terms
        taken = self.command("store")
        begins = max(taken + terms.read_command, times.free, self.places.ready("store", reads, ()))
        times.takes = begins + 1
        left = max(begins + terms.scratchpad_read + self.step.store_word, times.end)
        for _ in range(words):
            left = self._memory.writes.take(left + 1)
        times.busy += words
        self.scratchpad_reads += words
        times.free = times.end = left
        self.last_write = left
        self.places.use("store", reads, (), left + terms.store_post)

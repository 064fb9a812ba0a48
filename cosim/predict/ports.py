"""Ports that units of a die share, for the timeline: the memory port and the banks of the scratchpad."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from math import floor, inf

from chiplet.machine.queue_depths import COMMAND_READS
from chiplet.machine.specs import MemorySpec
from chiplet.machine.terms import DieTerms
from cosim.predict.clock import Clock, Unit, Waiting
from cosim.predict.io_die import IoDieTimes

__all__ = [
    "MemoryPortTimes",
    "PlaneWay",
    "ScratchpadBanks",
    "ScratchpadReader",
    "ScratchpadWriter",
    "bench_memory_port",
]


class ScratchpadReader(IntEnum):
    """Read ports of the scratchpad, in the order in which they take turns."""

    FEED_ACTIVATION = 0
    FEED_WEIGHT = 1
    FEED_SUMS = 2
    STORE = 3
    VECTOR_A = 4
    VECTOR_B = 5
    VECTOR_C = 6
    SEND_NORTH = 7
    SEND_EAST = 8
    SEND_SOUTH = 9
    SEND_WEST = 10


class ScratchpadWriter(IntEnum):
    """Write ports of the scratchpad, in the order in which they take turns."""

    LOAD = 0
    DRAIN = 1
    VECTOR = 2
    RECEIVE_NORTH = 3
    RECEIVE_EAST = 4
    RECEIVE_SOUTH = 5
    RECEIVE_WEST = 6


class ScratchpadBanks:
    """Banks of the scratchpad: each gives and takes a word in a cycle.

    Ports that want the same bank take turns, in the order of their numbers; readers of one word get it together.
    """

    def __init__(self, clock: Clock, banks: int) -> None:
        self._clock, self._banks = clock, banks
        self._bank = {
            direction: [_Bank() for _ in range(banks)] for direction in (ScratchpadReader, ScratchpadWriter)
        }

    def access(self, port: ScratchpadReader | ScratchpadWriter, word: int) -> Unit:
        """Wait for the bank of a word; goes on in the cycle in which the port uses it."""
        bank = self._bank[type(port)][word % self._banks]
        waiting: Waiting = []
        bank.asking[port] = word, waiting
        if not bank.scheduled:
            self._choose_at(bank)
        yield waiting

    def _choose_at(self, bank: _Bank) -> None:
        bank.scheduled = True
        self._clock.at(bank.free, lambda: self._choose(bank), late=True)

    def _choose(self, bank: _Bank) -> None:
        bank.scheduled = False
        bank.last = min(bank.asking, key=lambda port: (port <= bank.last, port))
        chosen, _ = bank.asking[bank.last]
        bank.free = floor(self._clock.now) + 1.0
        together = [port for port, (word, _) in bank.asking.items() if word == chosen]
        for port in together if isinstance(bank.last, ScratchpadReader) else [bank.last]:
            _, waiting = bank.asking.pop(port)
            self._clock.wake(waiting)
        if bank.asking:
            self._choose_at(bank)


@dataclass
class _Bank:
    """A bank in one direction: who asks for which word, who had it last, and when it is free."""

    asking: dict[int, tuple[int, Waiting]] = field(default_factory=dict)
    last: int = 0
    free: float = 0.0
    scheduled: bool = False


@dataclass(frozen=True, kw_only=True)
class PlaneWay:
    """Way of a die to its memory: the IO die, cycles from one to the other, and cycles of requests that wait on it."""

    io_die: IoDieTimes
    cycles: float
    buffered: float


@dataclass
class _Word:
    """A word that was asked for: by whom, and when it comes, once that is known."""

    name: str
    time: float = inf


class MemoryPortTimes:
    """The memory port: takes a request every ``interval`` cycles, fetch first, load and store in turn.

    Words that are read come back in order, to :attr:`fetched` and :attr:`loaded`, at most one in ``word_cycles``. A
    write occupies the port for ``write_cycles``. With ``places`` words on their way, memory takes no request. With a
    ``way`` requests and words wait for those of other dies.

    Attributes
    ----------
    last_write
        When the last write was taken, or would have been if no other die were in its way.
    """

    def __init__(
        self,
        clock: Clock,
        memory: MemorySpec,
        terms: DieTerms,
        interval: int,
        *,
        word_cycles: float = 1,
        write_cycles: float = 1,
        places: float = inf,
        way: PlaneWay | None = None,
    ) -> None:
        self._clock, self._latency = clock, memory.latency_cycles + terms.round_trip
        self._interval, self._word_cycles, self._write_cycles = interval, word_cycles, write_cycles
        self._places, self._way = places, way
        self._kept = ""  # a request for which memory has no room
        self._free = 0.0
        self._next = 0.0
        self._asking: dict[str, Waiting] = {}
        self._scheduled: float | None = None
        self._load_turn = False
        self._words: deque[_Word] = deque()
        self._for_word: dict[str, Waiting] = {"fetch": [], "load": []}
        self._last_word = -inf
        self.last_write = 0.0

    def ask(self, name: str) -> Unit:
        """Send a request of ``fetch``, ``load`` or ``store``; goes on in the cycle in which it is taken."""
        waiting: Waiting = []
        self._asking[name] = waiting
        if self._free < inf:
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
        self._clock.wake(self._asking.pop(name))
        # What memory does not take yet is kept, and the next request waits until it has left.
        self._free = inf
        self._clock.at(self._next, lambda: self._offer(name), late=True)

    def _offer(self, name: str) -> None:
        """Let memory take a request, or wait until it has room for a word."""
        now = self._clock.now
        if len(self._words) >= self._places:
            self._kept = name
            return
        if self._last_word == now and len(self._words) + 1 >= self._places:
            # The word of this cycle leaves room from the next one on.
            self._clock.at(now + 1, lambda: self._offer(name), late=True)
            return
        self._free = now + 1
        self._next = now + self._interval
        if name == "store":
            self._next = now + max(self._interval, self._write_cycles)
            self.last_write = now
            if self._way is not None:
                self._way.io_die.write(self._way.cycles, lambda taken: self._written(now, taken))
        else:
            word = _Word(name)
            self._words.append(word)
            if self._way is None:
                self._comes(word, now + self._latency)
            else:
                self._way.io_die.read(self._way.cycles, self._latency, lambda time: self._comes(word, time))
        if self._asking:
            self._choose_at(self._free)

    def _written(self, sent: float, taken: float) -> None:
        """A write that was sent is taken late: the next request waits for room on the way."""
        assert self._way is not None
        self.last_write = max(self.last_write, taken)
        self._next = max(self._next, self._clock.now + taken - sent - self._way.buffered)

    def _comes(self, word: _Word, time: float) -> None:
        word.time = time
        if word is self._words[0]:
            self._show()

    def _show(self) -> None:
        """Wake the unit that the oldest word is for when the word is there."""
        name = self._words[0].name
        if self._due < inf:
            self._clock.at(self._due, lambda: self._clock.wake(self._for_word[name]))

    def word(self, name: str) -> Unit:
        """Wait until the oldest word is there and is one of ``name``; it stays until :meth:`take_word`."""
        while not self._words or self._words[0].name != name or self._due > self._clock.now:
            if self._words and self._words[0].name == name and self._due < inf:
                yield self._due
            else:
                yield self._for_word[name]

    @property
    def _due(self) -> float:
        return max(self._words[0].time, self._last_word + self._word_cycles)

    def take_word(self) -> None:
        """Take the oldest word in this cycle."""
        self._words.popleft()
        self._last_word = self._clock.now
        if self._kept:
            kept, self._kept = self._kept, ""
            self._clock.at(self._clock.now + 1, lambda: self._offer(kept), late=True)
        if self._words:
            self._show()


def bench_memory_port(clock: Clock, memory: MemorySpec, terms: DieTerms, interval: int) -> MemoryPortTimes:
    """The memory port of a die whose memory is :class:`rtl.bench.memory.BenchMemory`."""
    return MemoryPortTimes(clock, memory, terms, interval, places=memory.outstanding + COMMAND_READS)

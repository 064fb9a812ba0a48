"""Bench-only memory behind a memory port: latency, bandwidth, seeded random stalls; a back door to its contents."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetSignal, Signal, unsigned
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from chiplet.machine.queue_depths import COMMAND_READS
from rtl.bench.xorshift import next_random
from rtl.block import Block, Bundle
from rtl.interface.memory_port import EPOCH_BITS, MemoryPort, request_layout, response_layout

__all__ = ["CONTENTS", "BenchMemory", "MemorySettings"]

CONTENTS = "contents"
"""Name of the memory array inside the module, for the back door."""


class MemorySettings(Bundle):
    """Settings of a bench memory, seen from their driver.

    Members
    -------
    latency : Out(16)
        Cycles from a read to its word, at least 2.
    interval : Out(16)
        Cycles from one request to the next, at least 1.
    stall : Out(16)
        Chance, in 1/65536, that a cycle takes no request, and that a word does not come in a cycle.
    seed : Out(32), reseed : Out(1)
        Start of the random numbers, not 0; taken while ``reseed`` is high.
    """

    def __init__(self) -> None:
        super().__init__(
            {"latency": Out(16), "interval": Out(16), "stall": Out(16), "seed": Out(32), "reseed": Out(1)}
        )

    @staticmethod
    def numbered(m: Module, settings: Any, memory: Any, number: int) -> None:
        """Connect ``settings`` with those of a memory, which adds its number to the seed."""
        m.d.comb += [
            memory.latency.eq(settings.latency),
            memory.interval.eq(settings.interval),
            memory.stall.eq(settings.stall),
            memory.seed.eq(settings.seed + number),
            memory.reseed.eq(settings.reseed),
        ]


class BenchMemory(Block):
    """Word memory with an in-order port. A reset does not reach it: words that were asked for before still come.

    Parameters
    ----------
    word_bytes : int
        Width of the port.
    depth : int
        Words.
    outstanding : int
        Reads in flight of the load unit; there is room for those of the command processor.

    Members
    -------
    port : In(MemoryPort)
        Memory port, see :mod:`rtl.memory.arbiter`.
    settings : In(MemorySettings)
        How it behaves.
    """

    def __init__(self, *, word_bytes: int, depth: int, outstanding: int) -> None:
        self._word_bytes, self._depth, self._outstanding = word_bytes, depth, outstanding
        super().__init__(
            {
                "port": In(MemoryPort(word_bytes)),
                "settings": In(MemorySettings()),
            },
            names={"port": "", "settings": ""},
        )

    @property
    def block_name(self) -> str:
        return f"bench_memory_{self._depth}x{self._word_bytes}_{self._outstanding}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word_bits = 8 * self._word_bytes
        m.submodules.contents = contents = Memory(shape=unsigned(word_bits), depth=self._depth, init=[])
        write_port = contents.write_port(granularity=32)
        read_port = contents.read_port()
        places = self._outstanding + COMMAND_READS
        answer_bits = response_layout(self._word_bytes).size
        m.submodules.flight = flight = Memory(shape=unsigned(answer_bits + 32), depth=places, init=[])
        put_port = flight.write_port()
        take_port = flight.read_port(domain="comb")

        now = Signal(32, reset_less=True)
        random = Signal(32, init=1, reset_less=True)
        following = next_random(m, "random", random)
        m.d.sync += [
            now.eq(now + 1),
            random.eq(Mux(self.settings.reseed, self.settings.seed, following)),
        ]

        # Requests. A stream may take its ready back, so a stall is just a cycle without it.
        request = request_layout(self._word_bytes)(self.port.request.payload)
        pause = Signal(16)
        flying = Signal(range(places + 1), reset_less=True)
        accept = Signal()
        reads = Signal()
        address = request.address[: max(1, ceil_log2(self._depth))]
        m.d.comb += [
            self.port.request.ready.eq(
                (pause == 0) & (flying != places) & (random[:16] >= self.settings.stall)
            ),
            # What the die asks for during a reset means nothing; before the first one, it is not even defined.
            accept.eq(self.port.request.valid & self.port.request.ready & ~ResetSignal()),
            reads.eq(accept & ~request.write),
            write_port.addr.eq(address),
            write_port.data.eq(request.data),
            write_port.en.eq(Mux(accept & request.write, request.strobe, 0)),
            read_port.addr.eq(address),
            read_port.en.eq(reads),
        ]
        with m.If(accept):
            m.d.sync += pause.eq(self.settings.interval - 1)
        with m.Elif(pause != 0):
            m.d.sync += pause.eq(pause - 1)

        # Words wait in flight until they are due.
        putting = Signal(reset_less=True)
        tag = Signal(1 + EPOCH_BITS, reset_less=True)  # with the epoch, as they come back
        due = Signal(32, reset_less=True)
        head = Signal(range(places), reset_less=True)
        tail = Signal(range(places), reset_less=True)
        waiting = Signal(range(places + 1), reset_less=True)
        take = Signal()
        shown = Signal(reset_less=True)  # a word that was shown stays until it is taken
        head_due = take_port.data[answer_bits:]
        m.d.sync += [
            putting.eq(reads),
            tag.eq(Cat(request.tag, request.epoch)),
            due.eq(now + self.settings.latency),
        ]
        m.d.comb += [
            put_port.addr.eq(tail),
            put_port.data.eq(Cat(tag, read_port.data, due)),
            put_port.en.eq(putting),
            take_port.addr.eq(head),
            self.port.response.payload.eq(take_port.data[:answer_bits]),
            self.port.response.valid.eq(
                (waiting != 0) & ~(now - head_due)[31] & (shown | (random[16:] >= self.settings.stall))
            ),
            take.eq(self.port.response.valid & self.port.response.ready),
        ]
        m.d.sync += [
            flying.eq(flying + reads - take),
            waiting.eq(waiting + putting - take),
            shown.eq(self.port.response.valid & ~self.port.response.ready),
        ]
        with m.If(putting):
            m.d.sync += tail.eq(Mux(tail == places - 1, 0, tail + 1))
        with m.If(take):
            m.d.sync += head.eq(Mux(head == places - 1, 0, head + 1))
        return m

"""Bench-only memory behind a memory port: latency, bandwidth, seeded random stalls; contents by the back door."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import stream
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from rtl.block import Block
from rtl.interface.memory_port import request_layout, response_layout
from rtl.package.memory_plane import COMMAND_READS

__all__ = ["SETTINGS", "BenchMemory"]

CONTENTS = "contents"
"""Name of the memory array inside the module, for the back door."""

SETTINGS = {"latency": 16, "interval": 16, "stall": 16, "seed": 32, "reseed": 1}
"""Bits of the ports that set how it behaves."""


class BenchMemory(Block):
    """Word memory with an in-order port.

    Parameters
    ----------
    word_bytes : int
        Width of the port.
    depth : int
        Words.
    outstanding : int
        Reads in flight of the load unit; there is room for 8 more, for the command processor.

    Members
    -------
    request : In(stream), response : Out(stream)
        Memory port, see :mod:`rtl.memory.arbiter`.
    latency : In(16)
        Cycles from a read to its word, at least 2.
    interval : In(16)
        Cycles from one request to the next, at least 1.
    stall : In(16)
        Chance, in 1/65536, that a cycle takes no request, and that a word does not come in a cycle.
    seed : In(32), reseed : In(1)
        Start of the random numbers, not 0; taken while ``reseed`` is high.
    """

    def __init__(self, *, word_bytes: int, depth: int, outstanding: int) -> None:
        self._word_bytes, self._depth, self._outstanding = word_bytes, depth, outstanding
        super().__init__(
            {
                "request": In(stream.Signature(request_layout(word_bytes).size)),
                "response": Out(stream.Signature(response_layout(word_bytes).size)),
                **{name: In(bits) for name, bits in SETTINGS.items()},
            }
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
        m.submodules.flight = flight = Memory(shape=unsigned(word_bits + 33), depth=places, init=[])
        put_port = flight.write_port()
        take_port = flight.read_port(domain="comb")

        now = Signal(32)
        random = Signal(32, init=1, reset_less=True)  # else a seed that comes with the reset would be lost
        spread = Signal(32)
        mixed = Signal(32)
        m.d.comb += [spread.eq(random ^ (random << 13)[:32]), mixed.eq(spread ^ (spread >> 17))]
        m.d.sync += [now.eq(now + 1), random.eq(Mux(self.reseed, self.seed, mixed ^ (mixed << 5)[:32]))]

        # Requests. A stream may take its ready back, so a stall is just a cycle without it.
        request = request_layout(self._word_bytes)(self.request.payload)
        pause = Signal(16)
        flying = Signal(range(places + 1))
        accept = Signal()
        reads = Signal()
        address = request.address[: max(1, ceil_log2(self._depth))]
        m.d.comb += [
            self.request.ready.eq((pause == 0) & (flying != places) & (random[:16] >= self.stall)),
            accept.eq(self.request.valid & self.request.ready),
            reads.eq(accept & ~request.write),
            write_port.addr.eq(address),
            write_port.data.eq(request.data),
            write_port.en.eq(Mux(accept & request.write, request.strobe, 0)),
            read_port.addr.eq(address),
            read_port.en.eq(reads),
        ]
        with m.If(accept):
            m.d.sync += pause.eq(self.interval - 1)
        with m.Elif(pause != 0):
            m.d.sync += pause.eq(pause - 1)

        # Words wait in flight until they are due.
        putting = Signal()
        tag = Signal()
        due = Signal(32)
        head = Signal(range(places))
        tail = Signal(range(places))
        waiting = Signal(range(places + 1))
        take = Signal()
        shown = Signal()  # a word that was shown stays until it is taken
        head_due = take_port.data[word_bits + 1 :]
        m.d.sync += [putting.eq(reads), tag.eq(request.tag), due.eq(now + self.latency)]
        m.d.comb += [
            put_port.addr.eq(tail),
            put_port.data.eq(Cat(tag, read_port.data, due)),
            put_port.en.eq(putting),
            take_port.addr.eq(head),
            self.response.payload.eq(take_port.data[: word_bits + 1]),
            self.response.valid.eq(
                (waiting != 0) & ~(now - head_due)[31] & (shown | (random[16:] >= self.stall))
            ),
            take.eq(self.response.valid & self.response.ready),
        ]
        m.d.sync += [
            flying.eq(flying + reads - take),
            waiting.eq(waiting + putting - take),
            shown.eq(self.response.valid & ~self.response.ready),
        ]
        with m.If(putting):
            m.d.sync += tail.eq(Mux(tail == places - 1, 0, tail + 1))
        with m.If(take):
            m.d.sync += head.eq(Mux(head == places - 1, 0, head + 1))
        return m

"""Exchange port: requests to memory addresses that lie in the die's own scratchpad."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import MemorySpec
from rtl.block import Block, check_integers, place
from rtl.interface.memory_port import MemoryPort, request_layout
from rtl.interface.scratchpad_port import ScratchpadReadPort, ScratchpadWritePort
from rtl.lib.queue import Queue

__all__ = ["ExchangePort"]


AHEAD = 4
"""Words of the scratchpad that are read before they are taken."""


class ExchangePort(Block):
    """Sends a request to the memory behind the die, or to the scratchpad.

    Words come back in the order of their requests: a read of one of the two waits until no word of the other is on its
    way.

    Parameters
    ----------
    memory : MemorySpec
        Words, and how many reads are in flight.
    depth : int
        Words of the scratchpad.

    Members
    -------
    units : In(MemoryPort)
        Memory port of the die's units.
    memory : Out(MemoryPort)
        Memory port of the die.
    read : Out(ScratchpadReadPort)
        Read port of the scratchpad.
    write : Out(ScratchpadWritePort)
        Write port of the scratchpad.
    """

    def __init__(self, *, memory: MemorySpec, depth: int) -> None:
        check_integers("exchange port", minimum=1, depth=depth)
        self._memory, self._depth = memory, depth
        super().__init__(
            {
                "units": In(MemoryPort(memory.word_bytes)),
                "memory": Out(MemoryPort(memory.word_bytes)),
                "read": Out(ScratchpadReadPort(depth=depth, word_bytes=memory.word_bytes)),
                "write": Out(ScratchpadWritePort(depth=depth, word_bytes=memory.word_bytes)),
            },
            names={"units": ""},
        )

    @property
    def block_name(self) -> str:
        return f"exchange_port_{self._depth}x{self._memory.word_bytes}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word_bytes = self._memory.word_bytes
        request = request_layout(word_bytes)(self.units.request.payload)
        to_exchange = Signal()
        may_read = Signal()
        remote = Signal(16)  # reads of the memory whose words have not come
        held = Signal(range(AHEAD + 1))  # words of the scratchpad that have not been taken
        read, remote_read, given, taken = Signal(), Signal(), Signal(), Signal()
        here = Signal()
        m.d.comb += [
            to_exchange.eq(request.address[-1]),
            may_read.eq(Mux(to_exchange, (remote == 0) & (held != AHEAD), held == 0)),
            here.eq(self.units.request.valid & to_exchange),
            self.read.valid.eq(here & ~request.write & may_read),
            self.read.address.eq(request.address),
            self.write.valid.eq(here & request.write),
            self.write.address.eq(request.address),
            self.write.strobe.eq(Cat(bit.replicate(2) for bit in request.strobe)),
            self.write.data.eq(request.data),
            self.memory.request.payload.eq(self.units.request.payload),
            self.memory.request.valid.eq(
                self.units.request.valid & ~to_exchange & (request.write | may_read)
            ),
            self.units.request.ready.eq(
                Mux(
                    to_exchange,
                    Mux(request.write, self.write.ready, self.read.ready & may_read),
                    self.memory.request.ready & (request.write | may_read),
                )
            ),
            read.eq(self.read.valid & self.read.ready),
            remote_read.eq(self.memory.request.valid & self.memory.request.ready & ~request.write),
        ]

        words = Queue(width=8 * word_bytes + 1, depth=AHEAD)
        place(m, platform, "words", words)
        coming, tag = Signal(), Signal()
        m.d.sync += [coming.eq(read), tag.eq(request.tag)]
        m.d.comb += [
            words.i.valid.eq(coming),
            words.i.payload.eq(Cat(tag, self.read.data)),
            self.units.response.valid.eq(words.o.valid | self.memory.response.valid),
            self.units.response.payload.eq(Mux(words.o.valid, words.o.payload, self.memory.response.payload)),
            words.o.ready.eq(self.units.response.ready),
            self.memory.response.ready.eq(self.units.response.ready & ~words.o.valid),
            given.eq(words.o.valid & words.o.ready),
            taken.eq(self.memory.response.valid & self.memory.response.ready),
        ]
        m.d.sync += [held.eq(held + read - given), remote.eq(remote + remote_read - taken)]
        return m

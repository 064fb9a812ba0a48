"""Exchange port: the part of the memory port's addresses that lies in the die's own exchange buffer."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import MemorySpec
from rtl.block import Block, check_integers, place
from rtl.interface.memory_port import address_bits, request_layout, response_layout
from rtl.lib.queue import Queue

__all__ = ["ExchangePort"]


AHEAD = 4
"""Words that are read ahead of who asked for them."""


class ExchangePort(Block):
    """Sends a request to the memory behind the die, or to the exchange buffer.

    Words come back in the order of their requests: a read waits until no word of the other kind is on its way.

    Parameters
    ----------
    memory : MemorySpec
        Words, and how many reads are in flight.
    depth : int
        Words of the exchange buffer.

    Members
    -------
    request : In(stream), response : Out(stream)
        Memory port of the die's units.
    memory_request : Out(stream), memory_response : In(stream)
        Memory port of the die.
    read_valid, read_address, read_ready, read_data
        Read port of the exchange buffer.
    write_valid, write_address, write_strobe, write_data, write_ready
        Write port of the exchange buffer.
    """

    def __init__(self, *, memory: MemorySpec, depth: int) -> None:
        check_integers("exchange port", minimum=1, depth=depth)
        self._memory, self._depth = memory, depth
        word_bytes = memory.word_bytes
        request = stream.Signature(request_layout(word_bytes).size)
        response = stream.Signature(response_layout(word_bytes).size)
        super().__init__(
            {
                "request": In(request),
                "response": Out(response),
                "memory_request": Out(request),
                "memory_response": In(response),
                "read_valid": Out(1),
                "read_address": Out(address_bits(depth)),
                "read_ready": In(1),
                "read_data": In(8 * word_bytes),
                "write_valid": Out(1),
                "write_address": Out(address_bits(depth)),
                "write_strobe": Out(word_bytes // 4),
                "write_data": Out(8 * word_bytes),
                "write_ready": In(1),
            }
        )

    @property
    def block_name(self) -> str:
        return f"exchange_port_{self._depth}x{self._memory.word_bytes}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word_bytes = self._memory.word_bytes
        request = request_layout(word_bytes)(self.request.payload)
        to_exchange = Signal()
        may_read = Signal()
        remote = Signal(16)  # reads of the memory whose words have not come
        held = Signal(range(AHEAD + 1))  # words of the exchange buffer that have not been taken
        read, remote_read, given, taken = Signal(), Signal(), Signal(), Signal()
        here = Signal()
        m.d.comb += [
            to_exchange.eq(request.address[-1]),
            may_read.eq(Mux(to_exchange, (remote == 0) & (held != AHEAD), held == 0)),
            here.eq(self.request.valid & to_exchange),
            self.read_valid.eq(here & ~request.write & may_read),
            self.read_address.eq(request.address),
            self.write_valid.eq(here & request.write),
            self.write_address.eq(request.address),
            self.write_strobe.eq(request.strobe),
            self.write_data.eq(request.data),
            self.memory_request.payload.eq(self.request.payload),
            self.memory_request.valid.eq(self.request.valid & ~to_exchange & (request.write | may_read)),
            self.request.ready.eq(
                Mux(
                    to_exchange,
                    Mux(request.write, self.write_ready, self.read_ready & may_read),
                    self.memory_request.ready & (request.write | may_read),
                )
            ),
            read.eq(self.read_valid & self.read_ready),
            remote_read.eq(self.memory_request.valid & self.memory_request.ready & ~request.write),
        ]

        words = Queue(width=8 * word_bytes + 1, depth=AHEAD)
        place(m, platform, "words", words)
        coming, tag = Signal(), Signal()
        m.d.sync += [coming.eq(read), tag.eq(request.tag)]
        m.d.comb += [
            words.i.valid.eq(coming),
            words.i.payload.eq(Cat(tag, self.read_data)),
            self.response.valid.eq(words.o.valid | self.memory_response.valid),
            self.response.payload.eq(Mux(words.o.valid, words.o.payload, self.memory_response.payload)),
            words.o.ready.eq(self.response.ready),
            self.memory_response.ready.eq(self.response.ready & ~words.o.valid),
            given.eq(words.o.valid & words.o.ready),
            taken.eq(self.memory_response.valid & self.memory_response.ready),
        ]
        m.d.sync += [held.eq(held + read - given), remote.eq(remote + remote_read - taken)]
        return m

"""Scratchpad reader: reads the words of a block out of the scratchpad ahead of time and offers them one by one."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.queue_depths import WORDS_SPARE
from chiplet.machine.specs import BUFFER_ADDRESS_BITS
from rtl.block import Block, check_integers, place
from rtl.interface.isa import COUNT_BITS
from rtl.interface.scratchpad_port import ScratchpadReadPort
from rtl.lib.delay import Delay
from rtl.lib.queue import Queue
from rtl.lib.sram import with_latency
from rtl.memory.block_addresses import BlockAddresses

__all__ = ["WORD_BLOCK", "ScratchpadReader"]

WORD_BLOCK = data.StructLayout(
    {"base": BUFFER_ADDRESS_BITS, "pitch": BUFFER_ADDRESS_BITS, "rows": COUNT_BITS, "words": COUNT_BITS}
)
"""A block of whole words in the scratchpad: ``rows`` rows of ``words`` words, ``pitch`` words apart."""


class ScratchpadReader(Block):
    """Reads blocks, a word in each cycle in which its bank is free and there is room for it.

    Parameters
    ----------
    depth, word_bytes : int
        Words of the scratchpad, and their bytes.
    sram_latency : int
        Cycles from a read to its word.

    Members
    -------
    block : In(stream)
        Blocks, as :data:`WORD_BLOCK`. Taken while the last word of the block before is read.
    asks : Out(1), row_ok : In(1), row_take : Out(1)
        The next word is the first one of its row; it may be read; it is read in this cycle.
    read : Out(ScratchpadReadPort)
        Read port of the scratchpad.
    o : Out(stream)
        The words.
    busy, waiting, beyond : Out(1)
        Words are left to be read; there is room for the next one; it lies beyond the scratchpad, and is not read.
    """

    def __init__(self, *, depth: int, word_bytes: int, sram_latency: int = SRAM_LATENCY) -> None:
        check_integers(
            "scratchpad reader", minimum=1, depth=depth, word_bytes=word_bytes, sram_latency=sram_latency
        )
        self._depth, self._word_bytes, self._latency = depth, word_bytes, sram_latency
        super().__init__(
            {
                "block": In(stream.Signature(WORD_BLOCK.size)),
                "asks": Out(1),
                "row_ok": In(1),
                "row_take": Out(1),
                "read": Out(ScratchpadReadPort(depth=depth, word_bytes=word_bytes)),
                "o": Out(stream.Signature(8 * word_bytes)),
                "busy": Out(1),
                "waiting": Out(1),
                "beyond": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        name = f"scratchpad_reader_{self._depth}x{self._word_bytes}"
        return with_latency(name, self._latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        places = BlockAddresses(address_bits=BUFFER_ADDRESS_BITS, pitch_bits=BUFFER_ADDRESS_BITS)
        place(m, platform, "places", places)
        block = WORD_BLOCK(self.block.payload)
        most = self._latency + WORDS_SPARE
        held = Signal(range(most + 1))  # words read, or on their way, that have not been given
        taken = Signal()
        given = Signal()
        m.d.comb += [
            self.block.ready.eq(~places.busy | (taken & places.last)),
            places.load.eq(self.block.valid & self.block.ready),
            places.base.eq(block.base),
            places.pitch.eq(block.pitch),
            places.rows.eq(block.rows),
            places.words.eq(block.words),
            places.step.eq(taken),
            self.busy.eq(places.busy),
            self.waiting.eq(places.busy & (held != most)),
            self.asks.eq(places.busy & places.row_begin),
            self.beyond.eq(places.busy & (places.address >= self._depth)),
            self.read.valid.eq(self.waiting & ~self.beyond & (self.row_ok | ~self.asks)),
            self.read.address.eq(places.address),
            taken.eq(self.read.valid & self.read.ready),
            self.row_take.eq(taken & self.asks),
        ]
        m.d.sync += held.eq(held + taken - given)

        words = Queue(width=8 * self._word_bytes, depth=most, passes=True)
        place(m, platform, "words", words)
        coming = Delay(width=1, cycles=self._latency, reset_less=False)
        place(m, platform, "coming", coming)
        m.d.comb += [
            coming.i.eq(taken),
            words.i.valid.eq(coming.o),
            words.i.payload.eq(self.read.data),
            self.o.valid.eq(words.o.valid),
            self.o.payload.eq(words.o.payload),
            words.o.ready.eq(self.o.ready),
            given.eq(self.o.valid & self.o.ready),
        ]
        return m

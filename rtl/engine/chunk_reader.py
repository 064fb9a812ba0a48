"""Reads chunks out of the scratchpad ahead of time and offers their flits one by one."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.specs import (
    BUFFER_ADDRESS_BITS,
    DieSpec,
    MemorySpec,
    NopSpec,
    flits_per_word,
    scratchpad_depth,
)
from rtl.block import Block, check_integers, place
from rtl.interface.isa import COUNT_BITS
from rtl.interface.scratchpad_port import ScratchpadReadPort
from rtl.lib.queue import Queue
from rtl.lib.sram import with_latency

__all__ = ["ChunkReader"]

BESIDES_LATENCY = 3
"""Words read ahead besides those that come: one is offered, two hide cycles in which the bank serves another port."""


class ChunkReader(Block):
    """Reads ``chunks`` chunks of ``flits`` flits each; a chunk begins with a word, at ``base`` + chunk x ``pitch``.

    After the first ``lap`` chunks, ``wrap`` is added to the addresses as well; with a ``lap`` of 0 it never is.

    Parameters
    ----------
    die, nop, memory : DieSpec, NopSpec, MemorySpec
        Depth of the scratchpad, bits of a flit, bytes of a word.
    sram_latency : int
        Cycles from a read of the scratchpad to its word.

    Members
    -------
    load : In(1), base, pitch, lap, wrap, chunks, flits, free : In
        Begin; allowed when all words of the previous chunks have been read. The words of the first ``free`` chunks are
        read without permission.
    asks : Out(1), word_ok : In(1), word_take : Out(1)
        The next word needs permission; it may be read; it is read in this cycle.
    read : Out(ScratchpadReadPort)
        Read port of the scratchpad.
    o : Out(stream)
        Data of a flit, and above it whether it is the last one of its chunk.
    waiting, beyond : Out(1)
        There is a next word, and room for it; it lies beyond the scratchpad, and is not read.
    """

    def __init__(
        self, *, die: DieSpec, nop: NopSpec, memory: MemorySpec, sram_latency: int = SRAM_LATENCY
    ) -> None:
        check_integers("chunk reader", minimum=1, sram_latency=sram_latency)
        self._die, self._nop, self._memory, self._latency = die, nop, memory, sram_latency
        self._per_word = flits_per_word(nop, memory)
        super().__init__(
            {
                "load": In(1),
                "base": In(BUFFER_ADDRESS_BITS),
                "pitch": In(BUFFER_ADDRESS_BITS),
                "lap": In(COUNT_BITS),
                "wrap": In(BUFFER_ADDRESS_BITS),
                "chunks": In(COUNT_BITS),
                "flits": In(COUNT_BITS),
                "free": In(COUNT_BITS),
                "asks": Out(1),
                "word_ok": In(1),
                "word_take": Out(1),
                "read": Out(
                    ScratchpadReadPort(depth=scratchpad_depth(die, memory, nop), word_bytes=memory.word_bytes)
                ),
                "o": Out(stream.Signature(nop.flit_bits + 1)),
                "waiting": Out(1),
                "beyond": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        depth = scratchpad_depth(self._die, self._memory, self._nop)
        name = f"chunk_reader_{depth}x{self._memory.word_bytes}_{self._nop.flit_bits}"
        return with_latency(name, self._latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        per_word = self._per_word
        pitch = Signal(BUFFER_ADDRESS_BITS)
        flits = Signal(COUNT_BITS)
        lap = Signal(COUNT_BITS)
        wrap = Signal(BUFFER_ADDRESS_BITS)
        chunk_address = Signal(BUFFER_ADDRESS_BITS)
        address = Signal(BUFFER_ADDRESS_BITS)
        chunks = Signal(COUNT_BITS)
        left = Signal(COUNT_BITS)
        free = Signal(COUNT_BITS)
        count = Signal(range(per_word + 1))
        last_word = Signal()
        next_chunk = Signal(BUFFER_ADDRESS_BITS)
        taken = Signal()
        ahead = self._latency + BESIDES_LATENCY
        held = Signal(range(ahead + 1))  # words read, or on their way, whose last flit has not left
        given = Signal()
        m.d.comb += [
            last_word.eq(left <= per_word),
            count.eq(Mux(last_word, left, per_word)),
            next_chunk.eq(chunk_address + pitch + Mux(lap == 1, wrap, 0)),
            self.waiting.eq((chunks != 0) & (held != ahead)),
            self.asks.eq(free == 0),
            self.beyond.eq(self.waiting & (address >= scratchpad_depth(self._die, self._memory, self._nop))),
            self.read.valid.eq(self.waiting & (self.word_ok | ~self.asks) & ~self.beyond),
            self.read.address.eq(address),
            taken.eq(self.read.valid & self.read.ready),
            self.word_take.eq(taken & self.asks),
        ]
        m.d.sync += held.eq(held + taken - given)
        with m.If(self.load):
            m.d.sync += [
                pitch.eq(self.pitch),
                lap.eq(self.lap),
                wrap.eq(self.wrap),
                flits.eq(self.flits),
                chunk_address.eq(self.base),
                address.eq(self.base),
                chunks.eq(self.chunks),
                left.eq(self.flits),
                free.eq(self.free),
            ]
        with m.Elif(taken):
            m.d.sync += [address.eq(address + 1), left.eq(left - per_word)]
            with m.If(last_word):
                m.d.sync += [
                    address.eq(next_chunk),
                    chunk_address.eq(next_chunk),
                    chunks.eq(chunks - 1),
                    lap.eq(lap - (lap != 0)),
                    free.eq(free - (free != 0)),
                    left.eq(flits),
                ]

        words = Queue(width=8 * self._memory.word_bytes + len(count) + 1, depth=ahead)
        place(m, platform, "words", words)
        coming, kind = taken, Cat(count, last_word)
        for n in reversed(range(self._latency)):
            name = f"coming_{n}" if n else "coming"
            comes, its_kind = Signal(name=name), Signal(len(count) + 1, name=f"{name}_kind")
            m.d.sync += [comes.eq(coming), its_kind.eq(kind)]
            coming, kind = comes, its_kind
        m.d.comb += [
            words.i.valid.eq(coming),
            words.i.payload.eq(Cat(self.read.data, kind)),
        ]
        bits = 8 * self._memory.word_bytes
        word, word_count, word_last = (
            words.o.payload[:bits],
            words.o.payload[bits : bits + len(count)],
            words.o.payload[-1],
        )
        index = Signal(range(max(per_word, 2)))
        over = Signal()  # the word's last flit is offered
        m.d.comb += [
            over.eq(index == word_count - 1),
            self.o.valid.eq(words.o.valid),
            self.o.payload.eq(Cat(word.word_select(index, self._nop.flit_bits), over & word_last)),
            words.o.ready.eq(self.o.ready & over),
            given.eq(words.o.valid & words.o.ready),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += index.eq(Mux(over, 0, index + 1))
        return m

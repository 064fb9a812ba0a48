"""Collects the flits of chunks in words and writes them to the scratchpad."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.specs import (
    BUFFER_ADDRESS_BITS,
    DieSpec,
    MemorySpec,
    NopSpec,
    flits_per_word,
    scratchpad_depth,
)
from rtl.block import Block, place
from rtl.interface.isa import COUNT_BITS, RECEIVE
from rtl.interface.scratchpad_port import STROBE_BYTES, ScratchpadWritePort
from rtl.lib.queue import Queue

__all__ = ["WORD_POSTS", "ChunkWriter"]

WORD_POSTS = data.StructLayout({name: RECEIVE[name].width for name in ("word_post", "post_0", "post_1")})
"""Semaphores that a word posts when it is written."""

WAITING = 4
"""Words that wait for their banks. A word whose bank is busy delays the words behind it, but no flit."""


class ChunkWriter(Block):
    """Writes chunks; each begins with a word, at addresses as those of :class:`rtl.engine.chunk_reader.ChunkReader`.

    Members
    -------
    load : In(1)
        Begin with the chunk at ``base``.
    base, pitch, lap, wrap : In
        As for the reader; chunks that are not written count as well. The inputs hold while the chunks come.
    by_source, source : In
        The chunk lies at ``base`` + ``source`` x ``pitch`` instead.
    i : In(stream)
        Data of a flit, and above it whether it ends a chunk.
    post : In
        What the word of the flit posts, as :data:`WORD_POSTS`.
    chunk : In(1)
        A chunk ends, whether it was written or not.
    written : Out(1), written_post : Out
        A word is written, and what it posts.
    write : Out(ScratchpadWritePort)
        Write port of the scratchpad.
    beyond : Out(1)
        The next word belongs beyond the scratchpad, and is not written.
    """

    def __init__(self, *, die: DieSpec, nop: NopSpec, memory: MemorySpec) -> None:
        self._die, self._nop, self._memory = die, nop, memory
        self._per_word = flits_per_word(nop, memory)
        super().__init__(
            {
                "load": In(1),
                "base": In(BUFFER_ADDRESS_BITS),
                "pitch": In(BUFFER_ADDRESS_BITS),
                "lap": In(COUNT_BITS),
                "wrap": In(BUFFER_ADDRESS_BITS),
                "by_source": In(1),
                "source": In(nop.coordinate_bits),
                "i": In(stream.Signature(nop.flit_bits + 1)),
                "post": In(WORD_POSTS.size),
                "chunk": In(1),
                "written": Out(1),
                "written_post": Out(WORD_POSTS.size),
                "write": Out(
                    ScratchpadWritePort(
                        depth=scratchpad_depth(die, memory, nop), word_bytes=memory.word_bytes
                    )
                ),
                "beyond": Out(1),
            }
        )

    @property
    def block_name(self) -> str:
        nop = self._nop
        size = f"{scratchpad_depth(self._die, self._memory, nop)}x{self._memory.word_bytes}"
        return f"chunk_writer_{size}_{nop.flit_bits}_c{nop.coordinate_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        nop, per_word = self._nop, self._per_word
        start = Signal(BUFFER_ADDRESS_BITS)  # address of the chunk, when they come one after the other
        lap = Signal(COUNT_BITS)
        following = Signal(BUFFER_ADDRESS_BITS)  # address of the next word of this chunk
        in_chunk = Signal()
        index = Signal(range(max(per_word, 2)))
        collected = Signal(8 * self._memory.word_bytes, reset_less=True)
        whole = Signal()
        tail = self.i.payload[-1]
        request = data.StructLayout(
            {
                "data": len(collected),
                "strobe": len(self.write.strobe),
                "address": BUFFER_ADDRESS_BITS,
                "post": WORD_POSTS.size,
            }
        )
        words = Queue(width=request.size, depth=WAITING)
        place(m, platform, "words", words)
        put = Signal(request)
        given = request(words.o.payload)
        first = Mux(self.by_source, self.base + self.source * self.pitch, start)
        m.d.comb += [
            whole.eq(tail | (index == per_word - 1)),
            put.data.eq(
                Cat(
                    Mux(index == n, self.i.payload[:-1], collected.word_select(n, nop.flit_bits))
                    for n in range(per_word)
                )
            ),
            put.strobe.eq(
                Cat((index >= n).replicate(nop.flit_bits // (8 * STROBE_BYTES)) for n in range(per_word))
            ),
            put.address.eq(Mux(in_chunk, following, first)),
            put.post.eq(self.post),
            words.i.payload.eq(put),
            words.i.valid.eq(self.i.valid & whole),
            self.i.ready.eq(~whole | words.i.ready),
            self.beyond.eq(
                words.o.valid & (given.address >= scratchpad_depth(self._die, self._memory, self._nop))
            ),
            self.write.valid.eq(words.o.valid & ~self.beyond),
            words.o.ready.eq(self.write.ready & ~self.beyond),
            self.write.data.eq(given.data),
            self.write.strobe.eq(given.strobe),
            self.write.address.eq(given.address),
            self.written.eq(self.write.valid & self.write.ready),
            self.written_post.eq(given.post),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                collected.eq(put.data),
                in_chunk.eq(~tail),
                following.eq(put.address + whole),
                index.eq(Mux(whole, 0, index + 1)),
            ]
        with m.If(self.load):
            m.d.sync += [start.eq(self.base), lap.eq(self.lap)]
        with m.Elif(self.chunk):
            m.d.sync += [
                start.eq(start + self.pitch + Mux(lap == 1, self.wrap, 0)),
                lap.eq(lap - (lap != 0)),
            ]
        return m

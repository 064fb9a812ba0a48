"""Collects the flits of chunks in words and writes them to the scratchpad."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from chiplet.machine.chunks import flits_per_word, words_per_flit
from chiplet.machine.specs import BUFFER_ADDRESS_BITS, DieSpec, MemorySpec, NopSpec, scratchpad_depth
from rtl.block import Block, place
from rtl.interface.isa import COUNT_BITS, RECEIVE
from rtl.interface.scratchpad_port import STROBE_BYTES, ScratchpadWritePort, lane_names
from rtl.lib.queue import Queue

__all__ = ["WORD_POSTS", "ChunkWriter"]

WORD_POSTS = data.StructLayout({name: RECEIVE[name].width for name in ("word_post", "post_0", "post_1")})
"""Semaphores that a word, or a wider flit, posts when it is written."""

WAITING = 4
"""Words of a lane that wait for their banks. A word whose bank is busy delays the words behind it, but no flit."""


class ChunkWriter(Block):
    """Writes chunks; each begins with a word, at addresses as those of :class:`rtl.engine.chunk_reader.ChunkReader`.

    A flit that is wider than a word is written by as many lanes as it has words, each with a port of its own and its
    own words that wait.

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
        What the word of the flit, or the flit, posts, as :data:`WORD_POSTS`.
    chunk : In(1)
        A chunk ends, whether it was written or not.
    written : Out(1), written_post : Out
        A word, or all of a wider flit, is written, and what it posts. A port of ``write`` is valid then.
    write : Out(ScratchpadWritePort).array(words of a flit, at least 1)
        Write ports of the scratchpad.
    beyond : Out(1)
        The next word of a lane belongs beyond the scratchpad, and is not written.
    """

    def __init__(self, *, die: DieSpec, nop: NopSpec, memory: MemorySpec) -> None:
        self._die, self._nop, self._memory = die, nop, memory
        self._per_word, self._lanes = flits_per_word(nop, memory), words_per_flit(nop, memory)
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
                ).array(self._lanes),
                "beyond": Out(1),
            },
            names={"write": lane_names("write", self._lanes)},
        )

    @property
    def block_name(self) -> str:
        nop = self._nop
        size = f"{scratchpad_depth(self._die, self._memory, nop)}x{self._memory.word_bytes}"
        return f"chunk_writer_{size}_{nop.flit_bits}_c{nop.coordinate_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        start = Signal(BUFFER_ADDRESS_BITS)  # address of the chunk, when they come one after the other
        lap = Signal(COUNT_BITS)
        following = Signal(BUFFER_ADDRESS_BITS)  # address of the next word of this chunk
        in_chunk = Signal()
        tail = self.i.payload[-1]
        first = Mux(self.by_source, self.base + self.source * self.pitch, start)
        address = Signal(BUFFER_ADDRESS_BITS)
        m.d.comb += address.eq(Mux(in_chunk, following, first))
        filled = (self._elaborate_word if self._lanes == 1 else self._elaborate_lanes)(m, platform, address)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [in_chunk.eq(~tail), following.eq(address + filled)]
        with m.If(self.load):
            m.d.sync += [start.eq(self.base), lap.eq(self.lap)]
        with m.Elif(self.chunk):
            m.d.sync += [
                start.eq(start + self.pitch + Mux(lap == 1, self.wrap, 0)),
                lap.eq(lap - (lap != 0)),
            ]
        return m

    def _elaborate_word(self, m: Module, platform: object, address: Signal) -> Value:
        """Collect the flits of a word, whose ``address`` it is; return how many words the flit that comes fills."""
        nop, per_word = self._nop, self._per_word
        (write,) = self.write
        index = Signal(range(max(per_word, 2)))
        collected = Signal(8 * self._memory.word_bytes, reset_less=True)
        whole = Signal()
        request = data.StructLayout(
            {
                "data": len(collected),
                "strobe": len(write.strobe),
                "address": BUFFER_ADDRESS_BITS,
                "post": WORD_POSTS.size,
            }
        )
        words = Queue(width=request.size, depth=WAITING)
        place(m, platform, "words", words)
        put = Signal(request)
        given = request(words.o.payload)
        m.d.comb += [
            whole.eq(self.i.payload[-1] | (index == per_word - 1)),
            put.data.eq(
                Cat(
                    Mux(index == n, self.i.payload[:-1], collected.word_select(n, nop.flit_bits))
                    for n in range(per_word)
                )
            ),
            put.strobe.eq(
                Cat((index >= n).replicate(nop.flit_bits // (8 * STROBE_BYTES)) for n in range(per_word))
            ),
            put.address.eq(address),
            put.post.eq(self.post),
            words.i.payload.eq(put),
            words.i.valid.eq(self.i.valid & whole),
            self.i.ready.eq(~whole | words.i.ready),
            self.beyond.eq(
                words.o.valid & (given.address >= scratchpad_depth(self._die, self._memory, self._nop))
            ),
            write.valid.eq(words.o.valid & ~self.beyond),
            words.o.ready.eq(write.ready & ~self.beyond),
            write.data.eq(given.data),
            write.strobe.eq(given.strobe),
            write.address.eq(given.address),
            self.written.eq(write.valid & write.ready),
            self.written_post.eq(given.post),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [collected.eq(put.data), index.eq(Mux(whole, 0, index + 1))]
        return whole

    def _elaborate_lanes(self, m: Module, platform: object, address: Signal) -> Value:
        """Give the words of a flit, the first of which belongs to ``address``, to the lanes; return how many it has.

        Flits become whole in the order in which they came, at most one in a cycle, as no lane writes two words.
        """
        bits = 8 * self._memory.word_bytes
        posts = Queue(width=WORD_POSTS.size, depth=WAITING)
        place(m, platform, "posts", posts)
        have_room, beyond, over = [], [], []
        for n, write in enumerate(self.write):
            words = Queue(width=bits + BUFFER_ADDRESS_BITS, depth=WAITING)
            place(m, platform, f"words_{n}", words)
            early = Signal(
                range(WAITING + 1), name=f"early_{n}"
            )  # words written, of flits that are not whole
            wrote = Signal(name=f"wrote_{n}")
            outside = Signal(name=f"outside_{n}")
            place_of_word = words.o.payload[bits:]
            m.d.comb += [
                words.i.valid.eq(self.i.valid & self.i.ready),
                words.i.payload.eq(
                    Cat(self.i.payload[n * bits : (n + 1) * bits], (address + n)[:BUFFER_ADDRESS_BITS])
                ),
                outside.eq(
                    words.o.valid & (place_of_word >= scratchpad_depth(self._die, self._memory, self._nop))
                ),
                write.valid.eq(words.o.valid & ~outside),
                words.o.ready.eq(write.ready & ~outside),
                write.data.eq(words.o.payload[:bits]),
                write.strobe.eq(~0),
                write.address.eq(place_of_word),
                wrote.eq(write.valid & write.ready),
            ]
            m.d.sync += early.eq(early + wrote - self.written)
            have_room.append(words.i.ready)
            beyond.append(outside)
            over.append(wrote | (early != 0))
        m.d.comb += [
            self.i.ready.eq(Cat(have_room).all()),
            self.beyond.eq(Cat(beyond).any()),
            self.written.eq(Cat(over).all()),
            self.written_post.eq(posts.o.payload),
            posts.i.valid.eq(self.i.valid & self.i.ready),
            posts.i.payload.eq(self.post),
            posts.o.ready.eq(self.written),
        ]
        return Const(self._lanes)

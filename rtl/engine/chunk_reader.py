"""Reads chunks out of the scratchpad ahead of time and offers their flits one by one."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.chunks import flits_per_word, words_per_flit
from chiplet.machine.pipelining import SRAM_LATENCY
from chiplet.machine.specs import BUFFER_ADDRESS_BITS, DieSpec, MemorySpec, NopSpec, scratchpad_depth
from rtl.block import Block, check_integers, place
from rtl.engine.read_lane import ReadLane
from rtl.interface.isa import COUNT_BITS
from rtl.interface.scratchpad_port import ScratchpadReadPort, lane_names
from rtl.lib.queue import Queue
from rtl.lib.sram import with_latency

__all__ = ["ChunkReader"]

BESIDES_LATENCY = 3
"""Reads ahead besides those under way: one is offered, two hide cycles in which a bank serves another port."""

MORE_IN_LANES = 2
"""Reads ahead besides these in lanes: as each lane of a flit has only a part of the banks, it waits more often."""


class ChunkReader(Block):
    """Reads ``chunks`` chunks of ``flits`` flits each; a chunk begins with a word, at ``base`` + chunk x ``pitch``.

    After the first ``lap`` chunks, ``wrap`` is added to the addresses as well; with a ``lap`` of 0 it never is.

    A flit that is wider than a word is read by as many lanes as it has words, each with a port of its own. A lane whose
    bank serves another port falls back alone, and has its words ahead before the flit is due.

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
        The next word, or the words of the next flit, need permission; may be read; are asked for in this cycle.
    read : Out(ScratchpadReadPort).array(words of a flit, at least 1)
        Read ports of the scratchpad.
    o : Out(stream)
        Data of a flit, and above it whether it is the last one of its chunk.
    waiting, beyond : Out(1)
        There is a next word, or flit, and room for it; it lies beyond the scratchpad, and is not read.
    """

    def __init__(
        self, *, die: DieSpec, nop: NopSpec, memory: MemorySpec, sram_latency: int = SRAM_LATENCY
    ) -> None:
        check_integers("chunk reader", minimum=1, sram_latency=sram_latency)
        self._die, self._nop, self._memory, self._latency = die, nop, memory, sram_latency
        self._per_word, self._lanes = flits_per_word(nop, memory), words_per_flit(nop, memory)
        self._ahead = sram_latency + BESIDES_LATENCY + (MORE_IN_LANES if self._lanes > 1 else 0)
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
                ).array(self._lanes),
                "o": Out(stream.Signature(nop.flit_bits + 1)),
                "waiting": Out(1),
                "beyond": Out(1),
            },
            names={"read": lane_names("read", self._lanes)},
        )

    @property
    def block_name(self) -> str:
        depth = scratchpad_depth(self._die, self._memory, self._nop)
        name = f"chunk_reader_{depth}x{self._memory.word_bytes}_{self._nop.flit_bits}"
        return with_latency(name, self._latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        per_word, lanes = self._per_word, self._lanes
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
        ahead = self._ahead
        held = Signal(range(ahead + 1))  # words read, or on their way, whose last flit has not left; or flits
        given = Signal()
        may_read = self.waiting & (self.word_ok | ~self.asks) & ~self.beyond
        depth = scratchpad_depth(self._die, self._memory, self._nop)
        m.d.comb += [
            last_word.eq(left <= per_word),
            count.eq(Mux(last_word, left, per_word)),
            next_chunk.eq(chunk_address + pitch + Mux(lap == 1, wrap, 0)),
            self.waiting.eq((chunks != 0) & (held != ahead)),
            self.asks.eq(free == 0),
            self.beyond.eq(self.waiting & (address >= depth - (lanes - 1))),
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
            m.d.sync += [address.eq(address + lanes), left.eq(left - per_word)]
            with m.If(last_word):
                m.d.sync += [
                    address.eq(next_chunk),
                    chunk_address.eq(next_chunk),
                    chunks.eq(chunks - 1),
                    lap.eq(lap - (lap != 0)),
                    free.eq(free - (free != 0)),
                    left.eq(flits),
                ]
        if lanes == 1:
            (read,) = self.read
            m.d.comb += [
                read.valid.eq(may_read),
                read.address.eq(address),
                taken.eq(read.valid & read.ready),
            ]
            self._elaborate_word(m, platform, read, taken, Cat(count, last_word), given)
        else:
            m.d.comb += taken.eq(may_read)
            self._elaborate_lanes(m, platform, taken, address, last_word, given)
        return m

    def _elaborate_word(
        self, m: Module, platform: object, read: Any, taken: Signal, kind: Value, given: Signal
    ) -> None:
        """Cut the words that come into flits. ``kind`` of a word: how many flits it has, and whether it ends a chunk.

        ``given``: the last flit of a word leaves.
        """
        per_word, flit_bits = self._per_word, self._nop.flit_bits
        bits, count_bits = 8 * self._memory.word_bytes, len(kind) - 1
        words = Queue(width=bits + len(kind), depth=self._ahead)
        place(m, platform, "words", words)
        coming: Value = taken
        for n in reversed(range(self._latency)):
            name = f"coming_{n}" if n else "coming"
            comes, its_kind = Signal(name=name), Signal(len(kind), name=f"{name}_kind")
            m.d.sync += [comes.eq(coming), its_kind.eq(kind)]
            coming, kind = comes, its_kind
        m.d.comb += [
            words.i.valid.eq(coming),
            words.i.payload.eq(Cat(read.data, kind)),
        ]
        word, word_count, word_last = (
            words.o.payload[:bits],
            words.o.payload[bits : bits + count_bits],
            words.o.payload[-1],
        )
        index = Signal(range(max(per_word, 2)))
        over = Signal()  # the word's last flit is offered
        m.d.comb += [
            over.eq(index == word_count - 1),
            self.o.valid.eq(words.o.valid),
            self.o.payload.eq(Cat(word.word_select(index, flit_bits), over & word_last)),
            words.o.ready.eq(self.o.ready & over),
            given.eq(words.o.valid & words.o.ready),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += index.eq(Mux(over, 0, index + 1))

    def _elaborate_lanes(
        self,
        m: Module,
        platform: object,
        taken: Signal,
        address: Signal,
        last: Signal,
        given: Signal,
    ) -> None:
        """Put the words of the lanes together to flits. ``taken``: a flit is asked for, whether it is the ``last`` one
        of its chunk; ``given``: one leaves."""
        ahead, word_bytes = self._ahead, self._memory.word_bytes
        ends = Queue(width=1, depth=ahead)
        place(m, platform, "ends", ends)
        lanes = []
        for n, read in enumerate(self.read):
            lane = ReadLane(
                depth=scratchpad_depth(self._die, self._memory, self._nop),
                word_bytes=word_bytes,
                ahead=ahead,
                sram_latency=self._latency,
            )
            place(m, platform, f"lane_{n}", lane)
            connect(m, lane.read, flipped(read))
            m.d.comb += [
                lane.ask.eq(taken),
                lane.address.eq(address + n),
                lane.o.ready.eq(given),
            ]
            lanes.append(lane)
        m.d.comb += [
            ends.i.valid.eq(taken),
            ends.i.payload.eq(last),
            ends.o.ready.eq(given),
            self.o.valid.eq(Cat(lane.o.valid for lane in lanes).all()),
            self.o.payload.eq(Cat(*(lane.o.payload for lane in lanes), ends.o.payload)),
            given.eq(self.o.valid & self.o.ready),
        ]

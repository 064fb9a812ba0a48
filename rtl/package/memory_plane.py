"""Memory plane: the messages between dies and IO dies, and the die's end.

A die sends its requests to an IO die at an end of its row or column. A request is a packet: the head, and for a write
also the strobes and the word. An answer is a packet, too: the word of a read, or one flit that reports a completed
write, or that memory has refused a read or a write. In requests ``source`` is the place of the die in that row or
column; in answers it says what they are (:class:`Answer`).
"""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from chiplet.machine.memory_plane import READ_REQUEST_BITS
from chiplet.machine.queue_depths import COMMAND_READS
from chiplet.machine.specs import MemorySpec, NopSpec
from rtl.block import Block, place
from rtl.interface.flit import flit_stream
from rtl.interface.isa import MEMORY_ADDRESS_BITS
from rtl.interface.memory_port import EPOCH_BITS, MemoryPort, MemoryRefusals, request_layout
from rtl.network.packet import Packer, Unpacker, packed_layout, unpacked_layout

__all__ = ["Answer", "MemoryPlanePort", "message_layout"]


class Answer(IntEnum):
    """What an answer is, as ``source`` of its flits; a refusal as in AXI4. A refused write has data bit 0 set."""

    WORD = 0
    WRITTEN = 1
    SLVERR = 2
    DECERR = 3


def message_layout(word_bytes: int) -> data.StructLayout:
    """A write request; a read request ends with the address. Tags stay in the die."""
    return data.StructLayout(
        {"write": 1, "address": MEMORY_ADDRESS_BITS, "strobe": word_bytes // 4, "data": 8 * word_bytes}
    )


class MemoryPlanePort(Block):
    """Between the memory port of a die and the local port of its router in the memory plane.

    Words come back in the order of the reads, so the tags wait here for their words. The number of places for tags
    bounds the reads in flight, and also the writes without an answer. Answers are taken even while requests wait.

    Parameters
    ----------
    nop : NopSpec
        Flits of the plane.
    memory : MemorySpec
        Width of the memory port, and reads in flight.

    Members
    -------
    row, col, io_row, io_col : In(nop.coordinate_bits)
        Place of the die, and of its IO die; constant while requests are under way.
    memory : In(MemoryPort)
        Memory port of the die, see :mod:`rtl.memory.arbiter`.
    o : Out(stream), i : In(stream)
        Flits to the router and from it.
    idle : Out(1)
        Every write has been answered: it is in memory and visible to all, or refused.
    refused : Out(MemoryRefusals)
        In this cycle, memory's refusal of a request has come. The word of a refused read means nothing.
    """

    def __init__(self, *, nop: NopSpec, memory: MemorySpec) -> None:
        self._nop, self._memory = nop, memory
        super().__init__(
            {
                "row": In(nop.coordinate_bits),
                "col": In(nop.coordinate_bits),
                "io_row": In(nop.coordinate_bits),
                "io_col": In(nop.coordinate_bits),
                "memory": In(MemoryPort(memory.word_bytes)),
                "o": Out(flit_stream(nop)),
                "i": In(flit_stream(nop)),
                "idle": Out(1),
                "refused": Out(MemoryRefusals()),
            },
            names={"memory": ""},
        )

    @property
    def block_name(self) -> str:
        nop, memory = self._nop, self._memory
        size = f"{memory.word_bytes}_{memory.outstanding}"
        return f"memory_plane_port_{size}_in_{nop.flit_bits}_c{nop.coordinate_bits}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        nop, word_bytes = self._nop, self._memory.word_bytes
        word_bits = 8 * word_bytes
        places = self._memory.outstanding + COMMAND_READS
        bits = message_layout(word_bytes).size
        packer = Packer(nop=nop, bits=bits, short_bits=READ_REQUEST_BITS)
        unpacker = Unpacker(nop=nop, bits=word_bits)
        place(m, platform, "packer", packer)
        place(m, platform, "unpacker", unpacker)

        request = request_layout(word_bytes)(self.memory.request.payload)
        message = Signal(message_layout(word_bytes))
        outgoing = Signal(packed_layout(nop, bits))
        # In flight, up to ``places`` of each; the tags of the reads with the newest one at bit 0.
        reads = Signal(range(places + 1))
        writes = Signal(range(places + 1))
        tag_bits = 1 + EPOCH_BITS  # with the epoch, as they come back
        tags = Signal(places * tag_bits, reset_less=True)
        room = Signal()
        sent = Signal()
        m.d.comb += [
            message.write.eq(request.write),
            message.address.eq(request.address),
            message.strobe.eq(request.strobe),
            message.data.eq(request.data),
            outgoing.data.eq(message),
            outgoing.row.eq(self.io_row),
            outgoing.col.eq(self.io_col),
            outgoing.source.eq(Mux(self.io_row == self.row, self.col, self.row)),
            outgoing.short.eq(~request.write),
            # There is room until the request has left: a place is taken with its last flit.
            room.eq(Mux(request.write, writes, reads) != places),
            packer.i.payload.eq(outgoing),
            packer.i.valid.eq(self.memory.request.valid & room),
            self.memory.request.ready.eq(packer.i.ready & room),
            sent.eq(self.memory.request.valid & self.memory.request.ready),
        ]
        connect(m, packer.o, flipped(self.o))
        with m.If(sent & ~request.write):
            m.d.sync += tags.eq(Cat(request.tag, request.epoch, tags))

        answer = unpacked_layout(nop, word_bits)(unpacker.o.payload)
        is_word = Signal()
        refusal = Signal()
        tag = Signal(tag_bits)
        taken = Signal()
        written = Signal()
        connect(m, flipped(self.i), unpacker.i)
        m.d.comb += [
            refusal.eq((answer.source == Answer.SLVERR) | (answer.source == Answer.DECERR)),
            is_word.eq(Mux(refusal, ~answer.data[0], answer.source == Answer.WORD)),
            tag.eq(tags.word_select((reads - 1)[: len(reads)], tag_bits)),
            self.memory.response.payload.eq(Cat(tag, answer.data)),
            self.memory.response.valid.eq(unpacker.o.valid & is_word),
            unpacker.o.ready.eq(~is_word | self.memory.response.ready),
            taken.eq(self.memory.response.valid & self.memory.response.ready),
            written.eq(unpacker.o.valid & ~is_word),
            self.idle.eq(writes == 0),
        ]
        done = {"fetch": taken & tag[0], "load": taken & ~tag[0], "store": written}
        for kind, code in (("faulty", Answer.SLVERR), ("missing", Answer.DECERR)):
            m.d.comb += [
                getattr(self.refused, f"{unit}_{kind}").eq(over & (answer.source == code))
                for unit, over in done.items()
            ]
        m.d.sync += [
            reads.eq(reads + (sent & ~request.write) - taken),
            writes.eq(writes + (sent & request.write) - written),
        ]
        return m
